//! Rules on what a machine must prove of itself: nodes before a release of theirs is accepted, devices before they are
//! called genuine.
//!
//! A [`Profile`] is what is accepted of one kind of evidence: whose signatures (anchors) and which reference values. A
//! region names the profiles that its nodes may show, a grant those that a tenant's devices may show. Nothing in a profile
//! can raise a status: empty values compare with nothing, and [`Profile::status_best`] only lowers.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::Digest;

/// Who makes the evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EvidenceKind {
    /// A node's own signed statement: for development.
    Software,
    /// A TPM 2.0 quote (TCG TPM 2.0 Library, Part 1 §25).
    Tpm,
    /// An AMD SEV-SNP attestation report.
    SevSnp,
    /// An Intel TDX quote.
    Tdx,
    /// An Intel SGX quote.
    Sgx,
    /// An AWS Nitro Enclaves attestation document.
    Nitro,
    /// An Android key attestation.
    Android,
    /// An Apple App Attest attestation.
    AppAttest,
    /// A WebAuthn attestation, packed or none.
    WebAuthn,
}

impl EvidenceKind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::Software,
        Self::Tpm,
        Self::SevSnp,
        Self::Tdx,
        Self::Sgx,
        Self::Nitro,
        Self::Android,
        Self::AppAttest,
        Self::WebAuthn,
    ];

    /// The name in policy files and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Software => "software",
            Self::Tpm => "tpm",
            Self::SevSnp => "sev-snp",
            Self::Tdx => "tdx",
            Self::Sgx => "sgx",
            Self::Nitro => "nitro",
            Self::Android => "android",
            Self::AppAttest => "app-attest",
            Self::WebAuthn => "web-authn",
        }
    }

    /// Whether viewers' devices make it; nodes make all else.
    #[must_use]
    pub const fn is_of_device(self) -> bool {
        matches!(self, Self::Android | Self::AppAttest | Self::WebAuthn)
    }
}

impl std::fmt::Display for EvidenceKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What stands behind evidence, from the weakest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// A program's word.
    Software,
    /// A root of trust that its owner can read and change, such as a TPM in software.
    Development,
    /// A root of trust in hardware.
    Hardware,
}

/// An appraisal's outcome in the tiers of AR4SI (draft-ietf-rats-ar4si §2.3.2), from the best to the worst. `none` is not
/// among them: what was not compared is contraindicated here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Everything is as the policy wants it.
    Affirming,
    /// It can be accepted by who knows why.
    Warning,
    /// It must not be relied on.
    Contraindicated,
}

/// A launch measurement or register, 32 or 48 bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Measurement(pub Vec<u8>);

/// PEM text of certificates that a chain must end in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// The policy file: `anchors/NAME.pem`.
    pub path: String,
    /// Its text.
    pub pem: Vec<u8>,
}

impl Anchor {
    /// SHA-256 of each certificate, in the order of the file: the fingerprints that manufacturers publish.
    #[must_use]
    pub fn fingerprints(&self) -> Vec<Digest> {
        crate::parse::fingerprints(&self.pem)
    }
}

/// What is accepted of one kind of evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Its name, by which regions and grants refer to it.
    pub name: String,
    /// Where chains of certificates must end. Empty where the kind has none.
    pub anchors: Vec<Anchor>,
    /// Serial numbers of certificates that are refused wherever they stand in a chain: lower-case hexadecimal without
    /// leading zeros.
    pub revoked: BTreeSet<String>,
    /// The best status that evidence of this profile can get.
    pub status_best: Status,
    /// What the evidence is compared with.
    pub values: ReferenceValues,
}

impl Profile {
    /// The kind of evidence that it is about.
    #[must_use]
    pub const fn kind(&self) -> EvidenceKind {
        match self.values {
            ReferenceValues::Software(_) => EvidenceKind::Software,
            ReferenceValues::Tpm(_) => EvidenceKind::Tpm,
            ReferenceValues::SevSnp(_) => EvidenceKind::SevSnp,
            ReferenceValues::Tdx(_) => EvidenceKind::Tdx,
            ReferenceValues::Sgx(_) => EvidenceKind::Sgx,
            ReferenceValues::Nitro(_) => EvidenceKind::Nitro,
            ReferenceValues::Android(_) => EvidenceKind::Android,
            ReferenceValues::AppAttest(_) => EvidenceKind::AppAttest,
            ReferenceValues::WebAuthn(_) => EvidenceKind::WebAuthn,
        }
    }
}

/// What evidence is compared with, by its kind. An empty set matches nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReferenceValues {
    /// Of a node's own statement.
    Software(SoftwareValues),
    /// Of a TPM quote.
    Tpm(TpmValues),
    /// Of an SEV-SNP report.
    SevSnp(SevSnpValues),
    /// Of a TDX quote.
    Tdx(TdxValues),
    /// Of an SGX quote.
    Sgx(SgxValues),
    /// Of a Nitro document.
    Nitro(NitroValues),
    /// Of an Android key attestation.
    Android(AndroidValues),
    /// Of an App Attest attestation.
    AppAttest(AppAttestValues),
    /// Of a WebAuthn attestation.
    WebAuthn(WebAuthnValues),
}

/// Of a node's own statement. Nothing measures the program, so that a match is a warning at best.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SoftwareValues {
    /// Versions that the program may say it is.
    pub versions: BTreeSet<String>,
}

/// Of a TPM quote.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TpmValues {
    /// By the number of a register of the SHA-256 bank, 0 to 15 (16 to 23 can be reset by software): its values. Register
    /// 10 is not among them: its log is replayed instead.
    pub pcrs: BTreeMap<u8, BTreeSet<Digest>>,
    /// SHA-256 of the program's file, as the kernel (IMA) measured it into register 10 before it ran.
    pub programs: BTreeSet<Digest>,
}

/// Of an SEV-SNP report.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SevSnpValues {
    /// Launch measurements, 48 bytes.
    pub measurements: BTreeSet<Measurement>,
    /// The lowest security versions of the platform that are accepted.
    pub tcb_min: SnpTcb,
}

/// Security versions of an SEV-SNP platform (AMD SEV-SNP ABI, `TCB_VERSION`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct SnpTcb {
    /// Of the boot loader.
    pub bootloader: u8,
    /// Of the secure processor's operating system.
    pub tee: u8,
    /// Of the SNP firmware.
    pub snp: u8,
    /// Of the microcode.
    pub microcode: u8,
}

/// Of a TDX quote.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TdxValues {
    /// Measurements of the trust domain at its launch (MRTD), 48 bytes.
    pub mrtds: BTreeSet<Measurement>,
    /// By number, 0 to 3: values of the registers that extend it (RTMR), 48 bytes.
    pub rtmrs: BTreeMap<u8, BTreeSet<Measurement>>,
    /// States of the platform that are accepted beside `UpToDate`; they are a warning.
    pub tcb_statuses: BTreeSet<String>,
}

/// Of an SGX quote.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SgxValues {
    /// Measurements of the enclave (MRENCLAVE), 32 bytes.
    pub mrenclaves: BTreeSet<Measurement>,
    /// States of the platform that are accepted beside `UpToDate`; they are a warning.
    pub tcb_statuses: BTreeSet<String>,
}

/// Of a Nitro document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NitroValues {
    /// By the number of a register, 0 to 8: its values, 48 bytes.
    pub pcrs: BTreeMap<u8, BTreeSet<Measurement>>,
}

/// Where a device keeps keys, from the weakest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KeySecurity {
    /// In the operating system.
    Software,
    /// In a trusted execution environment.
    TrustedEnvironment,
    /// In a chip of its own.
    StrongBox,
}

/// Of an Android key attestation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AndroidValues {
    /// Names of the app's package.
    pub packages: BTreeSet<String>,
    /// SHA-256 of the certificates that sign the app.
    pub signers: BTreeSet<Digest>,
    /// Where keys must be kept at least.
    pub security_min: KeySecurity,
    /// The oldest patch level of the system, as YYYYMM.
    pub patch_level_min: u32,
}

/// Of an App Attest attestation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppAttestValues {
    /// Team and bundle: `TEAMID.com.example.app`.
    pub app_ids: BTreeSet<String>,
    /// Whether apps that are under development are accepted, with a warning.
    pub development: bool,
}

/// Of a WebAuthn attestation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebAuthnValues {
    /// The relying party's domain (WebAuthn §4, RP ID).
    pub relying_party: String,
    /// Pages that may ask: `https://host[:port]`.
    pub origins: BTreeSet<String>,
    /// Models of authenticators (AAGUID), 16 bytes each as lower-case UUID text. Only packed attestations show one.
    pub models: BTreeSet<String>,
    /// Whether authenticators that attest nothing are accepted, with a warning.
    pub unattested: bool,
}

/// What a region's nodes must prove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttestationRule {
    /// Names of the profiles that they may show.
    pub profiles: BTreeSet<String>,
    /// The weakest root of trust that is accepted.
    pub tier_min: Tier,
    /// The worst status that is accepted: affirming or warning.
    pub status_min: Status,
    /// How long a result is good for, in seconds.
    pub result_seconds: u32,
}
