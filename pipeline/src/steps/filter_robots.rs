//! Rejects pages whose makers forbid what they are to be used for.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use pageloom_schemas::columns;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::StepError;
use crate::html::tree::{Limits, Tree, parse};
use crate::step::{Columns, Refusal, Rejects, Resources, Step, StepSettings};

/// Reads `X-Robots-Tag` of the response and `<meta name=robots content=…>` of the page, as Google documents them ("Robots
/// meta tag, data-nosnippet, and X-Robots-Tag specifications"): directives are parted by commas, and in a header may follow
/// the name of the agent they are for, as in `otherbot: noindex, nofollow`. The directives are those that img2dataset goes
/// by for images, and a page that forbids the use of its images is not used either.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// A page with one of these directives is rejected as `forbidden_by_robots`. `none` stands for `noindex, nofollow`.
    pub directives: Vec<String>,
    /// Agents whose directives are meant for you, too: as names in the header, and in the page as `<meta name=…>`. What is
    /// said to everybody always counts.
    pub user_agents: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        let directives = ["noai", "noimageai", "noindex", "noimageindex"];
        Self { directives: directives.map(str::to_owned).into(), user_agents: Vec::new() }
    }
}

impl StepSettings for Settings {
    fn example() -> Self {
        Self { user_agents: vec!["ccbot".to_owned()], ..Self::default() }
    }

    fn columns(&self) -> Columns {
        Columns::reads([
            columns::key().field(),
            columns::url().field(),
            columns::robots().field(),
            columns::html().field(),
        ])
    }

    fn check(&self) -> Vec<String> {
        let is_word = |word: &&String| !word.is_empty() && !word.contains([',', ':', ' ']);
        let all = self.directives.iter().chain(&self.user_agents);
        let wrong = all.filter(|word| !is_word(word)).map(|word| format!("`{word}` is not one word"));
        let none = self.directives.is_empty().then(|| "`directives` is empty, so nothing would be rejected".to_owned());
        wrong.chain(none).collect()
    }

    fn build(&self, _: &Resources) -> Result<Arc<dyn Step>, StepError> {
        let lower = |words: &[String]| words.iter().map(|word| word.to_ascii_lowercase()).collect::<Vec<_>>();
        let mut directives = lower(&self.directives);
        if directives.iter().any(|directive| directive == "noindex" || directive == "nofollow") {
            directives.push("none".to_owned());
        }
        Ok(Arc::new(FilterRobots { directives, user_agents: lower(&self.user_agents) }))
    }
}

/// Both lists in lower case.
#[derive(Debug)]
struct FilterRobots {
    directives: Vec<String>,
    user_agents: Vec<String>,
}

impl Step for FilterRobots {
    fn process(&self, batch: RecordBatch, rejects: &mut Rejects) -> Result<RecordBatch, StepError> {
        let (robots, html) = (columns::robots(), columns::html());
        let (robots, html) = (robots.of(&batch)?, html.of(&batch)?);
        let judge = |row: usize| {
            let header = robots.is_valid(row).then(|| self.in_header(robots.value(row))).flatten();
            match header.or_else(|| self.in_page(html.value(row))) {
                Some(found) => Err(Refusal::new("forbidden_by_robots", found)),
                None => Ok(()),
            }
        };
        let outcomes = (0..batch.num_rows()).map(judge).collect();
        Ok(rejects.keep_ok(&batch, outcomes)?.0)
    }
}

impl FilterRobots {
    /// The first of a header's lines that forbids something.
    fn in_header(&self, lines: &str) -> Option<String> {
        let forbids = |line: &&str| {
            let mut is_meant = true;
            line.to_ascii_lowercase().split(',').any(|part| {
                let directive = match part.split_once(':') {
                    Some((agent, directive)) if is_agent(agent.trim()) => {
                        is_meant = agent.trim() == "*" || self.user_agents.iter().any(|name| name == agent.trim());
                        directive
                    }
                    _ => part,
                };
                is_meant && self.forbids(directive)
            })
        };
        lines.lines().find(forbids).map(|line| format!("X-Robots-Tag: {}", line.trim()))
    }

    /// The first `<meta>` that forbids something.
    fn in_page(&self, html: &str) -> Option<String> {
        if !self.may_be_in_page(html) {
            return None;
        }
        // A page beyond the limits is `minimal_html`'s to reject.
        let tree = parse(html, &Limits::default()).ok()?;
        let forbids = |id: &u32| {
            let name = tree.attribute(*id, "name").unwrap_or_default().trim().to_ascii_lowercase();
            let content = tree.attribute(*id, "content").unwrap_or_default().to_ascii_lowercase();
            let is_meant = name == "robots" || self.user_agents.contains(&name);
            is_meant && content.split(',').any(|directive| self.forbids(directive))
        };
        let mut metas = (Tree::DOCUMENT..tree.node_count() as u32).filter(|id| tree.name(*id) == "meta");
        let content = |id: u32| tree.attribute(id, "content").unwrap_or_default().trim().to_owned();
        metas.find(forbids).map(|id| format!("<meta>: {}", content(id)))
    }

    /// Whether a `<meta>` of the page names robots and has a directive in it, or a character reference that may hide one:
    /// seldom, so that few pages are parsed twice.
    fn may_be_in_page(&self, html: &str) -> bool {
        let bytes = html.as_bytes();
        let is_meta = |start: &usize| bytes[*start..].get(1..5).is_some_and(|name| name.eq_ignore_ascii_case(b"meta"));
        let mut metas = memchr::memchr_iter(b'<', bytes).filter(is_meta);
        metas.any(|start| {
            let rest = &html[start + 1..];
            let tag = &rest[..memchr::memchr(b'<', rest.as_bytes()).unwrap_or(rest.len())];
            let tag = tag.to_ascii_lowercase();
            let names = |name: &String| tag.contains(name.as_str());
            (tag.contains("robots") || self.user_agents.iter().any(names))
                && (tag.contains("&#") || self.directives.iter().any(names))
        })
    }

    fn forbids(&self, directive: &str) -> bool {
        self.directives.iter().any(|forbidden| forbidden == directive.trim())
    }
}

/// Whether what stands before a colon is an agent's name and not a directive with a value of its own.
fn is_agent(name: &str) -> bool {
    const WITH_VALUES: [&str; 4] = ["max-image-preview", "max-snippet", "max-video-preview", "unavailable_after"];
    let is_name =
        |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.' | '/' | '*');
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '*')
        && name.chars().all(is_name)
        && !WITH_VALUES.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter() -> FilterRobots {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        FilterRobots { directives: words(&["noai", "noindex", "none"]), user_agents: words(&["ccbot"]) }
    }

    fn header(lines: &str, expected: Option<&str>) {
        assert_eq!(filter().in_header(lines).as_deref(), expected, "{lines}");
    }

    fn page(html: &str, expected: Option<&str>) {
        assert_eq!(filter().in_page(html).as_deref(), expected, "{html}");
    }

    #[test]
    fn a_header_for_everybody_forbids() {
        header("noai", Some("X-Robots-Tag: noai"));
        header("nofollow, NoAI", Some("X-Robots-Tag: nofollow, NoAI"));
        header("nofollow\nnone", Some("X-Robots-Tag: none"));
        header("nofollow, noarchive", None);
        header("", None);
    }

    #[test]
    fn a_header_for_an_agent_is_meant_for_that_agent_up_to_the_next() {
        header("otherbot: noai, noindex", None);
        header("ccbot: noai", Some("X-Robots-Tag: ccbot: noai"));
        header("otherbot: nofollow, ccbot: noindex", Some("X-Robots-Tag: otherbot: nofollow, ccbot: noindex"));
        header("otherbot: noindex\nnoai", Some("X-Robots-Tag: noai"));
        header("*: noindex", Some("X-Robots-Tag: *: noindex"));
    }

    #[test]
    fn a_directive_with_a_value_is_no_agent() {
        header("max-snippet: -1, noai", Some("X-Robots-Tag: max-snippet: -1, noai"));
        let date = "unavailable_after: Wednesday, 25-Jun-25 15:00:00 PST, noindex";
        header(date, Some("X-Robots-Tag: unavailable_after: Wednesday, 25-Jun-25 15:00:00 PST, noindex"));
    }

    #[test]
    fn a_page_may_forbid_in_whatever_case_and_spelling() {
        page("<META content='Follow, NOAI' NAME=Robots>", Some("<meta>: Follow, NOAI"));
        page("<meta name=robots content='no&#97;i'>", Some("<meta>: noai"));
        page("<meta name=ccbot content=none>", Some("<meta>: none"));
        page("<p>late<meta name=robots content=noindex>", Some("<meta>: noindex"));
    }

    #[test]
    fn what_is_no_such_meta_forbids_nothing() {
        page("<meta name=robots content='index, follow'>", None);
        page("<meta name=otherbot content=noai>", None);
        page("<meta name=description content='noindex and noai'>", None);
        page("<!-- <meta name=robots content=noai> --><p title='<meta name=robots content=noai>'>", None);
        page("<meta", None);
    }

    #[test]
    fn what_is_not_one_word_is_refused() {
        let settings = Settings { directives: vec!["noai, noindex".to_owned()], ..Settings::default() };
        assert_eq!(settings.check(), ["`noai, noindex` is not one word"]);
        assert_eq!(Settings { directives: vec![], ..Settings::default() }.check().len(), 1);
    }
}
