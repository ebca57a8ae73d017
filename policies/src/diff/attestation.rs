//! Decisions on what nodes and devices must prove, and on whom to believe about content.

use super::Decisions;
use crate::explain::{Compared, Reading, compared, duration};
use crate::rules::{AttestationRule, ContentRule, ListMeaning, Status, Tier};
use crate::{Anchor, Grant, Profile};

pub(super) fn of_region(decisions: &mut Decisions<'_>, rule: &AttestationRule) {
    for name in &rule.profiles {
        decisions.permission(format!("profile {name}"), "accepted");
    }
    let (tier, weight) = match rule.tier_min {
        Tier::Software => ("software", 0.0),
        Tier::Development => ("development", -1.0),
        Tier::Hardware => ("hardware", -2.0),
    };
    decisions.add("weakest root of trust", tier, Some(weight));
    decisions.add("worst status", status(rule.status_min).0, Some(-status(rule.status_min).1));
    let seconds = rule.result_seconds;
    decisions.add("results hold for", duration(seconds), Some(f64::from(seconds)));
}

pub(super) fn of_profile(decisions: &mut Decisions<'_>, profile: &Profile) {
    let subject = format!("profile {}", profile.name);
    // By itself it permits nothing: a region or a grant that names it does.
    decisions.plain(&subject, profile.kind());
    let decisions = &mut decisions.below(&subject);
    of_anchors(decisions, &profile.anchors);
    for serial in &profile.revoked {
        decisions.add(&format!("certificate with the serial number {serial}"), "refused", Some(-1.0));
    }
    decisions.add("best status", status(profile.status_best).0, Some(status(profile.status_best).1));
    for compared in compared(&profile.values) {
        of_compared(decisions, &compared);
    }
}

/// More values accept more; more things that are compared accept less.
fn of_compared(decisions: &mut Decisions<'_>, compared: &Compared) {
    let Compared { what, accepted, reading } = compared;
    match reading {
        Reading::Needed => {
            for value in accepted {
                decisions.permission(format!("{what} {value}"), "accepted");
            }
        }
        Reading::Tolerated => {
            for value in accepted {
                decisions.permission(format!("{what} {value}"), "accepted with a warning");
            }
        }
        Reading::AtLeast(least) => {
            decisions.add(&format!("{what} at least"), accepted.join(", "), Some(-least));
        }
        Reading::Register { needed: false } => of_register(decisions, what, accepted),
        Reading::Register { needed: true } => {
            // Without any register, nothing is accepted.
            decisions.permission("registers".to_owned(), "compared");
            of_register(&mut decisions.below("registers"), what, accepted);
        }
    }
}

fn of_register(decisions: &mut Decisions<'_>, register: &str, accepted: &[String]) {
    decisions.add(register, "compared", Some(-1.0));
    for value in accepted {
        decisions.below(register).permission(format!("value {value}"), "accepted");
    }
}

pub(super) fn of_grant(decisions: &mut Decisions<'_>, grant: &Grant) {
    for name in &grant.devices {
        decisions.permission(format!("profile {name} of devices"), "accepted");
    }
    for check in &grant.content {
        decisions.permission(format!("content check {check}"), "may be asked");
    }
}

pub(super) fn of_content(decisions: &mut Decisions<'_>, rule: &ContentRule) {
    decisions.plain("content", "checked");
    let decisions = &mut decisions.below("content");
    of_anchors(decisions, &rule.provenance.anchors);
    for label in &rule.provenance.required_assertions {
        decisions.add(&format!("assertion {label}"), "required", Some(-1.0));
    }
    let seconds = rule.provenance.answer_seconds;
    decisions.add("answers hold for", duration(seconds), Some(f64::from(seconds)));
    for list in &rule.lists {
        decisions.plain(&format!("list {} of {}", list.list, list.tenant), meaning(list.meaning));
    }
    for list in &rule.pictures {
        let subject = format!("list of pictures {} of {}", list.list, list.tenant);
        decisions.plain(&subject, meaning(list.meaning));
        decisions.below(&subject).plain("bits that may differ", list.distance_max);
    }
}

/// Each certificate by its fingerprint, in whichever file it stands.
fn of_anchors(decisions: &mut Decisions<'_>, anchors: &[Anchor]) {
    for digest in anchors.iter().flat_map(Anchor::fingerprints) {
        decisions.permission(format!("certificate {digest}"), "trusted");
    }
}

/// Its name, and a number that is larger the better it is.
const fn status(status: Status) -> (&'static str, f64) {
    match status {
        Status::Affirming => ("affirming", 2.0),
        Status::Warning => ("warning", 1.0),
        Status::Contraindicated => ("contraindicated", 0.0),
    }
}

const fn meaning(meaning: ListMeaning) -> &'static str {
    match meaning {
        ListMeaning::Blocked => "blocked",
        ListMeaning::Licensed => "licensed",
        ListMeaning::Takedown => "takedown",
    }
}
