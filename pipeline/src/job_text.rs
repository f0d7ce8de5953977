//! The text of a job file with `--set` options laid over it, and the place of every part of it.

use std::borrow::Cow;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use crate::error::{JobError, Problem};

/// A job file's text. Options stand behind it, each padded to its own range, so that a span tells where a value is from.
#[derive(Debug, Clone)]
pub struct JobText {
    path: PathBuf,
    file: String,
    sets: Vec<SetOption>,
}

#[derive(Debug, Clone)]
struct SetOption {
    text: String,
    padded: String,
}

impl SetOption {
    /// What it sets. Its value is not repeated anywhere: there may be a password in it.
    fn key(&self) -> &str {
        self.text.split_once('=').map_or(self.text.as_str(), |(key, _)| key.trim())
    }

    /// Whether it sets what stands under a dotted path, or something in which that stands.
    fn touches(&self, path: &str) -> bool {
        let key = self.key();
        let within = |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('.'));
        key == path || within(key, path) || within(path, key)
    }
}

impl JobText {
    /// Reads the file; an option that is not `key=value` is a problem.
    pub fn read(path: &Path, sets: &[String]) -> Result<Self, JobError> {
        let file = std::fs::read_to_string(path).map_err(|error| {
            let hint = match error.kind() {
                std::io::ErrorKind::PermissionDenied => "let this user read it",
                _ => "name a job file, such as jobs/demo.toml",
            };
            Problem::new(path.display().to_string(), format!("can't be read: {error}")).hint(hint)
        })?;
        let mut end = file.len() + 1;
        let sets = sets.iter().map(|text| {
            let padded = format!("{}{}", " ".repeat(end), quoted_if_text(text));
            end = padded.len() + 1;
            SetOption { text: text.clone(), padded }
        });
        Ok(Self { path: path.to_owned(), sets: sets.collect(), file })
    }

    /// A file of which no more than its place is known.
    pub fn gone(path: &Path) -> Self {
        Self { path: path.to_owned(), file: String::new(), sets: Vec::new() }
    }

    /// The folder that the job's paths are relative to.
    pub fn folder(&self) -> &Path {
        match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        }
    }

    /// The job file, wherever the process stands.
    pub fn file(&self) -> PathBuf {
        std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone())
    }

    /// The options laid over it.
    pub fn sets(&self) -> Vec<String> {
        self.sets.iter().map(|set| set.text.clone()).collect()
    }

    /// The file's name without its ending.
    pub fn stem(&self) -> String {
        self.path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// The file's tables with the options' values in their places.
    pub fn table(&self) -> Result<Spanned<DeTable<'_>>, JobError> {
        let mut table = self.parse(&self.file)?;
        for set in &self.sets {
            let option = self.parse_option(set)?;
            overlay(table.get_mut(), option.into_inner(), key_length(&set.text))
                .map_err(|message| JobError::from(Problem::new(format!("--set {}", set.key()), message)))?;
        }
        Ok(table)
    }

    fn parse<'a>(&self, text: &'a str) -> Result<Spanned<DeTable<'a>>, JobError> {
        DeTable::parse(text).map_err(|error| {
            let twice = "what is there several times is written in double brackets each time, as in `[[images]]`";
            let hint = error.message().contains("duplicate key").then(|| twice.to_owned());
            self.problem(error.span().unwrap_or(0..0), error.message().to_owned(), hint).into()
        })
    }

    fn parse_option<'a>(&self, set: &'a SetOption) -> Result<Spanned<DeTable<'a>>, JobError> {
        let hint = "write --set section.key=value, as in --set seed=7";
        DeTable::parse(&set.padded)
            .map_err(|error| Problem::new(format!("--set {}", set.key()), error.message().to_owned()).hint(hint).into())
    }

    /// A problem at a span of the table.
    pub fn problem(&self, span: Range<usize>, message: impl Into<String>, hint: Option<String>) -> Problem {
        Problem { place: self.place(span), message: message.into(), hint }
    }

    fn place(&self, span: Range<usize>) -> String {
        if span.start > self.file.len() {
            let set = self.sets.iter().find(|set| span.start < set.padded.len());
            return format!("--set {}", set.map_or("", SetOption::key));
        }
        if self.file.is_empty() {
            return self.path.display().to_string();
        }
        let line = self.file[..span.start].bytes().filter(|byte| *byte == b'\n').count() + 1;
        format!("{}:{line}", self.path.display())
    }

    /// A problem at the value of a dotted path, such as `documents.1.minimal_html`, or at its nearest parent.
    pub fn problem_at(&self, path: &str, message: impl Into<String>, hint: Option<String>) -> Problem {
        self.problem_within(path, self.span(path).unwrap_or(0..0), message, hint)
    }

    /// A problem at a span in what stands under a dotted path; options that were laid over that are named with it.
    pub fn problem_within(
        &self,
        path: &str,
        span: Range<usize>,
        message: impl Into<String>,
        hint: Option<String>,
    ) -> Problem {
        let mut problem = self.problem(span.clone(), message, hint);
        if span.start <= self.file.len() {
            let beside = self.sets.iter().filter(|set| set.touches(path));
            beside.for_each(|set| problem.place.push_str(&format!(", with --set {}", set.key())));
        }
        problem
    }

    /// What stands at a span, as it was written.
    pub fn written(&self, span: Range<usize>) -> Option<&str> {
        let set = || self.sets.iter().find(|set| span.start < set.padded.len());
        let text = if span.start > self.file.len() { &set()?.padded } else { &self.file };
        text.get(span)
    }

    fn span(&self, path: &str) -> Option<Range<usize>> {
        let table = self.table().ok()?;
        let mut steps = path.split('.');
        let (key, mut value) = table.get_ref().get_key_value(steps.next()?)?;
        let mut span = key.span();
        for step in steps {
            let next = match value.get_ref() {
                DeValue::Table(table) => table.get_key_value(step).map(|(key, value)| (key.span(), value)),
                DeValue::Array(items) => {
                    step.parse().ok().and_then(|index: usize| items.get(index)).map(|item| (item.span(), item))
                }
                _ => None,
            };
            let Some((next_span, next_value)) = next else { break };
            (span, value) = (next_span, next_value);
        }
        Some(span)
    }
}

/// Settings given on the command line alone, as `key=value` each; those that aren't given have their defaults.
pub fn settings_of<T: DeserializeOwned>(flag: &str, options: &[String]) -> Result<T, JobError> {
    let lines: Vec<_> = options.iter().map(|option| quoted_if_text(option)).collect();
    toml::from_str(&lines.join("\n")).map_err(|error| Problem::new(flag, error.message()).into())
}

/// An option whose value is no TOML is meant as text, for shells take the quotes away that TOML wants around it; but not
/// what begins as a table or a list.
fn quoted_if_text(option: &str) -> Cow<'_, str> {
    match option.split_once('=') {
        Some((key, value)) if !value.trim_start().starts_with(['{', '[']) && DeTable::parse(option).is_err() => {
            Cow::Owned(format!("{key}={}", toml::Value::String(value.to_owned())))
        }
        _ => Cow::Borrowed(option),
    }
}

/// Parts of the option's dotted key.
fn key_length(option: &str) -> usize {
    let key = option.split_once('=').map_or(option, |(key, _)| key);
    let probe = format!("{key}=0");
    let parsed = DeTable::parse(&probe);
    let mut length = 1;
    let mut value = parsed.as_ref().ok().and_then(|table| table.get_ref().values().next());
    while let Some(DeValue::Table(inner)) = value.map(Spanned::get_ref) {
        (length, value) = (length + 1, inner.values().next());
    }
    length
}

/// Puts the option's one value where its key of `length` parts says; a number in a key steps into a list.
fn overlay<'a>(table: &mut DeTable<'a>, option: DeTable<'a>, length: usize) -> Result<(), String> {
    for (key, value) in option {
        let name: Cow<'_, str> = key.get_ref().clone();
        match table.get_mut(name.as_ref()) {
            Some(there) if length > 1 => overlay_value(there, value, &name, length - 1)?,
            _ => {
                table.remove(name.as_ref());
                table.insert(key, value);
            }
        }
    }
    Ok(())
}

fn overlay_value<'a>(
    there: &mut Spanned<DeValue<'a>>,
    value: Spanned<DeValue<'a>>,
    name: &str,
    length: usize,
) -> Result<(), String> {
    let DeValue::Table(option) = value.clone().into_inner() else { return Ok(()) };
    match there.get_mut() {
        DeValue::Table(table) => overlay(table, option, length),
        DeValue::Array(items) => overlay_items(items, option, name, length),
        _ => {
            *there = value;
            Ok(())
        }
    }
}

fn overlay_items<'a>(items: &mut DeArray<'a>, option: DeTable<'a>, name: &str, length: usize) -> Result<(), String> {
    for (key, value) in option {
        let count = items.len();
        let item = key.get_ref().parse().ok().and_then(|index: usize| items.get_mut(index));
        let item = item
            .ok_or_else(|| format!("`{name}` has items 0 to {}, not `{}`", count.saturating_sub(1), key.get_ref()))?;
        if length > 1 {
            overlay_value(item, value, name, length - 1)?;
        } else {
            *item = value;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(file: &str, sets: &[&str]) -> JobText {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("job.toml");
        std::fs::write(&path, file).unwrap();
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        JobText { path: "job.toml".into(), ..JobText::read(&path, &sets).unwrap() }
    }

    #[test]
    fn a_problem_names_its_line() {
        let text = text("seed = 1\n\n[shards]\nrows_per_shard = 2\n", &[]);
        assert_eq!(text.problem_at("shards.rows_per_shard", "", None).place, "job.toml:4");
    }

    #[test]
    fn a_value_from_an_option_is_placed_at_the_option() {
        let text = text("seed = 1\n", &["name=\"a\"", "shards.rows_per_shard=7"]);
        assert_eq!(text.problem_at("shards.rows_per_shard", "", None).place, "--set shards.rows_per_shard");
        assert_eq!(text.problem_at("name", "", None).place, "--set name");
    }

    #[test]
    fn a_problem_of_a_section_names_the_options_laid_over_it() {
        let text = text("[a.b]\nc = 1\n[d]\n", &["a.b.c=2", "d.e=3", "f=4"]);
        assert_eq!(text.problem_at("a.b", "", None).place, "job.toml:1, with --set a.b.c");
        assert_eq!(text.problem_at("a.b.c", "", None).place, "--set a.b.c");
    }

    #[test]
    fn an_option_that_is_a_broken_table_is_no_text() {
        let refused = text("seed = 1\n", &["a={ b = {"]).table().unwrap_err().to_string();
        assert!(refused.starts_with("--set a:") && !refused.contains('{'), "{refused}");
    }

    #[test]
    fn an_option_may_leave_out_the_quotes_around_text() {
        let text = text("name = \"a\"\n", &["name=pages/new \"site\""]);
        assert_eq!(text.table().unwrap().get_ref()["name"].get_ref().as_str(), Some("pages/new \"site\""));
    }

    #[test]
    fn a_job_named_without_a_folder_lies_in_the_current_one() {
        assert_eq!(text("seed = 1\n", &[]).folder(), Path::new("."));
    }

    #[test]
    fn an_option_that_is_a_table_takes_the_place_of_the_one_there() {
        let text = text("[a]\nb = { c = 1 }\n", &["a.b={ d = 2 }"]);
        let table = text.table().unwrap();
        let inner = table.get_ref()["a"].get_ref()["b"].get_ref().as_table().unwrap().clone();
        assert_eq!(inner.keys().map(|key| key.get_ref().to_string()).collect::<Vec<_>>(), ["d"]);
    }

    #[test]
    fn an_option_replaces_a_value_inside_a_list() {
        let text = text("[[documents]]\nminimal_html = { min = 1, max = 2 }\n", &["documents.0.minimal_html.min=9"]);
        let table = text.table().unwrap();
        let steps = table.get_ref().get("documents").unwrap().get_ref().clone();
        let settings = &steps[0].get_ref()["minimal_html"];
        assert_eq!(settings.get_ref()["min"].get_ref().as_integer().unwrap().as_str(), "9");
        assert_eq!(settings.get_ref()["max"].get_ref().as_integer().unwrap().as_str(), "2");
    }

    #[test]
    fn an_option_outside_a_list_is_refused() {
        let text = text("[[documents]]\na = {}\n", &["documents.4.a.b=9"]);
        assert!(text.table().unwrap_err().to_string().contains("items 0 to 0"));
    }
}
