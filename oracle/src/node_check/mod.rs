//! Holds a node against the policy files that somebody reviewed: what `siwa verify-node` does.
//!
//! Actors: an auditor or a viewer, who has the reviewed files, and a node, which is believed in nothing but what its
//! evidence shows. The evidence is asked for on a connection whose certificate is then held against the key that the
//! evidence covers: whoever merely passes genuine evidence on serves with another key.

use attest::appraisal::{Claim, Question, Subject, Verdict, appraise};
use attest::binding::BindingContext;
use attest::challenge::FreshNonce;
use attest::evidence::{ATTESTATION_BYTES_MAX, Surroundings};
use attest::key_epoch::{EpochLog, KeyKind};
use attest::keys::Jwk;
use attest::{Attestation, VerifyingKey};
use policies::rules::{AttestationRule, Status};
use policies::{Digest, NodeId, PolicySet, Profile, RegionId, Tier};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use crate::client::{Client, ClientError, ClientOptions};

/// Bytes of a log of key epochs.
const LOG_BYTES_MAX: usize = 4 << 20;

/// What is known beforehand.
pub struct Reviewed<'a> {
    /// The reviewed policies, whose digest the node must run under.
    pub policies: &'a PolicySet,
    /// Policies whose profiles are applied instead, if the auditor has reference values of their own.
    pub reference: Option<&'a PolicySet>,
    /// The region that the node is asked as: its rule applies, whatever the node says.
    pub region: &'a RegionId,
    /// The node's name, if one is expected.
    pub node: Option<&'a NodeId>,
    /// The key that signs the node's log of keys, as its operator published it, if it did.
    pub log_key: Option<&'a VerifyingKey>,
    /// The node's key, as its operator published it, if it did.
    pub node_key: Option<&'a VerifyingKey>,
    /// Keys of centres whose statements are believed that an attestation key lives in a genuine TPM.
    pub enrolled_by: &'a [VerifyingKey],
}

/// The result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// Whether everything holds.
    pub yes: bool,
    /// The verdict's number.
    pub verdict: String,
    /// The node's name and region, by its own word.
    pub node: String,
    /// Its region.
    pub region: String,
    /// The kind of evidence.
    pub evidence: String,
    /// What stands behind the evidence.
    pub tier: Tier,
    /// The overall status.
    pub status: Status,
    /// The reviewed policy's digest.
    pub policy: Digest,
    /// SHA-256 of the node's config file. The evidence covers it, and nothing here is compared with it.
    pub config: Digest,
    /// The profile that was applied.
    pub profile: Option<String>,
    /// Everything that was held against something, the worst first.
    pub claims: Vec<Claim>,
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum NodeCheckError {
    /// The node could not be asked.
    #[error("the node gives no evidence")]
    Client(#[from] ClientError),
    /// The answer is larger than an attestation can be.
    #[error("the node's statement is larger than it may be")]
    Unbounded,
}

/// `GET /v1/identity/epochs`
#[derive(Deserialize)]
struct Epochs {
    key: Jwk,
    statements: Vec<String>,
}

/// Asks the node at `options` for evidence, and holds it against what was reviewed.
///
/// # Errors
/// The node can't be asked. What it answers is judged, never an error.
pub async fn check(
    options: ClientOptions,
    reviewed: &Reviewed<'_>,
    now_ms: u64,
    rng: &mut impl CryptoRng,
) -> Result<Checked, NodeCheckError> {
    let client = Client::new(ClientOptions { answer_bytes_max: ATTESTATION_BYTES_MAX.max(LOG_BYTES_MAX), ..options })?;
    // 1. A nonce of our own, on a connection whose peer is known by its key.
    let nonce = FreshNonce::generate(rng);
    let (exporter, spki) = (client.exporter().await?, client.peer_spki().await?);
    let path = format!("/v1/attestation?nonce={}", nonce.as_str());
    let attestation: Attestation = client.get(&path).only_on(&exporter).send().await?.json()?;
    if !attestation.binding.is_bounded() {
        return Err(NodeCheckError::Unbounded);
    }
    // 2. The evidence, by the reviewed policy.
    let verdict = judge(&attestation, nonce, reviewed, now_ms, rng);
    // 3. Whose connection this is, and whether the keys stand in the log of keys.
    let mut claims = verdict.claims().to_vec();
    claims.push(if attestation.binding.tls_spki == spki {
        Claim::affirming(Subject::SourcedData, "This connection is served with the key that the evidence covers.")
    } else {
        Claim::contraindicated(
            Subject::SourcedData,
            "This connection is served with another key than the evidence covers: somebody stands between.",
        )
    });
    claims.extend(expected(&attestation, reviewed));
    claims.extend(logged(&client, &exporter, &attestation, reviewed.log_key, now_ms / 1000).await);
    Ok(conclude(&attestation, &verdict, claims, reviewed))
}

fn judge(
    attestation: &Attestation,
    nonce: FreshNonce,
    reviewed: &Reviewed<'_>,
    now_ms: u64,
    rng: &mut impl CryptoRng,
) -> Verdict {
    let source = reviewed.reference.unwrap_or(reviewed.policies);
    let profiles: Vec<&Profile> = source.profiles_of(reviewed.region).collect();
    let question = Question {
        binding: &attestation.binding,
        context: BindingContext::Viewer,
        profiles: &profiles,
        policy: reviewed.policies.digest(),
        surroundings: Surroundings { now_ms, known_key: reviewed.node_key, enrolled_by: reviewed.enrolled_by },
    };
    appraise(&attestation.evidence, nonce, &question, rng)
}

/// Whether the node is the one that was meant. Which rule applies is not for the node to say.
fn expected(attestation: &Attestation, reviewed: &Reviewed<'_>) -> Vec<Claim> {
    let mut claims = Vec::new();
    if attestation.binding.region != *reviewed.region {
        let sentence = "The node is of another region than it was asked as.";
        claims.push(Claim::contraindicated(Subject::InstanceIdentity, sentence));
    }
    if reviewed.node.is_some_and(|node| *node != attestation.binding.node) {
        let sentence = "The node has another name than the one that was meant.";
        claims.push(Claim::contraindicated(Subject::InstanceIdentity, sentence));
    }
    claims
}

/// Whether the keys for capsules and tokens stand in the node's log of keys; nothing where it has none of either.
async fn logged(
    client: &Client,
    exporter: &[u8; 32],
    attestation: &Attestation,
    log_key: Option<&VerifyingKey>,
    now_s: u64,
) -> Option<Claim> {
    let binding = &attestation.binding;
    if binding.oblivious_keys.is_empty() && binding.token_keys.is_empty() {
        return None;
    }
    let bad = |sentence: &str| Some(Claim::contraindicated(Subject::Configuration, sentence));
    let answer = client.get("/v1/identity/epochs").only_on(exporter).send().await;
    let Ok(epochs) = answer.and_then(|answer| answer.json::<Epochs>()) else {
        return bad("The log of keys cannot be read.");
    };
    let Ok(key) = VerifyingKey::try_from(&epochs.key) else { return bad("The log's key cannot be read.") };
    if log_key.is_some_and(|pinned| *pinned != key) {
        return bad("The log of keys is signed by another key than its operator published.");
    }
    let first = epochs.statements.first().and_then(|statement| issuer_of(statement));
    let log = first.and_then(|issuer| EpochLog::verify(&epochs.statements.join("\n"), &issuer, &key).ok());
    let Some(log) = log else { return bad("The log of keys does not verify.") };
    let live = |kinds: &[KeyKind]| -> Vec<Digest> {
        let of_kind = |kind: &KeyKind| log.live(*kind, now_s).map(|epoch| Digest::of(&epoch.public_bytes()));
        kinds.iter().flat_map(of_kind).collect()
    };
    let oblivious = live(&[KeyKind::Oblivious]);
    let tokens = live(&[KeyKind::TokenVoprf, KeyKind::TokenBlindRsa]);
    let stand = binding.oblivious_keys.iter().all(|key| oblivious.contains(key))
        && binding.token_keys.iter().all(|key| tokens.contains(key));
    if stand {
        let sentence = if log_key.is_some() {
            "Every key for capsules and tokens stands in the log of keys that its operator signed."
        } else {
            "Every key for capsules and tokens stands in the log of keys that the node shows; who signed it is not known."
        };
        return Some(Claim::affirming(Subject::Configuration, sentence));
    }
    bad("A key for capsules or tokens does not stand in the node's log of keys.")
}

/// The issuer that a statement names, before its signature is checked by the log's key.
fn issuer_of(statement: &str) -> Option<String> {
    use base64::Engine as _;
    #[derive(Deserialize)]
    struct Named {
        iss: String,
    }
    let payload = statement.split('.').nth(1)?;
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).ok()?;
    serde_json::from_slice::<Named>(&payload).ok().map(|named| named.iss)
}

fn conclude(attestation: &Attestation, verdict: &Verdict, mut claims: Vec<Claim>, reviewed: &Reviewed<'_>) -> Checked {
    let rule = reviewed.policies.region(reviewed.region).and_then(|region| region.attestation.as_ref());
    let worst = |claims: &[Claim]| claims.iter().map(|claim| claim.status).max().unwrap_or(Status::Contraindicated);
    let found = worst(&claims).max(verdict.status());
    claims.extend(short_of(rule, verdict.tier(), found));
    let status = worst(&claims).max(verdict.status());
    let yes = rule.is_some_and(|rule| status <= rule.status_min && verdict.tier() >= rule.tier_min);
    claims.sort_by_key(|claim| std::cmp::Reverse(claim.status));
    Checked {
        yes,
        verdict: verdict.id().to_string(),
        config: attestation.binding.config,
        node: attestation.binding.node.to_string(),
        region: attestation.binding.region.to_string(),
        evidence: verdict.kind().to_string(),
        tier: verdict.tier(),
        status,
        policy: reviewed.policies.digest(),
        profile: verdict.profile().map(str::to_owned),
        claims,
    }
}

/// What the policy asks at least, where that is missed.
fn short_of(rule: Option<&AttestationRule>, tier: Tier, status: Status) -> Option<Claim> {
    let Some(rule) = rule else {
        let sentence =
            "The reviewed policy knows no such region, or asks nothing of its nodes: nothing can be said of it.";
        return Some(Claim::contraindicated(Subject::Configuration, sentence));
    };
    if tier < rule.tier_min {
        let sentence = "The policy asks for a stronger root of trust than stands behind this evidence.";
        return Some(Claim::contraindicated(Subject::Hardware, sentence));
    }
    (status > rule.status_min && status < Status::Contraindicated)
        .then(|| Claim::contraindicated(Subject::Configuration, "The policy accepts no warnings."))
}

#[cfg(test)]
mod tests;
