//! Names of elements, and what the tree construction rules ask about them.

/// Where an element comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Namespace {
    /// Text and structure.
    Html,
    /// Drawings.
    Svg,
    /// Formulas.
    MathMl,
}

/// In the standard's "special" category.
pub const SPECIAL: u16 = 1;
/// Ends every search for an element "in scope".
pub const SCOPE: u16 = 1 << 1;
/// Has an end tag that may be implied.
pub const IMPLIED_END: u16 = 1 << 2;
/// Has one that may be implied at the end of a template.
pub const THOROUGH_END: u16 = 1 << 3;
/// Ends a search for an element "in table scope".
pub const TABLE_SCOPE: u16 = 1 << 4;
/// Sends what doesn't belong into a table before it.
pub const FOSTERS: u16 = 1 << 5;
/// One of `h1` to `h6`.
pub const HEADING: u16 = 1 << 6;
/// A MathML element in which text is HTML.
pub const TEXT_POINT: u16 = 1 << 7;
/// A foreign element in which all is HTML.
pub const HTML_POINT: u16 = 1 << 8;

macro_rules! names {
    ($($name:ident $text:literal $flags:expr,)*) => {
        /// A name that a rule mentions, in lower case; all others are `Other`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Name {
            Other,
            $($name,)*
        }

        const NAMES: &[Name] = &[Name::Other, $(Name::$name,)*];
        const TEXTS: &[&str] = &["", $($text,)*];
        const FLAGS: &[u16] = &[0, $($flags,)*];
    };
}

names! {
    A "a" 0,
    Abbr "abbr" 0,
    Acronym "acronym" 0,
    Address "address" SPECIAL,
    AltGlyph "altglyph" 0,
    AltGlyphDef "altglyphdef" 0,
    AltGlyphItem "altglyphitem" 0,
    AnimateColor "animatecolor" 0,
    AnimateMotion "animatemotion" 0,
    AnimateTransform "animatetransform" 0,
    Annotation "annotation" 0,
    AnnotationXml "annotation-xml" 0,
    Applet "applet" SPECIAL | SCOPE,
    Area "area" SPECIAL,
    Article "article" SPECIAL,
    Aside "aside" SPECIAL,
    Audio "audio" 0,
    B "b" 0,
    Base "base" SPECIAL,
    Basefont "basefont" SPECIAL,
    Bdi "bdi" 0,
    Bdo "bdo" 0,
    Bgsound "bgsound" SPECIAL,
    Big "big" 0,
    Blockquote "blockquote" SPECIAL,
    Body "body" SPECIAL,
    Br "br" SPECIAL,
    Button "button" SPECIAL,
    Canvas "canvas" 0,
    Caption "caption" SPECIAL | SCOPE | THOROUGH_END,
    Center "center" SPECIAL,
    Cite "cite" 0,
    ClipPath "clippath" 0,
    Code "code" 0,
    Col "col" SPECIAL,
    Colgroup "colgroup" SPECIAL | THOROUGH_END,
    Data "data" 0,
    Datalist "datalist" 0,
    Dd "dd" SPECIAL | IMPLIED_END,
    Del "del" 0,
    Desc "desc" 0,
    Details "details" SPECIAL,
    Dfn "dfn" 0,
    Dialog "dialog" 0,
    Dir "dir" SPECIAL,
    Div "div" SPECIAL,
    Dl "dl" SPECIAL,
    Dt "dt" SPECIAL | IMPLIED_END,
    Em "em" 0,
    Embed "embed" SPECIAL,
    FeBlend "feblend" 0,
    FeColorMatrix "fecolormatrix" 0,
    FeComponentTransfer "fecomponenttransfer" 0,
    FeComposite "fecomposite" 0,
    FeConvolveMatrix "feconvolvematrix" 0,
    FeDiffuseLighting "fediffuselighting" 0,
    FeDisplacementMap "fedisplacementmap" 0,
    FeDistantLight "fedistantlight" 0,
    FeDropShadow "fedropshadow" 0,
    FeFlood "feflood" 0,
    FeFuncA "fefunca" 0,
    FeFuncB "fefuncb" 0,
    FeFuncG "fefuncg" 0,
    FeFuncR "fefuncr" 0,
    FeGaussianBlur "fegaussianblur" 0,
    FeImage "feimage" 0,
    FeMerge "femerge" 0,
    FeMergeNode "femergenode" 0,
    FeMorphology "femorphology" 0,
    FeOffset "feoffset" 0,
    FePointLight "fepointlight" 0,
    FeSpecularLighting "fespecularlighting" 0,
    FeSpotLight "fespotlight" 0,
    FeTile "fetile" 0,
    FeTurbulence "feturbulence" 0,
    Fieldset "fieldset" SPECIAL,
    Figcaption "figcaption" SPECIAL,
    Figure "figure" SPECIAL,
    Font "font" 0,
    Footer "footer" SPECIAL,
    ForeignObject "foreignobject" 0,
    Form "form" SPECIAL,
    Frame "frame" SPECIAL,
    Frameset "frameset" SPECIAL,
    G "g" 0,
    GlyphRef "glyphref" 0,
    H1 "h1" SPECIAL | HEADING,
    H2 "h2" SPECIAL | HEADING,
    H3 "h3" SPECIAL | HEADING,
    H4 "h4" SPECIAL | HEADING,
    H5 "h5" SPECIAL | HEADING,
    H6 "h6" SPECIAL | HEADING,
    Head "head" SPECIAL,
    Header "header" SPECIAL,
    Hgroup "hgroup" SPECIAL,
    Hr "hr" SPECIAL,
    Html "html" SPECIAL | SCOPE | TABLE_SCOPE,
    I "i" 0,
    Iframe "iframe" SPECIAL,
    Image "image" 0,
    Img "img" SPECIAL,
    Input "input" SPECIAL,
    Ins "ins" 0,
    Isindex "isindex" 0,
    Kbd "kbd" 0,
    Keygen "keygen" SPECIAL,
    Label "label" 0,
    Legend "legend" 0,
    Li "li" SPECIAL | IMPLIED_END,
    LinearGradient "lineargradient" 0,
    Link "link" SPECIAL,
    Listing "listing" SPECIAL,
    Main "main" SPECIAL,
    Malignmark "malignmark" 0,
    Map "map" 0,
    Mark "mark" 0,
    Marquee "marquee" SPECIAL | SCOPE,
    Math "math" 0,
    Menu "menu" SPECIAL,
    Meta "meta" SPECIAL,
    Meter "meter" 0,
    Mglyph "mglyph" 0,
    Mi "mi" 0,
    Mn "mn" 0,
    Mo "mo" 0,
    Ms "ms" 0,
    Mtext "mtext" 0,
    Nav "nav" SPECIAL,
    Nobr "nobr" 0,
    Noembed "noembed" SPECIAL,
    Noframes "noframes" SPECIAL,
    Noscript "noscript" SPECIAL,
    Object "object" SPECIAL | SCOPE,
    Ol "ol" SPECIAL,
    Optgroup "optgroup" IMPLIED_END,
    Option "option" IMPLIED_END,
    Output "output" 0,
    P "p" SPECIAL | IMPLIED_END,
    Param "param" SPECIAL,
    Path "path" 0,
    Picture "picture" 0,
    Plaintext "plaintext" SPECIAL,
    Pre "pre" SPECIAL,
    Progress "progress" 0,
    Q "q" 0,
    RadialGradient "radialgradient" 0,
    Rb "rb" IMPLIED_END,
    Rp "rp" IMPLIED_END,
    Rt "rt" IMPLIED_END,
    Rtc "rtc" IMPLIED_END,
    Ruby "ruby" 0,
    S "s" 0,
    Samp "samp" 0,
    Script "script" SPECIAL,
    Search "search" SPECIAL,
    Section "section" SPECIAL,
    Select "select" SPECIAL | SCOPE,
    Slot "slot" 0,
    Small "small" 0,
    Source "source" SPECIAL,
    Span "span" 0,
    Strike "strike" 0,
    Strong "strong" 0,
    Style "style" SPECIAL,
    Sub "sub" 0,
    Summary "summary" SPECIAL,
    Sup "sup" 0,
    Svg "svg" 0,
    Table "table" SPECIAL | SCOPE | TABLE_SCOPE | FOSTERS,
    Tbody "tbody" SPECIAL | THOROUGH_END | FOSTERS,
    Td "td" SPECIAL | SCOPE | THOROUGH_END,
    Template "template" SPECIAL | SCOPE | TABLE_SCOPE,
    Textarea "textarea" SPECIAL,
    TextPath "textpath" 0,
    Tfoot "tfoot" SPECIAL | THOROUGH_END | FOSTERS,
    Th "th" SPECIAL | SCOPE | THOROUGH_END,
    Thead "thead" SPECIAL | THOROUGH_END | FOSTERS,
    Time "time" 0,
    Title "title" SPECIAL,
    Tr "tr" SPECIAL | THOROUGH_END | FOSTERS,
    Track "track" SPECIAL,
    Tt "tt" 0,
    U "u" 0,
    Ul "ul" SPECIAL,
    Var "var" 0,
    Video "video" 0,
    Wbr "wbr" SPECIAL,
    Xmp "xmp" SPECIAL,
}

/// A name's bytes, eight at most, as a number; of a longer one, the last eight.
#[derive(Debug, Clone, Copy, Default)]
pub struct Key(u64);

impl Key {
    /// The key of a name with one more byte.
    #[inline]
    pub const fn with(self, byte: u8) -> Self {
        Self(self.0 << 8 | byte as u64)
    }

    const fn slot(self, length: usize) -> usize {
        let mixed = (self.0 ^ (length as u64) << 59).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> (64 - SLOT_BITS)) as usize
    }
}

const SLOT_BITS: u32 = 10;
const SLOTS: usize = 1 << SLOT_BITS;

const fn key_of(text: &str) -> Key {
    let mut key = Key(0);
    let mut at = 0;
    while at < text.len() {
        key = key.with(text.as_bytes()[at]);
        at += 1;
    }
    key
}

static KEYS: [u64; NAMES.len()] = {
    let mut keys = [0; NAMES.len()];
    let mut at = 0;
    while at < NAMES.len() {
        keys[at] = key_of(TEXTS[at]).0;
        at += 1;
    }
    keys
};

/// Names by the slot of their key, or one of the slots behind it.
static BY_SLOT: [u8; SLOTS] = {
    let mut slots = [0; SLOTS];
    let mut at = 1;
    while at < NAMES.len() {
        let mut slot = key_of(TEXTS[at]).slot(TEXTS[at].len());
        while slots[slot] != 0 {
            slot = (slot + 1) % SLOTS;
        }
        slots[slot] = at as u8;
        at += 1;
    }
    slots
};

impl Name {
    /// The name with this key. `is` answers whether it is a text, and is asked only where the key leaves that open.
    #[inline]
    pub fn find(key: Key, length: usize, is: impl Fn(&str) -> bool) -> Self {
        let mut slot = key.slot(length);
        loop {
            let found = BY_SLOT[slot % SLOTS] as usize;
            if found == 0 {
                return Name::Other;
            }
            let text = TEXTS[found];
            if KEYS[found] == key.0 && text.len() == length && (length <= 8 || is(text)) {
                return NAMES[found];
            }
            slot += 1;
        }
    }

    /// How many there are, with `Other`.
    pub const COUNT: usize = NAMES.len();

    /// The name that a text is, whatever its case.
    pub fn of(text: &str) -> Self {
        let lower = text.to_ascii_lowercase();
        Self::find(key_of(&lower), lower.len(), |name| name == lower)
    }

    /// The name as the page spells it, in lower case; empty for `Other`.
    pub fn text(self) -> &'static str {
        TEXTS[self as usize]
    }

    /// The name as SVG spells it.
    pub fn svg_text(self) -> &'static str {
        match self {
            Name::AltGlyph => "altGlyph",
            Name::AltGlyphDef => "altGlyphDef",
            Name::AltGlyphItem => "altGlyphItem",
            Name::AnimateColor => "animateColor",
            Name::AnimateMotion => "animateMotion",
            Name::AnimateTransform => "animateTransform",
            Name::ClipPath => "clipPath",
            Name::FeBlend => "feBlend",
            Name::FeColorMatrix => "feColorMatrix",
            Name::FeComponentTransfer => "feComponentTransfer",
            Name::FeComposite => "feComposite",
            Name::FeConvolveMatrix => "feConvolveMatrix",
            Name::FeDiffuseLighting => "feDiffuseLighting",
            Name::FeDisplacementMap => "feDisplacementMap",
            Name::FeDistantLight => "feDistantLight",
            Name::FeDropShadow => "feDropShadow",
            Name::FeFlood => "feFlood",
            Name::FeFuncA => "feFuncA",
            Name::FeFuncB => "feFuncB",
            Name::FeFuncG => "feFuncG",
            Name::FeFuncR => "feFuncR",
            Name::FeGaussianBlur => "feGaussianBlur",
            Name::FeImage => "feImage",
            Name::FeMerge => "feMerge",
            Name::FeMergeNode => "feMergeNode",
            Name::FeMorphology => "feMorphology",
            Name::FeOffset => "feOffset",
            Name::FePointLight => "fePointLight",
            Name::FeSpecularLighting => "feSpecularLighting",
            Name::FeSpotLight => "feSpotLight",
            Name::FeTile => "feTile",
            Name::FeTurbulence => "feTurbulence",
            Name::ForeignObject => "foreignObject",
            Name::GlyphRef => "glyphRef",
            Name::LinearGradient => "linearGradient",
            Name::RadialGradient => "radialGradient",
            Name::TextPath => "textPath",
            other => other.text(),
        }
    }

    /// What the rules ask about an element of this name.
    #[inline]
    pub fn flags(self, namespace: Namespace) -> u16 {
        match namespace {
            Namespace::Html => FLAGS[self as usize],
            Namespace::Svg => match self {
                Name::ForeignObject | Name::Desc | Name::Title => SPECIAL | SCOPE | HTML_POINT,
                _ => 0,
            },
            Namespace::MathMl => match self {
                Name::Mi | Name::Mo | Name::Mn | Name::Ms | Name::Mtext => SPECIAL | SCOPE | TEXT_POINT,
                Name::AnnotationXml => SPECIAL | SCOPE,
                _ => 0,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_and_no_other() {
        assert!(NAMES[1..].iter().all(|name| Name::of(name.text()) == *name));
        for text in ["", "x", "pp", "blockquotf", "xlockquote", "foreignobjecu"] {
            assert_eq!(Name::of(text), Name::Other, "{text}");
        }
    }
}
