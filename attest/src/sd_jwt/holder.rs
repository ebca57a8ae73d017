//! The holder's side: taking a credential from its issuer and showing a part of it.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::disclosure::{DIGESTS, Disclosure, ELEMENT, digest};
use super::error::SdJwtError;
use super::jwk::{PublicJwk, TrustedKeys};
use super::presentation::{Presentation, holder_key};
use super::{PRESENTATION_BYTES_MAX, key_binding};
use crate::keys::SigningKey;

/// Verifies a credential that came from its issuer and gives all its claims, without the registered ones (RFC 9901
/// §7.2). A holder who presents what was never verified tells an unknown party who they are.
///
/// # Errors
/// The first check of [`SdJwtError`] that fails; [`SdJwtError::Form`] where a key binding stands already.
pub fn receive(
    credential: &str,
    keys: &TrustedKeys,
    types: &[&str],
    holder: &PublicJwk,
    now_ms: u64,
) -> Result<Map<String, Value>, SdJwtError> {
    let credential = Presentation::parse(credential)?;
    if credential.key_binding().is_some() {
        return Err(SdJwtError::Form);
    }
    let opened = credential.open(keys, types, now_ms / 1000)?;
    if opened.holder == *holder { Ok(opened.claims) } else { Err(SdJwtError::OtherHolder) }
}

/// Shows the claims named in `disclose` and those that are always visible, to `audience` for `nonce`, at `now_s`
/// (Unix seconds).
///
/// A name stands for a claim of any object; the claims around it are disclosed as far as its place needs them.
/// Elements of arrays that are hidden one by one stay hidden.
///
/// # Errors
/// What the form of `credential` shows; [`SdJwtError::OtherHolder`], [`SdJwtError::NoSuchClaim`],
/// [`SdJwtError::AmbiguousClaim`]; [`SdJwtError::TooLong`] where no verifier would read the result.
pub fn present(
    credential: &str,
    disclose: &[&str],
    holder: &SigningKey,
    audience: &str,
    nonce: &str,
    now_s: u64,
) -> Result<String, SdJwtError> {
    // 1. A credential of this holder.
    let parsed = Presentation::parse(credential)?;
    if parsed.key_binding().is_some() {
        return Err(SdJwtError::Form);
    }
    if holder_key(parsed.unverified_payload())? != PublicJwk::Ed25519(holder.verifying_key()) {
        return Err(SdJwtError::OtherHolder);
    }
    // 2. What is shown, in the issuer's order.
    let shown = select(&parsed, disclose)?;
    let (token, _) = parsed.bound().split_once('~').ok_or(SdJwtError::Form)?;
    let mut text = format!("{token}~");
    for (disclosure, _) in parsed.disclosures().iter().zip(shown).filter(|(_, shown)| *shown) {
        text.push_str(disclosure);
        text.push('~');
    }
    // 3. The holder's signature over exactly this text.
    let key_binding = key_binding::sign(&text, holder, audience, nonce, now_s)?;
    text.push_str(&key_binding);
    if text.len() <= PRESENTATION_BYTES_MAX { Ok(text) } else { Err(SdJwtError::TooLong) }
}

/// For each disclosure of the credential, whether it is shown.
fn select(parsed: &Presentation<'_>, names: &[&str]) -> Result<Vec<bool>, SdJwtError> {
    let disclosures: Vec<Disclosure> =
        parsed.disclosures().iter().map(|text| Disclosure::parse(text)).collect::<Result<_, _>>()?;
    let mut shown = vec![false; disclosures.len()];
    for name in names {
        let mut named = disclosures.iter().enumerate().filter(|(_, found)| found.name.as_deref() == Some(name));
        let (at, _) = named.next().ok_or(SdJwtError::NoSuchClaim)?;
        if named.next().is_some() {
            return Err(SdJwtError::AmbiguousClaim);
        }
        shown[at] = true;
    }
    // A disclosure whose digest stands within another needs that one. Each round shows one more or is the last.
    let digests: Vec<String> = parsed.disclosures().iter().map(|text| digest(text)).collect();
    let within: Vec<BTreeSet<&str>> = disclosures.iter().map(|outer| digests_within(&outer.value)).collect();
    let needed = |shown: &[bool], outer: usize| {
        !shown[outer]
            && digests.iter().zip(shown).any(|(inner, shown)| *shown && within[outer].contains(inner.as_str()))
    };
    while let Some(outer) = (0..shown.len()).find(|outer| needed(&shown, *outer)) {
        shown[outer] = true;
    }
    Ok(shown)
}

/// The digests that stand in `value`, whose depth its parser has bounded.
fn digests_within(value: &Value) -> BTreeSet<&str> {
    match value {
        Value::Array(elements) => elements.iter().flat_map(digests_within).collect(),
        Value::Object(members) => {
            let own = members.get(DIGESTS).and_then(Value::as_array).into_iter().flatten();
            let own = own.chain(members.get(ELEMENT)).filter_map(Value::as_str);
            own.chain(members.values().flat_map(digests_within)).collect()
        }
        _ => BTreeSet::new(),
    }
}
