//! Where images stand in documents: `list<struct>` columns as plain values, and back.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, RecordBatch, StringArray, StructArray, UInt32Array};
use arrow::datatypes::UInt32Type;
use arrow::error::ArrowError;

use crate::lists::list_of_structs;
use crate::{Key, SchemaError, columns};

/// What a page says about an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlaceTexts {
    /// Its `alt`.
    pub alt: Option<String>,
    /// Its `title`.
    pub title: Option<String>,
    /// Its caption.
    pub caption: Option<String>,
}

/// One image of a document: positions in bytes of `markup`, or in tokens of `tokens`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImagePlace {
    /// Identity of the image: a hash of its URL.
    pub key: Key,
    /// The image's absolute URL.
    pub url: String,
    /// Where its tag starts.
    pub tag_start: u32,
    /// Where its tokens will stand.
    pub src: u32,
    /// Where its tag ends.
    pub tag_end: u32,
    /// What the page says about it.
    pub texts: PlaceTexts,
}

/// Builds a column of image places, one list per row.
pub fn image_places(rows: &[Vec<ImagePlace>]) -> Result<ArrayRef, ArrowError> {
    let places = || rows.iter().flatten();
    let number = |of: fn(&ImagePlace) -> u32| -> ArrayRef { Arc::new(UInt32Array::from_iter_values(places().map(of))) };
    let text = |of: fn(&PlaceTexts) -> &Option<String>| -> ArrayRef {
        Arc::new(places().map(|place| of(&place.texts).as_deref()).collect::<StringArray>())
    };
    let values = StructArray::try_new(
        columns::image_place_fields(),
        vec![
            Key::column(places().map(|place| place.key))?,
            Arc::new(StringArray::from(places().map(|place| place.url.as_str()).collect::<Vec<_>>())),
            number(|place| place.tag_start),
            number(|place| place.src),
            number(|place| place.tag_end),
            text(|texts| &texts.alt),
            text(|texts| &texts.title),
            text(|texts| &texts.caption),
        ],
        None,
    )?;
    list_of_structs(values, &rows.iter().map(Vec::len).collect::<Vec<_>>())
}

/// Reads one row's image places.
pub fn image_places_of(list: &ListArray, row: usize) -> Result<Vec<ImagePlace>, SchemaError> {
    let places = RecordBatch::from(list.value(row).as_struct().clone());
    let (key, url) = (columns::key(), columns::url());
    let (key, url) = (key.of(&places)?, url.of(&places)?);
    let number = |index: usize| places.column(index).as_primitive::<UInt32Type>();
    let (tag_start, src, tag_end) = (number(2), number(3), number(4));
    let (alt, title, caption) = (columns::alt(), columns::title(), columns::caption());
    let (alt, title, caption) = (alt.of(&places)?, title.of(&places)?, caption.of(&places)?);
    let text = |column: &StringArray, row: usize| column.is_valid(row).then(|| column.value(row).to_owned());
    let place = |(index, key): (usize, Key)| ImagePlace {
        key,
        url: url.value(index).to_owned(),
        tag_start: tag_start.value(index),
        src: src.value(index),
        tag_end: tag_end.value(index),
        texts: PlaceTexts { alt: text(alt, index), title: text(title, index), caption: text(caption, index) },
    };
    Ok(Key::all_of(key)?.into_iter().enumerate().map(place).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_read_back_as_written() {
        let place = |url: &str, src| ImagePlace {
            key: Key([7; 16]),
            url: url.into(),
            tag_start: 1,
            src,
            tag_end: 9,
            texts: PlaceTexts { title: Some(format!("{url}!")), ..PlaceTexts::default() },
        };
        let rows = vec![vec![place("a", 2), place("b", 3)], vec![], vec![place("c", 4)]];
        let column = image_places(&rows).unwrap();
        for (row, expected) in rows.iter().enumerate() {
            assert_eq!(&image_places_of(column.as_list(), row).unwrap(), expected);
        }
    }

    #[test]
    fn no_places_at_all_is_an_empty_column() {
        assert_eq!(image_places(&[vec![], vec![]]).unwrap().len(), 2);
    }
}
