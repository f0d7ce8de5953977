//! Which elements flow inside a line, stand as a block of text, or hold blocks.

/// What an element is to the text around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Part of a line of text.
    Inline,
    /// One block of text, such as a paragraph or a cell.
    TextBlock,
    /// Holds blocks, such as a division or a list.
    Container,
}

/// The element's kind; an unknown element is part of a line, as browsers show it.
pub fn kind(name: &str) -> Kind {
    match name {
        "address" | "article" | "aside" | "blockquote" | "body" | "center" | "details" | "dialog" | "dir" | "div"
        | "dl" | "fieldset" | "figure" | "footer" | "form" | "frameset" | "head" | "header" | "hgroup" | "html"
        | "main" | "menu" | "nav" | "ol" | "search" | "section" | "table" | "ul" => Kind::Container,
        "caption" | "col" | "colgroup" | "dd" | "dt" | "figcaption" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6"
        | "hr" | "legend" | "li" | "listing" | "meta" | "optgroup" | "option" | "p" | "plaintext" | "pre"
        | "summary" | "tbody" | "td" | "tfoot" | "th" | "thead" | "title" | "tr" | "xmp" => Kind::TextBlock,
        _ => Kind::Inline,
    }
}

/// Text of these counts against the threshold of lists, tables and spans.
pub fn is_list_like(name: &str) -> bool {
    matches!(name, "caption" | "dd" | "dt" | "li" | "span" | "table" | "td" | "th")
}

/// Whether the element's text keeps its whitespace.
pub fn is_preformatted(name: &str) -> bool {
    matches!(name, "listing" | "plaintext" | "pre" | "textarea" | "xmp")
}

/// The name under which the element is written: `pre` for its obsolete relatives, in which markup is text.
pub fn written(name: &str) -> &str {
    if matches!(name, "listing" | "plaintext" | "xmp") { "pre" } else { name }
}

/// Whether browsers show nothing of the element.
pub fn is_never_shown(name: &str) -> bool {
    matches!(name, "base" | "datalist" | "link" | "map" | "noscript" | "script" | "style" | "template" | "track")
}

/// Whether this is a heading.
pub fn is_heading(name: &str) -> bool {
    matches!(name, "h1" | "h2" | "h3" | "h4" | "h5" | "h6")
}

/// Whether the element has no end tag.
pub fn is_void(name: &str) -> bool {
    matches!(name, "br" | "col" | "hr" | "img" | "meta" | "wbr")
}

/// Whether a `header` or `footer` below this element is its own, and not the page's.
pub fn is_sectioning(name: &str) -> bool {
    matches!(name, "article" | "aside" | "main" | "nav" | "section")
}
