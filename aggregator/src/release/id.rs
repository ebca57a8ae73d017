//! Names of releases and ledgers.

use std::fmt;
use std::str::FromStr;

use policies::{NodeId, RegionId, TaskKind, TenantId, WindowId};
use serde::{Deserialize, Serialize};

/// Names one release for ever: a charge, one noised value and one accepted release at most stand under it.
///
/// Text form: `tenant/task/region/node/window`, unique because no part holds a slash.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReleaseId {
    /// Whose viewers were measured.
    pub tenant: TenantId,
    /// What was measured.
    pub task: TaskKind,
    /// Where.
    pub region: RegionId,
    /// By which node.
    pub node: NodeId,
    /// When.
    pub window: WindowId,
}

/// The text is not `tenant/task/region/node/window`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a release id is tenant/task/region/node/window")]
pub struct InvalidReleaseId;

impl fmt::Display for ReleaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{}/{}", self.tenant, self.task, self.region, self.node, self.window)
    }
}

impl FromStr for ReleaseId {
    type Err = InvalidReleaseId;

    fn from_str(text: &str) -> Result<Self, InvalidReleaseId> {
        let mut parts = text.split('/');
        let mut next = || parts.next().ok_or(InvalidReleaseId);
        let id = Self {
            tenant: next()?.parse().map_err(|_| InvalidReleaseId)?,
            task: next()?.parse().map_err(|_| InvalidReleaseId)?,
            region: next()?.parse().map_err(|_| InvalidReleaseId)?,
            node: next()?.parse().map_err(|_| InvalidReleaseId)?,
            window: WindowId(next()?.parse().map_err(|_| InvalidReleaseId)?),
        };
        // One text for one id: `+7` and `007` also parse as numbers, and a sixth part is left over.
        if id.to_string() == text { Ok(id) } else { Err(InvalidReleaseId) }
    }
}

/// Names one ledger for ever: 16 random bytes, drawn when it is initialised. The centre pins it for each node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LedgerId(pub [u8; 16]);

/// The text is not 32 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a ledger id is 32 lower-case hexadecimal digits")]
pub struct InvalidLedgerId;

impl FromStr for LedgerId {
    type Err = InvalidLedgerId;

    fn from_str(text: &str) -> Result<Self, InvalidLedgerId> {
        let number = u128::from_str_radix(text, 16).map_err(|_| InvalidLedgerId)?;
        let id = Self(number.to_be_bytes());
        if id.to_string() == text { Ok(id) } else { Err(InvalidLedgerId) }
    }
}

impl TryFrom<String> for LedgerId {
    type Error = InvalidLedgerId;

    fn try_from(text: String) -> Result<Self, InvalidLedgerId> {
        text.parse()
    }
}

impl From<LedgerId> for String {
    fn from(id: LedgerId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for LedgerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_written_and_nothing_else() {
        let text = "demo/item-counts/eu-west/node-1/7";
        let id: ReleaseId = text.parse().unwrap();
        assert_eq!((id.to_string().as_str(), id.window, id.task), (text, WindowId(7), TaskKind::ItemCounts));
        for bad in [
            "",
            "demo/item-counts/eu-west/node-1",
            "demo/item-counts/eu-west/node-1/+7",
            "demo/item-counts/eu-west/node-1/07",
            "demo/item-counts/eu-west/node-1/7/",
            "demo/other/eu-west/node-1/7",
            "De/item-counts/eu-west/node-1/7",
        ] {
            assert_eq!(bad.parse::<ReleaseId>(), Err(InvalidReleaseId), "{bad}");
        }
    }
}
