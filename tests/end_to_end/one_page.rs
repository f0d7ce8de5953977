//! One page and its images, followed through every step: what each of them leaves stands in `tests/snapshots`.

use std::fs;

use super::site::{Site, done, repository, text};

/// A page in an old encoding, with what minimal HTML keeps, cleans and drops, one image twice, and one that is not there.
const PAGE: &str = r#"<!doctype html>
<html lang=en>
<head>
<meta charset=windows-1252>
<title>Pebbles &amp; sand</title>
<meta name=description content="What the tide sorts">
<script>track("everything")</script>
</head>
<body class=wide>
<nav><a href=/>Home</a><a href=/visit>Visit</a></nav>
<article>
<h1>Pebbles &amp; sand</h1>
<p style="color: teal">The tide sorts the beach twice a day: the heaviest stones are left at the foot of the wall, the
lightest at the water’s edge, and whoever walks down from one to the other walks through every size there is.
<p><img src="pebbles.jpg?size=large" alt="Pebbles at the foot of the wall" width=640 onclick="zoom()">
<!-- the old picture -->
<p>Nobody has put them there. <a href="../visit.html" target=_blank>Come and see</a> on any day of the year, and bring
boots: the wall is dry, the sand is not, and between the two there is nothing at all to hold on to but the wind.
<p><img src="gone.jpg" alt="Lost in the flood"><img srcset="pebbles.jpg 2x" alt="The same again">
</article>
</body>
</html>
"#;

/// The page's bytes: in windows-1252, an apostrophe is a byte that is nothing in UTF-8.
fn windows_1252(page: &str) -> Vec<u8> {
    page.chars().map(|character| if character == '’' { 0x92 } else { character as u8 }).collect()
}

#[test]
fn each_step_leaves_of_a_page_what_the_snapshot_says() {
    let picture = fs::read(repository().join("jobs/demo/site/img/pebbles.jpg")).unwrap();
    let finished = Site::new().with("page.html", windows_1252(PAGE)).with("pebbles.jpg", picture).run();
    let out = text(&finished.out);
    let commands: [&[&str]; 5] = [
        &["replay", &out, "--id", "file:///page.html"],
        &["replay", &out, "--id", "file:///pebbles.jpg"],
        &["replay", &out, "--id", "file:///gone.jpg"],
        &["show", &out, "--row", "0"],
        &["rejects", &out],
    ];
    let mut found = String::new();
    for command in commands {
        let rest = command[2..].join(" ");
        found.push_str(&format!("$ pageloom {} OUT {rest}\n{}\n", command[0], done(command).stdout));
    }
    agrees_with_snapshot("one_page.txt", &found);
}

/// Set `PAGELOOM_WRITE_SNAPSHOTS=1` to write the snapshots anew; then read what changed.
fn agrees_with_snapshot(name: &str, found: &str) {
    let path = repository().join("tests/snapshots").join(name);
    if std::env::var_os("PAGELOOM_WRITE_SNAPSHOTS").is_some() {
        fs::write(&path, found).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap();
    let differs = found.lines().zip(expected.lines()).position(|(found, expected)| found != expected);
    assert!(
        found == expected,
        "differs from {} at line {}; PAGELOOM_WRITE_SNAPSHOTS=1 writes it anew:\n{found}",
        path.display(),
        1 + differs.unwrap_or(found.lines().count().min(expected.lines().count())),
    );
}
