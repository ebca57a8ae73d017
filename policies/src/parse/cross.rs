//! Holds files against each other: names that must exist, and decisions that must not contradict each other.

use std::collections::BTreeSet;

use super::document::Document;
use super::form::listed;
use super::{Read, anchors, attestation, content, identity, issuers};
use crate::{Finding, PrivacyUnit, PurposePolicy, RegionPolicy, SignalKind, TaskRule};

pub(super) fn check(read: &Read<'_>, findings: &mut Vec<Finding>) {
    for (document, policy) in read.regions.values() {
        if let Some(policy) = policy {
            failover(read, document, policy, findings);
            for rule in &policy.tasks {
                task(read, document, policy, rule, findings);
            }
            unread_signals(document, policy, findings);
            roaming(document, policy, findings);
        }
    }
    grants(read, findings);
    unused_purposes(read, findings);
    identity::check(read, findings);
    issuers::unnamed_key_files(read, findings);
    attestation::check(read, findings);
    content::check(read, findings);
    anchors::unnamed_files(read, findings);
}

fn failover(read: &Read<'_>, document: &Document<'_>, policy: &RegionPolicy, findings: &mut Vec<Finding>) {
    for written in document.root().texts("failover").into_iter().flatten() {
        let Ok(target) = written.value.parse() else { continue };
        let sentence = if target == policy.region {
            format!("`{target}` cannot take over from itself.")
        } else {
            match read.regions.get(&target) {
                None => format!("`{target}` should take over, but no file `regions/{target}.toml` describes it."),
                Some((_, Some(other))) if other.jurisdiction != policy.jurisdiction => format!(
                    "`{target}` is under the jurisdiction `{}`, and `{}` is under `{}`: raw signals would leave their jurisdiction when it takes over.",
                    other.jurisdiction, policy.region, policy.jurisdiction
                ),
                Some(_) => continue,
            }
        };
        findings.push(document.error(&written.place, sentence));
    }
}

fn task(read: &Read<'_>, document: &Document<'_>, policy: &RegionPolicy, rule: &TaskRule, findings: &mut Vec<Finding>) {
    let kind = rule.spec.kind();
    for signal in kind.needs().iter().filter(|signal| !policy.signals.contains(signal)) {
        let signal = signal.as_str();
        let sentence = format!(
            "The task `{kind}` measures the signal `{signal}`, which this region does not accept. Add `{signal}` to `signals`, or remove the task."
        );
        findings.push(document.error(&document.place(&format!("tasks.{kind}")), sentence));
    }
    let place = document.place(&format!("tasks.{kind}.purpose"));
    match read.purposes.get(&rule.purpose) {
        None => {
            let name = &rule.purpose;
            let sentence = format!(
                "The task `{kind}` serves the purpose `{name}`, but no file `purposes/{name}.toml` describes it."
            );
            findings.push(document.error(&place, sentence));
        }
        Some((_, Some(purpose))) => {
            let sentences = serves(policy, rule, purpose);
            findings.extend(sentences.into_iter().map(|sentence| document.error(&place, sentence)));
        }
        Some((_, None)) => {}
    }
}

/// A purpose allows what serves it: the task itself, and every signal that its releases carry traces of.
fn serves(policy: &RegionPolicy, rule: &TaskRule, purpose: &PurposePolicy) -> Vec<String> {
    let kind = rule.spec.kind();
    let name = &purpose.purpose;
    let mut sentences = Vec::new();
    if !purpose.tasks.contains(&kind) {
        let allowed = listed(purpose.tasks.iter().map(|task| task.as_str()));
        sentences.push(format!("The purpose `{name}` does not allow the task `{kind}`; it allows {allowed}."));
    }
    let accepted = |signal: &&SignalKind| policy.signals.contains(signal) && !purpose.signals.contains(signal);
    let beyond = listed(kind.reads().iter().filter(accepted).map(|signal| signal.as_str()));
    if !beyond.is_empty() {
        sentences.push(format!("The task `{kind}` carries traces of {beyond}, which this region accepts and the purpose `{name}` does not allow."));
    }
    sentences
}

/// Data minimisation: a signal that only the session itself uses is worth a second look.
fn unread_signals(document: &Document<'_>, policy: &RegionPolicy, findings: &mut Vec<Finding>) {
    let read: BTreeSet<SignalKind> = policy.tasks.iter().flat_map(|task| task.spec.kind().reads()).copied().collect();
    for written in document.root().texts("signals").into_iter().flatten() {
        let unread = policy.signals.iter().find(|signal| signal.as_str() == written.value && !read.contains(signal));
        if let Some(signal) = unread {
            let sentence = format!(
                "The region accepts the signal `{}`, but no task of the region measures it: it serves the running session alone.",
                signal.as_str()
            );
            findings.push(document.warning(&written.place, sentence));
        }
    }
}

/// Whoever fails over in the middle of a window may be counted in both regions.
fn roaming(document: &Document<'_>, policy: &RegionPolicy, findings: &mut Vec<Finding>) {
    let unit = &policy.unit;
    if unit.unit == PrivacyUnit::ViewerWindow && unit.region_factor == 1 && !policy.failover.is_empty() {
        let sentence = "A viewer who fails over may be counted in two regions in one window, but `region_factor` is 1: the stated ε then holds for each region, not for the viewer. Set it to 2, or remove the fail-over.";
        findings.push(document.warning(&document.place("unit.region_factor"), sentence.to_owned()));
    }
}

fn grants(read: &Read<'_>, findings: &mut Vec<Finding>) {
    let Some((document, grants)) = &read.access else { return };
    let mut seen = BTreeSet::new();
    for (index, section) in document.root().sections("grants").iter().enumerate() {
        for written in section.texts("regions").into_iter().flatten() {
            if written.value.parse().is_ok_and(|region| !read.regions.contains_key(&region)) {
                let sentence = format!(
                    "The grant names the region `{0}`, but no file `regions/{0}.toml` describes it.",
                    written.value
                );
                findings.push(document.error(&written.place, sentence));
            }
        }
        for written in section.texts("purposes").into_iter().flatten() {
            if written.value.parse().is_ok_and(|purpose| !read.purposes.contains_key(&purpose)) {
                let sentence = format!(
                    "The grant names the purpose `{0}`, but no file `purposes/{0}.toml` describes it.",
                    written.value
                );
                findings.push(document.error(&written.place, sentence));
            }
        }
        let Some(Some(grant)) = grants.get(index) else { continue };
        for region in &grant.regions {
            if !seen.insert((&grant.tenant, region)) {
                let sentence = format!(
                    "A second grant for the tenant `{}` in the region `{region}`: write one grant with all purposes, so that what is allowed can be read in one place.",
                    grant.tenant
                );
                findings.push(document.error(&section.place, sentence));
            }
        }
    }
}

fn unused_purposes(read: &Read<'_>, findings: &mut Vec<Finding>) {
    let Some((_, grants)) = &read.access else { return };
    let granted: BTreeSet<_> = grants.iter().flatten().flat_map(|grant| &grant.purposes).collect();
    for (name, (document, _)) in read.purposes.iter().filter(|(name, _)| !granted.contains(name)) {
        let sentence = format!("No tenant is granted the purpose `{name}`: its tasks release nothing.");
        findings.push(document.warning(&document.place("purpose"), sentence));
    }
}
