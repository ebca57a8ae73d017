//! A quote by a TPM 2.0 (TCG TPM 2.0 Library, Part 1 §25), with the logs that explain its registers.
//!
//! The quote is signed by an attestation key that an enrolment ([`crate::enrolment`]) found to live in a TPM whose maker
//! vouches for it. The registers say what booted; which programs ran is taken from the kernel's log (IMA) alone, after it
//! was replayed to register 10, which nothing but a reset of the machine can set back. Registers 16 to 23 can be set back
//! by software and are never looked at.
//!
//! What makes a quote fresh is the nonce in the binding whose digest is its extra data. The TPM's clock and counters are
//! no time of day: they are claims, not a check.

mod boot_log;
pub mod fuzz;
mod ima;
mod public;
mod quote;
pub mod wire;

use std::collections::{BTreeMap, BTreeSet};

use policies::Digest;
use policies::rules::{Profile, TpmValues};
use serde::{Deserialize, Serialize};

use super::Found;
use super::chain::Anchors;
use super::encoded::Encoded;
use crate::appraisal::{Claim, Subject};
use crate::enrolment::{self, EnrolmentClaims, EnrolmentError};
use crate::keys::VerifyingKey;
pub use boot_log::{BOOT_LOG_BYTES_MAX, BOOT_REGISTER_MAX};
pub use ima::{IMA_LOG_BYTES_MAX, IMA_REGISTER, until as ima_log_until};
pub use public::{
    ALG_AES, ALG_CFB, ALG_ECC, ALG_ECDSA, ALG_NULL, ALG_RSA, ALG_RSAPSS, ALG_RSASSA, ALG_SHA256, AttestationKey,
    CURVE_P256, KeyError, MODULUS_BYTES, PUBLIC_BYTES_MAX, PublicKey, SIGNATURE_BYTES_MAX, attestation_area,
    attestation_template,
};
pub use quote::{ClockInfo, QUOTE_BYTES_MAX, REGISTERS};
use quote::{Quote, QuoteError};

/// The first of the registers that software can set back.
const RESETTABLE: u8 = 16;

/// A register of the SHA-256 bank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Register {
    /// Its number, 0 to 23.
    pub number: u8,
    /// Its value.
    pub value: Digest,
}

/// A quote and what explains it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TpmEvidence {
    /// What the TPM signed: `TPMS_ATTEST`.
    pub attest: Encoded<QUOTE_BYTES_MAX>,
    /// By the attestation key: `TPMT_SIGNATURE`.
    pub signature: Encoded<SIGNATURE_BYTES_MAX>,
    /// The attestation key: `TPMT_PUBLIC`.
    pub ak_public: Encoded<PUBLIC_BYTES_MAX>,
    /// The registers that were quoted, in ascending order.
    pub pcrs: Vec<Register>,
    /// The firmware's log, as in `/sys/kernel/security/tpm0/binary_bios_measurements`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_log: Option<Encoded<BOOT_LOG_BYTES_MAX>>,
    /// The kernel's log up to the quote, as in `/sys/kernel/security/ima/binary_runtime_measurements`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ima_log: Option<Encoded<IMA_LOG_BYTES_MAX>>,
    /// The statement that the attestation key lives in a TPM: a JWS of type `siwa-enrolment+jwt`.
    pub enrolment: String,
}

/// What a quote that verified says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TpmClaims {
    /// The quoted registers that no software can set back, by number.
    pub pcrs: BTreeMap<u8, Digest>,
    /// SHA-256 of every file in the kernel's log; nothing where there is no log.
    pub programs: Option<BTreeSet<Digest>>,
    /// Whether the firmware's log was given, and explains the registers.
    pub boot_log: bool,
    /// The TPM's clock.
    pub clock: ClockInfo,
    /// The version that the TPM's maker gave its firmware.
    pub firmware_version: u64,
    /// What the enrolment says.
    pub enrolment: EnrolmentClaims,
}

/// Why a quote was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TpmError {
    /// Not a `TPMS_ATTEST`.
    #[error("the quote cannot be read")]
    Malformed,
    /// Not from inside a TPM.
    #[error("the quote does not begin as what a TPM says does")]
    Magic,
    /// The TPM attests something else.
    #[error("what the TPM signed is not a quote")]
    Type,
    /// The key that is to have signed.
    #[error("{0}")]
    Key(#[from] KeyError),
    /// Not by that key.
    #[error("the quote's signature does not verify")]
    Signature,
    /// The enrolment.
    #[error("{0}")]
    Enrolment(#[from] EnrolmentError),
    /// The enrolment is about another key.
    #[error("the attestation key is not the one that was enrolled")]
    NotEnrolled,
    /// The maker's certificate was checked by other anchors than the policy has now.
    #[error("the attestation key was enrolled under other trust anchors")]
    OtherAnchors,
    /// Another bank, or other registers than are given.
    #[error("the quote is not about exactly the registers that are given")]
    Selection,
    /// The registers have other values.
    #[error("the registers do not have the values that are given")]
    Registers,
    /// The firmware's log cannot be read.
    #[error("the firmware's log cannot be read")]
    BootLog,
    /// The firmware's log tells another boot.
    #[error("the firmware's log does not lead to the registers' values")]
    BootReplay,
    /// The kernel's log cannot be read.
    #[error("the kernel's log cannot be read")]
    ImaLog,
    /// The kernel's log tells of other files.
    #[error("the kernel's log does not lead to the value of register 10")]
    ImaReplay,
}

impl From<QuoteError> for TpmError {
    fn from(error: QuoteError) -> Self {
        match error {
            QuoteError::Malformed => Self::Malformed,
            QuoteError::Magic => Self::Magic,
            QuoteError::Type => Self::Type,
            QuoteError::Selection => Self::Selection,
        }
    }
}

impl From<ima::ImaError> for TpmError {
    fn from(error: ima::ImaError) -> Self {
        match error {
            ima::ImaError::Malformed => Self::ImaLog,
            ima::ImaError::Replay => Self::ImaReplay,
        }
    }
}

/// Verifies a quote by an enrolment that one of `enrolled_by` made under `anchors`.
///
/// # Errors
/// The first check that fails.
pub fn verify(
    evidence: &TpmEvidence,
    anchors: &Anchors,
    enrolled_by: &[VerifyingKey],
    now_ms: u64,
) -> Result<Found<TpmClaims>, TpmError> {
    // 1. The TPM itself speaks (TPM_GENERATED_VALUE), and it is a quote.
    let quote = Quote::parse(&evidence.attest)?;
    // 2. The key signs nothing but what its TPM says, and has signed this.
    let key = AttestationKey::parse(&evidence.ak_public)?;
    key.verifies(&evidence.attest, &evidence.signature).map_err(|_| TpmError::Signature)?;
    // 3. The key was enrolled by who is believed, is so still, and under the anchors that the policy has.
    let enrolment = enrolment::verify(&evidence.enrolment, enrolled_by, now_ms)?;
    if enrolment.ak_name != key.name() {
        return Err(TpmError::NotEnrolled);
    }
    if enrolment.anchors != enrolment::digest_of(anchors) {
        return Err(TpmError::OtherAnchors);
    }
    // 4. The registers that are given are those that were quoted, with the values that they had.
    let pcrs = registers(evidence, &quote)?;
    // 5. The firmware's log leads to the registers that it is about.
    if let Some(log) = &evidence.boot_log {
        let replayed = boot_log::replay(log).map_err(|_| TpmError::BootLog)?;
        if replayed.iter().any(|(number, value)| pcrs.get(number).is_some_and(|quoted| quoted != value)) {
            return Err(TpmError::BootReplay);
        }
    }
    // 6. The kernel's log leads to register 10, all of it.
    let programs = match &evidence.ima_log {
        None => None,
        Some(log) => Some(ima::replay(log, *pcrs.get(&IMA_REGISTER).ok_or(TpmError::ImaReplay)?)?),
    };
    let claims = TpmClaims {
        pcrs,
        programs,
        boot_log: evidence.boot_log.is_some(),
        clock: quote.clock,
        firmware_version: quote.firmware_version,
        enrolment,
    };
    Ok(Found { bound: quote.extra_data.to_vec(), tier: claims.enrolment.tier, claims })
}

/// The quoted registers below [`RESETTABLE`].
fn registers(evidence: &TpmEvidence, quote: &Quote<'_>) -> Result<BTreeMap<u8, Digest>, TpmError> {
    let mut given = 0_u32;
    let mut values = Vec::with_capacity(usize::from(REGISTERS) * 32);
    for register in &evidence.pcrs {
        // In ascending order, each once: no bit at or above this one is set yet.
        if register.number >= REGISTERS || given >> register.number != 0 {
            return Err(TpmError::Selection);
        }
        given |= 1 << register.number;
        values.extend_from_slice(register.value.as_bytes());
    }
    if quote.selection? != given {
        return Err(TpmError::Selection);
    }
    if quote.digest != Digest::of(&values).as_bytes() {
        return Err(TpmError::Registers);
    }
    let below = evidence.pcrs.iter().filter(|register| register.number < RESETTABLE);
    Ok(below.map(|register| (register.number, register.value)).collect())
}

/// Compares with a profile and its values.
#[must_use]
pub fn compare(claims: &TpmClaims, profile: &Profile, values: &TpmValues) -> Vec<Claim> {
    let mut compared = vec![instance(claims, profile)];
    // Register 10 is explained by its log; 16 and above can be set back by software.
    let booted = values.pcrs.iter().filter(|(number, _)| **number < RESETTABLE && **number != IMA_REGISTER);
    for (number, accepted) in booted {
        compared.push(match claims.pcrs.get(number) {
            Some(value) => Claim::one_of(Subject::Configuration, &format!("register {number}"), value, accepted),
            None => Claim::contraindicated(Subject::Configuration, format!("Register {number} was not quoted.")),
        });
    }
    if !values.pcrs.keys().any(|number| *number <= BOOT_REGISTER_MAX) {
        // Who does not know the kernel can't believe its log. Registers above 9 are for whoever runs.
        let sentence = "The policy has no reference value for any register of the boot (0 to 9), so that nothing says what booted.";
        compared.push(Claim::contraindicated(Subject::Configuration, sentence));
    }
    if claims.boot_log {
        let sentence = "The firmware's log leads to the values of its registers.";
        compared.push(Claim::affirming(Subject::Configuration, sentence));
    }
    compared.push(executables(claims, values));
    compared
}

fn instance(claims: &TpmClaims, profile: &Profile) -> Claim {
    let enrolment = &claims.enrolment;
    if enrolment.profile != profile.name {
        let sentence = "The attestation key was enrolled for another profile of the policy.";
        return Claim::contraindicated(Subject::InstanceIdentity, sentence);
    }
    if enrolment.serials.iter().any(|serial| profile.revoked.contains(serial)) {
        let sentence = "The policy lists a certificate as revoked by which the attestation key was enrolled.";
        return Claim::contraindicated(Subject::InstanceIdentity, sentence);
    }
    Claim::affirming(Subject::InstanceIdentity, "The attestation key lives in a TPM that was enrolled.")
}

/// The program is known from the replayed log alone.
fn executables(claims: &TpmClaims, values: &TpmValues) -> Claim {
    let (status, sentence): (fn(Subject, &'static str) -> Claim, _) = match &claims.programs {
        _ if values.programs.is_empty() => {
            (Claim::contraindicated, "The policy has no reference value for the program.")
        }
        None => (Claim::contraindicated, "No log of the kernel says which programs ran."),
        Some(programs) if programs.is_disjoint(&values.programs) => {
            (Claim::contraindicated, "None of the policy's programs is in the kernel's log.")
        }
        Some(programs) if programs.is_subset(&values.programs) => (
            Claim::affirming,
            "The kernel measured programs of the policy and no other, and its log leads to register 10.",
        ),
        // Whoever runs as root beside the program can add entries to the log, that of the program among them.
        Some(_) => {
            (Claim::warning, "The kernel measured a program of the policy, and others that the policy does not know.")
        }
    };
    status(Subject::Executables, sentence)
}

#[cfg(test)]
mod tests;
