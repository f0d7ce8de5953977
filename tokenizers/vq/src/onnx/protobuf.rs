//! Writes messages in the encoding of Protocol Buffers: as much of it as an ONNX file takes.

/// A message being written, field by field; fields are named by the numbers of their schema.
#[derive(Debug, Default, Clone)]
pub(super) struct Message(Vec<u8>);

/// How a field's value is stored.
#[derive(Clone, Copy)]
enum Wire {
    Varint = 0,
    Length = 2,
    Fixed32 = 5,
}

impl Message {
    /// A whole number; negative ones take ten bytes.
    pub fn int(mut self, field: u32, value: i64) -> Self {
        self.tag(field, Wire::Varint);
        self.varint(value.cast_unsigned());
        self
    }

    pub fn float(mut self, field: u32, value: f32) -> Self {
        self.tag(field, Wire::Fixed32);
        self.0.extend(value.to_le_bytes());
        self
    }

    pub fn bytes(mut self, field: u32, value: &[u8]) -> Self {
        self.tag(field, Wire::Length);
        self.varint(value.len() as u64);
        self.0.extend(value);
        self
    }

    pub fn text(self, field: u32, value: &str) -> Self {
        self.bytes(field, value.as_bytes())
    }

    pub fn message(self, field: u32, value: &Message) -> Self {
        self.bytes(field, &value.0)
    }

    /// One field for each of the values, as repeated fields are written.
    pub fn each<T>(self, values: impl IntoIterator<Item = T>, write: impl Fn(Self, T) -> Self) -> Self {
        values.into_iter().fold(self, write)
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn tag(&mut self, field: u32, wire: Wire) {
        self.varint(u64::from(field << 3 | wire as u32));
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of the encoding's own description.
    #[test]
    fn fields_are_written_as_the_encoding_says() {
        assert_eq!(Message::default().int(1, 150).into_bytes(), [0x08, 0x96, 0x01]);
        assert_eq!(Message::default().text(2, "testing").into_bytes(), b"\x12\x07testing");
        let inner = Message::default().int(1, 150);
        assert_eq!(Message::default().message(3, &inner).into_bytes(), [0x1a, 0x03, 0x08, 0x96, 0x01]);
        let negative = Message::default().int(1, -2).into_bytes();
        assert_eq!(negative, [0x08, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
        assert_eq!(Message::default().float(20, 1.0).into_bytes(), [0xa5, 0x01, 0, 0, 0x80, 0x3f]);
    }
}
