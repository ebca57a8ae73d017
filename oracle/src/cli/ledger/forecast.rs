//! How long each yearly budget lasts, for `siwa ledger forecast`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use policies::{RegionPolicy, Rho, UnitRule};
use serde::Serialize;

use super::budgets::limit;
use crate::store::LedgerReport;

/// Width of a bar.
const BAR_CELLS: u64 = 40;

/// One yearly budget, and when it is spent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Forecast {
    tenant: String,
    /// Nothing: all purposes together.
    purpose: Option<String>,
    year: u64,
    rho_spent: f64,
    rho_limit: f64,
    /// ρ of a window: at the pace of the last ones, and by the policy's tasks.
    rho_per_window: [f64; 2],
    /// Further windows for which the budget lasts, likewise; nothing where the pace is none.
    windows_left: [Option<u64>; 2],
    /// Windows until the year ends, and with it this budget.
    windows_to_come: u64,
}

/// The latest year of each tenant and limited budget.
pub(super) fn forecast(report: &LedgerReport, policy: &RegionPolicy, pace_of: u32) -> Vec<Forecast> {
    let mut budgets: BTreeSet<(&str, Option<&str>)> = BTreeSet::new();
    for row in &report.spent {
        budgets.insert((&row.tenant, None));
        budgets.insert((&row.tenant, Some(&row.purpose)));
    }
    budgets.into_iter().filter_map(|(tenant, purpose)| one(report, policy, pace_of, tenant, purpose)).collect()
}

fn one(
    report: &LedgerReport,
    policy: &RegionPolicy,
    pace_of: u32,
    tenant: &str,
    purpose: Option<&str>,
) -> Option<Forecast> {
    let limit = limit(&policy.budget, policy.unit.unit, purpose, false)?;
    let rows = || report.spent.iter().filter(|row| row.tenant == tenant);
    let year = rows().map(|row| row.year).max()?;
    let last_s = rows().map(|row| row.until_s).max()?;
    let rows = || rows().filter(|row| purpose.is_none_or(|purpose| row.purpose == purpose));
    let spent: u64 = rows().filter(|row| row.year == year).map(|row| row.rho_picos).sum();
    // Windows without a charge are windows too: the pace is over time.
    let mut windows: BTreeMap<u64, u64> = BTreeMap::new();
    for row in rows() {
        *windows.entry(row.from_s).or_default() += row.rho_picos;
    }
    let counted = u64::from(pace_of).min(windows.len() as u64).max(1);
    let latest: u64 = windows.values().rev().take(usize::try_from(counted).ok()?).sum();
    let tasks = policy.tasks.iter().filter(|rule| purpose.is_none_or(|purpose| rule.purpose.as_str() == purpose));
    let planned: u64 = tasks.map(|rule| rule.rho.picos()).sum();
    let left = limit.picos().saturating_sub(spent);
    let year_ends_s = (year + 1) * u64::from(UnitRule::SECONDS_PER_YEAR);
    let length_s = u64::from(policy.unit.window_seconds.max(1));
    let rho = |picos: u64| Rho::from_picos(picos).unwrap_or(Rho::MAX).as_f64();
    Some(Forecast {
        tenant: tenant.to_owned(),
        purpose: purpose.map(str::to_owned),
        year,
        rho_spent: rho(spent),
        rho_limit: limit.as_f64(),
        rho_per_window: [rho(latest / counted), rho(planned)],
        windows_left: [left.saturating_mul(counted).checked_div(latest), left.checked_div(planned)],
        windows_to_come: year_ends_s.saturating_sub(last_s).div_ceil(length_s),
    })
}

pub(super) fn json(forecasts: &[Forecast]) -> serde_json::Result<String> {
    serde_json::to_string_pretty(&serde_json::json!({ "budgets": forecasts })).map(|text| text + "\n")
}

/// A table and a bar each: spent, what the windows to come will spend, what stays.
pub(super) fn table(forecasts: &[Forecast], ascii: bool) -> String {
    let (spent, coming, left) = if ascii { ('#', '+', '.') } else { ('█', '▒', '·') };
    let mut text = String::new();
    // Writing into a text cannot fail.
    for forecast in forecasts {
        let purpose = forecast.purpose.as_deref().unwrap_or("all purposes");
        let _ = writeln!(text, "{}, {purpose}, year {}", forecast.tenant, forecast.year);
        for (name, pace, lasts) in [
            ("at the pace of the last windows", forecast.rho_per_window[0], forecast.windows_left[0]),
            ("by the policy's plan", forecast.rho_per_window[1], forecast.windows_left[1]),
        ] {
            let lasts = match lasts {
                None => "spends nothing".to_owned(),
                Some(windows) if windows >= forecast.windows_to_come => {
                    format!("lasts until the year ends, in {} windows", forecast.windows_to_come)
                }
                Some(windows) => format!("is spent in {windows} windows, of {} to come", forecast.windows_to_come),
            };
            let _ = writeln!(text, "  {name:<32} ρ = {pace} a window: {lasts}");
        }
        let _ = writeln!(text, "  {}", bar(forecast, spent, coming, left));
        let _ = writeln!(text, "  ρ = {} of {} spent\n", forecast.rho_spent, forecast.rho_limit);
    }
    if text.is_empty() {
        text.push_str("No budget of a year is being spent.\n");
    }
    text
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "cells of a bar, clamped to its width"
)]
fn bar(forecast: &Forecast, spent: char, coming: char, left: char) -> String {
    let cells = |rho: f64| (rho / forecast.rho_limit * BAR_CELLS as f64).round().clamp(0.0, BAR_CELLS as f64) as u64;
    let until = cells(forecast.rho_spent);
    let to_come = forecast.rho_per_window[0] * forecast.windows_to_come as f64;
    let then = cells(forecast.rho_spent + to_come).max(until);
    let cell = |at: u64| {
        if at < until {
            spent
        } else if at < then {
            coming
        } else {
            left
        }
    };
    (0..BAR_CELLS).map(cell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::SpentRow;

    fn report(windows: u64) -> LedgerReport {
        let row = |window: u64| SpentRow {
            tenant: "demo".to_owned(),
            purpose: "recommendations".to_owned(),
            year: 56,
            from_s: 56 * 31_622_400 + window * 604_800,
            until_s: 56 * 31_622_400 + (window + 1) * 604_800,
            releases: 3,
            rho_picos: 20_000_000_000 * (1 + window % 2),
            delta_attos: 0,
        };
        LedgerReport {
            ledger: aggregator::release::LedgerId([1; 16]),
            entries: 3 * windows,
            head: policies::Digest::of(b"head"),
            confirmed: None,
            burned: 0,
            unsent: 0,
            spent: (0..windows).rev().map(row).collect(),
        }
    }

    fn policy() -> RegionPolicy {
        let set = policies::PolicySet::parse(&policies::sample::files()).unwrap();
        set.region(&"eu-north".parse().unwrap()).unwrap().clone()
    }

    /// eu-north: ρ = 1.33 a year, 0.025 a window by plan; windows are weeks.
    #[test]
    fn budgets_last_as_the_pace_says() {
        let forecasts = forecast(&report(4), &policy(), 2);
        assert_eq!(forecasts.len(), 1, "no purpose has a budget of its own");
        let found = &forecasts[0];
        assert_eq!((found.rho_spent, found.rho_limit), (0.12, 1.33));
        assert_eq!(found.rho_per_window, [0.03, 0.025]);
        // 1.21 / 0.03 and 1.21 / 0.025; of 52.3 weeks four are over.
        assert_eq!((found.windows_left, found.windows_to_come), ([Some(40), Some(48)], 49));
        let text = table(&forecasts, true);
        assert!(text.contains("is spent in 40 windows, of 49 to come"), "{text}");
        assert!(text.contains(&format!("  ####{}\n", "+".repeat(36))), "{text}");
        assert!(text.is_char_boundary(0) && !table(&forecasts, false).contains('#'));
    }

    #[test]
    fn nothing_spent_is_nothing_to_tell() {
        assert_eq!(forecast(&report(0), &policy(), 2), []);
        assert_eq!(table(&[], true), "No budget of a year is being spent.\n");
    }
}
