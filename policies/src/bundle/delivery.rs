//! A bundle on its way from a centre to a node, and as stores keep it: one JSON object.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Bytes of a delivery at most.
pub const DELIVERY_BYTES_MAX: usize = 16 << 20;
/// Notes of a delivery at most: the bundle's own and the latest before it.
pub const NOTES_MAX: usize = 64;

/// The bytes are no delivery, or too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no delivery of a policy bundle")]
pub struct MalformedDelivery;

/// A bundle with the notes that lead to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    /// Signed notes, the oldest first; the last is the bundle's own.
    pub notes: Vec<String>,
    /// The policy files by their path: text, as all of them are.
    pub files: BTreeMap<String, String>,
    /// That the transparency log holds the bundle: a C2SP tlog-proof, with the entry as its extra data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<String>,
}

impl Delivery {
    /// Its bytes.
    ///
    /// # Panics
    /// Never: every field has a JSON form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts have a JSON form")
    }

    /// Reads one. Nothing in it is believed yet.
    ///
    /// # Errors
    /// See [`MalformedDelivery`].
    pub fn decode(bytes: &[u8]) -> Result<Self, MalformedDelivery> {
        if bytes.len() > DELIVERY_BYTES_MAX {
            return Err(MalformedDelivery);
        }
        let read: Self = serde_json::from_slice(bytes).map_err(|_| MalformedDelivery)?;
        let bounded = (1..=NOTES_MAX).contains(&read.notes.len()) && read.files.len() <= crate::PolicySet::FILES_MAX;
        if bounded { Ok(read) } else { Err(MalformedDelivery) }
    }
}
