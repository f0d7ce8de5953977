//! The rules in SVG and MathML (WHATWG HTML, 13.2.6.5).

use crate::html::parse::builder::{Builder, Flow};
use crate::html::parse::names::{Name, Namespace};
use crate::html::parse::tokenizer::{Tag, Tokenizer};
use crate::html::tree::arena::{Attribute, Prefix, Span};

/// SVG's attributes with capitals.
const SVG_ATTRIBUTES: [&str; 58] = [
    "attributeName",
    "attributeType",
    "baseFrequency",
    "baseProfile",
    "calcMode",
    "clipPathUnits",
    "diffuseConstant",
    "edgeMode",
    "filterUnits",
    "glyphRef",
    "gradientTransform",
    "gradientUnits",
    "kernelMatrix",
    "kernelUnitLength",
    "keyPoints",
    "keySplines",
    "keyTimes",
    "lengthAdjust",
    "limitingConeAngle",
    "markerHeight",
    "markerUnits",
    "markerWidth",
    "maskContentUnits",
    "maskUnits",
    "numOctaves",
    "pathLength",
    "patternContentUnits",
    "patternTransform",
    "patternUnits",
    "pointsAtX",
    "pointsAtY",
    "pointsAtZ",
    "preserveAlpha",
    "preserveAspectRatio",
    "primitiveUnits",
    "refX",
    "refY",
    "repeatCount",
    "repeatDur",
    "requiredExtensions",
    "requiredFeatures",
    "specularConstant",
    "specularExponent",
    "spreadMethod",
    "startOffset",
    "stdDeviation",
    "stitchTiles",
    "surfaceScale",
    "systemLanguage",
    "tableValues",
    "targetX",
    "targetY",
    "textLength",
    "viewBox",
    "viewTarget",
    "xChannelSelector",
    "yChannelSelector",
    "zoomAndPan",
];

impl Builder<'_> {
    pub(super) fn foreign_start(&mut self, tag: Tag) -> Flow {
        if ends_foreign(tag.name)
            || (tag.name == Name::Font && self.tokens.has_any_attribute(&["color", "face", "size"]))
        {
            return self.leave_foreign(|builder| builder.start_by_mode(tag));
        }
        self.insert_or_void(tag, self.current().namespace);
        Flow::Done
    }

    fn leave_foreign(&mut self, then: impl FnOnce(&mut Self) -> Flow) -> Flow {
        while self.open.is_foreign() && !self.stops_stray_html(self.current()) {
            self.open.pop();
        }
        then(self)
    }

    pub(super) fn foreign_end(&mut self, tag: Tag) -> Flow {
        if matches!(tag.name, Name::Br | Name::P) {
            return self.leave_foreign(|builder| builder.end_by_mode(tag));
        }
        for index in (1..self.open.as_slice().len()).rev() {
            let open = self.open.as_slice()[index];
            self.open.work.spend(1);
            if open.namespace == Namespace::Html {
                return self.end_by_mode(tag);
            }
            if self.is_named(open, tag) {
                self.open.truncate(index);
                break;
            }
        }
        Flow::Done
    }
}

/// Whether a start tag shows that a foreign element's end tag is missing.
fn ends_foreign(name: Name) -> bool {
    use Name::*;
    matches!(
        name,
        B | Big
            | Blockquote
            | Body
            | Br
            | Center
            | Code
            | Dd
            | Div
            | Dl
            | Dt
            | Em
            | Embed
            | H1
            | H2
            | H3
            | H4
            | H5
            | H6
            | Head
            | Hr
            | I
            | Img
            | Li
            | Listing
            | Menu
            | Meta
            | Nobr
            | Ol
            | P
            | Pre
            | Ruby
            | S
            | Small
            | Span
            | Strong
            | Strike
            | Sub
            | Sup
            | Table
            | Tt
            | U
            | Ul
            | Var
    )
}

impl Tokenizer<'_> {
    /// The value of the last tag's attribute of that name.
    fn attribute_value(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|attribute| self.text(attribute.name) == name)?;
        Some(self.text(found.value))
    }

    fn has_any_attribute(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.attribute_value(name).is_some())
    }

    pub(super) fn is_hidden_input(&self) -> bool {
        self.attribute_value("type").is_some_and(|kind| kind.eq_ignore_ascii_case("hidden"))
    }

    /// Whether an `annotation-xml` with the last tag's attributes holds HTML.
    pub(super) fn holds_html(&self) -> bool {
        let encodings = ["text/html", "application/xhtml+xml"];
        let encoding = self.attribute_value("encoding");
        encoding.is_some_and(|found| encodings.iter().any(|encoding| found.eq_ignore_ascii_case(encoding)))
    }

    /// `<image>` means `<img>`.
    pub(super) fn as_img(&self, tag: Tag) -> Tag {
        Tag { name: Name::Img, ..tag }
    }

    /// Gives foreign attributes the names that their standards give them.
    pub(super) fn adjust_attributes(&mut self, attributes: &mut [Attribute], namespace: Namespace) {
        for attribute in attributes {
            let name = self.text(attribute.name);
            let (prefix, length) = match name {
                "xlink:actuate" | "xlink:arcrole" | "xlink:href" | "xlink:role" | "xlink:show" | "xlink:title"
                | "xlink:type" => (Prefix::Xlink, 6),
                "xml:lang" | "xml:space" => (Prefix::Xml, 4),
                "xmlns" => (Prefix::Xmlns, 0),
                "xmlns:xlink" => (Prefix::Xmlns, 6),
                _ => (Prefix::None, 0),
            };
            let svg = SVG_ATTRIBUTES.iter().find(|spelled| spelled.eq_ignore_ascii_case(name));
            let spelled = match namespace {
                Namespace::Svg => svg.copied(),
                Namespace::MathMl if name == "definitionurl" => Some("definitionURL"),
                _ => None,
            };
            attribute.prefix = prefix;
            attribute.name = Span { start: attribute.name.start + length, length: attribute.name.length - length };
            if let Some(spelled) = spelled {
                let start = self.page.len() + self.side.len();
                self.side.push_str(spelled);
                attribute.name = Span::between(start, start + spelled.len());
            }
        }
    }
}
