//! Looks for the end of a tag before html5ever sees it.

/// How many attributes stand in what follows a tag's name, and the place behind its `>` if that is there. The states are
/// those of the tokenizer (WHATWG HTML, 13.2.5.32 to 13.2.5.40), so that both see the same tag.
pub fn attributes(inside: &[u8]) -> (u32, Option<usize>) {
    enum At {
        Between,
        Name,
        AfterName,
        BeforeValue,
        Value,
        Quoted(u8),
    }
    let (mut at, mut count) = (At::Between, 0);
    for (index, byte) in inside.iter().copied().enumerate() {
        let space = byte.is_ascii_whitespace();
        at = match at {
            At::Quoted(quote) if byte == quote => At::Between,
            At::Quoted(quote) => At::Quoted(quote),
            _ if byte == b'>' => return (count, Some(index + 1)),
            At::BeforeValue if space => At::BeforeValue,
            At::BeforeValue if byte == b'"' || byte == b'\'' => At::Quoted(byte),
            At::BeforeValue | At::Value if !space => At::Value,
            At::Name | At::AfterName if byte == b'=' => At::BeforeValue,
            At::Name | At::AfterName if space => At::AfterName,
            At::Name if byte != b'/' => At::Name,
            _ if space || byte == b'/' => At::Between,
            _ => {
                count += 1;
                At::Name
            }
        };
    }
    (count, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_counted_outside_of_quotes() {
        assert_eq!(attributes(b"alt='a b > c' src=x/y title>d"), (3, Some(28)));
        assert_eq!(attributes(b"a = b c/d =\"e\"f"), (4, None));
        assert_eq!(attributes(b"src='data:image/svg+xml,<svg a b c d"), (1, None));
    }
}
