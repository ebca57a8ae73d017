//! Names of the things that policies speak of, each a type of its own.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A name is 1 to 63 of `a-z 0-9 -`, beginning and ending with a letter or digit (an RFC 1123 label),
/// so that it can stand in a URL, a file name and a metric label as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a {what} is 1 to 63 of a-z, 0-9 and '-', with a letter or digit at both ends")]
pub struct InvalidName {
    what: &'static str,
}

impl InvalidName {
    /// A text that is no name of `what`.
    pub(crate) const fn of(what: &'static str) -> Self {
        Self { what }
    }
}

/// Whether the text is a name as all names here are.
pub(crate) fn is_label(text: &str) -> bool {
    let bytes = text.as_bytes();
    let inner = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-';
    (1..=63).contains(&bytes.len()) && bytes.iter().all(inner) && bytes[0] != b'-' && bytes[bytes.len() - 1] != b'-'
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(std::sync::Arc<str>);

        impl $type {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                if is_label(text) { Ok(Self(text.into())) } else { Err(InvalidName { what: $what }) }
            }
        }

        impl TryFrom<String> for $type {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// A region: the place where raw signals stay.
    RegionId,
    "region name"
);
name!(
    /// A tenant: one streaming platform. Part of every key, limit, metric and ledger entry.
    TenantId,
    "tenant name"
);
name!(
    /// A node: one process that answers for one region.
    NodeId,
    "node name"
);
name!(
    /// A purpose of processing, as a purpose file declares it.
    PurposeId,
    "purpose name"
);
name!(
    /// A jurisdiction: fail-over never leaves it.
    Jurisdiction,
    "jurisdiction name"
);

/// A window's number: `floor(Unix time / window length)` at the earliest. It only ever rises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WindowId(pub u64);

impl fmt::Display for WindowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// What a release measures. All are one mechanism: a bounded integer vector, noised. Sparse ones are thresholded after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TaskKind {
    /// Centred reward and impressions of every item.
    ItemCounts,
    /// Gram matrix of signed session vectors over the most shown items.
    CoEngagement,
    /// Second moments of ranker features and reward.
    RankerMoments,
    /// Sessions, reward and perceptual KPIs of every experiment arm.
    ArmReward,
    /// Which item was liked next after which: pairs of items, released where enough sessions share them.
    Transitions,
    /// Sessions, reward and perceptual KPIs of all windows so far.
    RunningTotals,
}

impl TaskKind {
    /// Every kind, in the order in which a window charges and releases them.
    pub const ALL: [Self; 6] = [
        Self::ItemCounts,
        Self::CoEngagement,
        Self::RankerMoments,
        Self::ArmReward,
        Self::Transitions,
        Self::RunningTotals,
    ];

    /// The name in policy files, release ids and metric labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ItemCounts => "item-counts",
            Self::CoEngagement => "co-engagement",
            Self::RankerMoments => "ranker-moments",
            Self::ArmReward => "arm-reward",
            Self::Transitions => "transitions",
            Self::RunningTotals => "running-totals",
        }
    }
}

impl fmt::Display for TaskKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for TaskKind {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(InvalidName { what: "task kind" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_labels() {
        assert_eq!("eu-west".parse::<RegionId>().map(String::from), Ok("eu-west".to_owned()));
        for bad in ["", "-a", "a-", "A", "a_b", "a/b", "ä", &"a".repeat(64)] {
            assert_eq!(bad.parse::<TenantId>(), Err(InvalidName { what: "tenant name" }), "{bad}");
        }
        assert_eq!(
            serde_json::from_str::<NodeId>("\"a b\"").map_err(|e| e.to_string().contains("node name")),
            Err(true)
        );
    }

    #[test]
    fn task_kinds_read_as_they_are_written() {
        for kind in TaskKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }
}
