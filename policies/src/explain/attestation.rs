//! What nodes must prove and devices may, in plain language.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use super::compared::{Compared, Reading, compared};
use super::{Explanation, duration};
use crate::rules::{AttestationRule, EvidenceKind, Status, Tier};
use crate::{Anchor, Digest, Grant, PolicySet, Profile};

/// What a region's nodes must prove.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AttestationExplanation {
    /// The weakest root of trust that is accepted.
    pub tier_min: Tier,
    /// The worst status that is accepted.
    pub status_min: Status,
    /// How long a result is good for, in seconds.
    pub result_seconds: u32,
    /// What they may show.
    pub profiles: Vec<ProfileExplanation>,
}

/// What is accepted of one kind of evidence.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProfileExplanation {
    /// The profile's name.
    pub profile: String,
    /// The kind of evidence.
    pub kind: EvidenceKind,
    /// Who vouches for it.
    pub anchors: Vec<AnchorExplanation>,
    /// Serial numbers of certificates that are refused.
    pub revoked: Vec<String>,
    /// The best status that it can get.
    pub status_best: Status,
    /// What it is compared with.
    pub compared: Vec<Compared>,
}

/// One file of trust anchors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AnchorExplanation {
    /// The policy file.
    pub file: String,
    /// SHA-256 of each of its certificates.
    pub certificates: Vec<Digest>,
}

pub(super) fn attestation(rule: &AttestationRule, set: &PolicySet) -> AttestationExplanation {
    AttestationExplanation {
        tier_min: rule.tier_min,
        status_min: rule.status_min,
        result_seconds: rule.result_seconds,
        profiles: rule.profiles.iter().filter_map(|name| set.profiles().get(name)).map(profile).collect(),
    }
}

/// Every profile that some grant accepts of devices, once.
pub(super) fn devices(grants: &[&Grant], set: &PolicySet) -> Vec<ProfileExplanation> {
    let names: BTreeSet<&String> = grants.iter().flat_map(|grant| &grant.devices).collect();
    names.into_iter().filter_map(|name| set.profiles().get(name)).map(profile).collect()
}

fn profile(profile: &Profile) -> ProfileExplanation {
    ProfileExplanation {
        profile: profile.name.clone(),
        kind: profile.kind(),
        anchors: profile.anchors.iter().map(anchor).collect(),
        revoked: profile.revoked.iter().cloned().collect(),
        status_best: profile.status_best,
        compared: compared(&profile.values),
    }
}

pub(super) fn anchor(anchor: &Anchor) -> AnchorExplanation {
    AnchorExplanation { file: anchor.path.clone(), certificates: anchor.fingerprints() }
}

impl Explanation {
    pub(super) fn write_attestation(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nWhat a node must prove")?;
        let Some(rule) = &self.attestation else {
            writeln!(
                f,
                "  Nothing: the region asks for no evidence of what its nodes run. A node is known by its key"
            )?;
            return writeln!(f, "  alone, if the centre's operator has pinned it.");
        };
        writeln!(f, "  That it runs what is accepted below, under exactly these policies. It proves that for each")?;
        writeln!(f, "  connection, with a challenge that is used once; the centre then takes its releases over that")?;
        writeln!(f, "  connection for {}, and asks again.", duration(rule.result_seconds))?;
        writeln!(f, "  {}", stands_behind(rule.tier_min))?;
        writeln!(f, "  {}", status(rule.status_min))?;
        writeln!(f, "  It may show one of these:")?;
        for profile in &rule.profiles {
            write_profile(f, profile)?;
        }
        writeln!(f, "  Anything else is refused: other evidence, other values, evidence that was made for another")?;
        writeln!(
            f,
            "  challenge, key or policy, and evidence that there is nothing to compare with. The one exception"
        )?;
        writeln!(f, "  is a node whose key the centre's operator has pinned: the centre's configuration names it.")
    }

    pub(super) fn write_devices(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nWhat a viewer's device may prove")?;
        if self.devices.is_empty() {
            return writeln!(f, "  Nothing: no evidence of devices is accepted.");
        }
        writeln!(f, "  That it is genuine, with a challenge that is used once:")?;
        for tenant in &self.tenants {
            match tenant.devices.as_slice() {
                [] => writeln!(f, "  {}: with nothing; evidence of its viewers' devices is refused.", tenant.tenant)?,
                names => writeln!(f, "  {}: with {}", tenant.tenant, names.join(", "))?,
            }
        }
        self.devices.iter().try_for_each(|profile| write_profile(f, profile))?;
        writeln!(f, "  Anything else is refused.")
    }
}

fn write_profile(f: &mut fmt::Formatter<'_>, profile: &ProfileExplanation) -> fmt::Result {
    writeln!(f, "  - {}: {}", profile.profile, evidence(profile.kind))?;
    if !profile.anchors.is_empty() {
        writeln!(f, "    Vouched for by its maker: its certificates must lead to one of these (SHA-256):")?;
        write_anchors(f, &profile.anchors)?;
    } else if profile.kind == EvidenceKind::Software {
        writeln!(
            f,
            "    Nobody vouches for it: the node's key must be known beforehand, and it is a warning at best."
        )?;
    } else {
        writeln!(f, "    Nobody vouches for it: it is a warning at best.")?;
    }
    if !profile.revoked.is_empty() {
        writeln!(f, "    Refused are certificates with the serial numbers {}", profile.revoked.join(", "))?;
    }
    match profile.status_best {
        Status::Affirming => {}
        Status::Warning => writeln!(f, "    By decision of this policy it is a warning at best.")?,
        Status::Contraindicated => {
            writeln!(f, "    By decision of this policy it is barred: whoever shows it is refused.")?;
        }
    }
    profile.compared.iter().try_for_each(|compared| write_compared(f, compared))
}

pub(super) fn write_anchors(f: &mut fmt::Formatter<'_>, anchors: &[AnchorExplanation]) -> fmt::Result {
    for anchor in anchors {
        writeln!(f, "    {}:", anchor.file)?;
        anchor.certificates.iter().try_for_each(|digest| writeln!(f, "      {digest}"))?;
    }
    Ok(())
}

fn write_compared(f: &mut fmt::Formatter<'_>, compared: &Compared) -> fmt::Result {
    let Compared { what, accepted, reading } = compared;
    match (reading, accepted.as_slice()) {
        (Reading::Tolerated, []) => Ok(()),
        (Reading::AtLeast(least), _) if *least == 0.0 => Ok(()),
        (Reading::AtLeast(_), values) => writeln!(f, "    Compared: {what}, at least {}", values.join(", ")),
        (Reading::Tolerated, values) => {
            writeln!(f, "    Accepted with a warning: {what} {}", values.join(" or "))
        }
        (_, []) => {
            writeln!(f, "    Compared: {what}. NO VALUE STANDS HERE: nothing fits, and nobody can show this.")
        }
        (_, [value]) if value.len() < 48 => writeln!(f, "    Compared: {what}, which must be {value}"),
        (_, values) => {
            let one = if values.len() == 1 { "be" } else { "be one of" };
            writeln!(f, "    Compared: {what}, which must {one}")?;
            values.iter().try_for_each(|value| writeln!(f, "      {value}"))
        }
    }
}

const fn stands_behind(tier_min: Tier) -> &'static str {
    match tier_min {
        Tier::Software => "No root of trust is needed: the word of the program itself will do.",
        Tier::Development => {
            "A root of trust is needed; one that its owner can read and change will do, such as a TPM in software."
        }
        Tier::Hardware => "A root of trust in hardware is needed.",
    }
}

const fn status(status_min: Status) -> &'static str {
    match status_min {
        Status::Affirming => "Everything must be as the policy wants it: a warning is not good enough.",
        Status::Warning | Status::Contraindicated => {
            "A warning is good enough; it says what is not as one would want it."
        }
    }
}

const fn evidence(kind: EvidenceKind) -> &'static str {
    match kind {
        EvidenceKind::Software => "a statement by the node's own key (software)",
        EvidenceKind::Tpm => "a quote of the machine's TPM 2.0 (tpm)",
        EvidenceKind::SevSnp => "a report of an AMD processor on its virtual machine (sev-snp)",
        EvidenceKind::Tdx => "a quote of an Intel processor on its trust domain (tdx)",
        EvidenceKind::Sgx => "a quote of an Intel processor on its enclave (sgx)",
        EvidenceKind::Nitro => "a document of AWS on its enclave (nitro)",
        EvidenceKind::Android => "an attestation of a key on an Android device (android)",
        EvidenceKind::AppAttest => "an attestation of an app on an Apple device (app-attest)",
        EvidenceKind::WebAuthn => "an attestation of an authenticator in a browser (web-authn)",
    }
}
