//! Runs the html5lib tests, where `HTML5LIB_TESTS` names their folder, as it does in `tests/run`.
//!
//! Each test passes, or `known_differences.txt` lists it under the reason why not; what is listed must differ.

use std::collections::{BTreeMap, BTreeSet};

use encoding_rs::{Encoding, WINDOWS_1252};
use serde_json::Value;

use crate::html::charset::{DecidedBy, decode};
use crate::html::parse::tokenizer::{Content, Token, Tokenizer};
use crate::html::test_pages::{html5lib_files, tree_tests};
use crate::html::tree::arena::Span;
use crate::html::tree::{Limits, parse, reference};

/// Results of one kind of tests, of one parser.
#[derive(Default)]
struct Results {
    /// As `known_differences.txt` names the kind.
    kind: &'static str,
    passed: usize,
    left_out: usize,
    differing: BTreeSet<String>,
    all: BTreeSet<String>,
}

impl Results {
    fn of(kind: &'static str) -> Self {
        Self { kind, ..Self::default() }
    }

    /// Notes one result; a difference is told by the test's file and page.
    fn note(&mut self, file: &str, page: &str, found: &str, expected: &str) {
        let beginning = &page[..page.floor_char_boundary(200)];
        let name = format!("{} {file} {}", self.kind, Value::from(beginning));
        self.all.insert(name.clone());
        if found == expected {
            self.passed += 1;
        } else if self.differing.insert(name.clone()) && !known_differences().contains_key(&name) {
            println!("{name}\nexpected\n{expected}\nfound\n{found}\n");
        }
    }

    /// Holds the results against what is known.
    fn check(self) {
        let known = known_differences();
        let Self { kind, passed, left_out, differing, all } = self;
        println!("{kind}: {passed} as expected, {} not, {left_out} left out", differing.len());
        // What is said of one release of the tests need not differ in another one.
        let must_differ = |name: &String, why: &str| {
            all.contains(name) && (differing.contains(name) || !why.starts_with("html5lib 1.1"))
        };
        let expected: BTreeSet<String> =
            known.into_iter().filter(|(name, why)| must_differ(name, why)).map(|(name, _)| name).collect();
        let news: Vec<&String> = differing.symmetric_difference(&expected).collect();
        assert!(news.is_empty(), "{kind}: known_differences.txt is wrong about {news:#?}");
    }
}

/// Differences with their reasons: lines below the reason's own, which begins with `#`.
fn known_differences() -> BTreeMap<String, String> {
    let (mut known, mut reason) = (BTreeMap::new(), "");
    for line in include_str!("known_differences.txt").lines().filter(|line| !line.is_empty()) {
        match line.strip_prefix("# ") {
            Some(why) => reason = why,
            None => drop(known.insert(line.to_owned(), reason.to_owned())),
        }
    }
    known
}

#[test]
fn every_known_difference_has_a_reason() {
    let reasonless: Vec<String> =
        known_differences().into_iter().filter(|(_, why)| why.is_empty()).map(|(name, _)| name).collect();
    assert_eq!(reasonless, [""; 0]);
}

#[test]
fn trees_are_those_of_the_html5lib_tests() {
    let (mut ours, mut html5ever) = (Results::of("tree"), Results::of("tree-of-html5ever"));
    for test in tree_tests() {
        let Some(expected) = test.tree else {
            ours.left_out += 1;
            html5ever.left_out += 1;
            continue;
        };
        let tree = parse(&test.page, &Limits::default()).unwrap();
        assert!(tree.is_sound());
        let reference = reference::parse(&test.page, &Limits::default()).unwrap();
        ours.note(&test.file, &test.page, tree.outline().trim_end_matches('\n'), &expected);
        html5ever.note(&test.file, &test.page, reference.outline().trim_end_matches('\n'), &expected);
    }
    ours.check();
    html5ever.check();
}

#[test]
fn encodings_are_those_of_the_html5lib_tests() {
    let mut results = Results::of("encoding");
    for file in html5lib_files("encoding", "dat") {
        let bytes = std::fs::read(&file).unwrap();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let mut rest = bytes.as_slice();
        while let Some((page, after)) = memchr::memmem::find(rest, b"\n#encoding\n").map(|at| rest.split_at(at)) {
            let page = page.trim_ascii_start().strip_prefix(b"#data\n").unwrap();
            let after = &after[b"\n#encoding\n".len()..];
            let end = after.iter().position(|byte| *byte == b'\n').unwrap_or(after.len());
            let label = std::str::from_utf8(&after[..end]).unwrap().trim();
            rest = &after[end..];
            let expected = Encoding::for_label(label.as_bytes()).map_or(label, |encoding| encoding.name());
            let decoded = decode(page, None);
            // Where the page says nothing, the tests want the default of a browser in the west; here it is guessed.
            let found = if decoded.from == DecidedBy::Guess { WINDOWS_1252.name() } else { decoded.encoding };
            results.note(&name, &String::from_utf8_lossy(page), found, expected);
        }
    }
    results.check();
}

/// Tokens as the tests write them, characters joined.
fn tokens(page: &str, content: Content, last_start: &str) -> Value {
    let whole = format!("{page}{last_start}");
    let mut tokenizer = Tokenizer::new(page, usize::MAX);
    tokenizer.side.push_str(last_start);
    tokenizer.last_start = Span::between(page.len(), whole.len());
    tokenizer.content = content;
    let mut found: Vec<Value> = Vec::new();
    loop {
        let token = tokenizer.next();
        let text = |span: Span| tokenizer.text(span).to_owned();
        let next = match token {
            Token::Eof => return Value::Array(found),
            Token::Text(span) => serde_json::json!(["Character", text(span)]),
            Token::Null => serde_json::json!(["Character", "\0"]),
            Token::Comment(span) => serde_json::json!(["Comment", text(span)]),
            Token::End(tag) => serde_json::json!(["EndTag", text(tag.text)]),
            Token::Doctype => {
                let it = &tokenizer.doctype;
                serde_json::json!(["DOCTYPE", it.name, it.public, it.system, !it.is_broken])
            }
            Token::Start(tag) => {
                let mut attributes = serde_json::Map::new();
                for one in &tokenizer.attributes {
                    attributes.entry(text(one.name)).or_insert(Value::String(text(one.value)));
                }
                let mut token = vec!["StartTag".into(), text(tag.text).into(), Value::Object(attributes)];
                token.extend(tag.self_closing.then_some(Value::Bool(true)));
                Value::Array(token)
            }
        };
        match (found.last_mut(), &next) {
            (Some(last), next) if last[0] == "Character" && next[0] == "Character" => {
                last[1] = Value::String(format!("{}{}", last[1].as_str().unwrap(), next[1].as_str().unwrap()));
            }
            _ => found.push(next),
        }
    }
}

/// What `\uXXXX` stands for; `None` for half a character, which no page can hold.
fn unescaped(text: &str) -> Option<String> {
    serde_json::from_str(&format!("\"{}\"", text.replace('"', "\\\"").replace('\n', "\\n").replace('\t', "\\t"))).ok()
}

/// What stands for half a character here: a character for private use.
const HALF_CHARACTER: char = '\u{10fffd}';

/// A file with all halves of characters marked, which no text can hold.
fn without_half_characters(json: &str) -> String {
    let mut text = String::new();
    let mut rest = json;
    while let Some(at) = rest.find("\\u") {
        let (before, escape) = rest.split_at(at);
        let is_escaped = before.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1;
        let is_half = matches!(u32::from_str_radix(&escape[2..6], 16), Ok(0xd800..=0xdfff)) && !is_whole(escape);
        let (escape, after) = escape.split_at(if is_whole(escape) { 12 } else { 6 });
        text.push_str(before);
        if is_half && !is_escaped {
            text.push(HALF_CHARACTER);
        } else {
            text.push_str(escape);
        }
        rest = after;
    }
    text + rest
}

/// Whether both halves of a character stand here.
fn is_whole(escape: &str) -> bool {
    let half = |at: usize| u32::from_str_radix(escape.get(at..at + 4)?, 16).ok();
    matches!(half(2), Some(0xd800..=0xdbff))
        && escape.get(6..8) == Some("\\u")
        && matches!(half(8), Some(0xdc00..=0xdfff))
}

fn content_of(state: &str) -> Content {
    match state {
        "PLAINTEXT state" => Content::Plaintext,
        "RCDATA state" => Content::Rcdata,
        "RAWTEXT state" => Content::Rawtext,
        "Script data state" => Content::Script,
        "CDATA section state" => Content::Cdata,
        _ => Content::Data,
    }
}

#[test]
fn tokens_are_those_of_the_html5lib_tests() {
    let mut results = Results::of("token");
    for file in html5lib_files("tokenizer", "test") {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let value: Value =
            serde_json::from_str(&without_half_characters(&std::fs::read_to_string(&file).unwrap())).unwrap();
        for test in value["tests"].as_array().into_iter().flatten() {
            let is_escaped = test["doubleEscaped"] == true;
            let plain = |text: &str| if is_escaped { unescaped(text) } else { Some(text.to_owned()) };
            let expected = test["output"].to_string();
            let expected = if is_escaped { expected.replace("\\\\u", "\\u") } else { expected };
            let (Some(page), Ok(expected)) =
                (plain(test["input"].as_str().unwrap()), serde_json::from_str::<Value>(&expected))
            else {
                results.left_out += 1;
                continue;
            };
            if page.contains(HALF_CHARACTER) {
                results.left_out += 1;
                continue;
            }
            let states = test["initialStates"].as_array().cloned().unwrap_or(vec!["Data state".into()]);
            for state in states {
                let state = state.as_str().unwrap();
                let page = super::super::with_line_feeds(&page);
                let last_start = test["lastStartTag"].as_str().unwrap_or_default();
                let found = tokens(&page, content_of(state), last_start);
                results.note(&name, &format!("{state}: {page}"), &found.to_string(), &expected.to_string());
            }
        }
    }
    results.check();
}
