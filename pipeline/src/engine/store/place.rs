//! Where an output lies, as the command line says it: a folder, or a prefix of a bucket.

use std::convert::Infallible;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use url::Url;

/// What `--out` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A folder of the local disk.
    Folder(PathBuf),
    /// `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix`, or an address that opening it will refuse.
    Bucket(Url),
}

impl FromStr for Place {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        match Url::parse(text).ok().filter(|_| text.contains("://")) {
            Some(url) => Ok(Self::from(url)),
            None => Ok(Self::Folder(text.into())),
        }
    }
}

impl From<Url> for Place {
    fn from(url: Url) -> Self {
        match url.to_file_path() {
            Ok(folder) if url.scheme() == "file" => Self::Folder(folder),
            _ => Self::Bucket(url),
        }
    }
}

impl From<&std::path::Path> for Place {
    fn from(folder: &std::path::Path) -> Self {
        Self::Folder(folder.to_owned())
    }
}

impl Place {
    /// The place of a file in it, for people.
    pub fn join(&self, file: &str) -> String {
        match self {
            Self::Folder(folder) => folder.join(file).display().to_string(),
            Self::Bucket(_) => format!("{}/{file}", self.to_string().trim_end_matches('/')),
        }
    }
}

/// Repeats neither user name, password nor query of an address.
impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => folder.display().fmt(formatter),
            Self::Bucket(url) => {
                write!(formatter, "{}://{}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> Place {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_no_folder_and_a_folder_is_no_address() {
        assert!(matches!(place("s3://bucket/a/b"), Place::Bucket(_)));
        assert_eq!(place("out/demo"), Place::Folder("out/demo".into()));
        assert_eq!(place("a:b"), Place::Folder("a:b".into()));
        assert_eq!(place("file:///tmp/out"), Place::Folder("/tmp/out".into()));
    }

    #[test]
    fn a_place_is_told_without_its_secrets() {
        assert_eq!(
            place("s3://KEY:hunter2@bucket/a?token=hunter3").join("manifest.json"),
            "s3://bucket/a/manifest.json"
        );
    }
}
