//! A bounded reader of CBOR (RFC 8949) into a tree that borrows from its input.
//!
//! It reads what attestation documents are made of: integers, strings of a definite length, arrays and maps of both
//! kinds of length, tags, booleans and null. Floats, other simple values and strings in pieces are refused, and so are
//! maps that hold a key twice or a key that is neither an integer nor a text.

use std::collections::BTreeMap;

use minicbor::Decoder;
use minicbor::data::Type;

/// Bytes of one document at most, unless the caller has a tighter limit.
pub(crate) const BYTES_MAX: usize = 64 * 1024;
/// Arrays, maps and tags within each other at most.
pub(crate) const DEPTH_MAX: usize = 12;
/// Values in one document at most, keys of maps included.
pub(crate) const VALUES_MAX: usize = 2048;

/// Why bytes were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CborError {
    /// More bytes than the limit.
    #[error("the CBOR has too many bytes")]
    TooLong,
    /// More values, or values within values, than the limit.
    #[error("the CBOR holds too many values, or too many within each other")]
    TooMany,
    /// Not well-formed, or a form that no attestation needs.
    #[error("the CBOR is malformed, or of a form that is not used here")]
    Malformed,
    /// A key stands twice in a map (RFC 8949 §5.6).
    #[error("the CBOR holds a map with a key twice")]
    Duplicate,
    /// Bytes after the value.
    #[error("bytes follow the CBOR")]
    Trailing,
}

/// A key of a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key<'a> {
    /// An integer, as COSE and CTAP use them.
    Integer(i128),
    /// A text.
    Text(&'a str),
}

impl From<i128> for Key<'_> {
    fn from(integer: i128) -> Self {
        Self::Integer(integer)
    }
}

impl<'a> From<&'a str> for Key<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

/// A map without duplicate keys.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Map<'a>(BTreeMap<Key<'a>, Value<'a>>);

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// Major types 0 and 1.
    Integer(i128),
    /// Major type 2.
    Bytes(&'a [u8]),
    /// Major type 3.
    Text(&'a str),
    /// Major type 4.
    Array(Vec<Self>),
    /// Major type 5.
    Map(Map<'a>),
    /// Major type 6: the tag's number and what it is put on.
    Tag(u64, Box<Self>),
    /// False and true.
    Bool(bool),
    /// Null.
    Null,
}

impl<'a> Map<'a> {
    /// The value under a key.
    pub(crate) fn at<'k>(&self, key: impl Into<Key<'k>>) -> Option<&Value<'a>>
    where
        'a: 'k,
    {
        // A shorter life suffices to compare; the map's own keys live longer.
        let key = key.into();
        self.0.iter().find_map(|(own, value)| (*own == key).then_some(value))
    }

    /// How many keys there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Keys and values, in the order of the keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Key<'a>, &Value<'a>)> {
        self.0.iter()
    }
}

impl<'a> Value<'a> {
    /// As an integer.
    pub(crate) const fn integer(&self) -> Option<i128> {
        if let Self::Integer(integer) = self { Some(*integer) } else { None }
    }

    /// As a byte string.
    pub(crate) const fn bytes(&self) -> Option<&'a [u8]> {
        if let Self::Bytes(bytes) = self { Some(bytes) } else { None }
    }

    /// As a text.
    pub(crate) const fn text(&self) -> Option<&'a str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// As an array.
    pub(crate) fn array(&self) -> Option<&[Self]> {
        if let Self::Array(values) = self { Some(values) } else { None }
    }

    /// As a map.
    pub(crate) const fn map(&self) -> Option<&Map<'a>> {
        if let Self::Map(map) = self { Some(map) } else { None }
    }
}

/// Reads exactly one value of at most [`BYTES_MAX`] bytes.
///
/// # Errors
/// The first rule that the bytes break.
pub(crate) fn read(bytes: &[u8]) -> Result<Value<'_>, CborError> {
    let (value, rest) = read_prefix(bytes)?;
    if rest.is_empty() { Ok(value) } else { Err(CborError::Trailing) }
}

/// Reads one value, and returns it with the bytes that follow it.
///
/// # Errors
/// The first rule that the bytes break.
pub(crate) fn read_prefix(bytes: &[u8]) -> Result<(Value<'_>, &[u8]), CborError> {
    if bytes.len() > BYTES_MAX {
        return Err(CborError::TooLong);
    }
    let mut reader = Reader { decoder: Decoder::new(bytes), values: 0 };
    let value = reader.value(0)?;
    let rest = bytes.get(reader.decoder.position()..).unwrap_or_default();
    Ok((value, rest))
}

struct Reader<'a> {
    decoder: Decoder<'a>,
    values: usize,
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Result<Value<'a>, CborError> {
        self.values += 1;
        if depth > DEPTH_MAX || self.values > VALUES_MAX {
            return Err(CborError::TooMany);
        }
        let decoder = &mut self.decoder;
        let value = match decoder.datatype().map_err(malformed)? {
            kind if is_integer(kind) => Value::Integer(decoder.int().map_err(malformed)?.into()),
            Type::Bytes => Value::Bytes(decoder.bytes().map_err(malformed)?),
            Type::String => Value::Text(decoder.str().map_err(malformed)?),
            Type::Bool => Value::Bool(decoder.bool().map_err(malformed)?),
            Type::Null => decoder.null().map(|()| Value::Null).map_err(malformed)?,
            Type::Tag => {
                let tag = decoder.tag().map_err(malformed)?.as_u64();
                Value::Tag(tag, Box::new(self.value(depth + 1)?))
            }
            Type::Array | Type::ArrayIndef => self.array(depth)?,
            Type::Map | Type::MapIndef => self.map(depth)?,
            _ => return Err(CborError::Malformed),
        };
        Ok(value)
    }

    fn array(&mut self, depth: usize) -> Result<Value<'a>, CborError> {
        let length = self.decoder.array().map_err(malformed)?;
        let mut values = Vec::new();
        // What the length promises is not reserved: each value counts when it comes.
        while self.more(length, values.len())? {
            values.push(self.value(depth + 1)?);
        }
        Ok(Value::Array(values))
    }

    fn map(&mut self, depth: usize) -> Result<Value<'a>, CborError> {
        let length = self.decoder.map().map_err(malformed)?;
        let mut entries = BTreeMap::new();
        while self.more(length, entries.len())? {
            let key = match self.value(depth + 1)? {
                Value::Integer(integer) => Key::Integer(integer),
                Value::Text(text) => Key::Text(text),
                _ => return Err(CborError::Malformed),
            };
            let value = self.value(depth + 1)?;
            if entries.insert(key, value).is_some() {
                return Err(CborError::Duplicate);
            }
        }
        Ok(Value::Map(Map(entries)))
    }

    /// Whether an array or map of this length goes on after `read` entries; reads the end of one without a length.
    fn more(&mut self, length: Option<u64>, read: usize) -> Result<bool, CborError> {
        if let Some(length) = length {
            return Ok(u64::try_from(read).map_err(|_| CborError::TooMany)? < length);
        }
        if self.decoder.datatype().map_err(malformed)? != Type::Break {
            return Ok(true);
        }
        self.decoder.skip().map_err(malformed)?;
        Ok(false)
    }
}

const fn is_integer(kind: Type) -> bool {
    matches!(
        kind,
        Type::U8 | Type::U16 | Type::U32 | Type::U64 | Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::Int
    )
}

/// The decoder's own words may quote its input.
fn malformed(_: minicbor::decode::Error) -> CborError {
    CborError::Malformed
}

#[cfg(test)]
mod tests;
