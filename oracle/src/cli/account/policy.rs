//! What a policy comes to: a window, a day, a year.

use std::io::Write;
use std::path::Path;

use anyhow::Context as _;
use comfy_table::{Table, presets};
use policies::pld::{Composition, Noise, PldError};
use policies::{Noised, PolicySet, PrivacyUnit, RegionId, RegionPolicy};
use serde_json::{Value, json};

use super::{Figures, up};
use crate::policy_folder;

/// Integers for each natural unit at least, in any release: 2¹⁶ (docs/privacy.md), less what clips lose when truncated.
const INTEGERS_PER_UNIT_MIN: f64 = 65_536.0 * 0.9;
/// The rounding of one segment's share of ρ.
const SHARE_ROUNDING: f64 = 1e-12;
const DAY_SECONDS: u32 = 86_400;

/// Figures of so many windows.
struct Span {
    name: &'static str,
    windows: u64,
    figures: Figures,
}

pub(super) fn write(folder: &Path, region: Option<&RegionId>, json: bool, out: &mut impl Write) -> anyhow::Result<()> {
    let set = PolicySet::parse(&policy_folder::read(folder)?).map_err(|findings| {
        let first = findings.first().map(ToString::to_string).unwrap_or_default();
        anyhow::anyhow!("the policies have errors, see `siwa policy lint`: {first}")
    })?;
    let chosen: Vec<_> =
        set.regions().values().filter(|policy| region.is_none_or(|region| *region == policy.region)).collect();
    if chosen.is_empty() {
        let known: Vec<_> = set.regions().keys().map(RegionId::as_str).collect();
        anyhow::bail!("there is no such region; there are {}", known.join(", "));
    }
    let mut regions = Vec::new();
    for policy in chosen {
        let spans = spans(policy).with_context(|| format!("region {}", policy.region))?;
        if json {
            regions.push(object(policy, &spans));
        } else {
            print(policy, &spans, out)?;
        }
    }
    if json {
        writeln!(out, "{}", json!({ "policy": set.digest(), "regions": regions }))?;
    } else {
        writeln!(
            out,
            "ε by zCDP is what the policy claims and the ledger keeps; by PLD it is at most 0.5 % above the exact one."
        )?;
    }
    Ok(())
}

/// The noise of one segment, by its share of ρ.
fn noise(noised: Noised) -> Result<Noise, PldError> {
    let scale = 1.0 / (2.0 * (noised.rho + SHARE_ROUNDING)).sqrt();
    Noise::of_integers(scale, noised.sigma() * INTEGERS_PER_UNIT_MIN)
}

fn segments(policy: &RegionPolicy) -> impl Iterator<Item = Noised> {
    policy.tasks.iter().flat_map(|task| task.noised(&policy.unit))
}

fn spans(policy: &RegionPolicy) -> anyhow::Result<Vec<Span>> {
    let picos: u64 = policy.tasks.iter().fold(0, |all, task| all.saturating_add(task.rho.picos()));
    let mut spans = Vec::new();
    if picos == 0 {
        return Ok(spans);
    }
    let window = segments(policy).try_fold(Composition::default(), |all, noised| all.and(noise(noised)?, 1));
    let mut span = |name, windows: u64| -> anyhow::Result<()> {
        #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
        let rho = picos.saturating_mul(windows) as f64 / 1e12 * (1.0 + 2.0 * f64::EPSILON);
        let all = window.clone().and_then(|window| window.repeated(windows));
        spans.push(Span { name, windows, figures: Figures::of(rho, all, policy.budget.delta)? });
        Ok(())
    };
    span("window", 1)?;
    if policy.unit.unit == PrivacyUnit::Session {
        return Ok(spans);
    }
    // The ledger refuses the windows that would pass the year's budget.
    let year = policy.unit.windows_per_year().min(policy.budget.rho_per_year.picos() / picos).max(1);
    let day = u64::from(DAY_SECONDS.div_ceil(policy.unit.window_seconds));
    if day > 1 {
        span("day", day.min(year))?;
    }
    span("year", year)?;
    Ok(spans)
}

const fn unit(policy: &RegionPolicy) -> &'static str {
    match policy.unit.unit {
        PrivacyUnit::ViewerWindow => "viewer",
        PrivacyUnit::Session => "session",
    }
}

const NO_BOUND: &str = "no per-viewer or yearly bound";

fn print(policy: &RegionPolicy, spans: &[Span], out: &mut impl Write) -> anyhow::Result<()> {
    writeln!(out, "{} ({}), unit {}, δ = {:e}", policy.title, policy.region, unit(policy), policy.budget.delta)?;
    if spans.is_empty() {
        writeln!(out, "nothing leaves the region")?;
    } else {
        let mut table = Table::new();
        table.load_preset(presets::UTF8_HORIZONTAL_ONLY);
        table.set_header(["over one", "windows", "ρ", "ε by zCDP", "ε by PLD"]);
        for Span { name, windows, figures } in spans {
            let name = format!("{}-{name}", unit(policy));
            // A ρ of whole millionths stays what it is.
            let rho = format!("{:.6}", (figures.rho * 1e6 * (1.0 - 1e-12)).ceil() / 1e6);
            table.add_row([name, windows.to_string(), rho, up(figures.epsilon_zcdp), figures.pld()]);
        }
        writeln!(out, "{table}")?;
        for Span { name, figures, .. } in spans {
            if let Err(reason) = figures.epsilon_pld {
                writeln!(out, "no PLD over one {name}: {reason}")?;
            }
        }
    }
    if policy.unit.unit == PrivacyUnit::Session {
        writeln!(out, "{NO_BOUND}: a viewer may have any number of sessions")?;
    }
    Ok(writeln!(out)?)
}

fn object(policy: &RegionPolicy, spans: &[Span]) -> Value {
    let mut region = json!({
        "region": policy.region,
        "unit": policy.unit.unit,
        "delta": policy.budget.delta,
        "segments": segments(policy)
            .map(|noised| json!({ "figures": noised.figures, "scale": 1.0 / (2.0 * noised.rho).sqrt(), "rho": noised.rho }))
            .collect::<Vec<_>>(),
    });
    for Span { name, windows, figures } in spans {
        region[*name] = json!({
            "windows": windows,
            "rho": figures.rho,
            "epsilon_zcdp": figures.epsilon_zcdp,
            "epsilon_pld": figures.epsilon_pld.ok(),
        });
    }
    if policy.unit.unit == PrivacyUnit::Session {
        region["note"] = json!(NO_BOUND);
    }
    region
}
