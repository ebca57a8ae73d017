//! Enrolment of a TPM's attestation key by credential activation (TCG TPM 2.0 Library, Part 1 §24).
//!
//! The node shows the certificate of its TPM's endorsement key, which the TPM's maker issued, and an attestation key. The
//! verifier encrypts a secret so that only the TPM with that endorsement key can open it, and only where a key of exactly
//! this name lives in it ([`Challenge::make`]). Who brings the secret back gets a statement, signed by the verifier, that
//! evidence carries from then on ([`EnrolmentClaims`]).
//!
//! The endorsement key is the standard one of RSA 2048 or P-256 (TCG EK Credential Profile, templates L-1 and L-2).

mod certificate;
pub mod credential;
pub mod fuzz;

use policies::Digest;
use policies::rules::{EvidenceKind, Profile, Tier};
use rand_core::CryptoRng;
use ring::hmac;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::challenge::CHALLENGE_MS;
use crate::evidence::chain::{AnchorError, Anchors, CERTIFICATE_BYTES_MAX, ChainError, INTERMEDIATES_MAX};
use crate::evidence::encoded::Encoded;
use crate::evidence::tpm::{AttestationKey, KeyError, PUBLIC_BYTES_MAX};
use crate::jws::{self, JwsError, Typ, UnverifiedJws};
use crate::keys::{SigningKey, VerifyingKey};
use crate::time::{OutOfLife, check_life};
use certificate::Endorsement;
pub use credential::{CREDENTIAL_BYTES_MAX, Credential, SECRET_BYTES};

/// A statement lives so long at most.
pub const LIFETIME_SECONDS_MAX: u64 = 30 * 86_400;
/// Certificates in a request at most: the endorsement key's, and those between it and an anchor.
const CERTIFICATES_MAX: usize = 1 + INTERMEDIATES_MAX;

/// What a node shows of its TPM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrolmentRequest {
    /// The endorsement key's certificate, and those that lead from it to an anchor.
    pub ek_certificates: Vec<Encoded<CERTIFICATE_BYTES_MAX>>,
    /// The endorsement key: `TPMT_PUBLIC`.
    pub ek_public: Encoded<PUBLIC_BYTES_MAX>,
    /// The attestation key: `TPMT_PUBLIC`.
    pub ak_public: Encoded<PUBLIC_BYTES_MAX>,
}

/// A verifier's statement, as a JWS of type `siwa-enrolment+jwt`. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrolmentClaims {
    /// The attestation key's name without the algorithm's number: SHA-256 of its public area.
    pub ak_name: Digest,
    /// SHA-256 of the endorsement key's certificate.
    pub ek: Digest,
    /// Serial numbers of that certificate and those shown with it, lower-case hexadecimal without leading zeros.
    pub serials: Vec<String>,
    /// What stands behind the TPM.
    pub tier: Tier,
    /// The profile by whose anchors the certificate was verified.
    pub profile: String,
    /// Digest over those anchors, in whatever order the policy has them.
    pub anchors: Digest,
    /// Digest of the policy that the profile is of.
    pub policy: Digest,
    /// When it was made.
    pub iat: u64,
    /// When it ends.
    pub exp: u64,
}

/// Why a key was not enrolled, or a statement was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EnrolmentError {
    /// The profile is about another kind of evidence.
    #[error("the profile is not about TPMs")]
    Kind,
    /// The policy's anchors.
    #[error("the policy's trust anchors cannot be read")]
    Anchors,
    /// No certificate, or too many.
    #[error("the request has no certificate of an endorsement key, or too many certificates")]
    Certificates,
    /// The certificate's chain.
    #[error("{0}")]
    Chain(#[from] ChainError),
    /// The certificate does not say which model of TPM it is about.
    #[error("the endorsement key's certificate does not name the TPM's maker and model")]
    Model,
    /// The certificate's key is neither RSA 2048 nor on P-256.
    #[error("the endorsement key is neither RSA 2048 nor on P-256")]
    EndorsementKey,
    /// The endorsement key is not the standard one with the certificate's key.
    #[error("the endorsement key is not the one of its certificate")]
    OtherEndorsementKey,
    /// The attestation key.
    #[error("{0}")]
    Key(#[from] KeyError),
    /// The generator of random numbers does not give such.
    #[error("the generator of random numbers does not work")]
    Randomness,
    /// The challenge's time has run out.
    #[error("the challenge's time has run out")]
    Late,
    /// The TPM did not open the challenge.
    #[error("the secret is not the one of the challenge")]
    Secret,
    /// The statement's token.
    #[error("the enrolment's token was refused: {0}")]
    Jws(#[from] JwsError),
    /// The statement is by who is not believed here.
    #[error("the enrolment is by a verifier that is not believed here")]
    UnknownVerifier,
    /// The statement is of another time.
    #[error("the enrolment is out of its time")]
    Life,
}

impl From<AnchorError> for EnrolmentError {
    fn from(_: AnchorError) -> Self {
        Self::Anchors
    }
}

impl From<OutOfLife> for EnrolmentError {
    fn from(_: OutOfLife) -> Self {
        Self::Life
    }
}

/// What a verifier remembers between a request and its answer. The secret itself it does not.
pub struct Challenge {
    key: hmac::Key,
    tag: hmac::Tag,
    /// Without its times.
    claims: EnrolmentClaims,
    end_ms: u64,
}

impl Challenge {
    /// A challenge for the TPM that `request` is about, under a profile of the policy whose digest is given; and the
    /// credential that the node gets.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn make(
        request: &EnrolmentRequest,
        profile: &Profile,
        policy: Digest,
        now_ms: u64,
        rng: &mut impl CryptoRng,
    ) -> Result<(Self, Credential), EnrolmentError> {
        // 1. The policy accepts TPMs at all.
        if profile.kind() != EvidenceKind::Tpm {
            return Err(EnrolmentError::Kind);
        }
        let anchors = Anchors::of(profile)?;
        // 2. The maker vouches for the endorsement key, which says which model it is of.
        if !(1..=CERTIFICATES_MAX).contains(&request.ek_certificates.len()) {
            return Err(EnrolmentError::Certificates);
        }
        let endorsement = Endorsement::verify(&request.ek_certificates, &anchors, now_ms)?;
        // 3. The node's endorsement key is the standard one that comes with that certificate.
        if *request.ek_public != endorsement.key.endorsement_area() {
            return Err(EnrolmentError::OtherEndorsementKey);
        }
        // 4. The attestation key signs nothing but what its TPM says.
        let ak = AttestationKey::parse(&request.ak_public)?;
        // 5. A secret that a TPM with both keys in it can open.
        let mut secret = Zeroizing::new([0; SECRET_BYTES]);
        rng.fill_bytes(secret.as_mut());
        let credential = credential::make(&endorsement.key, ak.name(), secret.as_ref(), rng)?;
        let mut blind = Zeroizing::new([0; 32]);
        rng.fill_bytes(blind.as_mut());
        let key = hmac::Key::new(hmac::HMAC_SHA256, blind.as_ref());
        let claims = EnrolmentClaims {
            ak_name: ak.name(),
            ek: Digest::of(&request.ek_certificates[0]),
            serials: endorsement.serials,
            tier: endorsement.tier,
            profile: profile.name.clone(),
            anchors: digest_of(&anchors),
            policy,
            iat: 0,
            exp: 0,
        };
        let (tag, end_ms) = (hmac::sign(&key, secret.as_ref()), now_ms.saturating_add(CHALLENGE_MS));
        Ok((Self { key, tag, claims, end_ms }, credential))
    }

    /// When it ends, Unix ms.
    #[must_use]
    pub const fn end_ms(&self) -> u64 {
        self.end_ms
    }

    /// The statement, if the node's TPM has opened the credential. A challenge is good for one try.
    ///
    /// # Errors
    /// [`EnrolmentError::Late`], [`EnrolmentError::Secret`], or as [`jws::sign`].
    pub fn finish(self, secret: &[u8], key: &SigningKey, now_ms: u64) -> Result<String, EnrolmentError> {
        if now_ms >= self.end_ms {
            return Err(EnrolmentError::Late);
        }
        // In constant time: what is compared are keyed digests.
        hmac::verify(&self.key, secret, self.tag.as_ref()).map_err(|_| EnrolmentError::Secret)?;
        let iat = now_ms / 1000;
        let claims = EnrolmentClaims { iat, exp: iat + LIFETIME_SECONDS_MAX, ..self.claims };
        Ok(jws::sign(Typ::Enrolment, &claims, key)?)
    }
}

/// Verifies a statement by one of `enrolled_by`, now.
///
/// # Errors
/// The first check that fails.
pub fn verify(token: &str, enrolled_by: &[VerifyingKey], now_ms: u64) -> Result<EnrolmentClaims, EnrolmentError> {
    // 1. By a verifier that is believed: the key id only selects among these.
    let unverified = UnverifiedJws::parse(token, Typ::Enrolment)?;
    let key = enrolled_by.iter().find(|key| unverified.names(&key.key_id())).ok_or(EnrolmentError::UnknownVerifier)?;
    let claims: EnrolmentClaims = unverified.verify(key)?;
    // 2. In force.
    check_life(claims.iat, claims.exp, LIFETIME_SECONDS_MAX, now_ms)?;
    Ok(claims)
}

/// A digest over a profile's anchors, whatever their order: each certificate's digest.
pub(crate) fn digest_of(anchors: &Anchors) -> Digest {
    let mut digests: Vec<[u8; 32]> =
        anchors.certificates().iter().map(|certificate| *Digest::of(certificate).as_bytes()).collect();
    digests.sort_unstable();
    Digest::of(digests.as_flattened())
}

#[cfg(test)]
pub(crate) mod tests;
