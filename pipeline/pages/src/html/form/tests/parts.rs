//! What becomes of the parts of a page that are no plain text, in every form.

use super::{Form, forms, url};
use crate::html::document::MarkupDocument;

const LONG: &str = "A paragraph that is long enough to be kept by the thresholds of the papers, for it has more than \
                    a hundred and twenty-eight characters of text.";

fn document(form: &Form, html: &str) -> MarkupDocument {
    form.document(&format!("<p>{LONG}</p>{html}"), &url()).unwrap()
}

/// Checks what a form with images shows of a page: its text behind the paragraph, and its images.
fn check(html: &str, text: &str, images: &[&str]) {
    for (name, form) in forms() {
        let document = document(&form, html);
        let (_, rest) = document.text.split_once(LONG).unwrap();
        assert_eq!(rest.trim(), text, "{name} of {html}");
        let urls: Vec<&str> =
            document.images.iter().map(|image| image.url.trim_start_matches("https://any.example/a/")).collect();
        assert!(urls == images || (name == "htlm_html" && urls.is_empty()), "{name} of {html}: {urls:?}");
    }
}

#[test]
fn an_image_without_scripts_replaces_its_placeholder() {
    let lazy = "<img src=blank.gif class=lazy><noscript><img src=real.png alt=a></noscript>";
    check(lazy, "", &["real.png"]);
    check(
        "<noscript> <img src=real.png></noscript>\n <!-- x --> <img src='data:image/gif;base64,R0lG'>",
        "",
        &["real.png"],
    );
    check("<a href=x><img class=lazy></a><noscript><img src=real.png></noscript>", "", &["real.png"]);
    check("<picture><img class=lazy></picture><noscript><img src=real.png></noscript>", "", &["real.png"]);
}

#[test]
fn an_image_without_scripts_is_not_shown_twice() {
    check("<img data-src=real.png><noscript><img src=real-small.png></noscript>", "", &["real.png"]);
    check("<div><img src=real.png></div>x<noscript><img src=real.png></noscript>", "x", &["real.png"]);
}

#[test]
fn an_image_that_only_shows_without_scripts_stays_and_the_words_around_it_go() {
    check("<div><noscript>Please turn scripts on. <p><img src=real.png></p></noscript></div>x", "x", &["real.png"]);
    check("<noscript><img src=a.png></noscript><noscript><img src=b.png></noscript>", "", &["a.png", "b.png"]);
    check("<img src=a.png><noscript><img src=b.png></noscript>", "", &["a.png", "b.png"]);
    check("<noscript><img src=a.png></noscript><img><noscript><img src=b.png></noscript>", "", &["a.png", "b.png"]);
    check("<noscript><noscript><img src=a.png></noscript></noscript><img src=b.png>", "", &["a.png", "b.png"]);
    check("<noscript><img src=count.gif width=1 height=1></noscript>x", "x", &[]);
}

#[test]
fn comments_scripts_and_templates_go() {
    check("<!-- a --><script>b</script><style>c</style><template>d<img src=e></template>f", "f", &[]);
    check("<script type='application/ld+json'>{\"name\": \"a\"}</script>b", "b", &[]);
}

#[test]
fn frames_have_no_text() {
    check("<iframe src=a>b</iframe><noframes>c</noframes>d", "d", &[]);
    for (name, form) in forms() {
        let frames = format!("<frameset><frame src=a><noframes><p>{LONG}</noframes></frameset>");
        assert_eq!(form.document(&frames, &url()).unwrap_err().reason(), "no_text", "{name}");
    }
}

#[test]
fn drawings_go_and_formulas_stay_as_their_text() {
    check("<svg><text>a</text><image href=b.png></image></svg>c", "c", &[]);
    let formula = "<math><semantics><msup><mi>x</mi><mn>2</mn></msup><annotation>x^2</annotation></semantics></math>";
    check(formula, "x2", &[]);
}

#[test]
fn entities_are_text() {
    check("&lt;b&gt; &amp;amp; &eacute;&#233;&nbsp;&hellip;", "<b> &amp; \u{e9}\u{e9}\u{a0}\u{2026}", &[]);
}

#[test]
fn videos_and_objects_show_no_image() {
    check("<video poster=a.png>b</video><object data=c.png>d</object><input type=image src=e.png>f", "f", &[]);
}

#[test]
fn structured_data_stays_where_metadata_does() {
    let page = "<meta property=og:title content=O><meta name=twitter:card content=T><meta itemprop=i content=I>\
                <p itemscope itemtype=https://schema.org/Thing>x <b itemprop=name>y</b></p>";
    for (name, form) in forms() {
        let markup = form.document(&format!("{page}<p>{LONG}"), &url()).unwrap().markup;
        let keeps = name == "minimal_html" || name == "cleaned_html";
        for part in ["og:title", "twitter:card", "itemprop=\"i\"", "https://schema.org/Thing", "itemprop=\"name\""] {
            assert_eq!(markup.contains(part), keeps, "{part} in {name}: {markup}");
        }
    }
}
