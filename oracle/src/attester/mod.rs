//! What a node proves of itself by: one attester a process, chosen by config, asked for evidence over 32 bytes.
//!
//! An attester knows nothing of what it covers: [`attest::binding::Binding::digest`] says that. Adding a kind: a module
//! beside this, a variant here and in [`EvidenceChoice`], and its place in [`Attester::open`].

pub mod configfs;
mod hardware;
pub mod nitro;
mod software;
pub mod tpm;

use std::path::PathBuf;
use std::sync::Arc;

use attest::{Evidence, JwsError, SigningKey};
use policies::Digest;
use policies::rules::EvidenceKind;
use serde::Deserialize;

use crate::clock::Clock;
pub use hardware::HardwareAttester;
pub use software::SoftwareAttester;
use tpm::{TpmAttester, TpmAttesterError, TpmOptions};

/// Which evidence a node gives: the `evidence` of the config's `[region.attestation]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EvidenceChoice {
    /// The best that is present; the node's own statement where nothing better is.
    #[default]
    Auto,
    /// The node's own statement: for development.
    Software,
    /// A quote by a TPM.
    Tpm,
    /// An AMD SEV-SNP report.
    SevSnp,
    /// An Intel TDX quote.
    Tdx,
    /// An AWS Nitro document.
    Nitro,
}

/// How a node attests: the config's `[region.attestation]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AttestationOptions {
    /// Which evidence it gives.
    pub evidence: EvidenceChoice,
    /// The node's TPM, where it has one that it shows.
    pub tpm: Option<TpmOptions>,
    /// For SEV-SNP where the host gives no certificates: a PEM file with the chip's and its issuer's.
    pub certificates: Option<PathBuf>,
    /// For TDX: the file of the collateral that goes with quotes. It is read for each, so that it can be renewed.
    pub collateral: Option<PathBuf>,
}

/// Why there is no evidence.
#[derive(Debug, thiserror::Error)]
pub enum AttesterError {
    /// The node's statement could not be signed.
    #[error("the node's statement could not be signed")]
    Signing(#[from] JwsError),
    /// The TPM gave no quote.
    #[error(transparent)]
    Tpm(#[from] TpmAttesterError),
    /// The kind that the config asks for is not present.
    #[error("this machine gives no evidence of the kind {0}")]
    Absent(EvidenceKind),
    /// Quotes need collateral.
    #[error("TDX quotes need collateral, and the config names no file of it")]
    Collateral,
    /// The kernel's interface to SEV-SNP and TDX.
    #[error(transparent)]
    Configfs(#[from] configfs::ConfigfsError),
    /// The Nitro Security Module.
    #[error(transparent)]
    Nitro(#[from] nitro::NsmError),
    /// The process ended meanwhile.
    #[error("the process ends")]
    CutOff,
}

/// Makes a node's evidence.
pub enum Attester {
    /// By the node's own key.
    Software(SoftwareAttester),
    /// By a TPM.
    Tpm(TpmAttester),
    /// By the machine.
    Hardware(HardwareAttester),
}

impl Attester {
    /// The attester that the config asks for.
    ///
    /// # Errors
    /// The kind that is asked for is not present here.
    pub async fn open(options: &AttestationOptions, key: Arc<SigningKey>, clock: Clock) -> Result<Self, AttesterError> {
        if options.evidence == EvidenceChoice::Software {
            return Ok(Self::Software(SoftwareAttester::new(key, clock)));
        }
        // The machine itself before a TPM beside it.
        if options.evidence != EvidenceChoice::Tpm
            && let Some(attester) = HardwareAttester::open(options).await?
        {
            return Ok(Self::Hardware(attester));
        }
        if options.evidence == EvidenceChoice::Tpm || options.tpm.is_some() {
            return Ok(Self::Tpm(TpmAttester::open(options.tpm.clone().unwrap_or_default()).await?));
        }
        Ok(Self::Software(SoftwareAttester::new(key, clock)))
    }

    /// The kind of its evidence.
    #[must_use]
    pub const fn kind(&self) -> EvidenceKind {
        match self {
            Self::Software(_) => EvidenceKind::Software,
            Self::Tpm(_) => EvidenceKind::Tpm,
            Self::Hardware(attester) => attester.kind(),
        }
    }

    /// The TPM, where that is what the node shows.
    pub(crate) const fn tpm(&self) -> Option<&TpmAttester> {
        match self {
            Self::Tpm(attester) => Some(attester),
            Self::Software(_) | Self::Hardware(_) => None,
        }
    }

    /// Evidence that covers `bound`.
    ///
    /// # Errors
    /// The root of trust gave none.
    pub async fn evidence(&self, bound: Digest) -> Result<Evidence, AttesterError> {
        match self {
            Self::Software(attester) => attester.evidence(bound),
            Self::Tpm(attester) => Ok(Evidence::Tpm(attester.evidence(bound).await?)),
            Self::Hardware(attester) => attester.evidence(bound).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use attest::evidence::software::{self, SoftwareEvidence};

    #[tokio::test]
    async fn whatever_is_not_better_is_a_statement_of_the_nodes_key_now() {
        let key = Arc::new(attest::jws::fuzz::fixed_key());
        let clock = Clock::manual(1_800_000_000_000);
        let bound = Digest::of(b"bound");
        for evidence in [EvidenceChoice::Auto, EvidenceChoice::Software] {
            let options = AttestationOptions { evidence, ..AttestationOptions::default() };
            let attester = Attester::open(&options, Arc::clone(&key), clock.clone()).await.unwrap();
            assert_eq!(attester.kind(), EvidenceKind::Software);
            let made = serde_json::to_value(attester.evidence(bound).await.unwrap()).unwrap();
            assert_eq!(made["kind"], "software");
            let made = SoftwareEvidence { statement: made["statement"].as_str().unwrap().to_owned() };
            let found = software::verify(&made, &key.verifying_key(), clock.now_ms()).unwrap();
            assert_eq!(found.bound, bound.as_bytes());
            assert_eq!((found.claims.iat, found.claims.version.as_str()), (1_800_000_000, env!("CARGO_PKG_VERSION")));
        }
    }
}
