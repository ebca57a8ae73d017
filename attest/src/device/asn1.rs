//! Fields of DER (X.690), one after the other. Whoever calls bounds the bytes first; nothing here recurses, so that depth
//! is what the caller's own code has.

use x509_cert::der::asn1::AnyRef;
use x509_cert::der::{Decode as _, Reader as _, SliceReader, Tag, TagNumber, Tagged as _};

/// The bytes are not DER, or not what is expected at this place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

impl From<x509_cert::der::Error> for Malformed {
    fn from(_: x509_cert::der::Error) -> Self {
        Self
    }
}

/// What is left to read of a constructed value.
pub(super) struct Fields<'a>(SliceReader<'a>);

impl<'a> Fields<'a> {
    /// The fields in these bytes.
    pub(super) fn new(content: &'a [u8]) -> Result<Self, Malformed> {
        Ok(Self(SliceReader::new(content)?))
    }

    /// The fields of the one value of this tag that the bytes are.
    pub(super) fn of(bytes: &'a [u8], tag: Tag) -> Result<Self, Malformed> {
        let mut outer = Self::new(bytes)?;
        let value = outer.take(tag)?;
        outer.end()?;
        Self::new(value)
    }

    /// The next field of any tag, if there is one.
    pub(super) fn next(&mut self) -> Result<Option<AnyRef<'a>>, Malformed> {
        if self.0.is_finished() { Ok(None) } else { Ok(Some(AnyRef::decode(&mut self.0)?)) }
    }

    /// The content of the next field, which has this tag.
    pub(super) fn take(&mut self, tag: Tag) -> Result<&'a [u8], Malformed> {
        let field = self.next()?.ok_or(Malformed)?;
        if field.tag() == tag { Ok(field.value()) } else { Err(Malformed) }
    }

    /// An OCTET STRING.
    pub(super) fn octets(&mut self) -> Result<&'a [u8], Malformed> {
        self.take(Tag::OctetString)
    }

    /// A SEQUENCE's fields.
    pub(super) fn sequence(&mut self) -> Result<Self, Malformed> {
        Self::new(self.take(Tag::Sequence)?)
    }

    /// A SET's elements.
    pub(super) fn set(&mut self) -> Result<Self, Malformed> {
        Self::new(self.take(Tag::Set)?)
    }

    /// An INTEGER from 0 to 2^64 - 1.
    pub(super) fn integer(&mut self) -> Result<u64, Malformed> {
        let field = self.next()?.ok_or(Malformed)?;
        Ok(field.decode_as::<u64>()?)
    }

    /// An ENUMERATED from 0 to 127.
    pub(super) fn enumerated(&mut self) -> Result<u8, Malformed> {
        match self.take(Tag::Enumerated)? {
            [value @ 0..=127] => Ok(*value),
            _ => Err(Malformed),
        }
    }

    /// A BOOLEAN, in DER's one form of each value.
    pub(super) fn boolean(&mut self) -> Result<bool, Malformed> {
        match self.take(Tag::Boolean)? {
            [0] => Ok(false),
            [0xff] => Ok(true),
            _ => Err(Malformed),
        }
    }

    /// Nothing follows.
    pub(super) fn end(&self) -> Result<(), Malformed> {
        if self.0.is_finished() { Ok(()) } else { Err(Malformed) }
    }
}

/// The number of a constructed context-specific tag, as EXPLICIT fields have.
pub(super) fn explicit_number(field: AnyRef<'_>) -> Option<u32> {
    match field.tag() {
        Tag::ContextSpecific { constructed: true, number: TagNumber(number) } => Some(number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields_are_read_in_their_one_form() {
        let bytes = hex!("3017 020105 0101ff 010100 0a0103 0402abcd 3000 3103020107");
        let mut fields = Fields::of(&bytes, Tag::Sequence).unwrap();
        assert_eq!(fields.integer(), Ok(5));
        assert_eq!((fields.boolean(), fields.boolean()), (Ok(true), Ok(false)));
        assert_eq!(fields.enumerated(), Ok(3));
        assert_eq!(fields.octets(), Ok([0xab, 0xcd].as_slice()));
        assert_eq!(fields.sequence().unwrap().end(), Ok(()));
        assert_eq!(fields.end(), Err(Malformed), "a set follows");
        assert_eq!(fields.set().unwrap().integer(), Ok(7));
        assert_eq!((fields.end(), fields.integer()), (Ok(()), Err(Malformed)));
    }

    #[test]
    fn other_forms_are_refused() {
        type Read = fn(&mut Fields<'_>) -> Result<(), Malformed>;
        let refused: [(&[u8], Read); 9] = [
            (&hex!("010101"), |fields| fields.boolean().map(drop)),
            (&hex!("0100"), |fields| fields.boolean().map(drop)),
            (&hex!("0201ff"), |fields| fields.integer().map(drop)),
            (&hex!("02020001"), |fields| fields.integer().map(drop)),
            (&hex!("0209010000000000000000"), |fields| fields.integer().map(drop)),
            (&hex!("0a0180"), |fields| fields.enumerated().map(drop)),
            (&hex!("0a020001"), |fields| fields.enumerated().map(drop)),
            (&hex!("048101ab"), |fields| fields.octets().map(drop)),
            (&hex!("2403040101"), |fields| fields.octets().map(drop)),
        ];
        for (bytes, read) in refused {
            assert_eq!(read(&mut Fields::new(bytes).unwrap()), Err(Malformed), "{bytes:02x?}");
        }
        assert!(Fields::of(&hex!("300000"), Tag::Sequence).is_err(), "bytes after the value");
    }

    #[test]
    fn long_tags_are_told() {
        let numbers = [(&hex!("a10101") as &[u8], Some(1)), (&hex!("bf853e0101"), Some(702)), (&hex!("810101"), None)];
        for (bytes, number) in numbers {
            let field = Fields::new(bytes).unwrap().next().unwrap().unwrap();
            assert_eq!((explicit_number(field), field.value()), (number, [1].as_slice()));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(mut fields) = Fields::new(&bytes) {
                while let Ok(Some(_)) = fields.next() {}
            }
        }
    }
}
