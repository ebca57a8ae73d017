//! Recomputes what a file claims about noise and ε. A claim may be rounded, but only to the honest side.

use super::document::{At, Document};
use crate::{Finding, Rho, zcdp};

/// A rounded claim is at most so much worse than the truth, as a share of it.
const ROUNDING_MAX: f64 = 0.01;
/// A claim that is exact up to floating point is exact.
const FLOAT_SLACK: f64 = 1e-9;

/// ε may be claimed too high, by rounding, and never too low.
pub(super) fn epsilon(
    document: &Document<'_>,
    claimed: &At<f64>,
    rho: Rho,
    delta: f64,
    period: &str,
) -> Option<Finding> {
    let actual = zcdp::epsilon(rho, delta);
    let honest = rounded(actual, f64::ceil);
    let what = format!("ρ = {rho} at δ = {delta:e} is ε = {honest} a {period}");
    let At { value, place } = claimed;
    if *value < actual * (1.0 - FLOAT_SLACK) {
        Some(document.error(place, format!("The file promises ε = {value} a {period}, but {what}: viewers would be promised more protection than they get. Write {honest}, or lower ρ.")))
    } else if *value > (actual * (1.0 + ROUNDING_MAX)).max(honest) {
        Some(document.error(place, format!("The file states ε = {value} a {period}, but {what}: the statement does not follow from the budget. Write {honest}, or raise ρ.")))
    } else {
        None
    }
}

/// σ may be claimed too low, by rounding, and never too high.
pub(super) fn sigma(document: &Document<'_>, claimed: &At<f64>, sensitivity: f64, rho: f64) -> Option<Finding> {
    let actual = zcdp::sigma(sensitivity, rho);
    let honest = rounded(actual, f64::floor);
    let (short_sensitivity, short_rho) = (rounded(sensitivity, f64::round), rounded(rho, f64::round));
    let what = format!("a sensitivity of {short_sensitivity} and ρ = {short_rho} give σ = {honest}");
    let At { value, place } = claimed;
    if *value > actual * (1.0 + FLOAT_SLACK) {
        Some(document.error(place, format!("The file promises noise of σ = {value}, but {what}: less noise than promised would be added. Write {honest}, or lower ρ.")))
    } else if *value < (actual * (1.0 - ROUNDING_MAX)).min(honest) {
        Some(document.error(place, format!("The file states noise of σ = {value}, but {what}: the statement does not follow from the task. Write {honest}, or raise ρ.")))
    } else {
        None
    }
}

/// Four significant digits, rounded by `round`.
pub(crate) fn rounded(value: f64, round: impl Fn(f64) -> f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    // A power of ten at least 1 is exact; dividing by it gives the number nearest to the decimal.
    let exponent = 3.0 - value.abs().log10().floor();
    let power = 10f64.powf(exponent.abs());
    if exponent >= 0.0 { round(value * power) / power } else { round(value / power) * power }
}
