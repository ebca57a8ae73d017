//! CBOR (RFC 8949) as C2PA uses it, decoded into borrowed values within bounds of depth, items and entries.

use minicbor::Decoder;
use minicbor::data::Type;

/// Values inside each other at most.
const DEPTH_MAX: usize = 16;
/// Values of a document at most.
const ITEMS_MAX: usize = 16 * 1024;
/// Entries of a map at most: each key is compared with those before it.
const ENTRIES_MAX: usize = 128;

/// A value. Floats, simple values and strings of indefinite length are not among those that C2PA's structures have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// A number, of either sign.
    Integer(i128),
    /// A byte string.
    Bytes(&'a [u8]),
    /// A text string.
    Text(&'a str),
    /// An array.
    Array(Vec<Value<'a>>),
    /// A map: each key once, integers and texts alone.
    Map(Vec<(Value<'a>, Value<'a>)>),
    /// A tagged value.
    Tagged(u64, Box<Value<'a>>),
    /// Yes or no.
    Bool(bool),
    /// `null`, which encoders write for what is absent.
    Null,
}

/// Bytes that are not CBOR, or not of the kind that is read here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the CBOR is malformed, or beyond what is read")]
pub(super) struct Malformed;

impl From<minicbor::decode::Error> for Malformed {
    fn from(_: minicbor::decode::Error) -> Self {
        Self
    }
}

/// Decodes one value that fills `bytes`.
pub(super) fn decode(bytes: &[u8]) -> Result<Value<'_>, Malformed> {
    let mut reader = Reader { decoder: Decoder::new(bytes), items: 0 };
    let value = reader.value(0)?;
    if reader.decoder.position() == bytes.len() { Ok(value) } else { Err(Malformed) }
}

struct Reader<'a> {
    decoder: Decoder<'a>,
    items: usize,
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Result<Value<'a>, Malformed> {
        self.items += 1;
        if depth > DEPTH_MAX || self.items > ITEMS_MAX {
            return Err(Malformed);
        }
        Ok(match self.decoder.datatype()? {
            Type::U8 | Type::U16 | Type::U32 | Type::U64 | Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::Int => {
                Value::Integer(i128::from(self.decoder.int()?))
            }
            Type::Bytes => Value::Bytes(self.decoder.bytes()?),
            Type::String => Value::Text(self.decoder.str()?),
            Type::Array | Type::ArrayIndef => self.array(depth)?,
            Type::Map | Type::MapIndef => self.map(depth)?,
            Type::Tag => {
                let tag = self.decoder.tag()?.as_u64();
                Value::Tagged(tag, Box::new(self.value(depth + 1)?))
            }
            Type::Bool => Value::Bool(self.decoder.bool()?),
            Type::Null => {
                self.decoder.null()?;
                Value::Null
            }
            _ => return Err(Malformed),
        })
    }

    /// Nothing is allocated by the length that is claimed.
    fn array(&mut self, depth: usize) -> Result<Value<'a>, Malformed> {
        let length = self.decoder.array()?;
        let mut elements = Vec::new();
        while self.more(length, elements.len())? {
            elements.push(self.value(depth + 1)?);
        }
        Ok(Value::Array(elements))
    }

    fn map(&mut self, depth: usize) -> Result<Value<'a>, Malformed> {
        let length = self.decoder.map()?;
        let mut entries: Vec<(Value<'a>, Value<'a>)> = Vec::new();
        while self.more(length, entries.len())? {
            let key = self.value(depth + 1)?;
            let fit = matches!(key, Value::Integer(_) | Value::Text(_));
            if !fit || entries.len() == ENTRIES_MAX || entries.iter().any(|(other, _)| *other == key) {
                return Err(Malformed);
            }
            entries.push((key, self.value(depth + 1)?));
        }
        Ok(Value::Map(entries))
    }

    /// Whether an element follows; the break of an indefinite length is taken.
    fn more(&mut self, length: Option<u64>, read: usize) -> Result<bool, Malformed> {
        if let Some(length) = length {
            return Ok((read as u64) < length);
        }
        let ends = self.decoder.datatype()? == Type::Break;
        if ends {
            self.decoder.set_position(self.decoder.position() + 1);
        }
        Ok(!ends)
    }
}

impl<'a> Value<'a> {
    /// What a map has under a text; what is `null` is absent.
    pub(super) fn field(&self, name: &str) -> Option<&Self> {
        self.entry(|key| matches!(key, Value::Text(text) if *text == name))
    }

    /// What a map has under a number.
    pub(super) fn label(&self, label: i128) -> Option<&Self> {
        self.entry(|key| *key == Value::Integer(label))
    }

    fn entry(&self, wanted: impl Fn(&Self) -> bool) -> Option<&Self> {
        let Value::Map(entries) = self else { return None };
        entries.iter().find(|(key, _)| wanted(key)).map(|(_, value)| value).filter(|value| **value != Value::Null)
    }

    pub(super) fn bytes(&self) -> Option<&'a [u8]> {
        if let Value::Bytes(bytes) = self { Some(bytes) } else { None }
    }

    pub(super) fn text(&self) -> Option<&'a str> {
        if let Value::Text(text) = self { Some(text) } else { None }
    }

    pub(super) fn unsigned(&self) -> Option<u64> {
        if let Value::Integer(number) = self { u64::try_from(*number).ok() } else { None }
    }

    pub(super) fn array(&self) -> Option<&[Self]> {
        if let Value::Array(elements) = self { Some(elements) } else { None }
    }
}
