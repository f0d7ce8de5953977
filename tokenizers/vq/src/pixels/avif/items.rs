//! What an AVIF file says of its pictures: items, where their bytes lie and what belongs to them (ISO/IEC 23008-12).

use std::collections::BTreeMap;

use super::super::decode::ImageError;
use super::super::picture::Size;
use super::boxes::{Kind, Reader, broken, unsupported};

/// A box of items with more bytes than this is refused.
const MAX_META: usize = 8 << 20;

/// Properties that are understood, or change no pixels that Pillow shows.
const KNOWN: [&Kind; 8] = [b"ispe", b"pixi", b"av1C", b"colr", b"irot", b"imir", b"auxC", b"clap"];
const ALPHA: [&[u8]; 2] = [b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0", b"urn:mpeg:hevc:2015:auxid:1\0"];

/// The items of a file.
#[derive(Debug, Default)]
pub(super) struct Items<'a> {
    primary: u32,
    by_number: BTreeMap<u32, Item>,
    properties: Vec<(Kind, Reader<'a>)>,
    /// What extents are counted in: the file, and the box of data beside the items.
    data: [&'a [u8]; 2],
}

/// A coded picture, or one that is put together of others.
#[derive(Debug, Default)]
pub(super) struct Item {
    pub kind: Kind,
    pub tiles: Vec<u32>,
    pub is_premultiplied: bool,
    shows_alpha_of: Option<u32>,
    /// Where the item's bytes are: in which of the data, from where, how many (0: all that are left).
    extents: Vec<(usize, u64, u64)>,
    /// Places in the file's list of properties, from 1, and whether an item must not be shown without.
    properties: Vec<(usize, bool)>,
}

impl<'a> Items<'a> {
    pub fn read(bytes: &'a [u8]) -> Result<Self, ImageError> {
        let Some(mut meta) = Reader(bytes).find(b"meta")? else {
            return match Reader(bytes).find(b"moov")? {
                Some(_) => unsupported("moving pictures alone"),
                None => Err(broken("no items")),
            };
        };
        if meta.0.len() > MAX_META {
            return Err(ImageError::TooLarge {
                size: meta.0.len() as u64,
                what: "bytes of items",
                limit: MAX_META as u64,
            });
        }
        meta.version()?;
        let mut items = Self { data: [bytes, &[]], ..Self::default() };
        while let Some((kind, content)) = meta.next_box()? {
            match &kind {
                b"pitm" => items.read_primary(content)?,
                b"iinf" => items.read_kinds(content)?,
                b"iloc" => items.read_places(content)?,
                b"iprp" => items.read_properties(content)?,
                b"iref" => items.read_references(content)?,
                b"idat" => items.data[1] = content.0,
                _ => {}
            }
        }
        Ok(items)
    }

    fn item(&mut self, number: u32) -> &mut Item {
        self.by_number.entry(number).or_default()
    }

    fn read_primary(&mut self, mut content: Reader) -> Result<(), ImageError> {
        let (version, _) = content.version()?;
        self.primary = content.number(if version == 0 { 2 } else { 4 })? as u32;
        Ok(())
    }

    fn read_kinds(&mut self, mut content: Reader) -> Result<(), ImageError> {
        let (version, _) = content.version()?;
        content.take(if version == 0 { 2 } else { 4 })?;
        while let Some((kind, mut entry)) = content.next_box()? {
            let (version, _) = entry.version()?;
            if &kind != b"infe" || !(2..=3).contains(&version) {
                continue;
            }
            let number = entry.number(if version == 2 { 2 } else { 4 })? as u32;
            entry.short()?;
            self.item(number).kind = entry.kind()?;
        }
        Ok(())
    }

    fn read_places(&mut self, mut content: Reader) -> Result<(), ImageError> {
        let (version, _) = content.version()?;
        let sizes = content.short()?;
        let [offset, length, base, index] = [12, 8, 4, 0].map(|bit| usize::from(sizes >> bit & 15));
        let index = if version == 0 { 0 } else { index };
        if [offset, length, base, index].iter().any(|size| ![0, 4, 8].contains(size)) || version > 2 {
            return unsupported("places of items in an unknown form");
        }
        let wide = if version < 2 { 2 } else { 4 };
        for _ in 0..content.number(wide)? {
            let number = content.number(wide)? as u32;
            let source = if version == 0 { 0 } else { usize::from(content.short()? & 15) };
            content.short()?;
            let start = content.number(base)?;
            let extents = content.short()?;
            // What takes no bytes could be there any number of times; each would be the file's whole rest.
            if extents > 1 && index + offset + length == 0 {
                return Err(broken("an item repeats its bytes"));
            }
            for _ in 0..extents {
                content.number(index)?;
                let at = start.saturating_add(content.number(offset)?);
                let extent = (source, at, content.number(length)?);
                self.item(number).extents.push(extent);
            }
        }
        Ok(())
    }

    fn read_properties(&mut self, mut content: Reader<'a>) -> Result<(), ImageError> {
        while let Some((kind, mut inside)) = content.next_box()? {
            match &kind {
                b"ipco" => {
                    while let Some(property) = inside.next_box()? {
                        self.properties.push(property);
                    }
                }
                b"ipma" => self.read_associations(inside)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn read_associations(&mut self, mut content: Reader) -> Result<(), ImageError> {
        let (version, flags) = content.version()?;
        for _ in 0..content.long()? {
            let number = content.number(if version == 0 { 2 } else { 4 })? as u32;
            for _ in 0..content.byte()? {
                let bytes = if flags & 1 == 0 { 1 } else { 2 };
                let (place, essential) = (content.number(bytes)?, 1 << (8 * bytes - 1));
                let property = ((place & (essential - 1)) as usize, place & essential != 0);
                self.item(number).properties.push(property);
            }
        }
        Ok(())
    }

    fn read_references(&mut self, mut content: Reader) -> Result<(), ImageError> {
        let (version, _) = content.version()?;
        let wide = if version == 0 { 2 } else { 4 };
        while let Some((kind, mut inside)) = content.next_box()? {
            let from = inside.number(wide)? as u32;
            for _ in 0..inside.short()? {
                let to = inside.number(wide)? as u32;
                match &kind {
                    b"dimg" => self.item(from).tiles.push(to),
                    b"auxl" => self.item(from).shows_alpha_of = Some(to),
                    b"prem" => self.item(from).is_premultiplied = true,
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// The picture that the file shows.
    pub fn primary(&self) -> Result<&Item, ImageError> {
        self.get(self.primary)
    }

    pub fn get(&self, number: u32) -> Result<&Item, ImageError> {
        self.by_number.get(&number).ok_or_else(|| broken("an item that is named isn't there"))
    }

    /// The picture that says how transparent the primary one is.
    pub fn alpha(&self) -> Option<&Item> {
        let shows_alpha = |item: &&Item| {
            let urn = self.property(item, b"auxC").and_then(|kind| kind.0.get(4..));
            item.shows_alpha_of == Some(self.primary) && urn.is_some_and(|urn| ALPHA.contains(&urn))
        };
        self.by_number.values().find(shows_alpha)
    }

    pub fn property(&self, item: &Item, wanted: &Kind) -> Option<Reader<'a>> {
        let properties = item.properties.iter().filter_map(|&(place, _)| self.properties.get(place.checked_sub(1)?));
        properties.into_iter().find(|(kind, _)| kind == wanted).map(|&(_, content)| content)
    }

    /// The colours' matrix and range as an item states them by `colr`.
    pub fn colours(&self, item: &Item) -> Result<Option<[u16; 3]>, ImageError> {
        let properties = item.properties.iter().filter_map(|&(place, _)| self.properties.get(place.checked_sub(1)?));
        for &(kind, mut content) in properties {
            if &kind == b"colr" && &content.kind()? == b"nclx" {
                let primaries = content.short()?;
                content.short()?;
                return Ok(Some([primaries, content.short()?, u16::from(content.byte()? >> 7)]));
            }
        }
        Ok(None)
    }

    /// Refuses an item that may only be shown with a property that isn't understood here.
    pub fn check(&self, item: &Item) -> Result<(), ImageError> {
        for &(place, essential) in &item.properties {
            let Some((kind, content)) = place.checked_sub(1).and_then(|place| self.properties.get(place)) else {
                continue;
            };
            // Of pictures in layers all are wanted.
            let is_known = KNOWN.contains(&kind) || kind == b"lsel" && content.0 == [0xFF, 0xFF];
            if essential && !is_known {
                return unsupported(&format!("the property {}", kind.escape_ascii()));
            }
        }
        Ok(())
    }

    /// How large an item is shown.
    pub fn size(&self, item: &Item) -> Result<Size, ImageError> {
        let mut content = self.property(item, b"ispe").ok_or_else(|| broken("a picture without a size"))?;
        content.version()?;
        let size = Size { width: content.long()?, height: content.long()? };
        if size.short() == 0 { Err(ImageError::Empty) } else { Ok(size) }
    }

    /// The item's bytes, no more than the file has.
    pub fn bytes(&self, item: &Item) -> Result<Vec<u8>, ImageError> {
        let mut all = Vec::new();
        for extent in self.extents(item) {
            let extent = extent?;
            if all.len() + extent.len() > self.file_length() {
                return Err(broken("an item repeats its bytes"));
            }
            all.extend_from_slice(extent);
        }
        Ok(all)
    }

    /// How many bytes an item has.
    pub fn length(&self, item: &Item) -> Result<u64, ImageError> {
        self.extents(item).map(|extent| Ok(extent?.len() as u64)).sum()
    }

    /// Of the file, in bytes.
    pub fn file_length(&self) -> usize {
        self.data[0].len()
    }

    fn extents(&self, item: &Item) -> impl Iterator<Item = Result<&'a [u8], ImageError>> {
        item.extents.iter().map(|&(source, at, length)| {
            let data = self.data.get(source).ok_or_else(|| broken("an item inside of another"))?;
            let start = usize::try_from(at).ok().and_then(|at| data.get(at..));
            let start = start.ok_or_else(|| broken("an item begins behind the end"))?;
            let length = if length == 0 { start.len() } else { usize::try_from(length).unwrap_or(usize::MAX) };
            start.get(..length).ok_or_else(|| broken("an item ends behind the end"))
        })
    }
}
