//! Finds files of the local disk.

use std::path::Path;

use walkdir::{DirEntry, Error, WalkDir};

use crate::sources::{InputError, InputObject};

/// More than these are counted, and not named.
const NAMED: usize = 5;

/// Files below a folder that `takes` takes, sorted by path, in those folders that `enters` takes; both are asked with names
/// that begin as the job's does. All that can't be read of them is told at once, with what to do about it.
pub fn find(
    root: &Path,
    prefix: &str,
    enters: &dyn Fn(&str) -> bool,
    takes: &dyn Fn(&str) -> bool,
) -> Result<Vec<InputObject>, InputError> {
    let name = |path: &Path| {
        let below = path.strip_prefix(root).unwrap_or(path).to_string_lossy();
        format!("{}/{below}", prefix.trim_end_matches('/'))
    };
    let is_wanted = |entry: &DirEntry| entry.depth() == 0 || !entry.file_type().is_dir() || enters(&name(entry.path()));
    let (mut found, mut unreadable) = (Vec::new(), Vec::new());
    for entry in WalkDir::new(root).follow_links(true).into_iter().filter_entry(is_wanted) {
        match entry {
            Err(error) if error.depth() == 0 && is_missing(&error) => return Ok(Vec::new()),
            Err(error) => {
                let path = name(error.path().unwrap_or(root));
                // A link that leads nowhere, or back, may be to a file or to a folder.
                if error.depth() == 0 || takes(&path) || enters(&path) {
                    unreadable.push((path, why(&error)));
                }
            }
            Ok(entry) if entry.file_type().is_dir() || !takes(&name(entry.path())) => {}
            Ok(entry) => match object(&entry, name(entry.path())) {
                Ok(object) => found.push(object),
                Err(why) => unreadable.push((name(entry.path()), why)),
            },
        }
    }
    if let Some(error) = told(&unreadable) {
        return Err(error);
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(found)
}

fn object(entry: &DirEntry, path: String) -> Result<InputObject, String> {
    if entry.path().to_str().is_none() {
        return Err("its name is no UTF-8: rename it".to_owned());
    }
    if !entry.file_type().is_file() {
        return Err("it is neither a file nor a folder: remove it".to_owned());
    }
    let size = entry.metadata().map_err(|error| why(&error))?.len();
    Ok(InputObject { path, size })
}

fn is_missing(error: &Error) -> bool {
    error.io_error().is_some_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}

fn why(error: &Error) -> String {
    match (error.loop_ancestor(), error.io_error()) {
        (Some(_), _) => "a link leads back to a folder that it is in: remove it".to_owned(),
        (None, Some(_)) if is_missing(error) => "a link leads nowhere: remove it".to_owned(),
        (None, Some(error)) => unreadable(error),
        (None, None) => error.to_string(),
    }
}

/// What the system says, and what to do about it.
pub fn unreadable(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => {
            format!("{error}: let this user read it, or name the others by a pattern")
        }
        _ => error.to_string(),
    }
}

/// One error of all that can't be read.
fn told(unreadable: &[(String, String)]) -> Option<InputError> {
    let [(path, cause), others @ ..] = unreadable else { return None };
    let more: Vec<String> = others.iter().take(NAMED).map(|(path, cause)| format!("\n  {path}: {cause}")).collect();
    let rest = match others.len().saturating_sub(NAMED) {
        0 => String::new(),
        count => format!("\n  and {count} more"),
    };
    Some(InputError { path: path.clone(), cause: format!("{cause}{}{rest}", more.concat()) })
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::fs;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    use super::*;

    fn all(root: &Path) -> Result<Vec<InputObject>, InputError> {
        find(root, "site", &|_| true, &|_| true)
    }

    #[test]
    fn all_that_cannot_be_read_is_told_at_once_with_a_remedy() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.html"), "a").unwrap();
        assert_eq!(all(folder.path()).unwrap().len(), 1);
        symlink("nowhere", folder.path().join("b.html")).unwrap();
        symlink(".", folder.path().join("c")).unwrap();
        fs::write(folder.path().join(OsStr::from_bytes(b"d\xFF.html")), "d").unwrap();
        let told = all(folder.path()).unwrap_err().to_string();
        for expected in ["b.html: a link leads nowhere", "c: a link leads back", "d\u{FFFD}.html: its name is no UTF-8"]
        {
            assert!(told.contains(&format!("site/{expected}")), "{told}");
        }
    }

    #[test]
    fn what_nobody_wants_is_not_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("v/bin")).unwrap();
        symlink("nowhere", folder.path().join("v/bin/python")).unwrap();
        symlink("nowhere", folder.path().join("b.txt")).unwrap();
        fs::write(folder.path().join("a.html"), "a").unwrap();
        let is_page = |path: &str| path.ends_with(".html");
        let found = find(folder.path(), "site", &|_| false, &is_page).unwrap();
        assert_eq!(found, [InputObject { path: "site/a.html".into(), size: 1 }]);
        assert_eq!(find(&folder.path().join("gone"), "gone", &|_| true, &|_| true).unwrap(), []);
    }
}
