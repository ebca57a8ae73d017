//! Rules on content: whom to believe about a clip's origin, and which lists it is held against.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Anchor;
use crate::TenantId;

/// What a node can be asked to check about content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ContentCheck {
    /// What a clip's C2PA manifest says, and who signed it.
    Provenance,
    /// Whether a clip stands in a private list.
    List,
    /// Whether a frame nearly equals one of a clear list.
    Similar,
    /// Whether the segments of a live stream are those of its source, in order.
    Live,
}

impl ContentCheck {
    /// Every check.
    pub const ALL: [Self; 4] = [Self::Provenance, Self::List, Self::Similar, Self::Live];

    /// The name in policy files, questions and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Provenance => "provenance",
            Self::List => "list",
            Self::Similar => "similar",
            Self::Live => "live",
        }
    }
}

impl std::fmt::Display for ContentCheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is not the name of a check on content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a check on content is one of provenance, list, similar and live")]
pub struct UnknownContentCheck;

impl std::str::FromStr for ContentCheck {
    type Err = UnknownContentCheck;

    fn from_str(text: &str) -> Result<Self, UnknownContentCheck> {
        Self::ALL.into_iter().find(|check| check.as_str() == text).ok_or(UnknownContentCheck)
    }
}

/// How content is checked: `content.toml`. Without the file nothing is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentRule {
    /// Whom to believe about origin.
    pub provenance: ProvenanceRule,
    /// Private lists, each name once a tenant.
    pub lists: Vec<ListRule>,
    /// Clear lists of pictures, each name once a tenant.
    pub pictures: Vec<PictureListRule>,
}

/// Whom to believe about a clip's origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenanceRule {
    /// Where the chains of signers must end for a manifest to be trusted, not only valid.
    pub anchors: Vec<Anchor>,
    /// Labels of assertions (C2PA §6.2) that the active manifest must hold.
    pub required_assertions: BTreeSet<String>,
    /// How long a signed answer holds, in seconds.
    pub answer_seconds: u32,
}

/// What a private list says of the clips in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ListMeaning {
    /// Must not be shown.
    Blocked,
    /// May be shown: rights are held.
    Licensed,
    /// Must be taken down: a notice was received.
    Takedown,
}

/// A private list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListRule {
    /// Its name.
    pub list: String,
    /// Whose it is.
    pub tenant: TenantId,
    /// What it says.
    pub meaning: ListMeaning,
}

/// A clear list of pictures, by their PDQ hashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PictureListRule {
    /// Its name.
    pub list: String,
    /// Whose it is.
    pub tenant: TenantId,
    /// What it says.
    pub meaning: ListMeaning,
    /// Bits of 256 that may differ at most, up to 31, as PDQ's authors advise.
    pub distance_max: u16,
}
