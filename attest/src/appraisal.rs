//! From evidence to a verdict: what was found is held against a policy's profiles, and the worst claim decides.
//!
//! A [`Verdict`] is made by [`appraise`], and for devices by [`crate::device::appraise_device`], alone. It starts from
//! evidence that verified, from the digest that the evidence must carry, and from reference values; an empty set of values
//! contraindicates. The overall status is the worst claim, which the policy may lower and nothing raises. Status and
//! subjects are those of AR4SI (draft-ietf-rats-ar4si).

use std::fmt;

use policies::rules::{EvidenceKind, Profile, Status, Tier};
use policies::{Digest, Measurement};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use crate::binding::{Binding, BindingContext, carries};
use crate::challenge::FreshNonce;
use crate::evidence::{self, Evidence, Surroundings};

/// What a claim is about (AR4SI §2.3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// Which machine or device it is.
    InstanceIdentity,
    /// How it is set up.
    Configuration,
    /// What it runs.
    Executables,
    /// What it runs on.
    Hardware,
    /// Whether others can see into it.
    RuntimeOpaque,
    /// Whether the evidence answers this question: nonce, keys, connection.
    SourcedData,
}

/// One thing that was compared, in plain words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// What it is about.
    pub subject: Subject,
    /// How it came out.
    pub status: Status,
    /// What was compared, and what was found, for people.
    pub sentence: String,
}

impl Claim {
    /// As the policy wants it.
    pub fn affirming(subject: Subject, sentence: impl Into<String>) -> Self {
        Self { subject, status: Status::Affirming, sentence: sentence.into() }
    }

    /// Acceptable to who knows why.
    pub fn warning(subject: Subject, sentence: impl Into<String>) -> Self {
        Self { subject, status: Status::Warning, sentence: sentence.into() }
    }

    /// Not to be relied on.
    pub fn contraindicated(subject: Subject, sentence: impl Into<String>) -> Self {
        Self { subject, status: Status::Contraindicated, sentence: sentence.into() }
    }

    /// Whether one of the values is what was found. No values: contraindicated.
    pub fn one_of<T: Ord>(subject: Subject, what: &str, found: &T, values: &std::collections::BTreeSet<T>) -> Self {
        if values.is_empty() {
            return Self::contraindicated(subject, format!("The policy has no reference value for {what}."));
        }
        if values.contains(found) {
            Self::affirming(subject, format!("{} is a reference value of the policy.", capital(what)))
        } else {
            Self::contraindicated(subject, format!("{} is none of the policy's reference values.", capital(what)))
        }
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}", first.to_uppercase(), letters.as_str()))
}

/// The bytes as a measurement.
#[must_use]
pub fn measurement(bytes: &[u8]) -> Measurement {
    Measurement(bytes.to_vec())
}

/// The number of a verdict, random.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct VerdictId([u8; 16]);

impl fmt::Display for VerdictId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for VerdictId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What an appraisal came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    id: VerdictId,
    policy: Digest,
    profile: Option<String>,
    kind: EvidenceKind,
    tier: Tier,
    claims: Vec<Claim>,
    status: Status,
}

/// What is known beside the evidence.
pub struct Question<'a> {
    /// What the node states, already as [`Binding::is_bounded`] wants it.
    pub binding: &'a Binding,
    /// For whom the evidence was made.
    pub context: BindingContext<'a>,
    /// The policy's profiles that may be shown.
    pub profiles: &'a [&'a Profile],
    /// Digest of that policy.
    pub policy: Digest,
    /// What verifiers need beside the evidence.
    pub surroundings: Surroundings<'a>,
}

/// Appraises a node's evidence. Uses the nonce up.
pub fn appraise(evidence: &Evidence, nonce: FreshNonce, question: &Question<'_>, rng: &mut impl CryptoRng) -> Verdict {
    appraise_under(evidence, nonce, question, question.policy, rng)
}

/// As [`appraise`], where the node may run under another policy than the one that decides: an earlier one that its
/// verifier knows.
pub(crate) fn appraise_under(
    evidence: &Evidence,
    nonce: FreshNonce,
    question: &Question<'_>,
    runs_under: Digest,
    rng: &mut impl CryptoRng,
) -> Verdict {
    let digest = question.binding.digest(question.context);
    // 1. Whatever the evidence says, it must be about this question.
    let common = question_claims(&nonce, question, runs_under);
    // 2. Every profile of this kind is tried.
    Case::new(evidence.kind(), question.policy, common, rng).judge(question.profiles, |profile| {
        let examined = evidence::examine(evidence, profile, question)?;
        let mut claims = examined.claims;
        claims.push(if carries(&examined.bound, digest) {
            Claim::affirming(Subject::SourcedData, "The evidence covers the nonce, the keys and the policy.")
        } else {
            Claim::contraindicated(
                Subject::SourcedData,
                "The evidence was made for another nonce, other keys, another policy or another connection.",
            )
        });
        Ok::<_, evidence::EvidenceError>((examined.tier, claims))
    })
}

/// The overall status: the worst claim's, or `best` where that is worse. Without a claim nothing was compared.
fn overall(claims: &[Claim], best: Status) -> Status {
    claims.iter().map(|claim| claim.status).max().unwrap_or(Status::Contraindicated).max(best)
}

/// What is compared before the evidence: the nonce and the policy that the node states.
fn question_claims(nonce: &FreshNonce, question: &Question<'_>, runs_under: Digest) -> Vec<Claim> {
    let nonce = if nonce.is(&question.binding.nonce) {
        Claim::affirming(Subject::SourcedData, "The nonce is the one that was given out for this.")
    } else {
        Claim::contraindicated(Subject::SourcedData, "The nonce is not the one that was given out for this.")
    };
    let policy = if question.binding.policy != runs_under {
        Claim::contraindicated(Subject::Configuration, "The node runs under another policy.")
    } else if runs_under == question.policy {
        Claim::affirming(Subject::Configuration, "The node runs under exactly this policy.")
    } else {
        Claim::affirming(Subject::Configuration, "The node runs under an earlier policy that is still accepted.")
    };
    vec![nonce, policy]
}

/// What every verdict on one piece of evidence has in common. The one way to a [`Verdict`], for nodes and devices.
pub(crate) struct Case {
    id: VerdictId,
    kind: EvidenceKind,
    policy: Digest,
    common: Vec<Claim>,
}

impl Case {
    /// A case with a number of its own, and claims that hold whatever the profile.
    pub(crate) fn new(kind: EvidenceKind, policy: Digest, common: Vec<Claim>, rng: &mut impl CryptoRng) -> Self {
        let mut id = [0; 16];
        rng.fill_bytes(&mut id);
        Self { id: VerdictId(id), kind, policy, common }
    }

    /// Tries every profile of the evidence's kind; the best result stands. No such profile contraindicates, and so does
    /// evidence that does not verify.
    pub(crate) fn judge<E: fmt::Display>(
        mut self,
        profiles: &[&Profile],
        examine: impl Fn(&Profile) -> Result<(Tier, Vec<Claim>), E>,
    ) -> Verdict {
        let mut best: Option<Verdict> = None;
        for profile in profiles.iter().filter(|profile| profile.kind() == self.kind) {
            let (tier, claims) = examine(profile).unwrap_or_else(|error| {
                let sentence = format!("The evidence does not verify: {error}.");
                (Tier::Software, vec![Claim::contraindicated(Subject::Hardware, sentence)])
            });
            let verdict = self.verdict(profile, tier, claims);
            if best.as_ref().is_none_or(|best| verdict.status < best.status) {
                best = Some(verdict);
            }
        }
        best.unwrap_or_else(|| {
            let sentence = format!("The policy accepts no evidence of the kind {} here.", self.kind);
            self.common.push(Claim::contraindicated(Subject::Hardware, sentence));
            let Self { id, kind, policy, common: claims } = self;
            let (tier, status) = (Tier::Software, Status::Contraindicated);
            Verdict { id, policy, profile: None, kind, tier, claims, status }
        })
    }

    /// The worst claim decides; the policy may lower it further.
    fn verdict(&self, profile: &Profile, tier: Tier, mut claims: Vec<Claim>) -> Verdict {
        claims.splice(0..0, self.common.iter().cloned());
        let status = overall(&claims, profile.status_best);
        if claims.iter().all(|claim| claim.status < status) {
            let sentence = "The policy lets evidence of this profile be no better than this.".to_owned();
            claims.push(Claim { subject: Subject::Configuration, status, sentence });
        }
        let Self { id, kind, policy, .. } = *self;
        Verdict { id, policy, profile: Some(profile.name.clone()), kind, tier, claims, status }
    }
}

impl Verdict {
    /// Its number.
    #[must_use]
    pub const fn id(&self) -> VerdictId {
        self.id
    }

    /// Number and policy as one name: `urn:siwa:verdict:<number>:<policy digest>`.
    #[must_use]
    pub fn urn(&self) -> String {
        format!("urn:siwa:verdict:{}:{}", self.id, self.policy)
    }

    /// Digest of the policy that was applied.
    #[must_use]
    pub const fn policy(&self) -> Digest {
        self.policy
    }

    /// The profile that was applied; none where the policy has none for this kind of evidence.
    #[must_use]
    pub fn profile(&self) -> Option<&str> {
        self.profile.as_deref()
    }

    /// The kind of evidence.
    #[must_use]
    pub const fn kind(&self) -> EvidenceKind {
        self.kind
    }

    /// What stands behind it.
    #[must_use]
    pub const fn tier(&self) -> Tier {
        self.tier
    }

    /// Everything that was compared.
    #[must_use]
    pub fn claims(&self) -> &[Claim] {
        &self.claims
    }

    /// The overall status.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.status
    }

    /// What decided: the claims of the worst status, unless that is affirming.
    pub fn failing(&self) -> impl Iterator<Item = &Claim> {
        let worst = self.claims.iter().map(|claim| claim.status).max().unwrap_or(Status::Affirming);
        self.claims.iter().filter(move |claim| worst > Status::Affirming && claim.status == worst)
    }
}

#[cfg(test)]
mod tests;
