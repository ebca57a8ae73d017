//! What was spent of which budget, for `siwa ledger show`.

use std::collections::BTreeMap;
use std::fmt;

use policies::{Budget, Digest, PrivacyUnit, RegionPolicy, Rho, zcdp};
use serde::Serialize;

use crate::store::{LedgerReport, SpentRow};

/// Windows that are shown of each tenant.
const WINDOWS_SHOWN: usize = 12;

/// What a ledger says, held against a policy.
#[derive(Debug, Serialize)]
pub(super) struct Budgets {
    ledger: String,
    entries: u64,
    head: Digest,
    /// Entries that the centre has confirmed.
    confirmed: Option<u64>,
    burned: u64,
    unsent: u64,
    /// δ at which ε is stated.
    delta: Option<f64>,
    years: Vec<Line>,
    windows: Vec<Line>,
}

/// One budget. ε is of the ρ beside it, at the policy's δ.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Line {
    tenant: String,
    /// Nothing: all purposes together.
    purpose: Option<String>,
    year: u64,
    /// Of windows: Unix seconds.
    from_s: Option<u64>,
    releases: u64,
    rho_spent: f64,
    epsilon_spent: Option<f64>,
    rho_limit: Option<f64>,
    rho_left: Option<f64>,
    epsilon_limit: Option<f64>,
}

/// What is added up: a tenant's year or window, in all and by purpose.
type Key = (String, u64, Option<u64>, Option<String>);

impl Budgets {
    pub(super) fn of(report: &LedgerReport, policy: Option<&RegionPolicy>) -> Self {
        let mut sums: BTreeMap<Key, (u64, u64)> = BTreeMap::new();
        for row in &report.spent {
            for window in [None, Some(row.from_s)] {
                for purpose in [None, Some(row.purpose.clone())] {
                    let sum = sums.entry((row.tenant.clone(), row.year, window, purpose)).or_default();
                    sum.0 = sum.0.saturating_add(row.rho_picos);
                    sum.1 += row.releases;
                }
            }
        }
        let lines: Vec<Line> = sums.into_iter().map(|(key, sum)| line(key, sum, policy)).collect();
        let (mut windows, years): (Vec<_>, Vec<_>) = lines.into_iter().partition(|line| line.from_s.is_some());
        let shown = latest(&report.spent);
        windows.retain(|line| shown.get(&line.tenant).is_some_and(|first| line.from_s >= Some(*first)));
        Self {
            ledger: report.ledger.to_string(),
            entries: report.entries,
            head: report.head,
            confirmed: report.confirmed,
            burned: report.burned,
            unsent: report.unsent,
            delta: policy.map(|policy| policy.budget.delta),
            years,
            windows,
        }
    }
}

/// Of each tenant, where the windows begin that are shown.
fn latest(rows: &[SpentRow]) -> BTreeMap<String, u64> {
    let mut starts: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for row in rows {
        starts.entry(row.tenant.clone()).or_default().push(row.from_s);
    }
    let first = |mut starts: Vec<u64>| {
        starts.sort_unstable_by(|a, b| b.cmp(a));
        starts.dedup();
        starts.get(WINDOWS_SHOWN - 1).or(starts.last()).copied().unwrap_or_default()
    };
    starts.into_iter().map(|(tenant, starts)| (tenant, first(starts))).collect()
}

/// A budget's limit; nothing where the policy sets none.
pub(super) fn limit(budget: &Budget, unit: PrivacyUnit, purpose: Option<&str>, window: bool) -> Option<Rho> {
    let of_purpose = || budget.purposes.get(&purpose?.parse().ok()?);
    match (purpose, window) {
        (None, true) => Some(budget.rho_per_window),
        (None, false) => (unit == PrivacyUnit::ViewerWindow).then_some(budget.rho_per_year),
        (Some(_), true) => of_purpose().map(|limit| limit.rho_per_window),
        (Some(_), false) => of_purpose().and_then(|limit| limit.rho_per_year),
    }
}

fn line(key: Key, sum: (u64, u64), policy: Option<&RegionPolicy>) -> Line {
    let (tenant, year, from_s, purpose) = key;
    let spent = Rho::from_picos(sum.0).unwrap_or(Rho::MAX);
    let budget = policy.map(|policy| &policy.budget);
    let unit = policy.map(|policy| policy.unit.unit);
    let limit = budget.zip(unit).and_then(|(budget, unit)| limit(budget, unit, purpose.as_deref(), from_s.is_some()));
    let epsilon = |rho: Rho| budget.map(|budget| zcdp::epsilon(rho, budget.delta));
    Line {
        tenant,
        purpose,
        year,
        from_s,
        releases: sum.1,
        rho_spent: spent.as_f64(),
        epsilon_spent: epsilon(spent),
        rho_limit: limit.map(Rho::as_f64),
        rho_left: limit.map(|limit| (limit.as_f64() - spent.as_f64()).max(0.0)),
        epsilon_limit: limit.and_then(epsilon),
    }
}

impl fmt::Display for Budgets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "Ledger {}: {} entries, {} of them confirmed by the centre",
            self.ledger,
            self.entries,
            self.confirmed.unwrap_or(0)
        )?;
        writeln!(f, "Head {}", self.head)?;
        writeln!(f, "{} charges burned, {} releases wait to be sent", self.burned, self.unsent)?;
        if let Some(delta) = self.delta {
            writeln!(f, "ε at δ = {delta:e}")?;
        }
        for (title, lines) in
            [("Years (of 366 days, counted from 1970)", &self.years), ("Latest windows", &self.windows)]
        {
            writeln!(f, "\n{title}")?;
            let heads = ["tenant", "purpose", "when", "releases", "ρ spent", "ρ limit", "ρ left", "ε spent", "ε limit"];
            let mut table = comfy_table::Table::new();
            table.load_preset(comfy_table::presets::UTF8_HORIZONTAL_ONLY).set_header(heads);
            for line in lines {
                let figure = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.5}"));
                table.add_row([
                    line.tenant.clone(),
                    line.purpose.clone().unwrap_or_else(|| "all".to_owned()),
                    line.from_s.unwrap_or(line.year).to_string(),
                    line.releases.to_string(),
                    figure(Some(line.rho_spent)),
                    figure(line.rho_limit),
                    figure(line.rho_left),
                    figure(line.epsilon_spent),
                    figure(line.epsilon_limit),
                ]);
            }
            writeln!(f, "{table}")?;
        }
        Ok(())
    }
}
