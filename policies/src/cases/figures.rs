//! What cases expect of the arithmetic, held against the functions that everyone computes with.

use super::form::{RawBudget, RawFigures};
use crate::{PolicySet, PrivacyUnit, Rho, zcdp};

/// By how much a figure may differ that was written with four digits.
const TOLERANCE: f64 = 5e-4;

fn close(actual: f64, expected: f64) -> bool {
    actual.is_finite() && (actual - expected).abs() <= TOLERANCE * actual.abs()
}

struct Differences(Vec<String>);

impl Differences {
    fn number(&mut self, what: &str, actual: f64, expected: f64) {
        if !close(actual, expected) {
            self.0.push(format!("{what} is {actual:.6}, and {expected} is expected."));
        }
    }

    /// ρ is exact: it is added up.
    fn rho(&mut self, what: &str, actual: Rho, expected: f64) {
        if format!("{expected}").parse() != Ok(actual) {
            self.0.push(format!("{what} is {actual}, and {expected} is expected."));
        }
    }

    fn same<T: PartialEq + std::fmt::Display>(&mut self, what: &str, actual: &T, expected: &T) {
        if actual != expected {
            self.0.push(format!("{what} is {actual}, and {expected} is expected."));
        }
    }
}

/// How a task differs from what is expected of it.
pub(super) fn of_task(policies: &PolicySet, expected: &RawFigures) -> Vec<String> {
    let region = policies.region(&expected.region);
    let found = region.and_then(|region| {
        let task = region.tasks.iter().find(|task| task.spec.kind() == expected.task)?;
        Some((task, &region.unit))
    });
    let Some((task, unit)) = found else { return vec!["there is no such region, or no such task in it.".to_owned()] };
    let mut differs = Differences(Vec::new());
    differs.same("the purpose", &task.purpose, &expected.purpose);
    differs.rho("ρ", task.rho, expected.rho);
    let noised = task.noised(unit);
    if noised.len() == expected.sigmas.len() {
        for (noised, sigma) in noised.iter().zip(&expected.sigmas) {
            differs.number(&format!("σ of {}", noised.figures), noised.sigma(), *sigma);
        }
    } else {
        differs.0.push(format!("it noises {} vectors, and {} are expected.", noised.len(), expected.sigmas.len()));
    }
    differs.0
}

/// How a region's unit and budget differ from what is expected of them.
pub(super) fn of_budget(policies: &PolicySet, expected: &RawBudget) -> Vec<String> {
    let Some(region) = policies.region(&expected.region) else { return vec!["there is no such region.".to_owned()] };
    let (unit, budget) = (&region.unit, &region.budget);
    let mut differs = Differences(Vec::new());
    if unit.unit != expected.unit {
        differs.0.push("another unit is protected.".to_owned());
    }
    differs.same("the window's length in seconds", &unit.window_seconds, &expected.window_seconds);
    differs.same(
        "sessions per unit, over quota, regions and nodes",
        &unit.sessions_per_unit(),
        &expected.sessions_per_unit,
    );
    differs.rho("ρ of a window", budget.rho_per_window, expected.rho_per_window);
    let epsilon = zcdp::epsilon(budget.rho_per_window, budget.delta);
    differs.number("ε of a window", epsilon, expected.epsilon_per_window);
    match (unit.unit, expected.rho_per_year, expected.epsilon_per_year) {
        (PrivacyUnit::Session, None, None) => {}
        (PrivacyUnit::Session, ..) => differs.0.push("a session has no bound for a year.".to_owned()),
        (PrivacyUnit::ViewerWindow, Some(rho), Some(epsilon)) => {
            differs.rho("ρ of a year", budget.rho_per_year, rho);
            differs.number("ε of a year", zcdp::epsilon(budget.rho_per_year, budget.delta), epsilon);
        }
        (PrivacyUnit::ViewerWindow, ..) => {
            differs.0.push("`rho_per_year` and `epsilon_per_year` are missing.".to_owned());
        }
    }
    differs.0
}
