//! `file:` URLs: one spelling for each file of a tree, however a page spells its name.

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, percent_encode};
use url::Url;

/// What may not stand in a URL's path as it is, beside what the URL parser encodes by itself.
const PATH: &AsciiSet = &CONTROLS.add(b'%').add(b'?').add(b'#').add(b'\\');

/// The URL that a browser has for a file, were the root of its tree the root of the file system.
pub fn file_url(path: &str) -> String {
    of_bytes(path.as_bytes())
}

fn of_bytes(path: &[u8]) -> String {
    let encoded = format!("file:///{}", percent_encode(path, PATH));
    Url::parse(&encoded).map_or(encoded, |url| url.to_string())
}

/// The URL without its fragment and, for a `file:` URL, in the spelling of [`file_url`]: a browser undoes `%28` and `%c3`
/// before it looks for the file, and ignores the query.
pub fn canonical(mut url: Url) -> String {
    url.set_fragment(None);
    if url.scheme() != "file" || url.host().is_some() {
        return url.into();
    }
    let path: Vec<u8> = percent_decode_str(url.path().trim_start_matches('/')).collect();
    of_bytes(&path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(file: &str, source: &str) {
        let page = Url::parse(&file_url("sub/page.html")).unwrap();
        assert_eq!(canonical(page.join(source).unwrap()), file_url(file), "{source}");
    }

    #[test]
    fn every_spelling_of_a_source_leads_to_its_file() {
        check("img/a b.png", "../img/a b.png?v=2#x");
        check("img/a b.png", "/img/a%20b.png");
        check("sub/what?.png", "what%3F.png");
        check("sub/#1 100%.png", "%231 100%25.png");
        check("sub/(\u{e4}).png", "%28%c3%a4%29.png");
        check("sub/(\u{e4}).png", "(\u{e4}).png");
        check("up.png", "../../../%2e%2e/up.png");
    }

    #[test]
    fn a_name_that_looks_encoded_is_not_decoded_twice() {
        check("sub/a%20b.png", "a%2520b.png");
        assert_eq!(file_url("a%20b.png"), "file:///a%2520b.png");
    }

    #[test]
    fn other_urls_lose_their_fragment_only() {
        let url = Url::parse("https://h.example/%c3%a4(?q=1#x").unwrap();
        assert_eq!(canonical(url), "https://h.example/%c3%a4(?q=1");
    }
}
