//! Big-endian fields of the wire forms: a reader that never looks past its end, and the length prefix of a batch.

/// The bytes end within a field, go on after the last one, or a length is not in its shortest form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// What is left to read. Callers check the whole length against their limit first.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (field, rest) = self.0.split_at_checked(count).ok_or(Malformed)?;
        self.0 = rest;
        Ok(field)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (field, rest) = self.0.split_first_chunk().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*field)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Malformed> {
        self.array().map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    /// Two bytes of length, and as many bytes.
    pub(super) fn vector_u16(&mut self) -> Result<&'a [u8], Malformed> {
        let count = self.u16()?;
        self.take(usize::from(count))
    }

    /// A variable-length integer (RFC 9000 §16) of 1, 2 or 4 bytes, in its shortest form only, so that a message
    /// has one encoding. Eight bytes would be a length above every limit here.
    pub(super) fn varint(&mut self) -> Result<u32, Malformed> {
        let first = self.u8()?;
        let (mut value, more, least) = match first >> 6 {
            0 => (u32::from(first), 0, 0),
            1 => (u32::from(first & 0x3f), 1, 1 << 6),
            2 => (u32::from(first & 0x3f), 3, 1 << 14),
            _ => return Err(Malformed),
        };
        for byte in self.take(more)? {
            value = value << 8 | u32::from(*byte);
        }
        if value < least { Err(Malformed) } else { Ok(value) }
    }

    /// That nothing is left.
    pub(super) const fn end(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

/// Appends `value` as a variable-length integer. Values are lengths of bounded messages, far below 2^30.
pub(super) fn put_varint(bytes: &mut Vec<u8>, value: usize) {
    let value = u32::try_from(value).expect("a bounded message is shorter than 2^30 bytes");
    let wide = value.to_be_bytes();
    match value {
        0..0x40 => bytes.push(wide[3]),
        0x40..0x4000 => bytes.extend_from_slice(&[0x40 | wide[2], wide[3]]),
        _ => bytes.extend_from_slice(&[0x80 | wide[0], wide[1], wide[2], wide[3]]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The examples of RFC 9000 appendix A.1 that have at most four bytes.
    #[test]
    fn varints_are_those_of_quic() {
        for (bytes, value) in [(&[0x25][..], 37), (&[0x7b, 0xbd], 15_293), (&[0x9d, 0x7f, 0x3e, 0x7d], 494_878_333)] {
            assert_eq!(Reader::new(bytes).varint(), Ok(value));
            let mut written = Vec::new();
            put_varint(&mut written, usize::try_from(value).unwrap());
            assert_eq!(written, bytes);
        }
    }

    #[test]
    fn longer_forms_and_eight_bytes_are_refused() {
        for bytes in
            [&[0x40, 0x25][..], &[0x80, 0, 0x3f, 0xff], &[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c], &[0x7b], &[]]
        {
            assert_eq!(Reader::new(bytes).varint(), Err(Malformed), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn varints_round_trip(value in 0..1_usize << 30) {
            let mut written = Vec::new();
            put_varint(&mut written, value);
            let mut reader = Reader::new(&written);
            prop_assert_eq!(reader.varint(), Ok(u32::try_from(value).unwrap()));
            prop_assert_eq!(reader.end(), Ok(()));
        }
    }
}
