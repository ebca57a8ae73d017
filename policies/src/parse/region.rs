//! Reads one region and holds its values against each other.

use std::collections::BTreeSet;

use super::document::Document;
use super::document::{At, Section};
use super::{attestation, claims, distinct, identity, name, purpose_budget};
use crate::{
    Budget, Delta, Finding, Noised, PrivacyUnit, RegionId, RegionPolicy, Retention, Rho, TaskKind, TaskRule, TaskSpec,
    UnitRule,
};

pub(super) fn read(document: &Document<'_>, findings: &mut Vec<Finding>) -> Option<RegionPolicy> {
    let root = document.root();
    let jurisdiction = root.text("jurisdiction").and_then(|written| name(&root, &written, findings));
    let failover: Option<Vec<RegionId>> = distinct(&root, "failover", findings);
    let signals = distinct(&root, "signals", findings).map(BTreeSet::from_iter);
    let retention = root.section("retention").and_then(|section| retention(&section, findings));
    let unit = root.section("unit").and_then(|section| unit(&section, findings));
    let budget = root.section("budget").and_then(|section| budget(&section, unit.as_ref(), findings));
    let tasks = root.section("tasks").map(|section| tasks(&section, unit.as_ref(), findings));
    let identity = match root.has("identity") {
        true => Some(root.section("identity").and_then(|section| identity::read(&section, findings))),
        false => None,
    };
    let attestation = match root.has("attestation") {
        true => Some(root.section("attestation").and_then(|section| attestation::rule(&section, findings))),
        false => None,
    };
    if let (Some(budget), Some(tasks)) = (&budget, &tasks) {
        covers(document, budget, tasks, findings);
        purpose_budget::check(document, budget, unit.as_ref(), tasks, findings);
    }
    Some(RegionPolicy {
        region: root.text("region")?.value.parse().ok()?,
        title: root.text("title")?.value.to_owned(),
        jurisdiction: jurisdiction?,
        failover: failover?,
        retention: retention?,
        signals: signals?,
        unit: unit?,
        budget: budget?,
        tasks: tasks?,
        identity: match identity {
            Some(written) => Some(written?),
            None => None,
        },
        attestation: match attestation {
            Some(written) => Some(written?),
            None => None,
        },
    })
}

fn retention(section: &Section<'_>, findings: &mut Vec<Finding>) -> Option<Retention> {
    let idle = section.whole("session_idle_seconds");
    let absolute = section.whole("session_absolute_seconds");
    if let (Some(idle), Some(absolute)) = (idle, absolute)
        && idle > absolute
    {
        let document = section.document();
        findings.push(document.error(
            &document.place("retention.session_idle_seconds"),
            format!("An idle session would end after {idle} seconds, but every session ends after {absolute} seconds: the idle time must not be longer."),
        ));
    }
    Some(Retention {
        session_idle_seconds: idle?,
        session_absolute_seconds: absolute?,
        session_events_max: section.whole("session_events_max")?,
    })
}

fn unit(section: &Section<'_>, findings: &mut Vec<Finding>) -> Option<UnitRule> {
    let unit = match section.text("kind")?.value {
        "viewer-window" => PrivacyUnit::ViewerWindow,
        "session" => PrivacyUnit::Session,
        _ => return None,
    };
    let rule = UnitRule {
        unit,
        window_seconds: section.whole("window_seconds")?,
        quota: section.whole("quota")?,
        region_factor: section.whole("region_factor")?,
        nodes: section.whole("nodes")?,
    };
    if unit == PrivacyUnit::Session {
        let document = section.document();
        let counted = [("quota", rule.quota), ("region_factor", rule.region_factor), ("nodes", rule.nodes)];
        let mut several = counted.into_iter().filter(|(_, value)| *value > 1).peekable();
        if several.peek().is_some() {
            for (key, value) in several {
                let sentence = format!(
                    "The protected unit is one session, which is one session in one region on one node: `{key}` must be 1, and is {value}."
                );
                findings.push(document.error(&document.place(&format!("unit.{key}")), sentence));
            }
            return None;
        }
    }
    Some(rule)
}

fn budget(section: &Section<'_>, unit: Option<&UnitRule>, findings: &mut Vec<Finding>) -> Option<Budget> {
    let document = section.document();
    let delta = section.number("delta").map(|delta| delta.value);
    let window = section.rho("rho_per_window");
    if let (Some(delta), Some(rho), Some(claimed)) = (delta, &window, section.number("epsilon_per_window")) {
        findings.extend(claims::epsilon(document, &claimed, rho.value, delta, "window"));
    }
    let year = match unit.map(|unit| unit.unit) {
        Some(PrivacyUnit::Session) => {
            for key in ["rho_per_year", "epsilon_per_year"] {
                if let Some(claimed) = section.number(key) {
                    let sentence = format!(
                        "`{key}` promises a bound for a year, but the protected unit is one session: a viewer may have any number of sessions, and no bound for a viewer or a year follows. Remove it, or protect `viewer-window`."
                    );
                    findings.push(document.error(&claimed.place, sentence));
                }
            }
            Some(Rho::MAX)
        }
        Some(PrivacyUnit::ViewerWindow) => year(section, unit, window.as_ref(), delta, findings),
        None => None,
    };
    let purposes = purpose_budget::read(section, unit, findings);
    Some(Budget { delta: delta?, rho_per_window: window?.value, rho_per_year: year?, purposes })
}

fn year(
    section: &Section<'_>,
    unit: Option<&UnitRule>,
    window: Option<&At<Rho>>,
    delta: Option<f64>,
    findings: &mut Vec<Finding>,
) -> Option<Rho> {
    let document = section.document();
    for key in ["rho_per_year", "epsilon_per_year"] {
        if document.place(&format!("budget.{key}")) == section.place {
            let sentence = format!(
                "`{key}` is missing in `[budget]`. The protected unit is a viewer in a window, and a year has many windows: say what they may lose together."
            );
            findings.push(document.error(&section.place, sentence));
        }
    }
    let year = section.rho("rho_per_year")?;
    if let (Some(delta), Some(claimed)) = (delta, section.number("epsilon_per_year")) {
        findings.extend(claims::epsilon(document, &claimed, year.value, delta, "year"));
    }
    if let (Some(unit), Some(window)) = (unit, window) {
        let windows = unit.windows_per_year();
        let needed = u128::from(windows) * u128::from(window.value.picos());
        if u128::from(year.value.picos()) < needed {
            let needed = u64::try_from(needed).ok().and_then(|picos| Rho::from_picos(picos).ok());
            let needed = needed.map_or_else(|| "more than can be counted".to_owned(), |rho| rho.to_string());
            let sentence = format!(
                "A year has up to {windows} windows of {} seconds, and each may spend ρ = {}, together {needed}; the year may spend only {}. Releases would stop before the year ends. Lower `rho_per_window`, lengthen the window, or raise `rho_per_year`.",
                unit.window_seconds, window.value, year.value
            );
            findings.push(document.error(&year.place, sentence));
        }
    }
    Some(year.value)
}

fn tasks(section: &Section<'_>, unit: Option<&UnitRule>, findings: &mut Vec<Finding>) -> Vec<TaskRule> {
    let kinds = TaskKind::ALL.into_iter();
    kinds.filter_map(|kind| task(kind, &section.section(kind.as_str())?, unit, findings)).collect()
}

fn task(
    kind: TaskKind,
    section: &Section<'_>,
    unit: Option<&UnitRule>,
    findings: &mut Vec<Finding>,
) -> Option<TaskRule> {
    let purpose = section.text("purpose").and_then(|written| name(section, &written, findings));
    let number = |key| section.number(key).map(|number| number.value);
    let (spec, claimed): (_, &[&str]) = match kind {
        TaskKind::ItemCounts => {
            let spec = TaskSpec::ItemCounts {
                clip: number("clip")?,
                impressions_clip: number("impressions_clip")?,
                rewards_percent: section.whole("rewards_percent")?,
                base_rate: number("base_rate")?,
            };
            (spec, &["sigma_rewards", "sigma_impressions"])
        }
        TaskKind::CoEngagement => (TaskSpec::CoEngagement { items_max: section.whole("items_max")? }, &["sigma"]),
        TaskKind::RankerMoments => (TaskSpec::RankerMoments { norm: number("norm")? }, &["sigma"]),
        TaskKind::ArmReward => (TaskSpec::ArmReward { clip: number("clip")? }, &["sigma"]),
        TaskKind::Transitions => {
            let spec = TaskSpec::Transitions {
                pairs_max: section.whole("pairs_max")?,
                sessions_max: section.whole("sessions_max")?,
                delta: number("delta")?,
            };
            (spec, &["sigma"])
        }
        TaskKind::RunningTotals => {
            sessions_alone(section, unit, findings);
            let spec =
                TaskSpec::RunningTotals { clip: number("clip")?, horizon_windows: section.whole("horizon_windows")? };
            (spec, &["sigma"])
        }
    };
    let rule = TaskRule { purpose: purpose?, rho: section.rho("rho")?.value, spec };
    if let Some(unit) = unit {
        for (key, Noised { sensitivity, rho, .. }) in claimed.iter().zip(rule.noised(unit)) {
            let claimed = section.number(key);
            findings.extend(claimed.and_then(|c| claims::sigma(section.document(), &c, sensitivity, rho)));
        }
    }
    Some(rule)
}

/// Running totals weigh what one window holds into all later ones. A viewer who comes back in k windows moves them by more
/// than k times what a viewer of one window does, so no sum of charges would bound a year.
fn sessions_alone(section: &Section<'_>, unit: Option<&UnitRule>, findings: &mut Vec<Finding>) {
    if unit.is_some_and(|unit| unit.unit != PrivacyUnit::Session) {
        let sentence = "`running-totals` needs the protected unit `session`: a viewer who comes back window after window loses more by running totals than the windows are charged. Remove the task, or add up the releases of `arm-reward`, whose noise is independent.";
        findings.push(section.document().error(&section.place, sentence.to_owned()));
    }
}

/// The budget of a window covers the sum over its tasks.
fn covers(document: &Document<'_>, budget: &Budget, tasks: &[TaskRule], findings: &mut Vec<Finding>) {
    let sum = tasks.iter().try_fold(Rho::ZERO, |sum, task| sum.checked_add(task.rho));
    if sum.is_none_or(|sum| sum > budget.rho_per_window) {
        let sum = sum.map_or_else(|| "more than can be counted".to_owned(), |sum| sum.to_string());
        let parts: Vec<String> = tasks.iter().map(|task| format!("{} {}", task.spec.kind(), task.rho)).collect();
        let sentence = format!(
            "The tasks of one window spend ρ = {sum} together ({}), but the window may spend only {}. Lower a task's `rho`, or raise `rho_per_window`.",
            parts.join(" + "),
            budget.rho_per_window
        );
        findings.push(document.error(&document.place("budget.rho_per_window"), sentence));
    }
    let limit = Delta::from_f64_up(budget.delta).unwrap_or(Delta::ZERO);
    let sum = tasks.iter().try_fold(Delta::ZERO, |sum, task| sum.checked_add(task.spec.delta()?));
    if sum.is_none_or(|sum| sum > limit) {
        let sum = sum.map_or_else(|| "more than 1".to_owned(), |sum| sum.to_string());
        let sentence = format!(
            "The tasks of one window spend δ = {sum} together, but the budget states ε at δ = {:e}, and a window may not spend more than that. Lower a task's `delta`, or raise the budget's.",
            budget.delta
        );
        findings.push(document.error(&document.place("budget.delta"), sentence));
    }
}
