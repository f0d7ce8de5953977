//! Each filter rejects what it is there for, with its reason, and nothing else; and a user can see which did, and why.

use std::fs;

use super::site::{Finished, Site, done, pageloom, repository, text};

/// Prose that every filter below lets pass.
const PROSE: &str = "The lamp is lit at dusk and put out at dawn. Between the two somebody has to stay awake, and listen to \
    the sea. In winter that is a long time to be alone with a clock! Who would want it? The keeper says that the wind talks \
    enough for three, and that he has learned to tell from its voice where the ships are. He has books, too. Most of them \
    came from wrecks and smell of it; one is about bees, which nobody has ever seen on the island.";

/// The filters of the job, each with settings that one page or image of the site breaks.
const DOCUMENTS: &str = r##"[[documents]]
filter_robots = {}
[[documents]]
filter_url = { words = ["casino"] }
[[documents]]
minimal_html = {}
[[documents]]
filter_length = { max_words = 400 }
[[documents]]
filter_text_ratio = {}
[[documents]]
filter_language = { languages = ["eng"] }
[[documents]]
filter_quality = {}
[[documents]]
filter_repetition = {}
[[documents]]
filter_c4 = {}
[[documents]]
filter_image_count = { min_images = 0, max_images = 2 }
"##;

const IMAGES: &str = r##"[[images]]
filter_url = { parts = ["logo"] }
[[images]]
fetch_image = {}
[[images]]
filter_image_file = { min_side = 100 }
"##;

fn page(head: &str, text: &str) -> String {
    format!("<html><head>{head}</head><body><p>{text}</p></body></html>")
}

/// The site's job with the filters in it.
fn filtered(site: Site) -> Site {
    let job = fs::read_to_string(site.job()).unwrap();
    let job = job.replace("[[documents]]\nminimal_html = {}\n", DOCUMENTS);
    let job = job.replace("[[images]]\nfetch_image = {}\n", IMAGES);
    fs::write(site.job(), job).unwrap();
    site
}

/// A page and a picture for each filter, and a page with a picture that are kept.
fn site() -> Site {
    let picture = |name: &str| fs::read(repository().join("jobs/demo/site/img").join(name)).unwrap();
    let images = "<img src=good.jpg><img src=good.jpg>";
    let many_words: String = (0..450).map(|number| format!("lamp{number} ")).collect();
    let links: String = PROSE.split(' ').map(|word| format!("<a href=\"/a/long/way/{word}\">{word}</a> ")).collect();
    let french = "La lampe est allumée au crépuscule et éteinte à l'aube. Entre les deux, quelqu'un doit rester éveillé et \
        écouter la mer. En hiver, c'est long d'être seul avec une horloge. Le gardien dit que le vent parle pour trois.";
    let twice = format!("{PROSE}</p><p>{PROSE}</p><p>{}", "That was all of it.");
    filtered(Site::new())
        .with("good.html", page("", &format!("{PROSE}{images}")))
        .with("forbidden.html", page("<meta name=robots content=noai>", PROSE))
        .with("casino-night.html", page("", PROSE))
        .with("long.html", page("", &many_words))
        .with("links.html", page("", &links))
        .with("french.html", page("", &format!("{french} {french}")))
        .with("hashes.html", page("", &PROSE.replace(' ', " # ")))
        .with("twice.html", page("", &twice))
        .with("no-sentences.html", page("", &PROSE.replace(['.', '!', '?'], ";")))
        .with("gallery.html", page("", &format!("{PROSE}<img src=logo.png><img src=strip.jpg>{images}")))
        .with("shown.html", page("", &format!("{PROSE}<img src=logo.png><img src=strip.jpg>")))
        .with("good.jpg", picture("pebbles.jpg"))
        .with("logo.png", picture("map.png"))
        .with("strip.jpg", picture("panorama.jpg"))
}

/// Rejects as `url: step.reason`, sorted; an image that is missing in its page follows from the rest.
fn rejects_by_step(finished: &Finished) -> Vec<String> {
    let rows = finished.rows("rejects").into_iter();
    let mut found: Vec<String> = rows.map(|row| format!("{}: {}.{}", row["url"], row["step"], row["reason"])).collect();
    found.sort();
    found
}

#[test]
fn each_filter_rejects_what_it_should_and_nothing_else() {
    let finished = site().run();
    let expected = [
        "file:///casino-night.html: filter_url.url_word",
        "file:///forbidden.html: filter_robots.forbidden_by_robots",
        "file:///french.html: filter_language.other_language",
        "file:///gallery.html: filter_image_count.too_many_images",
        "file:///hashes.html: filter_quality.many_hashes",
        "file:///links.html: filter_text_ratio.low_text_ratio",
        "file:///logo.png: filter_url.url_part",
        "file:///long.html: filter_length.too_many_words",
        "file:///no-sentences.html: filter_c4.too_few_sentences",
        "file:///strip.jpg: filter_image_file.image_too_long",
        "file:///twice.html: filter_repetition.duplicate_lines",
    ];
    assert_eq!(rejects_by_step(&finished), expected);
    assert_eq!((finished.count("documents"), finished.count("images")), (2, 1));

    let out = text(&finished.out);
    let grouped = done(&["rejects", &out, "--sample", "1"]).stdout;
    let heads: Vec<&str> = grouped.lines().filter(|line| !line.starts_with("         ")).collect();
    assert_eq!(heads[0], "documents: 9");
    assert!(heads.contains(&"       1 document.too_many_words, by filter_length"), "{grouped}");
    assert!(heads.contains(&"images: 2") && heads.contains(&"sequences: 2"), "{grouped}");
    let one = done(&["rejects", &out, "--reason", "other_language"]).stdout;
    assert!(one.contains("file:///french.html\n             fra with confidence"), "{one}");
    assert_eq!(one.lines().count(), 4, "{one}");

    let page = done(&["replay", &out, "--id", "file:///twice.html"]).stdout;
    assert!(page.contains("── filter_repetition\n   not kept: duplicate_lines: "), "{page}");
    assert!(page.ends_with("\nrejected by filter_repetition as duplicate_lines\n"), "{page}");
    let image = done(&["replay", &out, "--id", "file:///strip.jpg"]).stdout;
    assert!(image.ends_with("\nrejected by filter_image_file as image_too_long\n"), "{image}");
}

#[test]
fn an_archive_says_in_its_headers_what_is_forbidden() {
    let response = |number: usize, robots: &str| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n{robots}\r\n");
        let payload = format!("{head}{}", page("", PROSE));
        format!(
            "WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: https://site.example/{number}\r\n\
             WARC-Record-ID: <urn:test:{number}>\r\nContent-Type: application/http; msgtype=response\r\n\
             Content-Length: {}\r\n\r\n{payload}\r\n\r\n",
            payload.len(),
        )
    };
    let headers = [
        "",
        "X-Robots-Tag: noarchive, noai\r\n",
        "X-Robots-Tag: otherbot: noindex\r\n",
        "X-Robots-Tag: otherbot: nofollow\r\nX-Robots-Tag: noindex\r\n",
    ];
    let records: String = headers.iter().enumerate().map(|(number, robots)| response(number, robots)).collect();
    let finished = filtered(Site::of_warc(records.as_bytes())).run();
    let expected = [
        "https://site.example/1: filter_robots.forbidden_by_robots",
        "https://site.example/3: filter_robots.forbidden_by_robots",
    ];
    assert_eq!(rejects_by_step(&finished), expected);
}

#[test]
fn a_list_of_names_that_is_missing_is_refused_with_its_line() {
    let site = filtered(Site::new());
    let job = fs::read_to_string(site.job()).unwrap();
    fs::write(site.job(), job.replace("words = [\"casino\"]", "domain_files = [\"missing.txt\"]")).unwrap();
    let said = pageloom(&["check", &text(&site.job())]);
    assert_eq!(said.code, 1, "{said:#?}");
    let message = ["job.toml:12: ", "missing.txt` can't be read", "relative to the job file's folder"];
    assert!(message.iter().all(|word| said.stderr.contains(word)), "{}", said.stderr);
}

#[test]
fn lines_of_a_list_that_are_no_names_are_told_and_a_list_of_nothing_else_is_refused() {
    let site = filtered(Site::new()).with("page.html", page("", PROSE));
    let job = fs::read_to_string(site.job()).unwrap();
    fs::write(site.job(), job.replace("words = [\"casino\"]", "domain_files = [\"list.txt\"]")).unwrap();
    fs::write(site.path("list.txt"), "https://ads.example/\nhttp://a.example\n").unwrap();
    let said = pageloom(&["check", &text(&site.job())]);
    assert_eq!(said.code, 1, "{said:#?}");
    let message = ["job.toml:12: ", "list.txt` has no line that can be used", "hint: line 1: ", "write `ads.example`"];
    assert!(message.iter().all(|word| said.stderr.contains(word)), "{}", said.stderr);
    fs::write(site.path("list.txt"), "b.example\nhttp://a.example\n").unwrap();
    let said = done(&["check", &text(&site.job())]).stderr;
    assert!(said.contains("list.txt:2: `http://a.example` is no domain: write `a.example`"), "{said}");
    assert!(said.starts_with("warning: "), "{said}");
}

#[test]
fn a_list_of_names_that_changes_is_another_job() {
    let site = filtered(Site::new()).with("page.html", page("", PROSE));
    let job = fs::read_to_string(site.job()).unwrap();
    fs::write(site.job(), job.replace("words = [\"casino\"]", "domain_files = [\"list.txt\"]")).unwrap();
    fs::write(site.path("list.txt"), "a.example\n").unwrap();
    site.run();
    fs::write(site.path("list.txt"), "b.example\n").unwrap();
    let said = pageloom(&["run", &text(&site.job()), "--out", &text(&site.path("out"))]);
    assert_eq!(said.code, 1, "{said:#?}");
    assert!(said.stderr.contains("another job: `documents_files.list.txt` is "), "{}", said.stderr);
}
