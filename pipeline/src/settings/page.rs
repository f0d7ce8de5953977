//! Prints the reference: all sections, what may stand at a place, or everything about a setting.

use serde_json::Value;

use super::doc_text::first_sentence;
use super::layout::Layout;
use super::lookup::{Found, find};
use super::places::{Place, Places};
use super::words::kind_and_default;
use crate::error::Problem;

/// What a job may say at this path, or its sections, in lines of so many characters.
pub fn reference(path: Option<&str>, width: usize) -> Result<String, Problem> {
    let places = Places::new(super::schema());
    let mut page = Page { layout: Layout::new(width), places: &places };
    match path {
        None => page.overview(),
        Some(path) => page.found(&find(&places, path)?),
    }
    Ok(page.layout.finish())
}

struct Page<'a> {
    layout: Layout,
    places: &'a Places,
}

impl Page<'_> {
    fn overview(&mut self) {
        self.layout
            .text(0, "A job is one TOML file with these sections. `pageloom settings NAME` says what stands in one.");
        self.layout.text(0, "\n");
        self.outline(0, self.places.root());
    }

    fn found(&mut self, found: &[Found]) {
        let Some(Found { place, .. }) = found.first() else { return };
        let paths: Vec<&str> = found.iter().map(|found| found.path.as_str()).collect();
        self.layout.text(0, &paths.join(", "));
        let is_setting = !place.is_alternative;
        if is_setting {
            self.layout.text(2, &kind_and_default(self.places, *place));
        }
        self.layout.text(0, "\n");
        self.layout.text(0, &self.places.about(*place));
        self.words(0, place.schema);
        self.contents(place);
    }

    /// The settings of a table with all that is to be said of them, or what a place may be with a line each.
    fn contents(&mut self, place: &Place) {
        let below = self.places.below(place.schema);
        let Some(first) = below.first() else { return };
        self.layout.text(0, "\n");
        if first.is_alternative {
            let element = self.places.element(place.schema);
            let inside = if is_list(self.places, place.schema) { "each block" } else { "the table" };
            self.layout.text(0, &format!("One of these in {inside}, as `{} = {{ … }}`:", first.name));
            self.layout.text(0, "\n");
            self.outline(2, element);
            return;
        }
        self.layout.text(0, "Settings:");
        for place in &below {
            self.layout.text(0, "\n");
            self.setting(place);
        }
    }

    fn setting(&mut self, place: &Place) {
        let head = format!("{} ({})", place.name, kind_and_default(self.places, *place));
        self.layout.line(2, 6, &head);
        self.layout.text(6, &self.places.about(*place));
        self.words(6, place.schema);
        self.outline(8, place.schema);
    }

    fn words(&mut self, indent: usize, schema: &Value) {
        let words = self.places.words(schema);
        let column = indent + 4 + words.iter().map(|word| word.name.len()).max().unwrap_or_default();
        for word in words {
            self.layout.entry(indent + 2, column, word.name, word.about);
        }
    }

    /// The places below with a line each.
    fn outline(&mut self, indent: usize, schema: &Value) {
        let below = self.places.below(schema);
        let column = indent + 2 + below.iter().map(|place| place.name.len()).max().unwrap_or_default();
        for place in below {
            let about = self.places.about(place);
            self.layout.entry(indent, column, place.name, first_sentence(&about));
        }
    }
}

fn is_list(places: &Places, schema: &Value) -> bool {
    places.resolve(schema).get("items").is_some()
}
