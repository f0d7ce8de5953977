//! Reads numbers and boxes (ISO/IEC 14496-12) within the bytes that there are.

use super::super::decode::ImageError;

pub(super) type Kind = [u8; 4];

/// What is left to read of some bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a>(pub &'a [u8]);

pub(super) fn broken(what: &str) -> ImageError {
    ImageError::Corrupt(format!("AVIF: {what}"))
}

pub(super) fn unsupported<T>(what: &str) -> Result<T, ImageError> {
    Err(ImageError::UnsupportedFormat(format!("AVIF with {what}")))
}

impl<'a> Reader<'a> {
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], ImageError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or_else(|| broken("a box ends before its content"))?;
        self.0 = rest;
        Ok(taken)
    }

    /// A number of so many bytes, at most 8, the highest first.
    pub fn number(&mut self, bytes: usize) -> Result<u64, ImageError> {
        Ok(self.take(bytes)?.iter().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    pub fn byte(&mut self) -> Result<u8, ImageError> {
        Ok(self.number(1)? as u8)
    }

    pub fn short(&mut self) -> Result<u16, ImageError> {
        Ok(self.number(2)? as u16)
    }

    pub fn long(&mut self) -> Result<u32, ImageError> {
        Ok(self.number(4)? as u32)
    }

    pub fn kind(&mut self) -> Result<Kind, ImageError> {
        self.take(4)?.try_into().map_err(|_| broken("a box without a name"))
    }

    /// The version and the flags that many boxes begin with.
    pub fn version(&mut self) -> Result<(u8, u32), ImageError> {
        Ok((self.byte()?, self.number(3)? as u32))
    }

    /// The next box and its content; `None` behind the last.
    pub fn next_box(&mut self) -> Result<Option<(Kind, Self)>, ImageError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let (size, kind) = (self.long()?, self.kind()?);
        let content = match size {
            0 => self.0.len(),
            1 => before(self.number(8)?, 16)?,
            size => before(u64::from(size), 8)?,
        };
        Ok(Some((kind, Reader(self.take(content)?))))
    }

    /// The first box of a kind.
    pub fn find(mut self, wanted: &Kind) -> Result<Option<Self>, ImageError> {
        while let Some((kind, content)) = self.next_box()? {
            if &kind == wanted {
                return Ok(Some(content));
            }
        }
        Ok(None)
    }
}

fn before(size: u64, head: u64) -> Result<usize, ImageError> {
    let content = size.checked_sub(head).and_then(|content| usize::try_from(content).ok());
    content.ok_or_else(|| broken("a box is smaller than its head"))
}
