//! Pages that tests read: the demo's, and what `HTML_PAGES` and `HTML5LIB_TESTS` name the folders of.

use std::path::{Path, PathBuf};

use crate::html::charset::decode;

/// Pages of the demo, and those in the folder that `HTML_PAGES` names.
pub fn real_pages() -> Vec<String> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../../jobs/demo/site")];
    folders.extend(std::env::var_os("HTML_PAGES").map(PathBuf::from));
    let mut files = Vec::new();
    folders.iter().for_each(|folder| html_files(folder, &mut files));
    files.sort();
    files.iter().map(|file| decode(&std::fs::read(file).unwrap(), None).text.into_owned()).collect()
}

fn html_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            html_files(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "html") {
            found.push(path);
        }
    }
}

/// Files of one ending in one folder of the html5lib tests, in order; none where `HTML5LIB_TESTS` does not name their folder.
pub fn html5lib_files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let Ok(root) = std::env::var("HTML5LIB_TESTS") else {
        println!("left out: HTML5LIB_TESTS names no folder of html5lib's tests, as tests/run has it");
        return Vec::new();
    };
    let folder = Path::new(&root).join(folder);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|there| there == ending));
    files.sort();
    files
}

/// A test of tree construction.
pub struct TreeTest {
    pub file: String,
    pub page: String,
    /// The tree, without document types; `None` for what is no whole page, or needs scripting.
    pub tree: Option<String>,
}

/// All tests of tree construction.
pub fn tree_tests() -> Vec<TreeTest> {
    let mut tests = Vec::new();
    for file in html5lib_files("tree-construction", "dat") {
        let text = std::fs::read_to_string(&file).unwrap();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let text = text.strip_prefix("#data\n").unwrap();
        tests.extend(text.split("\n\n#data\n").map(|test| tree_test(name.clone(), test)));
    }
    tests
}

fn tree_test(file: String, test: &str) -> TreeTest {
    let (page, rest) = test.split_once("#errors\n").unwrap();
    let page = page.strip_suffix('\n').unwrap_or(page).to_owned();
    let (flags, tree) = rest.split_once("#document\n").unwrap_or((rest, ""));
    if flags.contains("#document-fragment") || flags.contains("#script-on") {
        return TreeTest { file, page, tree: None };
    }
    let lines = tree.trim_end_matches('\n').split_inclusive('\n');
    let tree: String = lines.filter(|line| !line.starts_with("| <!DOCTYPE")).collect();
    TreeTest { file, page, tree: Some(tree.trim_end_matches('\n').to_owned()) }
}
