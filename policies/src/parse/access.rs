//! Reads the grants.

use std::collections::BTreeSet;

use super::document::{Document, Section};
use super::{distinct, name};
use crate::{Check, Finding, Grant};

/// A grant that cannot be read keeps its place in the list, so that places of later findings fit.
pub(super) fn read(document: &Document<'_>, findings: &mut Vec<Finding>) -> Vec<Option<Grant>> {
    document.root().sections("grants").iter().map(|section| grant(section, findings)).collect()
}

fn grant(section: &Section<'_>, findings: &mut Vec<Finding>) -> Option<Grant> {
    let regions = distinct(section, "regions", findings).map(BTreeSet::from_iter);
    let purposes = distinct(section, "purposes", findings).map(BTreeSet::from_iter);
    // What is said about viewers, devices and content may be absent.
    let checks = distinct(section, "checks", findings).unwrap_or_default();
    let tokens_for = distinct(section, "tokens_for", findings).unwrap_or_default();
    let devices = distinct(section, "devices", findings).unwrap_or_default();
    let content = distinct(section, "content", findings).unwrap_or_default();
    unasked(section, findings);
    let tenant = name(section, &section.text("tenant")?, findings)?;
    Some(Grant {
        tenant,
        regions: regions?,
        purposes: purposes?,
        checks: BTreeSet::from_iter(checks),
        tokens_for: BTreeSet::from_iter(tokens_for),
        verified_viewers: section.flag("verified_viewers").is_some_and(|flag| flag.value),
        devices: BTreeSet::from_iter(devices),
        content: BTreeSet::from_iter(content),
    })
}

/// A check that admits to tokens is one that may be asked.
fn unasked(section: &Section<'_>, findings: &mut Vec<Finding>) {
    if !section.sound("checks") {
        return;
    }
    let asked: BTreeSet<_> = section.texts("checks").into_iter().flatten().map(|check| check.value).collect();
    for written in section.texts("tokens_for").into_iter().flatten() {
        // Everyone has some tier and lives somewhere: a yes to a value that the viewer chose singles nobody out.
        if [Check::SubscriberTier, Check::Region].iter().any(|check| check.as_str() == written.value) {
            let sentence = format!(
                "A yes to `{}` cannot admit to anonymous tokens: the viewer chooses the value that is asked about, so that everyone could get a yes. Only `account` and `age_over_18` can.",
                written.value
            );
            findings.push(section.document().error(&written.place, sentence));
        } else if !asked.contains(written.value) {
            let sentence = format!(
                "A yes to `{0}` should admit to anonymous tokens, but the platform may not ask for it: add `{0}` to `checks`, or remove it here.",
                written.value
            );
            findings.push(section.document().error(&written.place, sentence));
        }
    }
}
