//! Bodies of fuzz targets: each takes any bytes, must not panic, and asserts the round trips that there are.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::jwk::{JwkSet, PublicJwk, TrustedKeys};
use super::presentation::{Expected, Presentation};
use super::status::{self, StatusList};
use super::{STATUS_LIST_BYTES_MAX, disclosure, json, key_binding};
use crate::keys::VerifyingKey;

const EXPECTED: Expected<'_> = Expected { types: &["urn:siwa:test:1"], audience: "https://siwa.example", nonce: "n" };
const NOW_MS: u64 = 1_760_000_000_000;

fn keys() -> TrustedKeys {
    TrustedKeys::new("https://issuer.example", JwkSet::of(VerifyingKey::from_bytes([7; 32]).into()))
}

/// Body of the fuzz target for presentations: the bytes as text, as key binding, and, line by line, as claims and
/// disclosures that no signature guards.
///
/// # Panics
/// When a check of this module is wrong.
pub fn presentation(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        if let Ok(parsed) = Presentation::parse(text) {
            let again = format!("{}{}", parsed.bound(), parsed.key_binding().unwrap_or_default());
            assert_eq!(again, text, "the parts are the text");
            assert!(parsed.verify(&keys(), &EXPECTED, NOW_MS).is_err(), "nobody has this key");
        }
        let holder = PublicJwk::Ed25519(VerifyingKey::from_bytes([7; 32]));
        assert!(key_binding::verify(text, "", &holder, &EXPECTED, NOW_MS / 1000).is_err(), "nobody has this key");
    }
    let mut lines = data.split(|byte| *byte == b'\n');
    let Ok(mut claims) = json::parse_object(lines.next().unwrap_or_default()) else { return };
    let disclosures: Vec<String> = lines.map(|line| URL_SAFE_NO_PAD.encode(line)).collect();
    let disclosures: Vec<&str> = disclosures.iter().map(String::as_str).collect();
    if disclosure::disclose(&mut claims, &disclosures).is_ok() {
        let before = claims.clone();
        assert!(disclosure::disclose(&mut claims, &[]).is_ok() && claims == before, "no digest is left");
    }
}

/// Body of the fuzz target for status lists: the bytes as token, as list in base64url, and as compressed list.
///
/// # Panics
/// When a check of this module is wrong.
pub fn status_list(data: &[u8]) {
    let compressed = URL_SAFE_NO_PAD.encode(data);
    let text = std::str::from_utf8(data).unwrap_or_default();
    assert!(StatusList::verify(text, &keys(), "https://issuer.example/1", NOW_MS).is_err(), "nobody has this key");
    for lst in [text, &compressed] {
        if let Ok(bytes) = status::decode(8, lst) {
            assert!(bytes.len() <= STATUS_LIST_BYTES_MAX, "the output is bounded");
            let again = status::encode(&bytes).and_then(|lst| status::decode(8, &lst));
            assert_eq!(again, Ok(bytes), "a list survives its encoding");
        }
    }
}

/// Body of the fuzz target for JWK sets.
///
/// # Panics
/// When a check of this module is wrong.
pub fn jwk_set(data: &[u8]) {
    let Ok(set) = JwkSet::parse(data) else { return };
    for (_, key) in set.entries() {
        assert_eq!(PublicJwk::from_json(&key.to_json()), Ok(*key), "a key survives its text");
    }
}
