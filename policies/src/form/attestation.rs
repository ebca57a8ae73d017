//! The form of `attestation.toml`, and of a region's section `[attestation]`.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use crate::{Status, Tier, rules::KeySecurity};

/// 32 bytes as 64 hexadecimal digits in lower case.
#[derive(JsonSchema)]
pub struct Hex32(#[schemars(regex(pattern = "^[0-9a-f]{64}$"))] pub String);

/// 48 bytes as 96 hexadecimal digits in lower case.
#[derive(JsonSchema)]
pub struct Hex48(#[schemars(regex(pattern = "^[0-9a-f]{96}$"))] pub String);

/// The values of one register, any of which is accepted: 64 hexadecimal digits in lower case each.
#[derive(JsonSchema)]
pub struct Register32(#[schemars(length(min = 1, max = 64))] pub Vec<Hex32>);

/// The values of one register, any of which is accepted: 96 hexadecimal digits in lower case each.
#[derive(JsonSchema)]
pub struct Register48(#[schemars(length(min = 1, max = 64))] pub Vec<Hex48>);

/// What nodes and devices may show to be believed: `attestation.toml`. Each profile is of one kind of evidence.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AttestationFile {
    /// Of nodes: a statement by the node's own key, for development.
    #[schemars(length(max = 64))]
    pub software: Option<Vec<SoftwareSection>>,
    /// Of nodes: a TPM 2.0 quote.
    #[schemars(length(max = 64))]
    pub tpm: Option<Vec<TpmSection>>,
    /// Of nodes: an AMD SEV-SNP attestation report.
    #[schemars(length(max = 64))]
    pub sev_snp: Option<Vec<SevSnpSection>>,
    /// Of nodes: an Intel TDX quote.
    #[schemars(length(max = 64))]
    pub tdx: Option<Vec<TdxSection>>,
    /// Of nodes: an Intel SGX quote.
    #[schemars(length(max = 64))]
    pub sgx: Option<Vec<SgxSection>>,
    /// Of nodes: an AWS Nitro Enclaves attestation document.
    #[schemars(length(max = 64))]
    pub nitro: Option<Vec<NitroSection>>,
    /// Of devices: an Android key attestation.
    #[schemars(length(max = 64))]
    pub android: Option<Vec<AndroidSection>>,
    /// Of devices: an Apple App Attest attestation.
    #[schemars(length(max = 64))]
    pub app_attest: Option<Vec<AppAttestSection>>,
    /// Of devices: a WebAuthn attestation.
    #[schemars(length(max = 64))]
    pub web_authn: Option<Vec<WebAuthnSection>>,
}

/// A profile of a kind whose evidence ends in certificates of a manufacturer.
macro_rules! profile {
    ($(#[$meta:meta])* $name:ident { $($fields:tt)* }) => {
        $(#[$meta])*
        #[derive(JsonSchema)]
        #[schemars(deny_unknown_fields)]
        pub struct $name {
            /// The profile's name, by which regions and grants refer to it.
            pub name: String,
            /// Files of this folder (`anchors/NAME.pem`) with the certificates that the evidence must lead to.
            #[schemars(length(min = 1, max = 16))]
            pub anchors: Vec<String>,
            /// Serial numbers of certificates that are refused: hexadecimal in lower case, without leading zeros.
            #[schemars(length(max = 256), inner(regex(pattern = "^[1-9a-f][0-9a-f]{0,39}$")))]
            pub revoked: Option<Vec<String>>,
            /// The best status that this evidence can get, `affirming` if absent; `contraindicated` bars the profile.
            pub status_best: Option<Status>,
            $($fields)*
        }
    };
}

/// A statement by the node's own key, for development.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SoftwareSection {
    /// The profile's name, by which regions and grants refer to it.
    pub name: String,
    /// The best status that this evidence can get, never better than `warning`; `contraindicated` bars the profile.
    pub status_best: Option<Status>,
    /// Versions that the program may say it is. Nothing measures it.
    #[schemars(length(max = 64), inner(length(min = 1, max = 64)))]
    pub versions: Vec<String>,
}

profile! {
    /// A TPM 2.0 quote.
    TpmSection {
        /// By the number of a register of the SHA-256 bank, 0 to 9 and 11 to 15: its values.
        #[schemars(extend("propertyNames" = { "pattern": "^([0-9]|1[1-5])$" }))]
        pub pcrs: Option<BTreeMap<String, Register32>>,
        /// SHA-256 of the program's file, as the kernel (IMA) measures it before it runs.
        #[schemars(length(max = 64))]
        pub programs: Vec<Hex32>,
    }
}

profile! {
    /// An AMD SEV-SNP attestation report.
    SevSnpSection {
        /// Launch measurements of the virtual machine, 96 hexadecimal digits each.
        #[schemars(length(max = 64))]
        pub measurements: Vec<Hex48>,
        /// The lowest security versions of the platform that are accepted; without it, any, with a warning.
        pub tcb_min: Option<SnpTcbSection>,
    }
}

/// The lowest security versions of an SEV-SNP platform that are accepted.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SnpTcbSection {
    /// The lowest security version of the boot loader.
    #[schemars(range(min = 0, max = 255))]
    pub bootloader: u8,
    /// The lowest security version of the secure processor's operating system.
    #[schemars(range(min = 0, max = 255))]
    pub tee: u8,
    /// The lowest security version of the SNP firmware.
    #[schemars(range(min = 0, max = 255))]
    pub snp: u8,
    /// The lowest security version of the microcode.
    #[schemars(range(min = 0, max = 255))]
    pub microcode: u8,
}

profile! {
    /// An Intel TDX quote.
    TdxSection {
        /// Measurements of the trust domain at its launch (MRTD), 96 hexadecimal digits each.
        #[schemars(length(max = 64))]
        pub mrtds: Vec<Hex48>,
        /// By the number of a run-time register (RTMR), 0 to 3: its values.
        #[schemars(extend("propertyNames" = { "pattern": "^[0-3]$" }))]
        pub rtmrs: Option<BTreeMap<String, Register48>>,
        /// States of the platform that are accepted beside `UpToDate`, with a warning.
        pub tcb_statuses: Option<Vec<TcbStatus>>,
    }
}

profile! {
    /// An Intel SGX quote.
    SgxSection {
        /// Measurements of the enclave (MRENCLAVE), 64 hexadecimal digits each.
        #[schemars(length(max = 64))]
        pub mrenclaves: Vec<Hex32>,
        /// States of the platform that are accepted beside `UpToDate`, with a warning.
        pub tcb_statuses: Option<Vec<TcbStatus>>,
    }
}

/// A state of an Intel platform that is not up to date, and not revoked.
#[derive(JsonSchema)]
pub enum TcbStatus {
    /// The software must harden itself.
    #[schemars(rename = "SWHardeningNeeded")]
    SwHardeningNeeded,
    /// The platform must be configured otherwise.
    ConfigurationNeeded,
    /// Both.
    #[schemars(rename = "ConfigurationAndSWHardeningNeeded")]
    ConfigurationAndSwHardeningNeeded,
    /// The platform lacks an update.
    OutOfDate,
    /// The platform lacks an update, and must be configured otherwise.
    OutOfDateConfigurationNeeded,
    /// The trust domain runs since before an update of the platform.
    #[schemars(rename = "TDRelaunchAdvised")]
    TdRelaunchAdvised,
    /// The same, and the platform must be configured otherwise.
    #[schemars(rename = "TDRelaunchAdvisedConfigurationNeeded")]
    TdRelaunchAdvisedConfigurationNeeded,
}

profile! {
    /// An AWS Nitro Enclaves attestation document.
    NitroSection {
        /// By the number of a register, 0 to 8: its values.
        #[schemars(extend("propertyNames" = { "pattern": "^[0-8]$" }))]
        pub pcrs: BTreeMap<String, Register48>,
    }
}

profile! {
    /// An Android key attestation.
    AndroidSection {
        /// Names of the app's package, such as `com.example.player`.
        #[schemars(length(max = 64), inner(length(min = 1, max = 255)))]
        pub packages: Vec<String>,
        /// SHA-256 of the certificates that sign the app, 64 hexadecimal digits each.
        #[schemars(length(max = 64))]
        pub signers: Vec<Hex32>,
        /// Where keys must be kept at least: `software`, `trusted-environment` or `strong-box`.
        pub security_min: KeySecurity,
        /// The oldest patch level of the system that is accepted, as YYYYMM.
        #[schemars(range(min = 201_501, max = 209_912))]
        pub patch_level_min: u32,
    }
}

profile! {
    /// An Apple App Attest attestation.
    AppAttestSection {
        /// The app's team and bundle, such as `A1B2C3D4E5.com.example.player`.
        #[schemars(length(max = 64), inner(length(min = 1, max = 255)))]
        pub app_ids: Vec<String>,
        /// Whether apps that are under development are accepted, with a warning; without it, no.
        pub development: Option<bool>,
    }
}

/// A WebAuthn attestation.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct WebAuthnSection {
    /// The profile's name, by which regions and grants refer to it.
    pub name: String,
    /// Files of this folder (`anchors/NAME.pem`) with the certificates of makers of authenticators; may be absent only if `unattested` is true and `models` names none.
    #[schemars(length(max = 16))]
    pub anchors: Option<Vec<String>>,
    /// Serial numbers of certificates that are refused: hexadecimal in lower case, without leading zeros.
    #[schemars(length(max = 256), inner(regex(pattern = "^[1-9a-f][0-9a-f]{0,39}$")))]
    pub revoked: Option<Vec<String>>,
    /// The best status that this evidence can get, `affirming` if absent; `contraindicated` bars the profile.
    pub status_best: Option<Status>,
    /// The domain that keys are made for (RP ID), such as `example.com`.
    #[schemars(length(min = 1, max = 253))]
    pub relying_party: String,
    /// Pages that may ask, such as `https://www.example.com`: https, of the domain, without a path.
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 256)))]
    pub origins: Vec<String>,
    /// Models of authenticators (AAGUID) that are accepted when attested, as UUID text in lower case; without it, none.
    #[schemars(length(max = 256), inner(length(min = 36, max = 36)))]
    pub models: Option<Vec<String>>,
    /// Whether authenticators that attest nothing are accepted, with a warning; without it, no.
    pub unattested: Option<bool>,
}

/// What the region's nodes must prove.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct AttestationSection {
    /// The profiles of `attestation.toml` that a node may show, one of them.
    #[schemars(length(min = 1, max = 64))]
    pub profiles: Vec<String>,
    /// The weakest root of trust that is accepted: `software`, `development` or `hardware`.
    pub tier_min: Tier,
    /// The worst status that is accepted: `affirming` or `warning`. What is contraindicated is never accepted.
    pub status_min: StatusMin,
    /// How long a result is good for before the node must prove itself again.
    #[schemars(range(min = 30, max = 3_600))]
    pub result_seconds: u32,
}

/// A status that may be accepted.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
pub enum StatusMin {
    /// Everything is as the policy wants it.
    Affirming,
    /// It can be accepted by who knows why.
    Warning,
}
