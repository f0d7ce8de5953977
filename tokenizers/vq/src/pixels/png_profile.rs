//! Cuts colour profiles out of PNG files: nothing here applies them, but decoders expand them whole.

use std::borrow::Cow;

/// What every PNG begins with.
const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// A chunk's length and name before its content, and a checksum behind it.
const AROUND_A_CHUNK: usize = 12;

/// The file without its profiles; as it is if it has none, or is no PNG.
pub(super) fn without_profiles(bytes: &[u8]) -> Cow<'_, [u8]> {
    if !bytes.starts_with(SIGNATURE) {
        return Cow::Borrowed(bytes);
    }
    let (mut kept, mut from, mut at) = (Vec::new(), 0, SIGNATURE.len());
    // Behind the pixels' first chunk no profile is read.
    while let Some((length, name)) = chunk(bytes, at).filter(|(_, name)| name != b"IDAT") {
        if &name == b"iCCP" {
            kept.extend_from_slice(&bytes[from..at]);
            from = at + length;
        }
        at += length;
    }
    if from == 0 {
        return Cow::Borrowed(bytes);
    }
    kept.extend_from_slice(&bytes[from..]);
    Cow::Owned(kept)
}

/// The bytes that the chunk takes which begins there, and its name; `None` where it isn't whole.
fn chunk(bytes: &[u8], at: usize) -> Option<(usize, [u8; 4])> {
    let rest = bytes.get(at..)?;
    let length = u32::from_be_bytes(*rest.first_chunk()?) as usize;
    let name = *rest.get(4..)?.first_chunk()?;
    let whole = length.checked_add(AROUND_A_CHUNK)?;
    (whole <= rest.len()).then_some((whole, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
        [&(content.len() as u32).to_be_bytes(), name.as_slice(), content, &[0; 4]].concat()
    }

    #[test]
    fn profiles_before_the_pixels_are_cut_out_and_all_else_is_left() {
        let [head, profile, pixels] = [chunk(b"IHDR", b"head"), chunk(b"iCCP", b"abc"), chunk(b"IDAT", b"zlib")];
        let file = |chunks: &[&[u8]]| [SIGNATURE, &chunks.concat()].concat();
        let with = file(&[&head, &profile, &profile, &pixels, &profile]);
        assert_eq!(*without_profiles(&with), *file(&[&head, &pixels, &profile]));
        for same in [file(&[&head, &pixels]), file(&[&head, &profile[..9]]), profile.clone(), Vec::new()] {
            assert_eq!(*without_profiles(&same), *same);
        }
    }
}
