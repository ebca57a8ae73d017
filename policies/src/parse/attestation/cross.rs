//! Holds regions and grants against the profiles that they name.

use super::super::Read;
use super::super::document::{At, Document};
use super::super::form::listed;
use crate::rules::{AttestationRule, EvidenceKind, Status, Tier};
use crate::{Finding, Profile};

/// Every profile that is named exists, is of the right kind, and can be what is asked for.
pub(in crate::parse) fn check(read: &Read<'_>, findings: &mut Vec<Finding>) {
    for (document, policy) in read.regions.values() {
        let Some(section) = document.root().section("attestation") else { continue };
        let rule = policy.as_ref().and_then(|policy| policy.attestation.as_ref());
        for written in section.texts("profiles").into_iter().flatten() {
            let Some((kind, profile)) = named(read, document, &written, false, findings) else { continue };
            if let Some(rule) = rule {
                unreachable_tier(document, &written, kind, rule, findings);
                barred(document, &written, profile, rule.status_min, findings);
            }
        }
    }
    let Some((document, _)) = &read.access else { return };
    for section in document.root().sections("grants") {
        for written in section.texts("devices").into_iter().flatten() {
            if let Some((_, profile)) = named(read, document, &written, true, findings) {
                barred(document, &written, profile, Status::Warning, findings);
            }
        }
    }
}

/// The profile that is meant; a finding if there is none, or if it is not for who should show it.
fn named<'r>(
    read: &'r Read<'_>,
    document: &Document<'_>,
    written: &At<&str>,
    devices: bool,
    findings: &mut Vec<Finding>,
) -> Option<(EvidenceKind, Option<&'r Profile>)> {
    let name = written.value;
    let profiles = read.attestation.as_ref().map(|(_, profiles)| profiles);
    let Some((kind, profile)) = profiles.and_then(|profiles| profiles.by_name.get(name)) else {
        if profiles.is_none_or(|profiles| profiles.complete) {
            let known = profiles.into_iter().flat_map(|profiles| &profiles.by_name);
            let fitting =
                listed(known.filter(|(_, (kind, _))| kind.is_of_device() == devices).map(|(name, _)| name.as_str()));
            let known = if fitting.is_empty() { String::new() } else { format!(" Known are: {fitting}.") };
            let sentence = format!("No profile `{}` is described in `attestation.toml`.{known}", name.escape_debug());
            findings.push(document.error(&written.place, sentence));
        }
        return None;
    };
    if kind.is_of_device() != devices {
        let sentence = if devices {
            format!(
                "The profile `{name}` is about the evidence of nodes (`{kind}`): a viewer's device cannot show it. Devices show `android`, `app-attest` or `web-authn`."
            )
        } else {
            format!(
                "The profile `{name}` is about the evidence of viewers' devices (`{kind}`): a node cannot show it. Name it in the `devices` of a grant."
            )
        };
        findings.push(document.error(&written.place, sentence));
        return None;
    }
    Some((*kind, profile.as_ref()))
}

/// Nothing stands behind a node's own statement, whatever its values are.
fn unreachable_tier(
    document: &Document<'_>,
    written: &At<&str>,
    kind: EvidenceKind,
    rule: &AttestationRule,
    findings: &mut Vec<Finding>,
) {
    if kind != EvidenceKind::Software {
        return;
    }
    let (setting, wanted) = match (rule.tier_min, rule.status_min) {
        (Tier::Development, _) => ("tier_min", "development"),
        (Tier::Hardware, _) => ("tier_min", "hardware"),
        (Tier::Software, Status::Affirming) => ("status_min", "affirming"),
        (Tier::Software, _) => return,
    };
    let best = if setting == "tier_min" { "its tier is `software`" } else { "it is a `warning` at best" };
    let sentence = format!(
        "The profile `{}` can never be met: it accepts a node's own statement, behind which nothing stands ({best}), and `{setting}` asks for `{wanted}`. Remove the profile, or ask for less.",
        written.value
    );
    findings.push(document.error(&written.place, sentence));
}

/// A profile whose best is not good enough is named in vain: perhaps on purpose, to bar it for a time.
fn barred(
    document: &Document<'_>,
    written: &At<&str>,
    profile: Option<&Profile>,
    status_min: Status,
    findings: &mut Vec<Finding>,
) {
    let Some(profile) = profile.filter(|profile| profile.status_best > status_min) else { return };
    let best = match profile.status_best {
        Status::Affirming => "affirming",
        Status::Warning => "warning",
        Status::Contraindicated => "contraindicated",
    };
    let sentence = format!(
        "The profile `{}` is barred here: its `status_best` is `{best}`, which is not good enough. Whoever shows this evidence is refused.",
        written.value
    );
    findings.push(document.warning(&written.place, sentence));
}
