//! Disclosures (RFC 9901 §4.2) and how they take their place in the claims (§7.1, step 3).

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::error::SdJwtError;
use super::{DEPTH_MAX, NEVER_DISCLOSED, json, sha256};

/// The member that holds an object's digests.
pub(super) const DIGESTS: &str = "_sd";
/// The only member of an array's element that stands for a disclosure.
pub(super) const ELEMENT: &str = "...";
/// The member that names the digests' function.
pub(super) const ALGORITHM: &str = "_sd_alg";

/// What was hidden behind a digest.
pub(super) struct Disclosure {
    /// The claim's name; none for an array's element.
    pub(super) name: Option<String>,
    pub(super) value: Value,
}

impl Disclosure {
    /// Reads base64url of `[salt, name, value]` or `[salt, value]`.
    pub(super) fn parse(text: &str) -> Result<Self, SdJwtError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| SdJwtError::Disclosure)?;
        let Ok(Value::Array(mut parts)) = json::parse(&bytes) else { return Err(SdJwtError::Disclosure) };
        let value = parts.pop();
        let name = if parts.len() > 1 { parts.pop() } else { None };
        match (parts.as_slice(), name, value) {
            ([Value::String(_)], None, Some(value)) => Ok(Self { name: None, value }),
            ([Value::String(_)], Some(Value::String(name)), Some(value)) => Ok(Self { name: Some(name), value }),
            _ => Err(SdJwtError::Disclosure),
        }
    }
}

/// The digest that stands for a disclosure: base64url of SHA-256 over its text (RFC 9901 §4.2.3).
pub(super) fn digest(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(sha256(text.as_bytes()))
}

/// Puts every disclosure in its place and removes all digests.
///
/// # Errors
/// The checks of RFC 9901 §7.1 steps 3 to 5, a variant each.
pub(super) fn disclose(claims: &mut Map<String, Value>, texts: &[&str]) -> Result<(), SdJwtError> {
    // 1. The digests' function is the only one.
    match claims.remove(ALGORITHM) {
        None => {}
        Some(Value::String(name)) if name == "sha-256" => {}
        Some(_) => return Err(SdJwtError::HashAlgorithm),
    }
    // 2. Each disclosure stands once.
    let mut hidden = BTreeMap::new();
    for text in texts {
        if hidden.insert(digest(text), Some(Disclosure::parse(text)?)).is_some() {
            return Err(SdJwtError::DuplicateDisclosure);
        }
    }
    // 3. Each takes the place of its digest; digests within it count like those around it.
    let mut process = Process { hidden, seen: BTreeSet::new() };
    process.object(claims, 1)?;
    // 4. None is left over.
    if process.hidden.into_values().any(|left| left.is_some()) {
        return Err(SdJwtError::UnreferencedDisclosure);
    }
    Ok(())
}

struct Process {
    /// By digest; taken when the digest is met.
    hidden: BTreeMap<String, Option<Disclosure>>,
    /// Every digest that was met, decoys included.
    seen: BTreeSet<String>,
}

impl Process {
    fn take(&mut self, digest: Value) -> Result<Option<Disclosure>, SdJwtError> {
        let Value::String(digest) = digest else { return Err(SdJwtError::Digests) };
        let found = self.hidden.get_mut(&digest).and_then(Option::take);
        if self.seen.insert(digest) { Ok(found) } else { Err(SdJwtError::DuplicateDigest) }
    }

    fn value(&mut self, value: &mut Value, level: usize) -> Result<(), SdJwtError> {
        match value {
            Value::Object(object) => self.object(object, level),
            Value::Array(array) => self.array(array, level),
            _ => Ok(()),
        }
    }

    fn object(&mut self, object: &mut Map<String, Value>, level: usize) -> Result<(), SdJwtError> {
        if level > DEPTH_MAX {
            return Err(SdJwtError::TooDeep);
        }
        if object.contains_key(ELEMENT) {
            return Err(SdJwtError::ReservedName);
        }
        let digests = match object.remove(DIGESTS) {
            None => Vec::new(),
            Some(Value::Array(digests)) => digests,
            Some(_) => return Err(SdJwtError::Digests),
        };
        for value in object.values_mut() {
            self.value(value, level + 1)?;
        }
        for digest in digests {
            let Some(Disclosure { name, mut value }) = self.take(digest)? else { continue };
            let name = name.ok_or(SdJwtError::DisclosurePlace)?;
            if is_reserved(&name) || level == 1 && (name == ALGORITHM || NEVER_DISCLOSED.contains(&name.as_str())) {
                return Err(SdJwtError::ReservedName);
            }
            if object.contains_key(&name) {
                return Err(SdJwtError::ClaimExists);
            }
            self.value(&mut value, level + 1)?;
            object.insert(name, value);
        }
        Ok(())
    }

    fn array(&mut self, array: &mut Vec<Value>, level: usize) -> Result<(), SdJwtError> {
        if level > DEPTH_MAX {
            return Err(SdJwtError::TooDeep);
        }
        for mut element in std::mem::take(array) {
            if let Some(digest) = element_digest(&mut element)? {
                let Some(Disclosure { name, value }) = self.take(digest)? else { continue };
                if name.is_some() {
                    return Err(SdJwtError::DisclosurePlace);
                }
                element = value;
            }
            self.value(&mut element, level + 1)?;
            array.push(element);
        }
        Ok(())
    }
}

/// The digest that stands for this element, if one does: an object of the one member `...`.
fn element_digest(element: &mut Value) -> Result<Option<Value>, SdJwtError> {
    match element {
        Value::Object(object) if object.contains_key(ELEMENT) && object.len() > 1 => Err(SdJwtError::Digests),
        Value::Object(object) => Ok(object.remove(ELEMENT)),
        _ => Ok(None),
    }
}

/// Names that mean digests and are never a claim's.
pub(super) fn is_reserved(name: &str) -> bool {
    name == DIGESTS || name == ELEMENT
}
