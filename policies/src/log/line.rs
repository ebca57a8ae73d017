//! What the line formats have in common: decimals and base64 in one form each.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::Digest;

/// An ASCII decimal without sign and leading zeroes.
pub(super) fn decimal(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let canonical = digits && (text == "0" || !text.starts_with('0'));
    canonical.then(|| text.parse().ok()).flatten()
}

/// A digest as base64 with padding (RFC 4648 §4).
pub(super) fn digest(text: &str) -> Option<Digest> {
    let bytes: [u8; 32] = decoded(text)?.try_into().ok()?;
    Some(Digest::from_bytes(bytes))
}

/// Base64 with padding and without stray bits, so that bytes have one text.
pub(super) fn decoded(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// The same written.
pub(super) fn encoded(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}
