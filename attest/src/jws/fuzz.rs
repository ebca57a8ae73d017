//! Body of the fuzz target of tokens.

use serde_json::Value;

use super::{Typ, UnverifiedJws, sign, verify};
use crate::keys::SigningKey;

/// Body of the fuzz target `jws_token`: any text as a token of each type, and any JSON as what a token says.
///
/// # Panics
/// When a token of one type reads as another's, or what was signed does not come back.
pub fn token(data: &[u8]) {
    let key = fixed_key();
    if let Ok(text) = std::str::from_utf8(data) {
        let read = Typ::ALL.into_iter().filter(|typ| UnverifiedJws::parse(text, *typ).is_ok()).count();
        assert!(read <= 1, "a token has one type");
        for typ in Typ::ALL {
            drop(verify::<Value>(text, typ, &key.verifying_key()));
        }
    }
    // Floats need not come back bit by bit, and a token has a limit: what is neither does.
    if let Ok(claims) = serde_json::from_slice::<Value>(data)
        && !has_float(&claims)
        && let Ok(signed) = sign(Typ::Node, &claims, &key)
    {
        assert_eq!(verify::<Value>(&signed, Typ::Node, &key.verifying_key()), Ok(claims));
    }
}

/// The depth is bounded by the parser's.
fn has_float(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(elements) => elements.iter().any(has_float),
        Value::Object(members) => members.values().any(has_float),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

/// A key that anyone can compute: PKCS#8 version 1 (RFC 5958) around a seed of 32 sevens. For fuzzing and tests alone.
///
/// # Panics
/// Never: the bytes are a key's.
#[must_use]
pub fn fixed_key() -> SigningKey {
    let head = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    SigningKey::from_pkcs8_der(&[head.as_slice(), &[7; 32]].concat()).expect("any 32 bytes are a seed")
}
