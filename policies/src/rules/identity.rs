//! Rules on who a viewer is: what may be asked, who may vouch for it, and how accounts and tokens are limited.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// What a node can be asked to check about a viewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// Whether the viewer has an account here and can log in to it.
    Account,
    /// Whether the viewer is 18 years old or older.
    #[serde(rename = "age_over_18")]
    AgeOver18,
    /// What the viewer has subscribed to.
    SubscriberTier,
    /// The region that the viewer belongs to.
    Region,
}

impl Check {
    /// Every check.
    pub const ALL: [Self; 4] = [Self::Account, Self::AgeOver18, Self::SubscriberTier, Self::Region];

    /// The name in policy files, questions and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::AgeOver18 => "age_over_18",
            Self::SubscriberTier => "subscriber_tier",
            Self::Region => "region",
        }
    }
}

impl std::fmt::Display for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is not the name of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a check is one of account, age_over_18, subscriber_tier and region")]
pub struct UnknownCheck;

impl std::str::FromStr for Check {
    type Err = UnknownCheck;

    fn from_str(text: &str) -> Result<Self, UnknownCheck> {
        Self::ALL.into_iter().find(|check| check.as_str() == text).ok_or(UnknownCheck)
    }
}

/// How an account may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Registration {
    /// By nobody.
    Closed,
    /// With a one-time invite that the platform gives.
    Invite,
    /// With an anonymous token.
    Token,
    /// By anyone.
    Open,
}

impl Registration {
    /// Every way, from the strictest.
    pub const ALL: [Self; 4] = [Self::Closed, Self::Invite, Self::Token, Self::Open];

    /// The name in policy files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Invite => "invite",
            Self::Token => "token",
            Self::Open => "open",
        }
    }
}

/// How a region makes accounts, and what it issues to viewers for how long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IdentityRule {
    /// How an account may be made.
    pub registration: Registration,
    /// Logins begun, per credential identifier and hour.
    pub login_starts_per_hour: u32,
    /// How long a signed identity assertion is good for, in seconds.
    pub assertion_seconds: u32,
    /// How long an issued credential is good for, in days.
    pub credential_days: u32,
    /// Anonymous tokens that one subject may be issued, per window of tokens.
    pub tokens_per_window: u32,
    /// Length of a window of tokens in seconds.
    pub token_window_seconds: u32,
    /// How long a token key issues before the next one takes over, in days.
    pub token_key_days: u32,
    /// How long tokens of a key are redeemed after it issued its last, in days.
    pub token_key_overlap_days: u32,
}

/// Whose credentials a rule is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IssuerName {
    /// The node's own.
    Own,
    /// Those whose `iss` claim is exactly this https URL.
    Url(String),
}

/// Where the public keys of an issuer come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IssuerKeys {
    /// They are the node's own.
    Own,
    /// A JWK set (RFC 7517, section 5) that is one of the policy files. It is known to be a JSON object with an
    /// array `keys`, and not to hold a private key; whether its keys are usable is for the reader to see.
    File {
        /// The file's path in the policy folder.
        path: String,
        /// Its bytes.
        jwks: Vec<u8>,
    },
    /// The JWK set that is served at this https URL.
    Url(String),
}

/// Whether a credential must refer to a status list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StatusRule {
    /// A credential without a reference is refused.
    Required,
    /// A reference is followed where there is one.
    IfPresent,
}

impl StatusRule {
    /// Every rule.
    pub const ALL: [Self; 2] = [Self::Required, Self::IfPresent];

    /// The name in policy files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::IfPresent => "if-present",
        }
    }
}

/// Who may vouch for what about a viewer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerRule {
    /// Whose credentials these are.
    pub issuer: IssuerName,
    /// The keys that they are verified with.
    pub keys: IssuerKeys,
    /// The types (`vct`) that are accepted, at least one.
    pub types: BTreeSet<String>,
    /// What they may attest, at least one; never [`Check::Account`], which only the node knows of.
    pub checks: BTreeSet<Check>,
    /// Whether they must refer to a status list.
    pub status: StatusRule,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_as_they_are_written() {
        for check in Check::ALL {
            assert_eq!(check.as_str().parse(), Ok(check));
            assert_eq!(serde_json::to_value(check).unwrap(), check.as_str());
        }
        for bad in ["", "age-over-18", "age_over18", "Account"] {
            assert_eq!(bad.parse::<Check>(), Err(UnknownCheck), "{bad}");
        }
        for registration in Registration::ALL {
            assert_eq!(serde_json::to_value(registration).unwrap(), registration.as_str());
        }
        for status in StatusRule::ALL {
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
        }
    }
}
