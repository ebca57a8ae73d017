//! How the centre knows which node speaks, and that it may: by evidence that was appraised on this very connection, or,
//! where an operator chose so, by a short-lived token of a key that the centre's config pins.
//!
//! An [`Admission`] has no public constructor but the checks themselves; code that asks for one cannot be
//! called before they passed.

use std::collections::BTreeMap;

use policies::rules::{AttestationRule, Tier};
use policies::{NodeId, PolicySet, Profile, Reason, RegionId};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use crate::appraisal::{Question, Verdict, appraise_under};
use crate::binding::BindingContext;
use crate::challenge::FreshNonce;
use crate::evidence::{Attestation, Surroundings};
use crate::jws::{self, JwsError, Typ, UnverifiedJws};
use crate::keys::{SigningKey, VerifyingKey};
use crate::time::{OutOfLife, check_life};

/// A node token lives a minute at most: what a thief of one request's header can do ends with it.
pub const TOKEN_LIFETIME_SECONDS_MAX: u64 = 60;

/// By what nodes are admitted: a key of the config of a centre, and of a node's way to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AdmissionMode {
    /// By evidence on the connection.
    #[default]
    Attested,
    /// Also by tokens of pinned keys, which prove nothing of what the node runs.
    PinnedKey,
}

/// A node's claims towards the centre, as a JWS of type `siwa-node+jwt`. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeToken {
    /// The node.
    pub iss: NodeId,
    /// The centre's name.
    pub aud: String,
    /// When it was made.
    pub iat: u64,
    /// When it ends.
    pub exp: u64,
}

impl NodeToken {
    /// A token of `node` for the centre named `audience`, alive from now for a minute.
    #[must_use]
    pub fn new(node: &NodeId, audience: &str, now_ms: u64) -> Self {
        let iat = now_ms / 1000;
        Self { iss: node.clone(), aud: audience.to_owned(), iat, exp: iat + TOKEN_LIFETIME_SECONDS_MAX }
    }

    /// The token as a compact JWS, for an `Authorization: Bearer` header.
    ///
    /// # Errors
    /// As [`jws::sign`].
    pub fn sign(&self, key: &SigningKey) -> Result<String, JwsError> {
        jws::sign(Typ::Node, self, key)
    }
}

/// A node that the centre's operator wrote into the config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownNode {
    /// Its name.
    pub node: NodeId,
    /// The region it answers for.
    pub region: RegionId,
    /// Its public key, where it is pinned. A node that attests by hardware may bring a key of its own.
    pub key: Option<VerifyingKey>,
}

/// All known nodes, each name and each key once.
#[derive(Debug, Clone, Default)]
pub struct KnownNodes(BTreeMap<NodeId, KnownNode>);

/// Two known nodes share a name or a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("two known nodes share a name or a key")]
pub struct KnownTwice;

impl KnownNodes {
    /// The set of these nodes.
    ///
    /// # Errors
    /// A name or a key stands twice.
    pub fn new(nodes: impl IntoIterator<Item = KnownNode>) -> Result<Self, KnownTwice> {
        let mut known = Self::default();
        for node in nodes {
            let shared = known.0.values().any(|other| node.key.is_some() && other.key == node.key);
            if shared || known.0.insert(node.node.clone(), node).is_some() {
                return Err(KnownTwice);
            }
        }
        Ok(known)
    }

    /// Every node, by name.
    pub fn iter(&self) -> impl Iterator<Item = &KnownNode> {
        self.0.values()
    }

    fn by_key_id(&self, unverified: &UnverifiedJws<'_>) -> Option<(&KnownNode, &VerifyingKey)> {
        let mut pinned = self.0.values().filter_map(|node| Some((node, node.key.as_ref()?)));
        pinned.find(|(_, key)| unverified.names(&key.key_id()))
    }
}

/// The witness that a node was admitted: who it is, for which region it speaks, by which key, until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    node: NodeId,
    region: RegionId,
    key: VerifyingKey,
    expires_ms: u64,
}

/// Why a node was not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AdmissionError {
    /// The token itself.
    #[error("the node token was refused")]
    Jws(#[from] JwsError),
    /// No pinned key has the token's key id.
    #[error("no pinned node has this key")]
    UnknownNode,
    /// The key is pinned for a node of another name.
    #[error("the node token names another node than its key does")]
    Issuer,
    /// Made for another centre.
    #[error("the node token is for another centre")]
    Audience,
    /// Made in the future.
    #[error("the node token is not yet valid: the clocks differ")]
    NotYetValid,
    /// Its time has passed.
    #[error("the node token has expired")]
    Expired,
    /// Lives longer than [`TOKEN_LIFETIME_SECONDS_MAX`], or not at all.
    #[error("the node token's lifetime is not allowed")]
    Lifetime,
}

/// What a centre knows of the connection on which a node attests.
pub struct Connection<'a> {
    /// The connection's exporter, under [`crate::binding::EXPORTER_LABEL`].
    pub exporter: &'a [u8; 32],
    /// The nodes that the operator expects.
    pub known: &'a KnownNodes,
    /// The policy in force, whose rules decide, then earlier ones under which nodes may still run.
    pub policies: &'a [PolicySet],
    /// Whose statements are believed that an attestation key lives in a genuine TPM.
    pub enrolled_by: &'a [VerifyingKey],
}

/// Why a node was not admitted by its evidence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAdmitted {
    /// A part of what the node states is longer than it may be.
    #[error("the attestation is larger than it may be")]
    Unbounded,
    /// The operator expects no such node in this region.
    #[error("no node of this name is expected in this region")]
    UnknownNode,
    /// Another key is pinned for it.
    #[error("another key is pinned for this node")]
    OtherKey,
    /// The node runs under a policy that is not known here, or no node of its region can attest by the one in force.
    #[error("the node's policy is not known here, or lets no node of the region attest")]
    Policy,
    /// The evidence is not as good as the policy asks.
    #[error("the evidence is not as good as the policy asks")]
    Verdict(Box<Verdict>),
    /// The evidence is good, and the policy asks for a stronger root of trust.
    #[error("the policy asks for a stronger root of trust")]
    Tier {
        /// What the evidence came to.
        verdict: Box<Verdict>,
        /// The weakest that would do.
        tier_min: Tier,
    },
}

impl NotAdmitted {
    /// What was missing, in plain words. They hold nothing that the node wrote.
    #[must_use]
    pub fn sentences(&self) -> Vec<String> {
        match self {
            Self::Unbounded | Self::UnknownNode | Self::OtherKey | Self::Policy => vec![format!("{self}.")],
            Self::Verdict(verdict) => verdict.failing().map(|claim| claim.sentence.clone()).collect(),
            Self::Tier { verdict, tier_min } => {
                let (found, asked) = (tier_name(verdict.tier()), tier_name(*tier_min));
                vec![format!("The policy asks for a root of trust of the tier {asked}; this evidence has {found}.")]
            }
        }
    }
}

/// The verdict, if it is as good as a region asks. Contraindicated is never enough.
fn enough(verdict: Verdict, rule: &AttestationRule) -> Result<Verdict, NotAdmitted> {
    match rule.accepts(verdict.tier(), verdict.status()) {
        Ok(()) => Ok(verdict),
        Err(Reason::Tier) => Err(NotAdmitted::Tier { verdict: Box::new(verdict), tier_min: rule.tier_min }),
        Err(_) => Err(NotAdmitted::Verdict(Box::new(verdict))),
    }
}

const fn tier_name(tier: Tier) -> &'static str {
    match tier {
        Tier::Software => "software",
        Tier::Development => "development",
        Tier::Hardware => "hardware",
    }
}

impl From<OutOfLife> for AdmissionError {
    fn from(reason: OutOfLife) -> Self {
        match reason {
            OutOfLife::NotYetValid => Self::NotYetValid,
            OutOfLife::Expired => Self::Expired,
            OutOfLife::Lifetime => Self::Lifetime,
        }
    }
}

impl Admission {
    /// Admits the node that signed `token`, if its key is pinned, for the centre named `audience`.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn by_pinned_key(token: &str, known: &KnownNodes, audience: &str, now_ms: u64) -> Result<Self, AdmissionError> {
        // 1. Form and header; the key id only selects among pinned keys.
        let unverified = UnverifiedJws::parse(token, Typ::Node)?;
        let (node, key) = known.by_key_id(&unverified).ok_or(AdmissionError::UnknownNode)?;
        // 2. Signature, then claims: the pinned name, this centre, now.
        let claims: NodeToken = unverified.verify(key)?;
        if claims.iss != node.node {
            return Err(AdmissionError::Issuer);
        }
        if claims.aud != audience {
            return Err(AdmissionError::Audience);
        }
        check_life(claims.iat, claims.exp, TOKEN_LIFETIME_SECONDS_MAX, now_ms)?;
        let expires_ms = claims.exp.saturating_mul(1000);
        Ok(Self { node: node.node.clone(), region: node.region.clone(), key: *key, expires_ms })
    }

    /// Admits the node that `attestation` is of, for the connection whose exporter is given. Uses the nonce up.
    ///
    /// # Errors
    /// What is missing, and the verdict where it came to one.
    pub fn by_attestation(
        attestation: &Attestation,
        nonce: FreshNonce,
        connection: &Connection<'_>,
        now_ms: u64,
        rng: &mut impl CryptoRng,
    ) -> Result<(Self, Verdict), NotAdmitted> {
        let binding = &attestation.binding;
        if !binding.is_bounded() {
            return Err(NotAdmitted::Unbounded);
        }
        // 1. The operator expects a node of this name in this region, with this key if one is pinned.
        let known = connection.known.0.get(&binding.node).filter(|known| known.region == binding.region);
        let known = known.ok_or(NotAdmitted::UnknownNode)?;
        if known.key.is_some_and(|key| key != binding.node_key) {
            return Err(NotAdmitted::OtherKey);
        }
        // 2. The node runs under a policy that is known here. The one in force decides, so that a node gains nothing by
        //    staying with an earlier one.
        let runs_under = connection.policies.iter().map(PolicySet::digest).find(|digest| *digest == binding.policy);
        let (Some(runs_under), Some(policies)) = (runs_under, connection.policies.first()) else {
            return Err(NotAdmitted::Policy);
        };
        let rule = policies.region(&binding.region).and_then(|region| region.attestation.as_ref());
        let rule = rule.ok_or(NotAdmitted::Policy)?;
        // 3. The evidence, for this nonce and this connection.
        let profiles: Vec<&Profile> = policies.profiles_of(&binding.region).collect();
        let question = Question {
            binding,
            context: BindingContext::Admission { exporter: connection.exporter },
            profiles: &profiles,
            policy: policies.digest(),
            surroundings: Surroundings { now_ms, known_key: known.key.as_ref(), enrolled_by: connection.enrolled_by },
        };
        let verdict = appraise_under(&attestation.evidence, nonce, &question, runs_under, rng);
        // 4. What the policy asks at least.
        let verdict = enough(verdict, rule)?;
        let expires_ms = now_ms.saturating_add(u64::from(rule.result_seconds) * 1000);
        let (node, region, key) = (binding.node.clone(), binding.region.clone(), binding.node_key);
        Ok((Self { node, region, key, expires_ms }, verdict))
    }

    /// Whether it still holds.
    #[must_use]
    pub const fn is_live(&self, now_ms: u64) -> bool {
        now_ms < self.expires_ms
    }

    /// The node.
    #[must_use]
    pub const fn node(&self) -> &NodeId {
        &self.node
    }

    /// The region it speaks for.
    #[must_use]
    pub const fn region(&self) -> &RegionId {
        &self.region
    }

    /// The key that its releases must be signed by.
    #[must_use]
    pub const fn key(&self) -> &VerifyingKey {
        &self.key
    }

    /// When the admission ends, Unix milliseconds.
    #[must_use]
    pub const fn expires_ms(&self) -> u64 {
        self.expires_ms
    }
}

#[cfg(test)]
mod tests;
