//! Unpacks a whole gzip member or zstd frame at once: the fast way for records that have one of their own.

use std::sync::Arc;

use libdeflater::Decompressor;
use zstd::zstd_safe;

use crate::sources::warc::starts::Form;

/// Bytes that a member may unpack to on this way; a longer one is read as a stream.
const MAX_UNPACKED: usize = 8 << 20;
/// Packed bytes to have at hand.
pub const MAX_PACKED: usize = 1 << 20;
/// Bytes of the shortest gzip member.
const SHORTEST: usize = 18;

/// Unpacks members, one after another, into the same memory.
pub struct Members {
    dictionary: Option<Arc<[u8]>>,
    gzip: Option<Decompressor>,
    zstd: Option<zstd::bulk::Decompressor<'static>>,
    unpacked: Vec<u8>,
}

impl Members {
    /// For a file with this dictionary.
    pub fn new(dictionary: Option<Arc<[u8]>>) -> Self {
        Self { dictionary, gzip: None, zstd: None, unpacked: vec![0; 64 << 10] }
    }

    /// What the member at the beginning of `packed` holds, and its length; `None` where this way can't tell.
    pub fn unpack(&mut self, form: Form, packed: &[u8]) -> Option<(&[u8], usize)> {
        loop {
            let unpacked = match form {
                Form::Plain => return None,
                Form::Gzip => self.gzip(packed),
                Form::Zstd => self.zstd(packed),
            };
            match unpacked {
                Unpacked::Whole { bytes, length } => return Some((&self.unpacked[..bytes], length)),
                Unpacked::Larger(bytes) if bytes <= MAX_UNPACKED => self.unpacked.resize(bytes, 0),
                _ => return None,
            }
        }
    }

    fn gzip(&mut self, packed: &[u8]) -> Unpacked {
        let bytes = match self.gzip.get_or_insert_with(Decompressor::new).gzip_decompress(packed, &mut self.unpacked) {
            // The end of an empty member is eight zeros, which stand at more than one place.
            Ok(0) => return Unpacked::Unknown,
            Ok(bytes) => bytes,
            Err(libdeflater::DecompressionError::InsufficientSpace) => {
                return Unpacked::Larger(self.unpacked.len() * 2);
            }
            Err(libdeflater::DecompressionError::BadData) => return Unpacked::Unknown,
        };
        // The library doesn't say where the member ends. It ends with the checksum and length of what it holds, which
        // stand nowhere else in it but by a chance of one in 2^64.
        let checksum = libdeflater::crc32(&self.unpacked[..bytes]);
        let end = [checksum.to_le_bytes(), (bytes as u32).to_le_bytes()].concat();
        let from = SHORTEST - end.len();
        let place = memchr::memmem::find(packed.get(from..).unwrap_or_default(), &end);
        place.map_or(Unpacked::Unknown, |place| Unpacked::Whole { bytes, length: from + place + end.len() })
    }

    fn zstd(&mut self, packed: &[u8]) -> Unpacked {
        let Ok(length) = zstd_safe::find_frame_compressed_size(packed) else { return Unpacked::Unknown };
        if self.zstd.is_none() {
            let dictionary = self.dictionary.as_deref().unwrap_or_default();
            self.zstd = zstd::bulk::Decompressor::with_dictionary(dictionary).ok();
        }
        let Some(zstd) = self.zstd.as_mut() else { return Unpacked::Unknown };
        let frame = &packed[..length];
        let claimed = zstd_safe::get_frame_content_size(frame).ok().flatten().unwrap_or_default();
        if claimed > self.unpacked.len() as u64 {
            return Unpacked::Larger(usize::try_from(claimed).unwrap_or(usize::MAX));
        }
        match zstd.decompress_to_buffer(frame, &mut self.unpacked[..]) {
            Ok(bytes) => Unpacked::Whole { bytes, length },
            Err(_) => Unpacked::Unknown,
        }
    }
}

enum Unpacked {
    Whole { bytes: usize, length: usize },
    Larger(usize),
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::memory::gzip;

    #[test]
    fn a_member_ends_where_its_checksum_does() {
        let (one, other) = (gzip(b"one"), gzip(&[b'x'; 1 << 20]));
        let mut members = Members::new(None);
        let both = [&one[..], &other, b"rest"].concat();
        assert_eq!(members.unpack(Form::Gzip, &both), Some((&b"one"[..], one.len())));
        assert_eq!(members.unpack(Form::Gzip, &both[one.len()..]), Some((&[b'x'; 1 << 20][..], other.len())));
        assert_eq!(members.unpack(Form::Gzip, &one[..one.len() - 1]), None);
        assert_eq!(members.unpack(Form::Gzip, &gzip(b"")), None);
    }

    #[test]
    fn what_unpacks_to_more_than_the_bound_is_left_to_the_other_way() {
        let packed = gzip(&vec![0; MAX_UNPACKED + 1]);
        assert_eq!(Members::new(None).unpack(Form::Gzip, &packed), None);
        let packed = zstd::bulk::compress(&vec![0; MAX_UNPACKED + 1], 1).unwrap();
        assert_eq!(Members::new(None).unpack(Form::Zstd, &packed), None);
    }

    #[test]
    fn a_frame_is_unpacked_alone() {
        let (one, other) = (zstd::bulk::compress(b"one", 1).unwrap(), zstd::bulk::compress(b"other", 1).unwrap());
        let mut members = Members::new(None);
        assert_eq!(members.unpack(Form::Zstd, &[&one[..], &other].concat()), Some((&b"one"[..], one.len())));
    }
}
