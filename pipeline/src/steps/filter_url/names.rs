//! A list of names in which each is found quickly, with little memory beside the names themselves.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hasher};

use url::{Host, Url};

use crate::step::{UnusableLines, shorten};

/// A name in the form in which it is looked for, if it has one.
type Form = fn(&str) -> Option<Cow<'_, str>>;

/// Names in one text, and a table of where they are: a million domains take 20 MB of text, 8 MB of places in it and 8 MB of
/// table.
#[derive(Debug)]
pub struct Names {
    text: String,
    /// Where each name begins; the last one ends the list.
    starts: Vec<usize>,
    /// The number of a name and one, at the place that its hash says or at the next one that is free; 0 is free.
    table: Vec<u32>,
}

impl Names {
    /// The given names and those on the lines of files, each in the form in which it is looked for; what has none is left
    /// out.
    pub fn new(given: &[String], files: &[String], form: Form) -> Self {
        let lines = || files.iter().flat_map(|file| file.lines()).filter_map(without_comment);
        let most = given.len() + lines().count();
        let room = if most == 0 { 0 } else { (2 * most).next_power_of_two() };
        let mut list = Self { text: String::new(), starts: vec![0], table: vec![0; room] };
        for name in given.iter().map(String::as_str).chain(lines()).filter_map(form) {
            if let Err(place) = list.find(&name) {
                list.table[place] = list.starts.len() as u32;
                list.text.push_str(&name);
                list.starts.push(list.text.len());
            }
        }
        list
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.starts.len() == 1
    }

    /// Whether a name, in the list's form, is one of them.
    pub fn has(&self, name: &str) -> bool {
        !self.is_empty() && self.find(name).is_ok()
    }

    /// The number of a name, or where in the table it would be. At least half of the table is free.
    fn find(&self, name: &str) -> Result<usize, usize> {
        let mask = self.table.len() - 1;
        let mut hasher = DefaultHasher::new();
        hasher.write(name.as_bytes());
        let mut place = hasher.finish() as usize & mask;
        loop {
            let Some(number) = (self.table[place] as usize).checked_sub(1) else { return Err(place) };
            if &self.text[self.starts[number]..self.starts[number + 1]] == name {
                return Ok(number);
            }
            place = (place + 1) & mask;
        }
    }
}

fn without_comment(line: &str) -> Option<&str> {
    let line = line.trim();
    let name = line.split_once(" #").map_or(line, |(name, _)| name.trim_end());
    (!name.is_empty() && !name.starts_with('#')).then_some(name)
}

/// A domain as URLs have it; of several words the last one.
pub fn domain(name: &str) -> Option<Cow<'_, str>> {
    let name = name.split_ascii_whitespace().last()?;
    let name = name.trim_start_matches("*.").trim_matches('.');
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'_');
    if name.is_empty() || name.bytes().all(is_plain) {
        return (!name.is_empty()).then_some(Cow::Borrowed(name));
    }
    Host::parse(name).ok().map(|host| Cow::Owned(host.to_string()))
}

/// An address as browsers have it, without its fragment.
pub fn url(text: &str) -> Option<Cow<'_, str>> {
    let mut url = Url::parse(text).ok()?;
    url.set_fragment(None);
    Some(Cow::Owned(url.into()))
}

/// A word in lower case: letters and digits of ASCII, between which addresses are cut into words.
pub fn word(text: &str) -> Option<Cow<'_, str>> {
    let is_word = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_word.then(|| Cow::Owned(text.to_ascii_lowercase()))
}

/// What is wrong with a line that is no domain, and what to write.
pub fn no_domain(line: &str) -> String {
    let name = line.split_ascii_whitespace().last().unwrap_or(line);
    let url = Url::parse(name).ok().filter(Url::has_host).or_else(|| Url::parse(&format!("http://{name}")).ok());
    let host = url.as_ref().and_then(Url::host_str);
    let instead = host.map_or("a domain is such as `ads.example`".to_owned(), |host| format!("write `{host}`"));
    format!("`{}` is no domain: {instead}", shorten(name, SHOWN_BYTES))
}

/// What is wrong with a line that is no address, and what to write.
pub fn no_url(line: &str) -> String {
    format!("`{}` is no absolute URL, such as `https://site.example/page`", shorten(line, SHOWN_BYTES))
}

/// What is wrong with a line that is no word, and what to do with it.
pub fn no_word(line: &str) -> String {
    let line = shorten(line, SHOWN_BYTES);
    format!("`{line}` is no word of letters and digits, so that no address has it: `parts` takes anything")
}

/// Lines that are told one by one, and bytes of each.
const SHOWN_LINES: usize = 10;
const SHOWN_BYTES: usize = 100;

/// The lines of a file that have no form in which they would be looked for; `wrong` says what is wrong with one.
pub fn unusable_lines(text: &str, form: Form, wrong: fn(&str) -> String) -> UnusableLines {
    let mut unusable = UnusableLines { all: true, ..UnusableLines::default() };
    for (number, name) in (1..).zip(text.lines()).filter_map(|(number, line)| Some((number, without_comment(line)?))) {
        if form(name).is_some() {
            unusable.all = false;
            continue;
        }
        unusable.count += 1;
        if unusable.first.len() < SHOWN_LINES {
            unusable.first.push((number, wrong(name)));
        }
    }
    unusable
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(given: &[&str], files: &[&str], form: fn(&str) -> Option<Cow<'_, str>>) -> Names {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        Names::new(&texts(given), &texts(files), form)
    }

    #[test]
    fn a_file_has_a_name_on_each_line_and_comments() {
        let file = "# ads\n\n0.0.0.0 ads.example\n  Tracker.Example # seen in May\r\n*.pixel.example\nads.example\n";
        let list = names(&["bücher.example"], &[file], domain);
        let there = ["ads.example", "tracker.example", "pixel.example", "xn--bcher-kva.example"];
        assert!(there.iter().all(|name| list.has(name)));
        assert_eq!(list.starts.len(), there.len() + 1);
        assert!(["", "ads", "ads.example.org", "zzz", "# ads", "0.0.0.0"].iter().all(|name| !list.has(name)));
    }

    #[test]
    fn addresses_are_compared_as_browsers_have_them() {
        let list = names(&["HTTP://Site.Example:80/a b#part", "no address"], &[], url);
        assert!(list.has("http://site.example/a%20b"));
        assert_eq!(list.starts.len(), 2);
    }

    #[test]
    fn a_list_without_names_has_none() {
        let list = names(&[], &["# nothing\n"], domain);
        assert!(list.is_empty() && !list.has("") && !list.has("a"));
    }
}
