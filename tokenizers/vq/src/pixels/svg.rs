//! Draws SVG files on white, in the size that they name, where that is sure to end soon.
//!
//! No file, font or address is read. What needs them (text, pictures), and what a small file can repeat without bound
//! (filters, masks, patterns, markers), is refused, so that no drawing is shown with parts missing.

use std::collections::HashMap;

use resvg::tiny_skia::{Color, Pixmap, Transform};
use resvg::usvg::roxmltree::{Attribute, Document, Node, ParsingOptions};
use resvg::usvg::{self, BlendMode, Group, ImageHrefResolver, Options, Paint, Path, Stroke, Tree};

use super::decode::{ImageError, Limits};
use super::picture::{Picture, Size};

mod scan;

/// A file with more bytes than this is refused.
const MAX_BYTES: u64 = 2 << 20;
/// A drawing with more pixels than this is refused.
const MAX_PIXELS: u64 = 1 << 24;
/// Elements, and bytes of their attributes, that a file may have with all that `use` repeats; and how deep they may lie.
const MAX_ELEMENTS: usize = 50_000;
const MAX_ATTRIBUTE_BYTES: usize = 8 << 20;
const MAX_DEPTH: usize = 100;
/// Elements, times those inside of clip paths; and times the bytes of style sheets, which each is held against.
const MAX_CLIPPED: usize = 2_000_000;
const MAX_STYLED: usize = 200_000_000;
/// Pixels that may be painted, one over the other.
const MAX_PAINTED: u64 = 1 << 29;
/// A line with more dashes than this is refused.
const MAX_DASHES: f64 = 10_000.0;
/// Pixels that a row of a dash, or of a part of a path, costs as much as: each has edges at several heights of the row.
const EDGES: u64 = 64;
/// Stops of a gradient that cost no more than a plain colour.
const FREE_STOPS: u64 = 8;

const FILTERS: &str = "filters";

/// Elements that are refused, each with why.
const REFUSED: [(&str, &str); 8] = [
    ("text", "text, for which there are no fonts"),
    ("image", "a picture inside"),
    ("foreignObject", "a page inside"),
    ("feImage", "a picture inside"),
    ("filter", FILTERS),
    ("mask", "masks"),
    ("pattern", "patterns"),
    ("marker", "markers"),
];

/// Whether the first element of these bytes is `svg`.
pub(super) fn is_svg(bytes: &[u8]) -> bool {
    let mut rest = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes).trim_ascii_start();
    while let Some(after) = rest.strip_prefix(b"<") {
        let end = match after {
            [b'?', ..] => position(after, b"?>"),
            [b'!', b'-', b'-', ..] => position(after, b"-->"),
            // A document type may hold declarations in brackets.
            [b'!', ..] => {
                let end = position(after, b">");
                if end.is_some_and(|end| after[..end].contains(&b'[')) { position(after, b"]>") } else { end }
            }
            _ => {
                let name = after.split(|byte| byte.is_ascii_whitespace() || b"/>".contains(byte)).next();
                return name.is_some_and(|name| name == b"svg" || name == b"svg:svg");
            }
        };
        let Some(end) = end else { return false };
        let after = &after[end..];
        let end = after.iter().position(|&byte| byte == b'>').map_or(after.len(), |end| end + 1);
        rest = after[end..].trim_ascii_start();
    }
    false
}

fn position(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// The size that a drawing names, rounded up.
pub(super) fn size(bytes: &[u8]) -> Result<Size, ImageError> {
    Ok(size_of(&read(bytes)?))
}

/// The drawing on white.
pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<Picture, ImageError> {
    let tree = read(bytes)?;
    let size = size_of(&tree);
    limits.check_pixels(size.pixels())?;
    if divides(tree.root()) {
        return unsupported("colours that are divided by each other");
    }
    if !tree.filters().is_empty() {
        return unsupported(FILTERS);
    }
    let mut left = MAX_PAINTED;
    if size.pixels() > MAX_PIXELS || !affordable(tree.root(), size, &mut left) {
        return Err(ImageError::TooMuchMemory(format!("SVG of {} x {} pixels", size.width, size.height)));
    }
    let mut canvas = Pixmap::new(size.width, size.height).ok_or(ImageError::Empty)?;
    canvas.fill(Color::WHITE);
    resvg::render(&tree, Transform::identity(), &mut canvas.as_mut());
    // On white nothing is transparent, so that levels are those of the colours themselves.
    let rgb = canvas.data().as_chunks::<4>().0.iter().flat_map(|&[red, green, blue, _]| [red, green, blue]).collect();
    Ok(Picture { size, rgb })
}

fn size_of(tree: &Tree) -> Size {
    let side = |length: f32| (length.ceil() as u32).max(1);
    Size { width: side(tree.size().width()), height: side(tree.size().height()) }
}

fn read(bytes: &[u8]) -> Result<Tree, ImageError> {
    if bytes.len() as u64 > MAX_BYTES {
        return Err(ImageError::TooLarge { size: bytes.len() as u64, what: "bytes of SVG", limit: MAX_BYTES });
    }
    let corrupt = |error: &dyn std::fmt::Display| ImageError::Corrupt(format!("SVG: {error}"));
    let text = std::str::from_utf8(bytes).map_err(|error| corrupt(&error))?;
    if let Some(what) = scan::unbounded(text) {
        return unsupported(what);
    }
    let options = ParsingOptions { allow_dtd: true, nodes_limit: 4 * MAX_ELEMENTS as u32, ..Default::default() };
    let document = Document::parse_with_options(text, options).map_err(|error| corrupt(&error))?;
    check(&document)?;
    let nothing = ImageHrefResolver { resolve_data: Box::new(|_, _, _| None), resolve_string: Box::new(|_, _| None) };
    let options = Options { image_href_resolver: nothing, ..Options::default() };
    Tree::from_xmltree(&document, &options).map_err(|error| corrupt(&error))
}

fn unsupported<T>(what: &str) -> Result<T, ImageError> {
    Err(ImageError::UnsupportedFormat(format!("SVG with {what}")))
}

/// Whether groups are blended by division, of which each maker of processors has an approximation of its own.
fn divides(group: &Group) -> bool {
    let inside = |node: &usvg::Node| matches!(node, usvg::Node::Group(group) if divides(group));
    matches!(group.blend_mode(), BlendMode::ColorDodge | BlendMode::ColorBurn) || group.children().iter().any(inside)
}

fn check(document: &Document) -> Result<(), ImageError> {
    let elements = || document.descendants().filter(Node::is_element);
    for element in elements() {
        if let Some((_, what)) = REFUSED.iter().find(|(name, _)| is(element, name)) {
            return unsupported(what);
        }
        let filters = |attribute: Attribute| match attribute.name() {
            "filter" => calls_a_function(attribute.value()),
            "style" => styles_by_filters(attribute.value()),
            _ => false,
        };
        let styles = is(element, "style") && element.text().is_some_and(styles_by_filters);
        if styles || element.attributes().any(filters) {
            return unsupported(FILTERS);
        }
    }
    let Some(count) = repeated(document) else {
        return unsupported("too many elements, too deep ones, or ones that repeat themselves");
    };
    let clips = elements().filter(|&element| is(element, "clipPath"));
    let clipped: usize = clips.map(|clip| clip.descendants().count()).sum();
    let sheets = elements().filter(|&element| is(element, "style"));
    let styled: usize = sheets.filter_map(|sheet| sheet.text()).map(str::len).sum();
    if count.saturating_mul(clipped) > MAX_CLIPPED || count.saturating_mul(styled) > MAX_STYLED {
        return unsupported("too many clip paths or styles");
    }
    Ok(())
}

/// Whether a declaration of CSS has filters that are functions, such as `blur(9)`, which need no element.
fn styles_by_filters(style: &str) -> bool {
    style.split([';', '{', '}']).filter_map(|declaration| declaration.split_once(':')).any(|(property, value)| {
        let before = property.trim_end().strip_suffix("filter");
        // `backdrop-filter` is another property.
        before.is_some_and(|before| !before.ends_with(|end: char| end.is_alphanumeric() || end == '-'))
            && calls_a_function(value)
    })
}

/// Whether there is any but `url(...)`, which names an element.
fn calls_a_function(value: &str) -> bool {
    value.match_indices('(').any(|(at, _)| !value[..at].trim_end().ends_with("url"))
}

/// Whatever its namespace.
fn is(element: Node, name: &str) -> bool {
    element.tag_name().name() == name
}

/// How many elements there are with all that `use` repeats, or `None` if that is over a limit.
fn repeated(document: &Document) -> Option<usize> {
    // Of several elements with one id, `use` takes the first.
    let mut by_id: HashMap<&str, Node> = HashMap::new();
    for node in document.descendants() {
        if let Some(id) = node.attribute("id") {
            by_id.entry(id).or_insert(node);
        }
    }
    let (mut count, mut bytes) = (0, 0);
    let mut open = vec![(document.root_element(), 0)];
    while let Some((element, depth)) = open.pop() {
        count += 1;
        bytes += element.attributes().map(|attribute| attribute.value().len()).sum::<usize>();
        if count > MAX_ELEMENTS || bytes > MAX_ATTRIBUTE_BYTES || depth > MAX_DEPTH {
            return None;
        }
        open.extend(element.children().filter(Node::is_element).map(|child| (child, depth + 1)));
        if is(element, "use") {
            let links = element.attributes().filter(|attribute| attribute.name() == "href");
            let targets = links.filter_map(|link| by_id.get(link.value().trim().strip_prefix('#')?));
            open.extend(targets.map(|&target| (target, depth + 1)));
        }
    }
    Some(count)
}

/// Takes what painting a group costs from what is left; false if that is too little.
fn affordable(group: &Group, canvas: Size, left: &mut u64) -> bool {
    // A layer of its own is made empty and laid on what is below.
    let mut cost = if group.should_isolate() { 4 * canvas.pixels() } else { 0 };
    let mut clip = group.clip_path();
    while let Some(path) = clip {
        cost += 4 * canvas.pixels();
        if !affordable(path.root(), canvas, left) {
            return false;
        }
        clip = path.clip_path();
    }
    for node in group.children() {
        match node {
            usvg::Node::Group(group) => {
                if !affordable(group, canvas, left) {
                    return false;
                }
            }
            usvg::Node::Path(path) => {
                let Some(price) = price(path, canvas) else { return false };
                cost += price;
            }
            usvg::Node::Image(_) | usvg::Node::Text(_) => {}
        }
    }
    let enough = *left >= cost;
    *left = left.saturating_sub(cost);
    enough
}

/// What painting a path costs; nothing if it is over a limit of its own.
fn price(path: &Path, canvas: Size) -> Option<u64> {
    let area = path.abs_stroke_bounding_box();
    let across = f64::from(area.width()).clamp(1.0, f64::from(canvas.width));
    let down = f64::from(area.height()).clamp(1.0, f64::from(canvas.height));
    let paints = path.fill().map(|fill| fill.paint()).into_iter().chain(path.stroke().map(Stroke::paint));
    let stops = paints.map(stops).max().unwrap_or(0);
    let painted = ((across * down) as u64).saturating_mul((stops / FREE_STOPS).max(1));
    let edges = path.data().len() as u64 * u64::from(canvas.height).min(EDGES);
    let dashes = path.stroke().map_or(Some(0), |stroke| price_of_dashes(path, stroke, down))?;
    Some(painted.saturating_add(edges).saturating_add(dashes))
}

fn stops(paint: &Paint) -> u64 {
    match paint {
        Paint::LinearGradient(gradient) => gradient.stops().len() as u64,
        Paint::RadialGradient(gradient) => gradient.stops().len() as u64,
        Paint::Color(_) | Paint::Pattern(_) => 0,
    }
}

/// Each dash is outlined by itself, with edges in as many rows as it reaches over, of those that are painted at all.
fn price_of_dashes(path: &Path, stroke: &Stroke, down: f64) -> Option<u64> {
    let Some(dashes) = stroke.dasharray() else { return Some(0) };
    let period: f64 = dashes.iter().map(|length| f64::from(*length)).sum();
    // Lines between a curve's points are no shorter than the curve.
    let points = path.data().points().windows(2);
    let length: f64 = points.map(|ends| f64::from(ends[0].distance(ends[1]))).sum();
    let count = length * dashes.len() as f64 / 2.0 / period;
    // `count` is no number where nothing lies on nothing.
    if count.is_nan() || count > MAX_DASHES {
        return None;
    }
    let longest = dashes.iter().copied().fold(0.0, f32::max);
    let reach = f64::from(longest + stroke.width().get() * stroke.miterlimit().get().max(1.0));
    let (across, along) = path.abs_transform().get_scale();
    let rows = (reach * f64::from(across.max(along))).clamp(1.0, down);
    Some((count * rows).ceil() as u64 * EDGES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(inside: &str) -> Result<Picture, ImageError> {
        let file = format!(
            "<?xml version='1.0'?><!-- > --><svg xmlns='http://www.w3.org/2000/svg' width='4' height='2'>{inside}</svg>"
        );
        assert!(is_svg(file.as_bytes()));
        decode(file.as_bytes(), &Limits::default())
    }

    fn refused(inside: &str) -> &'static str {
        drawn(inside).expect_err("refused").reason()
    }

    #[test]
    fn shapes_are_drawn_on_white_with_their_style() {
        let picture = drawn(
            "<style>.a{fill:#0000ff}</style><rect width='2' height='2' fill='#f00'/>\
             <g transform='translate(2)'><rect id='r' class='a' width='1' height='1'/></g><use href='#r' x='3' y='1'/>",
        )
        .expect("draws");
        let (red, blue, white) = ([255, 0, 0], [0, 0, 255], [255; 3]);
        assert_eq!(picture.size, Size { width: 4, height: 2 });
        assert_eq!(picture.rgb, [red, red, blue, white, red, red, white, blue].concat());
    }

    #[test]
    fn only_files_that_begin_with_an_svg_element_are_drawings() {
        for file in ["\u{FEFF} <svg/>", "<!DOCTYPE svg [<!ENTITY a \"<b>\">]><svg>", "<svg:svg xmlns:svg='x'>"] {
            assert!(is_svg(file.as_bytes()), "{file}");
        }
        for file in ["", "<", "<!--", "<svgz>", "<!doctype html><p><svg>", "a<svg>", "<?xml", "II*\0"] {
            assert!(!is_svg(file.as_bytes()), "{file}");
        }
    }

    #[test]
    fn what_would_be_missing_is_refused() {
        for inside in [
            "<text>a</text>",
            "<image href='/etc/hostname'/>",
            "<image href='data:image/png;base64,AA=='/>",
            "<defs><filter id='f'><feTurbulence/></filter></defs>",
            "<mask/>",
            "<pattern/>",
            "<marker/>",
            "<foreignObject/>",
            "<g><rect width='1' height='1' style='mix-blend-mode:color-burn'/></g>",
            "<rect width='1' height='1' filter='blur(9)'/>",
            "<rect width='1' height='1' style='fill:red; filter : url(#a) drop-shadow(1 1 1)'/>",
            "<style>.a{fill:red}.b{filter:sepia(1)}</style><rect class='b' width='1' height='1'/>",
        ] {
            assert_eq!(refused(inside), "image_unsupported_format", "{inside}");
        }
    }

    #[test]
    fn properties_with_names_like_a_filters_are_drawn() {
        let style = "color-interpolation-filters:sRGB;filter:none;backdrop-filter:blur(1px);transform:scale(1)";
        assert!(drawn(&format!("<rect width='1' height='1' filter='none' style='{style}'/>")).is_ok());
    }

    #[test]
    fn entities_are_read_where_they_are_small_and_refused_where_they_multiply() {
        let file = |entities: &str, inside: &str| {
            let file = format!(
                "<!DOCTYPE svg [{entities}]><svg xmlns='http://www.w3.org/2000/svg' width='1' height='1'>{inside}</svg>"
            );
            decode(file.as_bytes(), &Limits::default()).map(|picture| picture.rgb).map_err(|error| error.reason())
        };
        let red = "<!ENTITY red \"#f00\"><!ENTITY nbsp '&#160;'>";
        assert_eq!(file(red, "<desc>&amp;&nbsp;</desc><path d='M0 0h1v1h-1z' fill='&red;'/>"), Ok(vec![255, 0, 0]));
        let refused = Err("image_unsupported_format");
        let long = format!("<!ENTITY a '{}'>", "x".repeat(20_000));
        assert_eq!(file(&long, &format!("<desc>{}</desc>", "&a;".repeat(20_000))), refused);
        assert_eq!(file(&long, &format!("<desc a='{}'/>", "&a;".repeat(20_000))), refused);
        assert_eq!(file("<!ENTITY a 'x'><!ENTITY b '&a;&a;'>", "<desc>&b;</desc>"), refused);
        assert_eq!(file("<!ENTITY a '<g/>'>", "&a;"), refused);
    }

    #[test]
    fn many_attributes_and_namespaces_are_refused_before_they_are_compared() {
        let many = |name: &str| (0..40_000).map(|at| format!(" {name}{at}=''")).collect::<String>();
        assert_eq!(refused(&format!("<g{}/>", many("a"))), "image_unsupported_format");
        assert_eq!(refused(&format!("<g{}/>", many("xmlns:a"))), "image_unsupported_format");
        let few = |inside: &str| drawn(inside).is_ok();
        assert!(few(&"<g a='1' b=\"2\">'\"</g>".repeat(2_000)));
    }

    #[test]
    fn of_elements_with_one_id_the_first_is_counted_as_it_is_drawn() {
        let mut bomb = String::from("<rect id='a0' width='1' height='1'/>");
        for level in 1..6 {
            let below = format!("<use href='#a{}'/>", level - 1).repeat(10);
            bomb += &format!("<g id='a{level}'>{below}</g>");
        }
        bomb += &(0..5).map(|level| format!("<g id='a{level}'/>")).collect::<String>();
        assert_eq!(refused(&bomb), "image_unsupported_format");
    }

    #[test]
    fn what_repeats_itself_or_lies_too_deep_is_refused_soon() {
        let mut bomb = String::from("<rect id='a0' width='1' height='1'/>");
        for level in 1..12 {
            let below = format!("<use href='#a{}'/>", level - 1).repeat(10);
            bomb += &format!("<g id='a{level}'>{below}</g>");
        }
        assert_eq!(refused(&bomb), "image_unsupported_format");
        assert_eq!(refused("<g id='a'><use href='#a'/></g>"), "image_unsupported_format");
        assert_eq!(refused(&("<g>".repeat(200_000) + &"</g>".repeat(200_000))), "image_corrupt");
        assert_eq!(refused(&("<g>".repeat(2_000) + &"</g>".repeat(2_000))), "image_unsupported_format");
        assert_eq!(refused(&" ".repeat(3 << 20)), "image_too_large");
    }

    #[test]
    fn a_drawing_is_no_larger_and_no_dearer_than_it_may_be() {
        let wide = |side: u32, inside: &str| {
            let file = format!("<svg xmlns='http://www.w3.org/2000/svg' width='{side}' height='{side}'>{inside}</svg>");
            assert_eq!(size(file.as_bytes()).expect("reads"), Size::square(side));
            decode(file.as_bytes(), &Limits::default()).map_err(|error| error.reason()).map(|picture| picture.size)
        };
        assert_eq!(wide(60_000, ""), Err("image_too_large"));
        assert_eq!(wide(4_000, &"<path d='M0 0H4000V4000H0z' opacity='.5'/>".repeat(40)), Err("image_too_large"));
        assert_eq!(wide(300, "<path d='M0 0H300V300H0z'/>"), Ok(Size::square(300)));
        let dashed = |width: u32, dash: f32| {
            format!(
                "<path d='M0 0C300 0 0 300 300 300' stroke='red' stroke-width='{width}' stroke-dasharray='{dash}'/>"
            )
        };
        assert_eq!(wide(300, &dashed(2, 3.0)), Ok(Size::square(300)));
        assert_eq!(wide(300, &dashed(300, 0.001)), Err("image_too_large"));
        assert_eq!(wide(2_000, &dashed(2_000, 0.05)), Err("image_too_large"));
        let gradient = |stops: u32| {
            let stops: String = (0..stops).map(|at| format!("<stop offset='{}'/>", f64::from(at) / 2e4)).collect();
            let painted = "<path d='M0 0H1000V1000H0z' fill='url(#g)'/>";
            format!("<linearGradient id='g' x2='1'>{stops}</linearGradient>{painted}")
        };
        assert_eq!(wide(1_000, &gradient(20)), Ok(Size::square(1_000)));
        assert_eq!(wide(1_000, &gradient(20_000)), Err("image_too_large"));
    }

    #[test]
    fn whatever_is_damaged_ends_in_a_drawing_or_an_error() {
        let file = "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 9 9'><defs><clipPath id='c'><circle r='4'/></clipPath>\
                    <linearGradient id='g'><stop offset='1' stop-color='red'/></linearGradient></defs>\
                    <path clip-path='url(#c)' d='M1 1h3q1 2 3 4z' fill='url(#g)' stroke='#123' stroke-dasharray='1 2'/></svg>";
        for at in 0..file.len() {
            for byte in [b'<', b'"', b'9', b'-', b'#', 0] {
                let mut damaged = file.as_bytes().to_vec();
                damaged[at] = byte;
                let limits = Limits { max_pixels: 1 << 12, ..Limits::default() };
                let _: Result<Picture, ImageError> = decode(&damaged, &limits);
            }
        }
    }
}
