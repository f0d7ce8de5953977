//! Checks a whole object's bytes against the checksum its server states, over however many connections they came.

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crc_fast::{CrcAlgorithm, Digest};

/// The bytes so far, and what they must come to.
pub struct Checksum {
    digest: Digest,
    width: usize,
    stated: Vec<u8>,
}

impl Checksum {
    /// The checksum that a response states for the whole object; none for an object of parts that has one per part.
    pub fn stated(response: &GetObjectOutput) -> Option<Self> {
        let candidates = [
            (response.checksum_crc64_nvme(), CrcAlgorithm::Crc64Nvme, 8),
            (response.checksum_crc32_c(), CrcAlgorithm::Crc32Iscsi, 4),
            (response.checksum_crc32(), CrcAlgorithm::Crc32IsoHdlc, 4),
        ];
        candidates.into_iter().find_map(|(text, algorithm, width)| {
            let stated = STANDARD.decode(text?).ok().filter(|bytes| bytes.len() == width)?;
            Some(Self { digest: Digest::new(algorithm), width, stated })
        })
    }

    /// Takes in the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
    }

    /// Whether all bytes are those that were stored.
    pub fn holds(&self) -> bool {
        self.digest.finalize().to_be_bytes()[8 - self.width..] == self.stated
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_bytes_that_were_stored_hold() {
        // The check value of CRC-32/ISO-HDLC over "123456789" is cbf43926.
        let response = GetObjectOutput::builder().checksum_crc32("y/Q5Jg==").build();
        let mut checksum = Checksum::stated(&response).unwrap();
        checksum.update(b"1234");
        assert!(!checksum.holds());
        checksum.update(b"56789");
        assert!(checksum.holds());
    }

    #[test]
    fn a_checksum_of_parts_states_nothing_about_the_whole() {
        let response = GetObjectOutput::builder().checksum_crc32("y/Q5Jg==-3").build();
        assert!(Checksum::stated(&response).is_none());
    }
}
