//! Reads what evidence is accepted: the profiles of `attestation.toml`, and what a region asks of its nodes.

mod cross;
mod values;

use std::collections::{BTreeMap, BTreeSet};

pub(super) use self::cross::check;
use super::document::{Document, Section};
use super::{anchors, distinct, label};
use crate::rules::{AttestationRule, EvidenceKind, Profile, ReferenceValues, Status, Tier};
use crate::{Anchor, Finding};

/// Hexadecimal digits of a certificate's serial number at most (RFC 5280, section 4.1.2.2).
const SERIAL_DIGITS_MAX: usize = 40;

/// The profiles, as far as they can be read.
#[derive(Default)]
pub(super) struct Profiles {
    /// By their names: a profile's kind is known even where its values are not.
    by_name: BTreeMap<String, (EvidenceKind, Option<Profile>)>,
    /// Whether every profile has a kind and a name of its own that can be read.
    complete: bool,
}

impl Profiles {
    pub(super) const fn is_complete(&self) -> bool {
        self.complete
    }

    /// The profiles that could be read.
    pub(super) fn into_read(self) -> BTreeMap<String, Profile> {
        self.by_name.into_iter().filter_map(|(name, (_, profile))| Some((name, profile?))).collect()
    }
}

/// Reads `attestation.toml`.
pub(super) fn read(
    document: &Document<'_>,
    files: &BTreeMap<String, Vec<u8>>,
    findings: &mut Vec<Finding>,
) -> Profiles {
    let mut profiles = Profiles { by_name: BTreeMap::new(), complete: kinds_are_known(document) };
    for kind in EvidenceKind::ALL {
        for section in document.root().sections(kind.as_str()) {
            let profile = profile(kind, &section, files, findings);
            let Some(name) = section.text("name").and_then(|name| label(&section, &name, "profile name", findings))
            else {
                profiles.complete = false;
                continue;
            };
            if profiles.by_name.insert(name.clone(), (kind, profile)).is_some() {
                let sentence = format!(
                    "A second profile has the name `{name}`: regions and grants name profiles, whatever their kind, and each name must mean one."
                );
                findings.push(document.error(&section.place_of("name"), sentence));
                profiles.complete = false;
            }
        }
    }
    profiles
}

/// Whether all that the file says are lists of profiles of a kind that there is.
fn kinds_are_known(document: &Document<'_>) -> bool {
    let root = document.root();
    root.keys().iter().all(|key| {
        EvidenceKind::ALL.iter().any(|kind| kind.as_str() == key.value) && !root.sections(key.value).is_empty()
    })
}

fn profile(
    kind: EvidenceKind,
    section: &Section<'_>,
    files: &BTreeMap<String, Vec<u8>>,
    findings: &mut Vec<Finding>,
) -> Option<Profile> {
    let values = values::read(kind, section, findings);
    let anchors = match (kind, section.has("anchors")) {
        // The form asks all other kinds for it.
        (EvidenceKind::Software, _) | (EvidenceKind::WebAuthn, false) => Some(Vec::new()),
        _ => anchors::read(section, "anchors", files, findings),
    };
    let revoked = revoked(section, findings);
    let status_best = if section.has("status_best") {
        section.text("status_best").and_then(|written| status(written.value))
    } else {
        Some(Status::Affirming)
    };
    let name = section.text("name")?.value.to_owned();
    let profile = Profile { name, anchors: anchors?, revoked: revoked?, status_best: status_best?, values: values? };
    unanchored(section, &profile.values, &profile.anchors, findings);
    suspicious(section, &profile, findings);
    Some(profile)
}

fn status(text: &str) -> Option<Status> {
    match text {
        "affirming" => Some(Status::Affirming),
        "warning" => Some(Status::Warning),
        "contraindicated" => Some(Status::Contraindicated),
        _ => None,
    }
}

fn revoked(section: &Section<'_>, findings: &mut Vec<Finding>) -> Option<BTreeSet<String>> {
    let mut sound = section.sound("revoked");
    for written in section.texts("revoked").into_iter().flatten() {
        let digits = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        let fits = written.value.len() <= SERIAL_DIGITS_MAX
            && written.value.bytes().all(digits)
            && !written.value.starts_with('0');
        if !fits {
            let sentence = format!(
                "A serial number is 1 to {SERIAL_DIGITS_MAX} hexadecimal digits in lower case, without colons and without zeros in front: `{}` is none.",
                written.value.escape_debug()
            );
            findings.push(section.document().error(&written.place, sentence));
            sound = false;
        }
    }
    let read = distinct(section, "revoked", findings).unwrap_or_default();
    sound.then(|| read.into_iter().collect())
}

/// Only evidence that attests nothing needs nobody who vouches.
fn unanchored(section: &Section<'_>, values: &ReferenceValues, anchors: &[Anchor], findings: &mut Vec<Finding>) {
    if let ReferenceValues::WebAuthn(values) = values
        && anchors.is_empty()
        && (!values.unattested || !values.models.is_empty())
    {
        let sentence = "Authenticators should attest what they are, but `anchors` names no certificate of their makers: name them, or accept only authenticators that attest nothing (`unattested = true`, and no `models`).";
        findings.push(section.document().error(&section.place_of("anchors"), sentence.to_owned()));
    }
}

/// Values that are allowed, and probably not meant.
fn suspicious(section: &Section<'_>, profile: &Profile, findings: &mut Vec<Finding>) {
    let name = &profile.name;
    let mut warn = |key: &str, sentence: String| {
        findings.push(section.document().warning(&section.place_of(key), sentence));
    };
    for key in empty(&profile.values) {
        let sentence = format!(
            "The profile `{name}` has no value in `{key}`: its evidence would be compared with nothing, and can never be better than contraindicated. Nobody can show it until a value stands here."
        );
        warn(key, sentence);
    }
    match &profile.values {
        ReferenceValues::Tpm(values) if values.pcrs.is_empty() && !values.programs.is_empty() => {
            let sentence = format!(
                "The profile `{name}` compares no register of the start (`pcrs`): the log of programs is then kept by a kernel of which nothing is known. Write the values of the registers that measure it."
            );
            warn("pcrs", sentence);
        }
        ReferenceValues::Tdx(values) if values.rtmrs.is_empty() && !values.mrtds.is_empty() => {
            let sentence = format!(
                "The profile `{name}` compares no run-time register (`rtmrs`): the launch measurement covers the firmware of the machine, and often nothing that starts after it. Write the values of the registers that measure kernel and program."
            );
            warn("rtmrs", sentence);
        }
        _ => {}
    }
}

/// The settings without a value, of those without which nothing can match.
fn empty(values: &ReferenceValues) -> Vec<&'static str> {
    let settings: &[(&'static str, bool)] = match values {
        ReferenceValues::Software(values) => &[("versions", values.versions.is_empty())],
        ReferenceValues::Tpm(values) => &[("programs", values.programs.is_empty())],
        ReferenceValues::SevSnp(values) => &[("measurements", values.measurements.is_empty())],
        ReferenceValues::Tdx(values) => &[("mrtds", values.mrtds.is_empty())],
        ReferenceValues::Sgx(values) => &[("mrenclaves", values.mrenclaves.is_empty())],
        ReferenceValues::Nitro(values) => &[("pcrs", values.pcrs.is_empty())],
        ReferenceValues::Android(values) => {
            &[("packages", values.packages.is_empty()), ("signers", values.signers.is_empty())]
        }
        ReferenceValues::AppAttest(values) => &[("app_ids", values.app_ids.is_empty())],
        ReferenceValues::WebAuthn(values) => &[("models", values.models.is_empty() && !values.unattested)],
    };
    settings.iter().filter(|(_, empty)| *empty).map(|(key, _)| *key).collect()
}

/// Reads a region's section `[attestation]`.
pub(super) fn rule(section: &Section<'_>, findings: &mut Vec<Finding>) -> Option<AttestationRule> {
    let profiles: Option<Vec<String>> = distinct(section, "profiles", findings).filter(|_| section.sound("profiles"));
    let tier_min = match section.text("tier_min")?.value {
        "software" => Tier::Software,
        "development" => Tier::Development,
        "hardware" => Tier::Hardware,
        _ => return None,
    };
    Some(AttestationRule {
        profiles: profiles?.into_iter().collect(),
        tier_min,
        status_min: section.text("status_min").and_then(|written| status(written.value))?,
        result_seconds: section.whole("result_seconds")?,
    })
}
