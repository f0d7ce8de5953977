//! A page as its form writes it: markup, the places of its images, and its plain text.

use std::ops::Range;

use crate::html::image_texts::ImageTexts;
use crate::html::tree::TooMuch;

/// What a form makes of a page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MarkupDocument {
    /// The page, written anew; where its images' tokens go, there is nothing yet.
    pub markup: String,
    /// The images, in the order of the markup.
    pub images: Vec<ImageReference>,
    /// Images of the page that could not be kept.
    pub dropped_images: Vec<DroppedImage>,
    /// The body's text as it is read: whitespace collapsed, a line for each block, nothing for images. Without the title,
    /// which most pages repeat as a heading.
    pub text: String,
}

/// One image of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageReference {
    /// Its absolute URL, without a fragment.
    pub url: String,
    /// What goes with the image if it fails, in bytes of the markup: its tag, or what parts it from the text before it.
    pub tag: Range<u32>,
    /// The byte of the markup where its tokens go.
    pub src: u32,
    /// What the page says about it.
    pub texts: ImageTexts,
}

/// An image that names nothing that can be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DroppedImage {
    /// Why, in a stable word.
    pub reason: &'static str,
    /// What was found.
    pub detail: String,
}

/// A page of which nothing can be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unusable {
    /// No text is left.
    NoText,
    /// A limit is broken.
    Limit(TooMuch),
    /// Its markup passes what 32-bit offsets can address.
    TooLarge,
    /// It says that it is in another language.
    Language(String),
    /// Too little of its markup is text: characters of text, and of markup.
    LowTextRatio(usize, usize),
}

impl Unusable {
    /// A stable word for counting.
    pub fn reason(&self) -> &'static str {
        match self {
            Unusable::NoText => "no_text",
            Unusable::Limit(TooMuch::Depth) => "too_deep",
            Unusable::Limit(TooMuch::Nodes) => "too_many_nodes",
            Unusable::Limit(TooMuch::Attributes) => "too_many_attributes",
            Unusable::Limit(TooMuch::Work) => "too_much_work",
            Unusable::TooLarge | Unusable::Limit(TooMuch::Bytes) => "too_large",
            Unusable::Language(_) => "other_language",
            Unusable::LowTextRatio(..) => "low_text_ratio",
        }
    }

    /// What was found, given the page's length in bytes.
    pub fn detail(&self, bytes: usize) -> String {
        match self {
            Unusable::Language(language) => format!("lang={language}"),
            Unusable::LowTextRatio(text, markup) => format!("{text} of {markup} characters are text"),
            _ => format!("{bytes} bytes of HTML"),
        }
    }
}
