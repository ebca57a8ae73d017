//! Android key attestation: a chain of certificates whose leaf describes a key, the app that made it and the device's boot.
//!
//! The challenge of the key is the nonce's characters. What the system says of the app counts because verified boot
//! vouches for the system, and the manufacturer's hardware for that.

pub mod key_description;

use policies::rules::{AndroidValues, KeySecurity, Tier};
use serde::{Deserialize, Serialize};
use webpki::ALL_VERIFICATION_ALGS;
use x509_cert::der::asn1::ObjectIdentifier;

use super::certificate::{self, ANY_PURPOSE, CHAIN_MAX, EncodedCertificate};
use crate::appraisal::{Claim, Subject};
use crate::evidence::Found;
use crate::evidence::chain::{Anchors, ChainError};
use key_description::{BootState, DescriptionError, KeyDescription};

/// The extension that describes a key.
pub const KEY_DESCRIPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11129.2.1.17");

/// `KM_ORIGIN_GENERATED`: the key was made where it is kept.
const ORIGIN_GENERATED: u64 = 0;
/// `KM_PURPOSE_ATTEST_KEY`: the key signs certificates of other keys.
const PURPOSE_ATTEST_KEY: u64 = 7;

/// A chain, leaf first. Whether it ends with the anchor itself or before it is the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AndroidEvidence {
    /// The certificates, [`CHAIN_MAX`] at most.
    #[serde(deserialize_with = "certificate::bounded_chain")]
    pub chain: Vec<EncodedCertificate>,
}

/// Why a chain was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AndroidError {
    /// The path.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The leaf describes no key.
    #[error("the first certificate describes no key")]
    NotDescribed,
    /// Another certificate describes a key as well.
    #[error("a certificate besides the first describes a key, as if an attested key had attested another")]
    DescribedTwice,
    /// The description.
    #[error(transparent)]
    Description(#[from] DescriptionError),
}

/// Verifies a chain at `now_ms`.
///
/// # Errors
/// The first check that fails.
pub fn verify(
    evidence: &AndroidEvidence,
    anchors: &Anchors,
    now_ms: u64,
) -> Result<Found<KeyDescription>, AndroidError> {
    // 1. Bounds, and the path to the policy's anchors (RFC 5280 §6). Anchors are keys with names: that a root's own
    //    certificate has run out meanwhile, as Google's of 2016 has, ends nothing (RFC 5280 §6.1.1 (d)).
    if evidence.chain.len() > CHAIN_MAX {
        return Err(ChainError::TooLong.into());
    }
    let (leaf, intermediates) = certificate::split(evidence.chain.iter().map(|certificate| &**certificate))?;
    anchors.verify(&leaf, &intermediates, ANY_PURPOSE, ALL_VERIFICATION_ALGS, now_ms)?;
    // 2. Only the leaf describes a key. An app's own attested key could otherwise sign a leaf that claims anything.
    for issuer in &intermediates {
        if certificate::extension(&certificate::read(issuer)?, KEY_DESCRIPTION)?.is_some() {
            return Err(AndroidError::DescribedTwice);
        }
    }
    let leaf = certificate::read(&leaf)?;
    let extension = certificate::extension(&leaf, KEY_DESCRIPTION)?.ok_or(AndroidError::NotDescribed)?;
    // 3. The description.
    let claims = KeyDescription::read(extension.extn_value.as_bytes())?;
    let tier = match claims.attested_in.min(claims.kept_in) {
        KeySecurity::Software => Tier::Software,
        KeySecurity::TrustedEnvironment | KeySecurity::StrongBox => Tier::Hardware,
    };
    Ok(Found { bound: claims.challenge.clone(), tier, claims })
}

/// Compares.
#[must_use]
pub fn compare(claims: &KeyDescription, values: &AndroidValues) -> Vec<Claim> {
    let mut compared =
        vec![key_security(claims, values), key_origin(claims), boot(claims), patch_level(claims, values)];
    compared.extend(application(claims, values));
    compared
}

fn key_security(claims: &KeyDescription, values: &AndroidValues) -> Claim {
    let found = claims.attested_in.min(claims.kept_in);
    if found < values.security_min {
        let sentence = format!(
            "The key is kept or attested in {}; the policy asks for {} at least.",
            place(found),
            place(values.security_min)
        );
        return Claim::contraindicated(Subject::Hardware, sentence);
    }
    let sentence = format!("The key is kept in {}, as the policy asks.", place(found));
    if found == KeySecurity::Software {
        Claim::warning(Subject::Hardware, sentence)
    } else {
        Claim::affirming(Subject::Hardware, sentence)
    }
}

const fn place(security: KeySecurity) -> &'static str {
    match security {
        KeySecurity::Software => "software",
        KeySecurity::TrustedEnvironment => "a trusted execution environment",
        KeySecurity::StrongBox => "a chip of its own",
    }
}

fn key_origin(claims: &KeyDescription) -> Claim {
    let attests = |purposes: &std::collections::BTreeSet<u64>| purposes.contains(&PURPOSE_ATTEST_KEY);
    let lists = [&claims.hardware, &claims.software];
    if lists.iter().any(|list| list.purposes.as_ref().is_some_and(attests)) {
        Claim::contraindicated(Subject::InstanceIdentity, "The key may attest other keys.")
    } else if claims.hardware.origin == Some(ORIGIN_GENERATED) {
        Claim::affirming(Subject::InstanceIdentity, "The key was made in the device's secure hardware.")
    } else {
        Claim::contraindicated(Subject::InstanceIdentity, "The key was not made in the device's secure hardware.")
    }
}

fn boot(claims: &KeyDescription) -> Claim {
    // What the operating system says of its own boot is worth nothing: the hardware's list alone is read.
    let Some(root) = &claims.hardware.root_of_trust else {
        return Claim::contraindicated(
            Subject::Configuration,
            "The secure hardware does not say how the device booted.",
        );
    };
    match (root.state, root.locked) {
        (BootState::Verified, true) => {
            Claim::affirming(Subject::Configuration, "The device is locked, and booted a system of its manufacturer.")
        }
        (BootState::Verified, false) => {
            Claim::contraindicated(Subject::Configuration, "The device's bootloader is unlocked.")
        }
        (BootState::SelfSigned | BootState::Unverified | BootState::Failed, _) => {
            Claim::contraindicated(Subject::Configuration, "The device booted a system that is not its manufacturer's.")
        }
    }
}

fn patch_level(claims: &KeyDescription, values: &AndroidValues) -> Claim {
    let least = u64::from(values.patch_level_min);
    if least == 0 {
        return Claim::contraindicated(Subject::Configuration, "The policy has no oldest patch level of the system.");
    }
    match claims.hardware.os_patch_level {
        None => Claim::contraindicated(Subject::Configuration, "The secure hardware does not tell the patch level."),
        Some(level) if level < least => {
            Claim::contraindicated(Subject::Configuration, "The system's patch level is older than the policy allows.")
        }
        Some(_) => {
            Claim::affirming(Subject::Configuration, "The system's patch level is as recent as the policy asks.")
        }
    }
}

/// Packages that share a user share their keys, so that every one that is named must be known, and every signer.
fn application(claims: &KeyDescription, values: &AndroidValues) -> [Claim; 2] {
    let found = claims.software.application.clone().unwrap_or_default();
    let packages = found.packages.iter().map(|(name, _)| name);
    [
        all_of("the name of the app's package", packages, &values.packages),
        all_of("the certificate that signs the app", found.signers.iter(), &values.signers),
    ]
}

fn all_of<'a, T: Ord + 'a>(
    what: &str,
    found: impl Iterator<Item = &'a T>,
    values: &std::collections::BTreeSet<T>,
) -> Claim {
    let compared = found.map(|value| Claim::one_of(Subject::Executables, what, value, values));
    compared
        .max_by_key(|claim| claim.status)
        .unwrap_or_else(|| Claim::contraindicated(Subject::Executables, format!("The evidence does not tell {what}.")))
}

#[cfg(test)]
mod tests;
