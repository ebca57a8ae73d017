//! What two policy folders decide differently. Comments, order and notation are no decisions.

mod attestation;
mod identity;

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::explain::duration;
use crate::{PolicySet, PrivacyUnit, PurposePolicy, RegionPolicy, TaskRule, TaskSpec};

/// What a change means for the people who are protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// More is allowed, kept or spent.
    Weaker,
    /// Less is allowed, kept or spent.
    Stronger,
    /// Neither follows from the change alone.
    Changed,
}

/// One decision that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What is decided.
    pub subject: String,
    /// The old decision, unless there was none.
    pub before: Option<String>,
    /// The new decision, unless there is none.
    pub after: Option<String>,
    /// What it means.
    pub effect: Effect,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let effect = match self.effect {
            Effect::Weaker => "protects less",
            Effect::Stronger => "protects more",
            Effect::Changed => "changes",
        };
        write!(f, "{}: ", self.subject)?;
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => write!(f, "{before} -> {after}")?,
            (Some(before), None) => write!(f, "no longer: {before}")?,
            (None, Some(after)) => write!(f, "new: {after}")?,
            (None, None) => {}
        }
        write!(f, " ({effect})")
    }
}

/// Every decision that differs, in the order of its subject.
#[must_use]
pub fn diff(old: &PolicySet, new: &PolicySet) -> Vec<Change> {
    let (old, new) = (decisions(old), decisions(new));
    let subjects = old.keys().chain(new.keys().filter(|subject| !old.contains_key(*subject)));
    let mut changes: Vec<_> = subjects
        .filter(|subject| old.get(*subject) != new.get(*subject))
        // What belongs to a region, task or purpose that came or went needs no line of its own.
        .filter(|subject| {
            (1..subject.len())
                .all(|length| old.contains_key(&subject[..length]) == new.contains_key(&subject[..length]))
        })
        .map(|subject| (subject, change(subject, old.get(subject), new.get(subject))))
        .collect();
    changes.sort_by_key(|(subject, _)| *subject);
    changes.into_iter().map(|(_, change)| change).collect()
}

fn change(subject: &Subject, before: Option<&Decision>, after: Option<&Decision>) -> Change {
    let weight = |decision: Option<&Decision>| decision.map_or(Some(0.0), |decision| decision.weight);
    let effect = match weight(before).zip(weight(after)) {
        Some((before, after)) if after > before => Effect::Weaker,
        Some((before, after)) if after < before => Effect::Stronger,
        _ => Effect::Changed,
    };
    let text = |decision: Option<&Decision>| decision.map(|decision| decision.text.clone());
    Change { subject: subject.join(", "), before: text(before), after: text(after), effect }
}

/// From the general to the special: a region, its task, a figure of it.
type Subject = Vec<String>;

#[derive(Debug, Clone, PartialEq)]
struct Decision {
    text: String,
    /// Larger allows more; nothing where that cannot be said.
    weight: Option<f64>,
}

/// Collects the decisions below one subject.
struct Decisions<'d> {
    of: Subject,
    all: &'d mut BTreeMap<Subject, Decision>,
}

impl Decisions<'_> {
    fn add(&mut self, subject: &str, text: impl ToString, weight: Option<f64>) {
        let subject = self.of.iter().cloned().chain([subject.to_owned()]).collect();
        self.all.insert(subject, Decision { text: text.to_string(), weight });
    }

    fn plain(&mut self, subject: &str, text: impl ToString) {
        self.add(subject, text, None);
    }

    /// More of it protects less.
    fn more_is_weaker(&mut self, subject: &str, value: impl ToString + Copy + Into<f64>) {
        self.add(subject, value, Some(value.into()));
    }

    fn permission(&mut self, subject: String, text: &str) {
        self.add(&subject, text, Some(1.0));
    }

    fn below(&mut self, subject: &str) -> Decisions<'_> {
        Decisions { of: self.of.iter().cloned().chain([subject.to_owned()]).collect(), all: self.all }
    }
}

fn decisions(set: &PolicySet) -> BTreeMap<Subject, Decision> {
    let mut all = BTreeMap::new();
    let mut decisions = Decisions { of: Vec::new(), all: &mut all };
    for (region, policy) in set.regions() {
        let subject = format!("region {region}");
        decisions.plain(&subject, format!("{}, jurisdiction {}", policy.title, policy.jurisdiction));
        of_region(&mut decisions.below(&subject), policy);
    }
    for (name, purpose) in set.purposes() {
        let subject = format!("purpose {name}");
        decisions.plain(&subject, &purpose.title);
        of_purpose(&mut decisions.below(&subject), purpose);
    }
    identity::of_issuers(&mut decisions, set.issuers());
    for profile in set.profiles().values() {
        attestation::of_profile(&mut decisions, profile);
    }
    if let Some(rule) = set.content() {
        attestation::of_content(&mut decisions, rule);
    }
    for grant in set.grants() {
        for region in &grant.regions {
            let subject = format!("tenant {} in {region}", grant.tenant);
            decisions.permission(subject.clone(), "served");
            for purpose in &grant.purposes {
                decisions.below(&subject).permission(format!("purpose {purpose}"), "granted");
            }
            identity::of_grant(&mut decisions.below(&subject), grant);
            attestation::of_grant(&mut decisions.below(&subject), grant);
        }
    }
    all
}

fn of_region(decisions: &mut Decisions<'_>, policy: &RegionPolicy) {
    for target in &policy.failover {
        decisions.plain(&format!("fail-over to {target}"), "allowed");
    }
    for signal in &policy.signals {
        decisions.permission(format!("signal {}", signal.as_str()), "accepted");
    }
    let retention = &policy.retention;
    for (subject, seconds) in [
        ("end of an idle session", retention.session_idle_seconds),
        ("end of every session", retention.session_absolute_seconds),
    ] {
        decisions.add(subject, duration(seconds), Some(f64::from(seconds)));
    }
    decisions.more_is_weaker("outcomes kept of a session", retention.session_events_max);

    let unit = &policy.unit;
    match unit.unit {
        PrivacyUnit::ViewerWindow => decisions.add("protected unit", "a viewer in a window", Some(0.0)),
        PrivacyUnit::Session => decisions.add("protected unit", "a session", Some(1.0)),
    }
    decisions.plain("window", duration(unit.window_seconds));
    decisions.plain("sessions that count", unit.quota);
    // Noise is sized for so many: fewer means less noise.
    decisions.add("regions that the noise covers", unit.region_factor, Some(-f64::from(unit.region_factor)));
    decisions.add("nodes that the noise covers", unit.nodes, Some(-f64::from(unit.nodes)));

    decisions.more_is_weaker("δ", policy.budget.delta);
    decisions.more_is_weaker("ρ of a window", policy.budget.rho_per_window);
    if unit.unit == PrivacyUnit::ViewerWindow {
        decisions.more_is_weaker("ρ of a year", policy.budget.rho_per_year);
    }
    for (purpose, limit) in &policy.budget.purposes {
        let subject = format!("budget of purpose {purpose}");
        // What is not limited by itself may spend the whole.
        decisions.add(&subject, "limited", Some(-1.0));
        let mut of_purpose = decisions.below(&subject);
        of_purpose.more_is_weaker("ρ of a window", limit.rho_per_window);
        if let Some(year) = limit.rho_per_year {
            of_purpose.more_is_weaker("ρ of a year", year);
        }
    }
    for rule in &policy.tasks {
        let subject = format!("task {}", rule.spec.kind());
        decisions.permission(subject.clone(), "released");
        of_task(&mut decisions.below(&subject), rule);
    }
    if let Some(rule) = &policy.identity {
        decisions.plain("identity", "checked");
        identity::of_region(&mut decisions.below("identity"), rule);
    }
    if let Some(rule) = &policy.attestation {
        // Without it, keys that an operator pins admit nodes: which of both admits more cannot be said.
        decisions.plain("evidence of nodes", "asked for");
        attestation::of_region(&mut decisions.below("evidence of nodes"), rule);
    }
}

fn of_task(decisions: &mut Decisions<'_>, rule: &TaskRule) {
    decisions.plain("purpose", &rule.purpose);
    decisions.more_is_weaker("ρ", rule.rho);
    match rule.spec {
        TaskSpec::ItemCounts { clip, impressions_clip, rewards_percent, base_rate } => {
            decisions.plain("clip of rewards", clip);
            decisions.plain("clip of impressions", impressions_clip);
            decisions.plain("share of rewards", format!("{rewards_percent} %"));
            decisions.plain("first base rate", base_rate);
        }
        TaskSpec::CoEngagement { items_max } => decisions.plain("items", items_max),
        TaskSpec::RankerMoments { norm } => decisions.plain("norm", norm),
        TaskSpec::ArmReward { clip } => decisions.plain("clip", clip),
        TaskSpec::Transitions { pairs_max, sessions_max, delta } => {
            decisions.more_is_weaker("δ", delta);
            decisions.plain("pairs of a session", pairs_max);
            decisions.plain("sessions that count for pairs", sessions_max);
        }
        TaskSpec::RunningTotals { clip, horizon_windows } => {
            decisions.plain("clip", clip);
            decisions.plain("windows that are added up", horizon_windows);
        }
    }
}

fn of_purpose(decisions: &mut Decisions<'_>, purpose: &PurposePolicy) {
    decisions.plain("description", &purpose.description);
    decisions.plain("legal basis", &purpose.legal_basis);
    for signal in &purpose.signals {
        decisions.permission(format!("signal {}", signal.as_str()), "allowed");
    }
    for task in &purpose.tasks {
        decisions.permission(format!("task {task}"), "allowed");
    }
}
