//! Reads a JPEG file segment by segment, and puts its image together.

use super::super::decode::{ImageError, Limits};
use super::super::picture::Size;
use super::bits::{Kind, Table};
use super::coefficients::{Part, place};
use super::colour::Colours;
use super::frame::Frame;
use super::paint::{Painter, Sink};
use super::scan::{Scan, Tables, corrupt};
use super::standard_tables;

/// A file with more scans than this is refused: each may cost as much as the whole image, and take few bytes.
const MAX_SCANS: usize = 100;

/// What was read so far.
#[derive(Default)]
struct Read {
    frame: Option<Frame>,
    steps: [Option<[i16; 64]>; 4],
    dc: [Option<Table>; 4],
    ac: [Option<Table>; 4],
    restart_interval: usize,
    jfif: bool,
    adobe: Option<u8>,
    scans: usize,
    /// Whether pixels were made by the scan itself.
    done: bool,
}

/// Hands the image on in RGB; a file without its end is corrupt, which may be found when all of it is handed on.
pub(in super::super) fn decode(jpeg: &[u8], limits: &Limits, sink: &mut dyn Sink) -> Result<(), ImageError> {
    let (mut read, mut at) = (Read::default(), 2);
    while let Some((marker, segment)) = next_segment(jpeg, &mut at)? {
        if marker == SCAN {
            at = read.scan(segment, jpeg, at, sink)?;
        } else {
            read.segment(marker, segment, limits)?;
        }
    }
    read.end(sink)
}

/// The marker of a scan's header, behind which coded data stands.
pub(super) const SCAN: u8 = 0xDA;

/// The marker at or after `at` and what belongs to it; `at` moves behind both. `None` at the image's end.
pub(super) fn next_segment<'a>(jpeg: &'a [u8], at: &mut usize) -> Result<Option<(u8, &'a [u8])>, ImageError> {
    loop {
        let marker = next_marker(jpeg, at).ok_or_else(|| corrupt("the file ends before the image does"))?;
        match marker {
            0xD9 => return Ok(None),
            0x01 | 0xD0..=0xD8 => continue,
            _ => {}
        }
        let length = jpeg.get(*at..).and_then(|rest| rest.first_chunk()).map_or(0, |&two| u16::from_be_bytes(two));
        let end = *at + usize::from(length);
        let segment = jpeg.get(*at + 2..end).ok_or_else(|| corrupt("a segment is cut off"))?;
        *at = end;
        return Ok(Some((marker, segment)));
    }
}

/// The marker at or after `at`, which moves behind it. Coded data in between, with its stuffed zeros, is passed over.
fn next_marker(jpeg: &[u8], at: &mut usize) -> Option<u8> {
    let rest = jpeg.get(*at..)?;
    let found = rest.windows(2).position(|pair| pair[0] == 0xFF && pair[1] != 0x00 && pair[1] != 0xFF)?;
    *at += found + 2;
    Some(rest[found + 1])
}

/// The size that a frame header says.
pub(super) fn size(frame: &[u8]) -> Result<Size, ImageError> {
    let [_, high, low, wide_high, wide_low, ..] = frame else { return Err(corrupt("the frame header is cut off")) };
    let [height, width] = [[*high, *low], [*wide_high, *wide_low]].map(|two| u32::from(u16::from_be_bytes(two)));
    if width == 0 || height == 0 { Err(ImageError::Empty) } else { Ok(Size { width, height }) }
}

impl Read {
    fn segment(&mut self, marker: u8, segment: &[u8], limits: &Limits) -> Result<(), ImageError> {
        let whole = match marker {
            0xC0..=0xC2 => return self.header(marker == 0xC2, segment, limits),
            0xC4 => self.huffman(segment),
            0xDB => self.quantization(segment),
            0xDD => segment.first_chunk().map(|&two| self.restart_interval = usize::from(u16::from_be_bytes(two))),
            0xE0 => {
                self.jfif |= segment.starts_with(b"JFIF\0");
                Some(())
            }
            0xEE => {
                if let (true, Some(&transform)) = (segment.starts_with(b"Adobe"), segment.get(11)) {
                    self.adobe = Some(transform);
                }
                Some(())
            }
            0xC3 | 0xC5..=0xC7 | 0xC9..=0xCF => {
                let process = "JPEG that is lossless, hierarchical or coded arithmetically";
                return Err(ImageError::UnsupportedFormat(process.to_owned()));
            }
            _ => Some(()),
        };
        whole.ok_or_else(|| corrupt("a segment is broken"))
    }

    fn header(&mut self, progressive: bool, segment: &[u8], limits: &Limits) -> Result<(), ImageError> {
        let size = size(segment)?;
        let &[bits, _, _, _, _, count, ref rest @ ..] = segment else {
            return Err(corrupt("the frame header is cut off"));
        };
        limits.check_pixels(size.pixels())?;
        if bits != 8 || ![1, 3, 4].contains(&count) {
            return Err(ImageError::UnsupportedFormat(format!("JPEG with {count} components of {bits} bits")));
        }
        let headers = rest.as_chunks().0.get(..usize::from(count));
        let frame = headers.and_then(|headers| Frame::new(size, progressive, headers));
        let frame = frame.filter(|_| self.frame.is_none()).ok_or_else(|| corrupt("the frame header is broken"))?;
        let (across, down) = frame.finest;
        if frame.components.iter().any(|part| across % part.sampling.0 != 0 || down % part.sampling.1 != 0) {
            return Err(ImageError::UnsupportedFormat("JPEG with broken numbers of pixels to a sample".to_owned()));
        }
        self.frame = Some(frame);
        Ok(())
    }

    fn huffman(&mut self, mut segment: &[u8]) -> Option<()> {
        while let Some((&[kind, ref counts @ ..], rest)) = segment.split_first_chunk::<17>() {
            let (symbols, rest) = rest.split_at_checked(counts.iter().map(|&count| usize::from(count)).sum())?;
            let (tables, of) = if kind >> 4 == 0 { (&mut self.dc, Kind::Mean) } else { (&mut self.ac, Kind::Runs) };
            // A mean has no more bits than these.
            if of == Kind::Mean && symbols.iter().any(|&symbol| symbol > 15) {
                return None;
            }
            *tables.get_mut(usize::from(kind & 15))? = Some(Table::new(of, counts, symbols)?);
            segment = rest;
        }
        segment.is_empty().then_some(())
    }

    fn quantization(&mut self, mut segment: &[u8]) -> Option<()> {
        while let Some((&kind, rest)) = segment.split_first() {
            let wide = kind >> 4 != 0;
            let (numbers, rest) = rest.split_at_checked(if wide { 128 } else { 64 })?;
            let mut steps = [0; 64];
            for at in 0..64 {
                let step =
                    if wide { u16::from_be_bytes([numbers[2 * at], numbers[2 * at + 1]]) } else { numbers[at].into() };
                steps[place(at)] = step.cast_signed();
            }
            *self.steps.get_mut(usize::from(kind & 15))? = Some(steps);
            segment = rest;
        }
        Some(())
    }

    fn scan(&mut self, segment: &[u8], jpeg: &[u8], at: usize, sink: &mut dyn Sink) -> Result<usize, ImageError> {
        self.scans += 1;
        let colours = self.colours();
        let frame = self.frame.as_mut().ok_or_else(|| corrupt("a scan comes before the frame header"))?;
        if self.scans > MAX_SCANS || self.done {
            return Err(corrupt("the file has too many scans"));
        }
        if !frame.progressive && self.scans == 1 {
            standard_tables::fill_in(&mut self.dc, &mut self.ac);
        }
        let broken = || corrupt("a scan's header is broken");
        let (&count, rest) = segment.split_first().ok_or_else(broken)?;
        let (named, rest) = rest.split_at_checked(2 * usize::from(count)).ok_or_else(broken)?;
        let &[first, last, bits, ..] = rest else { return Err(broken()) };
        let mut components: Vec<(usize, Tables)> = Vec::new();
        for &[id, tables] in named.as_chunks().0 {
            let found = frame.components.iter().position(|component| component.id == id).ok_or_else(broken)?;
            if components.iter().any(|&(other, ..)| other == found) {
                return Err(broken());
            }
            let (dc, ac) = (self.dc.get(usize::from(tables >> 4)), self.ac.get(usize::from(tables & 15)));
            components.push((found, (dc.and_then(Option::as_ref), ac.and_then(Option::as_ref))));
            let component = &mut frame.components[found];
            if component.steps.is_none() {
                component.steps = *self.steps.get(component.quantization).unwrap_or(&None);
                component.steps.ok_or_else(|| corrupt("a quantization table is missing"))?;
            }
        }
        let part = if frame.progressive {
            let (first, last) = (usize::from(first), usize::from(last));
            Part { first, last, shift: u32::from(bits & 15), refines: bits >> 4 != 0 }
        } else {
            Part { first: 0, last: 63, shift: 0, refines: false }
        };
        let several = part.first > 0 && components.len() != 1;
        if components.is_empty() || several || part.last > 63 || part.first > part.last || part.shift > 13 {
            return Err(broken());
        }
        // In a progressive file, means stand apart from all else.
        if frame.progressive && part.first == 0 && part.last != 0 {
            return Err(broken());
        }
        let alone = !frame.progressive && components.len() == frame.components.len();
        for component in &mut frame.components {
            // Zeros from the allocator cost nothing before they are touched, as those of `resize` do.
            if alone || component.coefficients.is_empty() {
                let blocks = component.blocks.0 * if alone { component.sampling.1 } else { component.blocks.1 };
                component.coefficients = vec![0; blocks * 64];
                component.means = vec![0; blocks];
                component.known = vec![0; blocks];
            }
        }
        let scan = Scan { components, part, restart_interval: self.restart_interval };
        self.done = alone;
        let mut painter = alone.then(|| Painter::new(frame, colours, sink));
        scan.read(jpeg, at, frame, painter.as_mut())
    }

    fn end(self, sink: &mut dyn Sink) -> Result<(), ImageError> {
        let colours = self.colours();
        let mut frame = self.frame.ok_or_else(|| corrupt("there is no frame"))?;
        if frame.components.iter().any(|component| component.steps.is_none()) {
            return Err(corrupt("a component has no scan"));
        }
        if !self.done {
            let mut painter = Painter::new(&mut frame, colours, sink);
            for units in 0..frame.units.1 {
                painter.paint(&mut frame, units, units);
            }
        }
        Ok(())
    }

    /// As libjpeg guesses them (`jdapimin.c`, `default_decompress_parms`).
    fn colours(&self) -> Colours {
        let ids: Vec<u8> = self.frame.iter().flat_map(|frame| frame.components.iter().map(|part| part.id)).collect();
        match (ids.as_slice(), self.adobe) {
            ([_], _) => Colours::Grey,
            ([_, _, _], _) if self.jfif => Colours::Ycc,
            ([_, _, _], Some(0)) => Colours::Rgb,
            ([_, _, _], None) if ids == *b"RGB" => Colours::Rgb,
            ([_, _, _], _) => Colours::Ycc,
            (_, None | Some(0)) => Colours::Cmyk,
            _ => Colours::Ycck,
        }
    }
}
