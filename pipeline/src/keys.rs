//! Keys of pages and images: hashes of what tells them apart.

use pageloom_schemas::Key;

/// The key of a page: who holds it, and where in there.
pub fn document_key(source: u32, locator: &str) -> Key {
    hash_key(&[b"document", &source.to_le_bytes(), locator.as_bytes()])
}

/// The key of an image: its URL.
pub fn image_key(url: &str) -> Key {
    hash_key(&[b"image", url.as_bytes()])
}

fn hash_key(parts: &[&[u8]]) -> Key {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let mut key = [0; Key::BYTES];
    key.copy_from_slice(&hasher.finalize().as_bytes()[..Key::BYTES]);
    Key(key)
}
