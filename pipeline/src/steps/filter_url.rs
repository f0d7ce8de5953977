//! Rejects documents, or images, by their addresses.

mod names;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use pageloom_schemas::columns;
use regex::RegexSet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::error::StepError;
use crate::step::{Columns, Refusal, Rejects, Resources, Step, StepSettings};

use names::Names;

/// The lists of datatrove's `URLFilter`, without any names in them: bring your own. Among the steps of `documents` it judges
/// pages, among those of `images` images.
///
/// A file of names has one on each line; what follows a `#` at the beginning of a line or behind a space is a comment. OBELICS
/// (arXiv 2306.16527, its `04_merge_web_docs_with_images.py`) drops images with `logo`, `button`, `icon`, `plugin`, `widget`
/// or a word of pornography anywhere in their addresses: `parts = ["logo", …]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// An address at one of these domains, or at a part of one, is rejected as `url_domain`.
    pub domains: Vec<String>,
    /// Files of such domains, relative to the job file. A line of a hosts file (`0.0.0.0 ads.example`) counts by its last
    /// word.
    pub domain_files: Vec<PathBuf>,
    /// These addresses are rejected as `url_listed`: letter by letter once both are in the form of a browser.
    pub urls: Vec<String>,
    /// Files of such addresses, relative to the job file.
    pub url_files: Vec<PathBuf>,
    /// An address with one of these words is rejected as `url_word`, in whatever case. Words are what stands between
    /// characters that are no letters or digits of ASCII: `sea-side` has `sea` and `side`.
    pub words: Vec<String>,
    /// Files of such words, relative to the job file.
    pub word_files: Vec<PathBuf>,
    /// An address with one of these anywhere in it is rejected as `url_part`, in whatever case.
    pub parts: Vec<String>,
    /// An address that one of these regular expressions (those of the crate `regex`) finds something in is rejected as
    /// `url_pattern`.
    pub patterns: Vec<String>,
}

impl StepSettings for Settings {
    fn example() -> Self {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Self {
            domains: texts(&["ads.example"]),
            domain_files: vec!["demo/blocked_domains.txt".into()],
            urls: texts(&["https://nasty.example/3"]),
            parts: texts(&["/broken/"]),
            patterns: texts(&["[?&]print=1"]),
            ..Self::default()
        }
    }

    fn columns(&self) -> Columns {
        Columns::reads([columns::key().field(), columns::url().field()])
    }

    fn check(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        if *self == Self::default() {
            wrong.push("it has no lists, so nothing would be rejected".to_owned());
        }
        let is_domain = |domain: &&String| names::domain(domain).is_some_and(|domain| !domain.contains(['/', ' ']));
        let no_domains = self.domains.iter().filter(|domain| !is_domain(domain));
        wrong.extend(no_domains.map(|domain| format!("`{domain}` is no domain, such as `example.com`")));
        let no_urls = self.urls.iter().filter(|url| Url::parse(url).is_err());
        wrong.extend(no_urls.map(|url| format!("`{url}` is no absolute URL")));
        let is_word = |word: &&String| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let no_words = self.words.iter().filter(|word| !is_word(word));
        wrong.extend(no_words.map(|word| format!("`{word}` is no word of letters and digits; `parts` takes anything")));
        wrong.extend(
            self.parts
                .iter()
                .any(String::is_empty)
                .then(|| "`parts` has an empty one, which is in every address".to_owned()),
        );
        wrong.extend(RegexSet::new(&self.patterns).err().map(|error| format!("`patterns`: {error}")));
        wrong
    }

    fn files(&self) -> Vec<(&'static str, PathBuf)> {
        let lists =
            [("domain_files", &self.domain_files), ("url_files", &self.url_files), ("word_files", &self.word_files)];
        lists.into_iter().flat_map(|(name, files)| files.iter().map(move |file| (name, file.clone()))).collect()
    }

    fn build(&self, resources: &Resources) -> Result<Arc<dyn Step>, StepError> {
        Ok(Arc::new(FilterUrl::new(self, &resources.folder)?))
    }
}

#[derive(Debug)]
struct FilterUrl {
    domains: Names,
    urls: Names,
    words: Names,
    /// In lower case.
    parts: Vec<String>,
    patterns: RegexSet,
}

impl Step for FilterUrl {
    fn process(&self, batch: RecordBatch, rejects: &mut Rejects) -> Result<RecordBatch, StepError> {
        let url = columns::url();
        let outcomes = url.of(&batch)?.iter().flatten().map(|url| self.judge(url)).collect();
        Ok(rejects.keep_ok(&batch, outcomes)?.0)
    }
}

impl FilterUrl {
    fn new(settings: &Settings, folder: &Path) -> Result<Self, StepError> {
        let patterns = RegexSet::new(&settings.patterns).map_err(|error| StepError::Bug(error.to_string()))?;
        Ok(Self {
            domains: Names::new(&settings.domains, &texts(folder, &settings.domain_files)?, names::domain),
            urls: Names::new(&settings.urls, &texts(folder, &settings.url_files)?, names::url),
            words: Names::new(&settings.words, &texts(folder, &settings.word_files)?, names::word),
            parts: settings.parts.iter().map(|part| part.to_lowercase()).collect(),
            patterns,
        })
    }

    fn judge(&self, url: &str) -> Result<(), Refusal> {
        // A `data:` URL is an image itself, and may be megabytes long.
        let is_data = url.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"));
        let found = if is_data { None } else { self.found(url) };
        found.map_or(Ok(()), |(reason, name)| Err(Refusal::new(reason, name)))
    }

    fn found(&self, url: &str) -> Option<(&'static str, String)> {
        if !self.domains.is_empty()
            && let Some(domain) = self.domain_of(url)
        {
            return Some(("url_domain", domain));
        }
        if !self.urls.is_empty() && names::url(url).is_some_and(|url| self.urls.has(&url)) {
            return Some(("url_listed", url.to_owned()));
        }
        let lower = url.to_lowercase();
        if !self.words.is_empty() {
            let mut words = lower.split(|character: char| !character.is_ascii_alphanumeric());
            if let Some(word) = words.find(|word| self.words.has(word)) {
                return Some(("url_word", word.to_owned()));
            }
        }
        if let Some(part) = self.parts.iter().find(|part| lower.contains(part.as_str())) {
            return Some(("url_part", part.clone()));
        }
        let pattern = self.patterns.matches(url).iter().next()?;
        self.patterns.patterns().get(pattern).map(|pattern| ("url_pattern", pattern.clone()))
    }

    /// The listed domain that an address is in: its host, or what its host is a part of.
    fn domain_of(&self, url: &str) -> Option<String> {
        let url = Url::parse(url).ok()?;
        let host = url.host_str()?.trim_end_matches('.');
        let has_parts = matches!(url.host()?, Host::Domain(_));
        let mut domain = Some(host);
        while let Some(name) = domain {
            if self.domains.has(name) {
                return Some(name.to_owned());
            }
            domain = name.split_once('.').map(|(_, rest)| rest).filter(|_| has_parts);
        }
        None
    }
}

/// The text of each file. The job was checked with all of them there.
fn texts(folder: &Path, files: &[PathBuf]) -> Result<Vec<String>, StepError> {
    let text = |file: &PathBuf| std::fs::read_to_string(folder.join(file));
    let texts: Result<Vec<String>, _> = files.iter().map(text).collect();
    texts.map_err(|error| StepError::Bug(format!("a list of names can't be read any more: {error}")))
}

#[cfg(test)]
mod tests;
