use super::*;
use crate::sources::memory::{Collected, MemoryInput, tar_of};
use crate::sources::{Location, fetch};

fn read(files: &[(&str, &[u8])]) -> Collected {
    let tar = tar_of(files);
    Collected::read(&Settings::example(), &MemoryInput::new(&[("shards/0.tar", &tar)]), 1)
}

/// The bodies of the documents.
fn bodies(found: &Collected) -> Vec<&str> {
    found.documents.iter().map(|page| std::str::from_utf8(&page.body).unwrap()).collect()
}

fn image_urls(found: &Collected) -> Vec<&str> {
    found.images.iter().map(|image| image.url.as_str()).collect()
}

#[test]
fn a_page_shows_the_images_of_its_group() {
    let found = read(&[("d/a.0.PNG", b"zero"), ("d/a.html", b"<img src=a.0.png>"), ("d/b.html", b"<p>b")]);
    assert_eq!(found.documents[0].url, "file:///0.tar/d/a.html");
    assert_eq!(image_urls(&found), ["file:///0.tar/d/a.0.PNG"]);
    assert_eq!((bodies(&found).len(), found.documents[1].locator.as_str()), (2, "0.tar#2560"));
}

#[test]
fn a_page_has_the_url_that_its_json_says_and_its_images_lie_beside_it() {
    let about = b"{\"url\": \"https://a.example/x/page\"}";
    let found = read(&[("a.html", b"<p>"), ("a.json", about), ("a.1:?.png", b"one")]);
    assert_eq!(found.documents[0].url, "https://a.example/x/page");
    assert_eq!(image_urls(&found), ["https://a.example/x/a.1:%3F.png"]);
    assert_eq!(found.skipped, [("webdataset_json", 1)].into());
}

#[test]
fn a_pair_becomes_an_image_with_its_caption() {
    let about =
        b"{\"url\": \"https://a.example/i.jpg?a=1&b\", \"caption\": \"other\", \"status\": \"success\", \"width\": 3}";
    let found = read(&[("00.jpg", b"pixels"), ("00.json", about), ("00.txt", b"A \"lamp\" < & more\n")]);
    let expected = "<img alt=\"A &quot;lamp&quot; &lt; &amp; more\" src=\"https://a.example/i.jpg?a=1&amp;b\">";
    assert_eq!(bodies(&found), [expected]);
    assert_eq!(image_urls(&found), ["https://a.example/i.jpg?a=1&b"]);
    assert_eq!(found.documents[0].url, "file:///0.tar/00");
}

#[test]
fn a_caption_comes_from_the_json_where_no_text_stands_beside_the_image() {
    let about = b"{\"caption\": \"A lamp\"}";
    let found = read(&[("00.jpg", b"pixels"), ("00.json", about), ("01.jpg", b"pixels"), ("01.txt", b" ")]);
    assert_eq!(bodies(&found), ["<img alt=\"A lamp\" src=\"file:///0.tar/00.jpg\">"]);
    assert_eq!((found.images.len(), found.skipped.get("image_without_caption")), (2, Some(&1)));
}

#[test]
fn what_can_not_be_a_sample_is_rejected_alone() {
    let found = read(&[
        ("0.jpg", b"x"),
        ("0.json", b"{\"status\": \"failed_to_resize\"}"),
        ("0.txt", b"caption"),
        ("1.jpg", b"x"),
        ("1.txt", b"\xff"),
        ("2.json", b"[7]"),
        ("0.txt", b"again"),
        ("3.txt", b"a text"),
        ("3.txt", b"twice"),
        ("__meta__.json", b""),
    ]);
    assert_eq!(
        found.reasons(),
        ["pair_failed", "bad_caption", "webdataset_bad_json", "duplicate_member", "duplicate_member"]
    );
    assert_eq!((bodies(&found), found.skipped.get("other_file")), (vec!["a text"], Some(&1)));
    assert_eq!(found.documents[0].content_type.as_deref(), Some("text/plain"));
}

#[test]
fn groups_do_not_reach_from_one_tar_into_the_next() {
    let (one, two) = (tar_of(&[("a.jpg", b"one")]), tar_of(&[("a.txt", b"two")]));
    let input = MemoryInput::new(&[("shards/0.tar", &one), ("shards/1.tar", &two), ("shards/1.parquet", b"")]);
    let found = Collected::read(&Settings::example(), &input, 1 << 30);
    assert_eq!((bodies(&found), image_urls(&found)), (vec!["two"], vec!["file:///0.tar/a.jpg"]));
}

#[test]
fn an_image_is_read_from_the_middle_of_the_tar() {
    let tar = tar_of(&[("a.txt", b"caption"), ("a.jpg", b"pixels"), ("b.jpg", b"other")]);
    let input = MemoryInput::new(&[("shards/0.tar", &tar)]);
    let found = Collected::read(&Settings::example(), &input, 1);
    let location: &Location = &found.images[0].location;
    assert_eq!(fetch(location, &input, 6).unwrap(), b"pixels");
}

#[test]
fn a_page_over_the_limit_is_rejected_unread() {
    let settings = Settings { max_page_bytes: 2, ..Settings::example() };
    let tar = tar_of(&[("a.html", b"<p>"), ("b.html", b"<p")]);
    let found = Collected::read(&settings, &MemoryInput::new(&[("shards/0.tar", &tar)]), 1);
    assert_eq!((found.reasons(), bodies(&found)), (vec!["page_too_large"], vec!["<p"]));
}
