//! Deterministic CBOR (RFC 8949 §4.2.1), as far as releases need it: unsigned and negative integers up to 64 bits,
//! byte and text strings, arrays of stated length, and the two booleans.
//!
//! The reader borrows from its input, never allocates by a stated length, and refuses every byte sequence that the
//! writer would not have written.

/// Bytes are not what the writer writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CborError {
    /// The input ends within an item.
    #[error("the input ends too early")]
    Truncated,
    /// Bytes follow the last item.
    #[error("bytes follow the end")]
    Trailing,
    /// A number or length is not in its shortest form.
    #[error("a number is not in its shortest form")]
    NotShortest,
    /// Another item was expected here.
    #[error("an item is not of the expected kind")]
    Unexpected,
    /// A number, length or text is outside of what is allowed here.
    #[error("an item is outside of its bounds")]
    OutOfBounds,
}

const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const FALSE: u8 = 0xf4;
const TRUE: u8 = 0xf5;

/// Appends items to a buffer.
#[derive(Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    #[expect(clippy::cast_possible_truncation, reason = "each branch has checked the range")]
    fn head(&mut self, major: u8, value: u64) {
        let major = major << 5;
        match value {
            0..=23 => self.0.push(major | value as u8),
            24..=0xff => self.0.extend([major | 24, value as u8]),
            0x100..=0xffff => {
                self.0.push(major | 25);
                self.0.extend((value as u16).to_be_bytes());
            }
            0x1_0000..=0xffff_ffff => {
                self.0.push(major | 26);
                self.0.extend((value as u32).to_be_bytes());
            }
            _ => {
                self.0.push(major | 27);
                self.0.extend(value.to_be_bytes());
            }
        }
    }

    pub(crate) fn unsigned(&mut self, value: u64) {
        self.head(UNSIGNED, value);
    }

    pub(crate) fn integer(&mut self, value: i64) {
        // −1 − n is stored as n: the complement of a negative number.
        if value < 0 { self.head(NEGATIVE, !value.cast_unsigned()) } else { self.head(UNSIGNED, value.cast_unsigned()) }
    }

    pub(crate) fn boolean(&mut self, value: bool) {
        self.0.push(if value { TRUE } else { FALSE });
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.head(BYTES, bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.head(TEXT, text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }

    pub(crate) fn array(&mut self, items: usize) {
        self.head(ARRAY, items as u64);
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Reads items off the front of a slice.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], CborError> {
        let (front, rest) = self.0.split_at_checked(count).ok_or(CborError::Truncated)?;
        self.0 = rest;
        Ok(front)
    }

    /// Major type and argument of the next item's head (RFC 8949 §3).
    fn head(&mut self) -> Result<(u8, u64), CborError> {
        let first = self.take(1)?[0];
        let extra = match first & 31 {
            short @ 0..=23 => return Ok((first >> 5, u64::from(short))),
            24 => 1,
            25 => 2,
            26 => 4,
            27 => 8,
            _ => return Err(CborError::Unexpected),
        };
        let value = self.take(extra)?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
        let shorter_max = match extra {
            1 => 23,
            2 => 0xff,
            4 => 0xffff,
            _ => 0xffff_ffff,
        };
        if value > shorter_max { Ok((first >> 5, value)) } else { Err(CborError::NotShortest) }
    }

    fn argument(&mut self, major: u8) -> Result<u64, CborError> {
        match self.head()? {
            (found, value) if found == major => Ok(value),
            _ => Err(CborError::Unexpected),
        }
    }

    pub(crate) fn unsigned(&mut self) -> Result<u64, CborError> {
        self.argument(UNSIGNED)
    }

    pub(crate) fn integer(&mut self) -> Result<i64, CborError> {
        let (major, value) = self.head()?;
        let value = i64::try_from(value).map_err(|_| CborError::OutOfBounds)?;
        match major {
            UNSIGNED => Ok(value),
            NEGATIVE => Ok(!value),
            _ => Err(CborError::Unexpected),
        }
    }

    pub(crate) fn boolean(&mut self) -> Result<bool, CborError> {
        match self.take(1)?[0] {
            FALSE => Ok(false),
            TRUE => Ok(true),
            _ => Err(CborError::Unexpected),
        }
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], CborError> {
        let length = self.argument(BYTES)?;
        self.take(usize::try_from(length).map_err(|_| CborError::Truncated)?)
    }

    pub(crate) fn fixed<const N: usize>(&mut self) -> Result<[u8; N], CborError> {
        self.bytes()?.try_into().map_err(|_| CborError::OutOfBounds)
    }

    pub(crate) fn text(&mut self, bytes_max: usize) -> Result<&'a str, CborError> {
        let length = self.argument(TEXT)?;
        let length = usize::try_from(length).ok().filter(|length| *length <= bytes_max);
        std::str::from_utf8(self.take(length.ok_or(CborError::OutOfBounds)?)?).map_err(|_| CborError::OutOfBounds)
    }

    /// An array's length, at most `items_max` and at most what the rest of the input could hold.
    pub(crate) fn array(&mut self, items_max: usize) -> Result<usize, CborError> {
        let items = usize::try_from(self.argument(ARRAY)?).map_err(|_| CborError::OutOfBounds)?;
        if items > items_max {
            return Err(CborError::OutOfBounds);
        }
        if items <= self.0.len() { Ok(items) } else { Err(CborError::Truncated) }
    }

    /// An array of exactly `items`.
    pub(crate) fn tuple(&mut self, items: usize) -> Result<(), CborError> {
        if self.argument(ARRAY)? == items as u64 { Ok(()) } else { Err(CborError::OutOfBounds) }
    }

    /// An array of integers, each checked, none copied.
    pub(crate) fn integers(&mut self, items_max: usize) -> Result<Integers<'a>, CborError> {
        let count = self.array(items_max)?;
        let start = self.0;
        for _ in 0..count {
            self.integer()?;
        }
        Ok(Integers { bytes: &start[..start.len() - self.0.len()], count })
    }

    pub(crate) fn finish(self) -> Result<(), CborError> {
        if self.0.is_empty() { Ok(()) } else { Err(CborError::Trailing) }
    }
}

/// A checked array of integers within the bytes that it was read from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Integers<'a> {
    bytes: &'a [u8],
    count: usize,
}

impl Integers<'_> {
    /// How many.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// All of them.
    #[must_use]
    pub fn to_vec(&self) -> Vec<i64> {
        let mut reader = Reader::new(self.bytes);
        let next = |_| reader.integer().expect("every integer was read once when the array was checked");
        (0..self.count).map(next).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 8949 appendix A.
    #[test]
    fn known_answers() {
        let written = |value| {
            let mut writer = Writer::default();
            writer.integer(value);
            writer.finish()
        };
        assert_eq!(written(0), [0]);
        assert_eq!(written(23), [0x17]);
        assert_eq!(written(24), [0x18, 0x18]);
        assert_eq!(written(1000), [0x19, 3, 0xe8]);
        assert_eq!(written(1_000_000), [0x1a, 0, 0x0f, 0x42, 0x40]);
        assert_eq!(written(1_000_000_000_000), [0x1b, 0, 0, 0, 0xe8, 0xd4, 0xa5, 0x10, 0]);
        assert_eq!(written(-1), [0x20]);
        assert_eq!(written(-100), [0x38, 0x63]);
        assert_eq!(written(-1000), [0x39, 3, 0xe7]);
    }

    #[test]
    fn refuses_what_is_not_canonical() {
        let integer = |bytes: &[u8]| Reader::new(bytes).integer();
        assert_eq!(integer(&[0x18, 0x17]), Err(CborError::NotShortest));
        assert_eq!(integer(&[0x19, 0, 0xff]), Err(CborError::NotShortest));
        assert_eq!(integer(&[0x1a, 0, 0, 0xff, 0xff]), Err(CborError::NotShortest));
        assert_eq!(integer(&[0x1b, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]), Err(CborError::NotShortest));
        assert_eq!(integer(&[0x1b, 0x80, 0, 0, 0, 0, 0, 0, 0]), Err(CborError::OutOfBounds));
        assert_eq!(integer(&[0x1c]), Err(CborError::Unexpected));
        assert_eq!(integer(&[0x19, 1]), Err(CborError::Truncated));
        assert_eq!(integer(&[]), Err(CborError::Truncated));
        assert_eq!(Reader::new(&[0x9f, 0xff]).array(9), Err(CborError::Unexpected));
        assert_eq!(Reader::new(&[0x82, 0]).array(9), Err(CborError::Truncated));
        assert_eq!(Reader::new(&[0x82, 0, 0]).array(1), Err(CborError::OutOfBounds));
        assert_eq!(Reader::new(&[0x62, b'a', 0xff]).text(9), Err(CborError::OutOfBounds));
        assert_eq!(Reader::new(&[0xf6]).boolean(), Err(CborError::Unexpected));
        assert_eq!(Reader::new(&[0]).finish(), Err(CborError::Trailing));
    }

    proptest! {
        #[test]
        fn integers_read_as_written(values: Vec<i64>) {
            let mut writer = Writer::default();
            writer.array(values.len());
            values.iter().for_each(|value| writer.integer(*value));
            let bytes = writer.finish();
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.integers(values.len()).map(|integers| integers.to_vec()), Ok(values));
            prop_assert_eq!(reader.finish(), Ok(()));
        }

        /// Whatever is accepted is what the writer writes.
        #[test]
        fn one_form_for_one_value(bytes in proptest::collection::vec(any::<u8>(), 0..10)) {
            let mut reader = Reader::new(&bytes);
            if let Ok(value) = reader.integer() {
                let mut writer = Writer::default();
                writer.integer(value);
                prop_assert_eq!(writer.finish(), &bytes[..bytes.len() - reader.0.len()]);
            }
        }
    }
}
