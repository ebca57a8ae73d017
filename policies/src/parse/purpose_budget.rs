//! What single purposes may spend: `[budget.purposes.NAME]`.

use std::collections::BTreeMap;

use super::document::{At, Document, Section};
use super::name;
use crate::{Budget, Finding, PrivacyUnit, PurposeBudget, PurposeId, Rho, TaskRule, UnitRule};

/// Reads the limits; one whose name or numbers are unsound is left out, and said to be.
pub(super) fn read(
    budget: &Section<'_>,
    unit: Option<&UnitRule>,
    findings: &mut Vec<Finding>,
) -> BTreeMap<PurposeId, PurposeBudget> {
    let mut limits = BTreeMap::new();
    let Some(section) = budget.section("purposes") else { return limits };
    for key in section.keys() {
        let (named, limit) = (name(&section, &key, findings), section.section(key.value));
        let (Some(named), Some(limit)) = (named, limit) else { continue };
        let year = limit.rho("rho_per_year");
        let of_session = unit.is_some_and(|unit| unit.unit == PrivacyUnit::Session);
        if let (Some(year), true) = (&year, of_session) {
            let sentence = "`rho_per_year` promises a bound for a year, but the protected unit is one session: no bound for a viewer or a year follows. Remove it, or protect `viewer-window`.";
            findings.push(limit.document().error(&year.place, sentence.to_owned()));
        }
        let Some(window) = limit.rho("rho_per_window") else { continue };
        let year = year.filter(|_| !of_session).map(|year| year.value);
        limits.insert(named, PurposeBudget { rho_per_window: window.value, rho_per_year: year });
    }
    limits
}

/// Holds the limits against the whole budget, and what the purpose's tasks spend against them.
pub(super) fn check(
    document: &Document<'_>,
    budget: &Budget,
    unit: Option<&UnitRule>,
    tasks: &[TaskRule],
    findings: &mut Vec<Finding>,
) {
    for (purpose, limit) in &budget.purposes {
        let at = |key: &str, value| At { value, place: document.place(&format!("budget.purposes.{purpose}.{key}")) };
        let window = at("rho_per_window", limit.rho_per_window);
        let year = limit.rho_per_year.map(|year| at("rho_per_year", year));
        for (key, part, whole) in [
            ("rho_per_window", Some(&window), budget.rho_per_window),
            ("rho_per_year", year.as_ref(), budget.rho_per_year),
        ] {
            if let Some(part) = part.filter(|part| part.value > whole) {
                let sentence = format!(
                    "The purpose `{purpose}` may spend ρ = {} by `{key}`, but all purposes together only {whole}: a part must not be above the whole.",
                    part.value
                );
                findings.push(document.error(&part.place, sentence));
            }
        }
        let rules: Vec<&TaskRule> = tasks.iter().filter(|rule| rule.purpose == *purpose).collect();
        if rules.is_empty() {
            let sentence = format!("No task of this region serves the purpose `{purpose}`: the limit limits nothing.");
            findings.push(document.error(&window.place, sentence));
            continue;
        }
        let sum = rules.iter().try_fold(Rho::ZERO, |sum, rule| sum.checked_add(rule.rho));
        if sum.is_none_or(|sum| sum > window.value) {
            let sum = sum.map_or_else(|| "more than can be counted".to_owned(), |sum| sum.to_string());
            let sentence = format!(
                "The tasks for the purpose `{purpose}` spend ρ = {sum} in one window together, but it may spend only {}.",
                window.value
            );
            findings.push(document.error(&window.place, sentence));
        }
        if let (Some(year), Some(sum), Some(unit)) = (&year, sum, unit) {
            let (windows, needed) =
                (unit.windows_per_year(), u128::from(unit.windows_per_year()) * u128::from(sum.picos()));
            if u128::from(year.value.picos()) < needed {
                let sentence = format!(
                    "A year has up to {windows} windows, and the tasks for the purpose `{purpose}` spend ρ = {sum} in each; its year may spend only {}. Its releases would stop before the year ends.",
                    year.value
                );
                findings.push(document.error(&year.place, sentence));
            }
        }
    }
}
