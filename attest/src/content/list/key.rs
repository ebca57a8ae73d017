//! The secret half of an epoch, and what a node does with it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand_core::CryptoRng;
use ring::hmac;
use serde::{Deserialize, Serialize};
use voprf::{Group as _, VoprfServer};
use zeroize::{Zeroize as _, Zeroizing};

use super::bucket::Tag;
use super::{BATCH_ELEMENTS_MAX, ELEMENT_BYTES, Identifier, PROOF_BYTES, Suite, TAG_BYTES};
use crate::randomness::Rng06;

/// `info` of DeriveKeyPair (RFC 9497 §3.2.1).
const KEY_INFO: &[u8] = b"siwa list v1";
/// Separates what fills buckets from what the function gives.
const PADDING_LABEL: &[u8] = b"siwa list padding v1";
/// A scalar of ristretto255, `Ns` of RFC 9497 §4.1.
const SCALAR_BYTES: usize = 32;

/// The bytes are not a secret key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are not a list's key")]
pub struct InvalidListKey;

/// The bytes are no element of ristretto255 in its one encoding, or the identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an element of the group")]
pub struct InvalidElement;

/// The key of one epoch of one list. No `Debug`, no `Clone`; erased when dropped.
pub struct ListKey {
    server: VoprfServer<Suite>,
    padding: hmac::Key,
}

impl ListKey {
    /// A new key from 32 bytes of the generator.
    ///
    /// # Panics
    /// Never: 256 hashes in a row are not all the scalar zero.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut seed = Zeroizing::new([0; SCALAR_BYTES]);
        rng.fill_bytes(seed.as_mut());
        let server = VoprfServer::new_from_seed(seed.as_ref(), KEY_INFO);
        Self::of_server(server.expect("256 hashes in a row are not all the scalar zero"))
    }

    /// Reads what [`Self::to_secret_bytes`] wrote.
    ///
    /// # Errors
    /// Anything but 32 bytes of a scalar in its one encoding that is not zero.
    pub fn from_secret_bytes(bytes: &[u8]) -> Result<Self, InvalidListKey> {
        if bytes.len() != SCALAR_BYTES {
            return Err(InvalidListKey);
        }
        VoprfServer::new_with_key(bytes).map(Self::of_server).map_err(|_| InvalidListKey)
    }

    /// The scalar, for a sealed file.
    #[must_use]
    pub fn to_secret_bytes(&self) -> Zeroizing<[u8; SCALAR_BYTES]> {
        let mut both = self.server.serialize();
        let mut scalar = Zeroizing::new([0; SCALAR_BYTES]);
        scalar.copy_from_slice(&both[..SCALAR_BYTES]);
        both.as_mut_slice().zeroize();
        scalar
    }

    /// The public half, the commitment that a manifest holds.
    #[must_use]
    pub fn public(&self) -> ListPublicKey {
        ListPublicKey(voprf::Ristretto255::serialize_elem(self.server.get_public_key()).into())
    }

    /// A member's tag: the beginning of Evaluate (RFC 9497 §3.3.2). Some 27 µs.
    ///
    /// # Panics
    /// Never: an identifier is far shorter than 65,535 bytes, and nobody finds one that hashes to the identity.
    #[must_use]
    pub fn tag(&self, identifier: &Identifier) -> Tag {
        let output = self.server.evaluate(identifier.as_bytes());
        Tag::of_output(&output.expect("a short input that does not hash to the identity"))
    }

    /// The `number`th tag that may fill `bucket`: looks like any other, and is the same each time, so that a build that
    /// was interrupted ends in the same bytes.
    #[must_use]
    pub fn padding(&self, bucket: u32, number: u32) -> Tag {
        let message = [bucket.to_be_bytes(), number.to_be_bytes()].concat();
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(&hmac::sign(&self.padding, &message).as_ref()[..TAG_BYTES]);
        Tag::from_bytes(tag)
    }

    /// BlindEvaluate (RFC 9497 §3.3.2): the elements in order, and one proof for all. Nothing where there are none, or more
    /// than [`BATCH_ELEMENTS_MAX`].
    #[must_use]
    pub fn evaluate(&self, blinded: &[BlindedElement], rng: &mut impl CryptoRng) -> Option<Evaluation> {
        if !(1..=BATCH_ELEMENTS_MAX).contains(&blinded.len()) {
            return None;
        }
        // The library takes a slice of its own elements: ours wrap them one to one.
        let blinded: Vec<_> = blinded.iter().map(|element| element.0.clone()).collect();
        let evaluated = self.server.batch_blind_evaluate(&mut Rng06(rng), &blinded).ok()?;
        Some(Evaluation {
            elements: evaluated.messages.iter().map(|element| element.serialize().into()).collect(),
            proof: evaluated.proof.serialize().into(),
        })
    }

    fn of_server(server: VoprfServer<Suite>) -> Self {
        let mut both = server.serialize();
        // Only as the key of another HMAC: nothing of the scalar shows in what it fills.
        let derived = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &both[..SCALAR_BYTES]), PADDING_LABEL);
        both.as_mut_slice().zeroize();
        Self { server, padding: hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()) }
    }
}

/// The public half of an epoch's key: an element of the group.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ListPublicKey([u8; ELEMENT_BYTES]);

impl ListPublicKey {
    /// Reads a key.
    ///
    /// # Errors
    /// [`InvalidElement`].
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidElement> {
        let array = bytes.try_into().map_err(|_| InvalidElement)?;
        element(bytes).map(|_| Self(array))
    }

    /// The encoding.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; ELEMENT_BYTES] {
        &self.0
    }

    pub(super) fn element(&self) -> <voprf::Ristretto255 as voprf::Group>::Elem {
        element(&self.0).expect("was read as an element before")
    }
}

fn element(bytes: &[u8]) -> Result<<voprf::Ristretto255 as voprf::Group>::Elem, InvalidElement> {
    voprf::Ristretto255::deserialize_elem(bytes).map_err(|_| InvalidElement)
}

impl TryFrom<String> for ListPublicKey {
    type Error = InvalidElement;

    fn try_from(text: String) -> Result<Self, InvalidElement> {
        Self::parse(&URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidElement)?)
    }
}

impl From<ListPublicKey> for String {
    fn from(key: ListPublicKey) -> Self {
        key.to_string()
    }
}

impl fmt::Display for ListPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for ListPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A blinded identifier, as it reaches the node: an element that says nothing of it.
pub struct BlindedElement(voprf::BlindedElement<Suite>);

impl BlindedElement {
    /// Reads an element.
    ///
    /// # Errors
    /// [`InvalidElement`]: another length, a second encoding of an element, no element, or the identity.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidElement> {
        if bytes.len() != ELEMENT_BYTES {
            return Err(InvalidElement);
        }
        voprf::BlindedElement::deserialize(bytes).map(Self).map_err(|_| InvalidElement)
    }
}

/// A node's answer: the evaluated elements in order, and one proof that the manifest's key made them all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation {
    /// The elements.
    pub elements: Vec<[u8; ELEMENT_BYTES]>,
    /// The proof: two scalars (RFC 9497 §2.2).
    pub proof: [u8; PROOF_BYTES],
}
