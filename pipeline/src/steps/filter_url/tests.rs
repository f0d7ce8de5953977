//! What each list rejects.

use super::*;
use crate::steps::fixture::repository;

fn reason(settings: &Settings, url: &str) -> Option<(&'static str, String)> {
    let filter = FilterUrl::new(settings, &repository().join("jobs")).unwrap();
    filter.judge(url).err().map(|refusal| (refusal.reason, refusal.detail))
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn check(settings: &Settings, url: &str, expected: Option<(&str, &str)>) {
    let found = reason(settings, url);
    assert_eq!(found.as_ref().map(|(reason, name)| (*reason, name.as_str())), expected, "{url}");
}

#[test]
fn a_domain_stands_for_its_parts_and_for_nothing_else() {
    let settings = Settings { domains: texts(&["ads.example", "10.0.0.1"]), ..Settings::default() };
    let rejected = Some(("url_domain", "ads.example"));
    check(&settings, "https://ads.example/a", rejected);
    check(&settings, "https://x.y.ADS.example.:8080/a", rejected);
    check(&settings, "http://10.0.0.1/", Some(("url_domain", "10.0.0.1")));
    for other in ["https://example/", "https://bads.example/", "https://ads.example.org/", "file:///ads.example"] {
        check(&settings, other, None);
    }
}

#[test]
fn an_address_is_rejected_alone() {
    let settings = Settings { urls: texts(&["https://site.example/a?b=1"]), ..Settings::default() };
    check(&settings, "https://site.example/a?b=1", Some(("url_listed", "https://site.example/a?b=1")));
    check(&settings, "https://site.example/a?b=12", None);
}

#[test]
fn a_word_is_whole_and_a_part_is_anywhere() {
    let settings = Settings { words: texts(&["Casino"]), parts: texts(&["logo"]), ..Settings::default() };
    check(&settings, "https://site.example/CASINO-games", Some(("url_word", "casino")));
    check(&settings, "https://site.example/casinos", None);
    check(&settings, "https://site.example/img/Sitelogo2.png", Some(("url_part", "logo")));
}

#[test]
fn a_pattern_is_found_anywhere() {
    let settings = Settings { patterns: texts(&[r"/\d{6}/", r"[?&]print=1"]), ..Settings::default() };
    check(&settings, "https://site.example/a?b&print=1", Some(("url_pattern", "[?&]print=1")));
    check(&settings, "https://site.example/12345/", None);
}

#[test]
fn an_image_inside_its_page_has_no_address() {
    let settings = Settings { parts: texts(&["logo"]), ..Settings::default() };
    check(&settings, "data:image/png;base64,logo", None);
}

#[test]
fn what_is_no_list_is_refused() {
    assert_eq!(Settings::default().check().len(), 1);
    let settings = Settings {
        domains: texts(&["https://a.example/"]),
        urls: texts(&["a.example"]),
        words: texts(&["two words"]),
        parts: texts(&[""]),
        patterns: texts(&["("]),
        ..Settings::default()
    };
    assert_eq!(settings.check().len(), 5, "{:?}", settings.check());
}

#[test]
fn names_are_read_from_the_files_of_the_job() {
    let settings = Settings { domain_files: vec!["demo/blocked_domains.txt".into()], ..Settings::default() };
    assert_eq!(settings.files(), [("domain_files", "demo/blocked_domains.txt".into())]);
    check(&settings, "https://a.tracker.example/", Some(("url_domain", "tracker.example")));
}

fn unusable(setting: &str, text: &str) -> (Vec<(usize, String)>, usize, bool) {
    let UnusableLines { first, count, all } = Settings::default().unusable_lines(setting, text);
    (first, count, all)
}

#[test]
fn a_line_that_names_no_domain_is_told_with_the_domain_to_write() {
    let text = "# ads\nhttps://ads.example/\n0.0.0.0 b.example\n\nhttp://a.example\nc.example/x # seen in May\n||d.example^\n";
    let (first, count, all) = unusable("domain_files", text);
    let expected = [(2, "write `ads.example`"), (5, "write `a.example`"), (6, "write `c.example`"), (7, "such as")];
    assert_eq!((first.len(), count, all), (4, 4, false));
    for ((line, wrong), (expected_line, remedy)) in first.iter().zip(expected) {
        assert!(*line == expected_line && wrong.contains(remedy), "{line}: {wrong}");
    }
}

#[test]
fn a_line_that_no_address_can_match_is_told() {
    let (first, ..) = unusable("word_files", "Casino\nsea-side\nstraße\n");
    assert_eq!(first.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 3], "{first:?}");
    let (first, ..) = unusable("url_files", "a.example/x\nhttps://a.example/x\n");
    assert_eq!(first.len(), 1, "{first:?}");
}

#[test]
fn a_list_that_comes_to_nothing_is_known_and_few_of_its_lines_are_told() {
    let (first, count, all) = unusable("word_files", &"a-b\n".repeat(1000));
    assert_eq!((first.len(), count, all), (10, 1000, true));
    assert_eq!(unusable("domain_files", "# none\n"), (Vec::new(), 0, true));
    assert!(!unusable("domain_files", "a.example").2);
}
