//! Key epochs: which keys a region uses for what, from when until when, as a public log that nobody can rewrite
//! unseen.
//!
//! Each epoch is a signed statement ([`Epoch`], a JWS of type `siwa-key-epoch+jwt`) that names its predecessor by
//! digest. Whoever holds two copies of the log can tell whether one is a prefix of the other: a key set made for one
//! viewer alone, which would undo the unlinkability of anonymous tokens (RFC 9576 §6.1), would show as a fork.
//!
//! Token keys are each for one tenant's viewers: a blind issuer cannot see whose challenge it answers, and another
//! tenant's viewers may be entitled by other checks.
//!
//! A key issues from `begins_s` until `issues_until_s`, when the next one takes over, and what it issued is accepted
//! until `accepted_until_s`; then its secret half is erased.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use policies::{Digest, TenantId};
use serde::{Deserialize, Serialize};

use crate::jws::{self, JwsError, Typ};
use crate::keys::{SigningKey, VerifyingKey};
use crate::privacy_pass::TokenType;

pub mod fuzz;

/// Epochs of one log. At four kinds of key and one epoch of each a week that is 78 years.
pub const EPOCHS_MAX: usize = 16_384;
/// A successor is published this long before it takes over, or a quarter of the period if that is less.
const LEAD_SECONDS_MAX: u64 = 86_400;

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyKind {
    /// Anonymous tokens of type 0x0001, VOPRF (P-384, SHA-384).
    TokenVoprf,
    /// Anonymous tokens of type 0x0002, blind RSA (2048 bit).
    TokenBlindRsa,
    /// Oblivious HTTP.
    Oblivious,
    /// Credentials that this region issues.
    Credential,
}

impl KeyKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::TokenVoprf, Self::TokenBlindRsa, Self::Oblivious, Self::Credential];

    /// The name in logs, file names and command lines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TokenVoprf => "token-voprf",
            Self::TokenBlindRsa => "token-blind-rsa",
            Self::Oblivious => "oblivious",
            Self::Credential => "credential",
        }
    }
}

impl KeyKind {
    /// The keys that make tokens of a type.
    #[must_use]
    pub const fn of_token(token_type: TokenType) -> Self {
        match token_type {
            TokenType::VoprfP384 => Self::TokenVoprf,
            TokenType::BlindRsa2048 => Self::TokenBlindRsa,
        }
    }

    /// Whether each tenant has keys of this kind of its own.
    #[must_use]
    pub const fn is_of_tenants(self) -> bool {
        matches!(self, Self::TokenVoprf | Self::TokenBlindRsa)
    }
}

/// What a key is for, and whose: one key of each use issues at a time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyUse {
    /// What it is for.
    pub kind: KeyKind,
    /// Whose viewers it is for, if it is of a kind that tenants have of their own.
    pub tenant: Option<TenantId>,
}

impl KeyUse {
    /// Every use in a service of these tenants.
    #[must_use]
    pub fn all(tenants: &[TenantId]) -> Vec<Self> {
        let of_kind = |kind: KeyKind| -> Vec<Self> {
            if kind.is_of_tenants() {
                tenants.iter().map(|tenant| Self { kind, tenant: Some(tenant.clone()) }).collect()
            } else {
                vec![Self { kind, tenant: None }]
            }
        };
        KeyKind::ALL.into_iter().flat_map(of_kind).collect()
    }
}

/// How long keys of one kind issue, and how long after that what they issued is accepted. In seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// From one key to the next.
    pub issues_s: u64,
    /// From the end of issuing to the end of acceptance.
    pub overlap_s: u64,
}

/// When a key is used. Unix seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// It issues from here on.
    pub begins_s: u64,
    /// Its successor issues from here on.
    pub issues_until_s: u64,
    /// What it issued is refused from here on.
    pub accepted_until_s: u64,
}

/// One key's statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Epoch {
    /// The region's identity service.
    pub iss: String,
    /// What the key is for.
    pub kind: KeyKind,
    /// Whose viewers' tokens it makes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantId>,
    /// The statement's place in the log, from 0.
    pub number: u32,
    /// The public half in the form that its protocol publishes, base64url.
    pub public: String,
    /// It issues from here on. Unix seconds.
    pub begins_s: u64,
    /// Its successor issues from here on. Unix seconds.
    pub issues_until_s: u64,
    /// What it issued is refused from here on. Unix seconds.
    pub accepted_until_s: u64,
    /// SHA-256 of the preceding statement's text; of nothing for the first.
    pub previous: Digest,
}

impl Epoch {
    /// The public half's bytes; nothing where the text is not base64url, which a verified log excludes.
    #[must_use]
    pub fn public_bytes(&self) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(&self.public).unwrap_or_default()
    }

    /// Whether what the key issued is accepted at `now_s`.
    #[must_use]
    pub const fn accepts(&self, now_s: u64) -> bool {
        now_s < self.accepted_until_s
    }

    /// Whether this is a key of this use.
    #[must_use]
    pub fn serves(&self, of: &KeyUse) -> bool {
        self.kind == of.kind && self.tenant == of.tenant
    }

    /// What the key is for, and whose.
    #[must_use]
    pub fn key_use(&self) -> KeyUse {
        KeyUse { kind: self.kind, tenant: self.tenant.clone() }
    }

    const fn is_sound(&self) -> bool {
        self.kind.is_of_tenants() == self.tenant.is_some() && self.is_ordered()
    }

    const fn is_ordered(&self) -> bool {
        self.begins_s < self.issues_until_s && self.issues_until_s <= self.accepted_until_s
    }
}

/// Why a log was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EpochLogError {
    /// A statement's token.
    #[error("statement {number} was refused")]
    Jws {
        /// Its place.
        number: usize,
        /// Why.
        source: JwsError,
    },
    /// A statement is out of its place, names another predecessor or another issuer, or its times are in no order.
    #[error("statement {number} does not follow from those before it")]
    Chain {
        /// Its place.
        number: usize,
    },
    /// More statements than [`EPOCHS_MAX`].
    #[error("the log has more statements than may be")]
    TooLong,
}

/// All statements of a region, verified from the first to the last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EpochLog {
    texts: Vec<String>,
    epochs: Vec<Epoch>,
}

impl EpochLog {
    /// Verifies the statements of the service named `issuer`, one a line, by its log key.
    ///
    /// # Errors
    /// The first statement that is not signed by `key` or does not follow from those before it.
    pub fn verify(lines: &str, issuer: &str, key: &VerifyingKey) -> Result<Self, EpochLogError> {
        let mut log = Self::default();
        for (number, text) in lines.lines().enumerate() {
            let epoch: Epoch =
                jws::verify(text, Typ::KeyEpoch, key).map_err(|source| EpochLogError::Jws { number, source })?;
            let follows = epoch.number as usize == number && epoch.previous == log.head() && epoch.iss == issuer;
            let readable = URL_SAFE_NO_PAD.decode(&epoch.public).is_ok();
            if !(follows && readable && epoch.is_sound()) {
                return Err(EpochLogError::Chain { number });
            }
            log.push(text.to_owned(), epoch)?;
        }
        Ok(log)
    }

    /// Appends the statement of a new key.
    ///
    /// # Errors
    /// A full log, times in no order, or what [`jws::sign`] refuses.
    pub fn append(
        &mut self,
        issuer: &str,
        of: &KeyUse,
        public: &[u8],
        span: Span,
        key: &SigningKey,
    ) -> Result<&Epoch, EpochLogError> {
        let number = self.epochs.len();
        let epoch = Epoch {
            iss: issuer.to_owned(),
            kind: of.kind,
            tenant: of.tenant.clone(),
            number: u32::try_from(number).map_err(|_| EpochLogError::TooLong)?,
            public: URL_SAFE_NO_PAD.encode(public),
            begins_s: span.begins_s,
            issues_until_s: span.issues_until_s,
            accepted_until_s: span.accepted_until_s,
            previous: self.head(),
        };
        if !epoch.is_sound() {
            return Err(EpochLogError::Chain { number });
        }
        let text = jws::sign(Typ::KeyEpoch, &epoch, key).map_err(|source| EpochLogError::Jws { number, source })?;
        self.push(text, epoch)?;
        Ok(&self.epochs[number])
    }

    fn push(&mut self, text: String, epoch: Epoch) -> Result<(), EpochLogError> {
        if self.epochs.len() >= EPOCHS_MAX {
            return Err(EpochLogError::TooLong);
        }
        self.texts.push(text);
        self.epochs.push(epoch);
        Ok(())
    }

    /// What the next statement names as its predecessor.
    #[must_use]
    pub fn head(&self) -> Digest {
        Digest::of(self.texts.last().map_or(&[], |text| text.as_bytes()))
    }

    /// Every statement as it was signed, oldest first.
    #[must_use]
    pub fn texts(&self) -> &[String] {
        &self.texts
    }

    /// Every statement, oldest first.
    #[must_use]
    pub fn epochs(&self) -> &[Epoch] {
        &self.epochs
    }

    /// The keys of a kind whose work is accepted at `now_s` or will be later, oldest first.
    pub fn live(&self, kind: KeyKind, now_s: u64) -> impl Iterator<Item = &Epoch> {
        self.epochs.iter().filter(move |epoch| epoch.kind == kind && epoch.accepts(now_s))
    }

    /// The key of a use that issues at `now_s`: of those that have begun, the newest.
    #[must_use]
    pub fn issuing(&self, of: &KeyUse, now_s: u64) -> Option<&Epoch> {
        let newest = self.epochs.iter().rfind(|epoch| epoch.serves(of) && epoch.begins_s <= now_s);
        newest.filter(|epoch| now_s < epoch.issues_until_s)
    }

    /// When the next key of a use shall begin, if it is time to make one: at once where none issues, and some time
    /// ahead of the end of the last one, so that it can be published before it takes over.
    #[must_use]
    pub fn due(&self, of: &KeyUse, period: Period, now_s: u64) -> Option<Span> {
        let last = self.epochs.iter().rfind(|epoch| epoch.serves(of));
        let lead_s = LEAD_SECONDS_MAX.min(period.issues_s / 4);
        let begins_s = match last {
            Some(last) if now_s.saturating_add(lead_s) < last.issues_until_s => return None,
            Some(last) => last.issues_until_s.max(now_s),
            None => now_s,
        };
        Some(Self::span(begins_s, period))
    }

    /// The times of a key that begins at `begins_s`.
    #[must_use]
    pub const fn span(begins_s: u64, period: Period) -> Span {
        let issues_until_s = begins_s.saturating_add(period.issues_s);
        Span { begins_s, issues_until_s, accepted_until_s: issues_until_s.saturating_add(period.overlap_s) }
    }
}

#[cfg(test)]
mod tests;
