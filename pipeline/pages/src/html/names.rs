//! Which elements flow inside a line, stand as a block of text, or hold blocks.

use crate::html::parse::names::Name;

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
pub fn kind(name: Name) -> Kind {
    use Name::*;
    match name {
        Address | Article | Aside | Blockquote | Body | Center | Details | Dialog | Dir | Div | Dl | Fieldset
        | Figure | Footer | Form | Frameset | Head | Header | Hgroup | Html | Main | Menu | Nav | Ol | Search
        | Section | Table | Ul => Kind::Container,
        Caption | Col | Colgroup | Dd | Dt | Figcaption | H1 | H2 | H3 | H4 | H5 | H6 | Hr | Legend | Li | Listing
        | Meta | Optgroup | Option | P | Plaintext | Pre | Summary | Tbody | Td | Tfoot | Th | Thead | Title | Tr
        | Xmp => Kind::TextBlock,
        _ => Kind::Inline,
    }
}

/// Text of these counts against the threshold of lists, tables and spans.
pub fn is_list_like(name: Name) -> bool {
    matches!(name, Name::Caption | Name::Dd | Name::Dt | Name::Li | Name::Span | Name::Table | Name::Td | Name::Th)
}

/// Whether the element's text keeps its whitespace.
pub fn is_preformatted(name: Name) -> bool {
    matches!(name, Name::Listing | Name::Plaintext | Name::Pre | Name::Textarea | Name::Xmp)
}

/// Another name under which the element is written: `pre` for its obsolete relatives, in which markup is text.
pub fn written(name: Name) -> Option<&'static str> {
    matches!(name, Name::Listing | Name::Plaintext | Name::Xmp).then_some("pre")
}

/// Whether browsers show nothing of the element.
pub fn is_never_shown(name: Name) -> bool {
    use Name::*;
    matches!(name, Base | Datalist | Link | Map | Noscript | Script | Style | Template | Track)
}

/// Whether this is a heading.
pub fn is_heading(name: Name) -> bool {
    matches!(name, Name::H1 | Name::H2 | Name::H3 | Name::H4 | Name::H5 | Name::H6)
}

/// Whether an HTML element of that name has no end tag.
pub fn is_void(name: Name) -> bool {
    use Name::*;
    matches!(
        name,
        Area | Base
            | Basefont
            | Bgsound
            | Br
            | Col
            | Embed
            | Frame
            | Hr
            | Img
            | Input
            | Keygen
            | Link
            | Meta
            | Param
            | Source
            | Track
            | Wbr
    )
}

/// Whether a `header` or `footer` below this element is its own, and not the page's.
pub fn is_sectioning(name: Name) -> bool {
    matches!(name, Name::Article | Name::Aside | Name::Main | Name::Nav | Name::Section)
}
