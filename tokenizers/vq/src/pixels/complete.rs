//! Tells whether a JPEG file reaches its end, which its decoder doesn't: it paints what is missing grey.

/// Whether the file has every segment up to its end-of-image marker. Bytes after that marker don't matter.
pub(super) fn reaches_end_of_image(jpeg: &[u8]) -> bool {
    let mut at = 2;
    while let Some(marker) = next_marker(jpeg, &mut at) {
        match marker {
            END_OF_IMAGE => return true,
            // A restart marker and a temporary marker stand alone.
            0x01 | 0xD0..=0xD8 => {}
            _ => {
                let Some(&[high, low]) = jpeg.get(at..at + 2) else { return false };
                at += usize::from(u16::from_be_bytes([high, low]));
            }
        }
    }
    false
}

const END_OF_IMAGE: u8 = 0xD9;

/// The marker at or after `at`, which moves behind it. Coded data in between, with its stuffed zeros, is passed over.
fn next_marker(jpeg: &[u8], at: &mut usize) -> Option<u8> {
    let rest = jpeg.get(*at..)?;
    let found = rest.windows(2).position(|pair| pair[0] == 0xFF && pair[1] != 0x00 && pair[1] != 0xFF)?;
    *at += found + 2;
    Some(rest[found + 1])
}

#[cfg(test)]
mod tests {
    use super::reaches_end_of_image;

    #[test]
    fn the_end_marker_of_an_embedded_thumbnail_is_not_the_end() {
        let thumbnail = b"\xFF\xD8\xFF\xE1\x00\x04\xFF\xD9\xFF\xDA\x00\x02\x12\x34";
        assert!(!reaches_end_of_image(thumbnail));
        assert!(reaches_end_of_image(&[&thumbnail[..], b"\xFF\xD9"].concat()));
    }

    #[test]
    fn stuffed_bytes_and_restarts_are_coded_data() {
        assert!(reaches_end_of_image(b"\xFF\xD8\xFF\xDA\x00\x02\x01\xFF\x00\xD9\xFF\xD0\x02\xFF\xD9trailing"));
        assert!(!reaches_end_of_image(b"\xFF\xD8\xFF\xDA\x00\x02\x01\xFF\x00\xD9\xFF\xD0\x02"));
    }
}
