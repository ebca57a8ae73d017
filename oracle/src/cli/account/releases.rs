//! Releases of one kind, or a mixture of kinds.

use std::io::Write;

use clap::ValueEnum as _;
use comfy_table::{Table, presets};
use policies::pld::{Composition, Noise, PldError};
use serde_json::{Value, json};

use super::{Figures, MechanismName, positive, up};

/// A number of releases with the same noise.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    pub(super) mechanism: MechanismName,
    pub(super) scale: f64,
    pub(super) times: u64,
}

/// `MECHANISM:SCALE`, or `MECHANISM:SCALE:TIMES`.
pub(super) fn kind(text: &str) -> Result<Kind, &'static str> {
    let mut parts = text.split(':');
    let (mechanism, scale, times) = (parts.next(), parts.next(), parts.next());
    let (Some(mechanism), Some(scale), None) = (mechanism, scale, parts.next()) else {
        return Err("a mechanism, its scale and how often: gaussian:5:365");
    };
    let mechanism = MechanismName::from_str(mechanism, false)
        .map_err(|_| "the mechanism is one of gaussian, discrete-gaussian, laplace and discrete-laplace")?;
    let times = times.map_or(Ok(1), |times| times.parse().map_err(|_| "how often is a whole number"))?;
    Ok(Kind { mechanism, scale: positive(scale)?, times })
}

impl Kind {
    fn rho(self) -> f64 {
        self.mechanism.mechanism().rho(self.scale, self.times)
    }

    /// Adds these releases; none at all add nothing.
    fn add(self, all: Composition, sampling: f64) -> Result<Composition, PldError> {
        if self.times == 0 {
            return Ok(all);
        }
        all.and(Noise::new(self.mechanism.mechanism(), self.scale)?.sampled(sampling)?, self.times)
    }
}

/// ε of some kinds together. Without any release it is 0.
fn figures(kinds: &[Kind], sampling: f64, delta: f64) -> anyhow::Result<Figures> {
    let rho = kinds.iter().map(|kind| kind.rho()).sum();
    if kinds.iter().all(|kind| kind.times == 0) {
        return Ok(Figures { rho, epsilon_zcdp: 0.0, epsilon_pld: Ok(0.0) });
    }
    Figures::of(rho, kinds.iter().try_fold(Composition::default(), |all, kind| kind.add(all, sampling)), delta)
}

/// What the figures by zCDP mean where the releases are of a sample.
fn zcdp_note(sampling: f64) -> &'static str {
    if sampling < 1.0 { "zCDP, tight conversion, as if of all units" } else { "zCDP, tight conversion" }
}

pub(super) fn write_one(kind: Kind, sampling: f64, delta: f64, json: bool, out: &mut impl Write) -> anyhow::Result<()> {
    let figures = figures(&[kind], sampling, delta)?;
    let Kind { mechanism, scale, times } = kind;
    if json {
        let mut account = json!({
            "mechanism": mechanism.as_str(),
            "scale": scale,
            "compositions": times,
            "delta": delta,
            "rho": figures.rho,
            "epsilon_zcdp": figures.epsilon_zcdp,
            "epsilon_pld": figures.epsilon_pld.ok(),
        });
        if sampling < 1.0 {
            account["sampling"] = json!(sampling);
        }
        return Ok(writeln!(out, "{account}")?);
    }
    writeln!(out, "mechanism     {}", mechanism.as_str())?;
    writeln!(out, "scale         {scale} times the sensitivity")?;
    writeln!(out, "compositions  {times}")?;
    if sampling < 1.0 {
        writeln!(out, "sampling      {sampling} (Poisson; no release of Siwa claims it)")?;
    }
    writeln!(out, "delta         {delta:e}")?;
    writeln!(out, "rho           {}", figures.rho)?;
    writeln!(out, "epsilon       {} ({})", up(figures.epsilon_zcdp), zcdp_note(sampling))?;
    match figures.epsilon_pld {
        Ok(epsilon) => writeln!(out, "epsilon       {} (PLD, at most 0.5 % above the exact one)", up(epsilon))?,
        Err(reason) => writeln!(out, "epsilon       - (PLD: {reason})")?,
    }
    Ok(())
}

pub(super) fn write_mixture(
    kinds: &[Kind],
    sampling: f64,
    delta: f64,
    json: bool,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let parts = kinds.iter().map(|kind| Ok((kind, figures(&[*kind], sampling, delta)?)));
    let parts = parts.collect::<anyhow::Result<Vec<_>>>()?;
    let total = figures(kinds, sampling, delta)?;
    if json {
        let releases: Vec<Value> = parts
            .iter()
            .map(|(kind, figures)| {
                json!({
                    "mechanism": kind.mechanism.as_str(),
                    "scale": kind.scale,
                    "compositions": kind.times,
                    "rho": figures.rho,
                    "epsilon_zcdp": figures.epsilon_zcdp,
                    "epsilon_pld": figures.epsilon_pld.ok(),
                })
            })
            .collect();
        let account = json!({
            "delta": delta,
            "sampling": sampling,
            "releases": releases,
            "rho": total.rho,
            "epsilon_zcdp": total.epsilon_zcdp,
            "epsilon_pld": total.epsilon_pld.ok(),
        });
        return Ok(writeln!(out, "{account}")?);
    }
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["releases", "noise", "scale", "ρ", "ε by zCDP", "ε by PLD"]);
    let row = |times: u64, noise: &str, scale: String, figures: &Figures| {
        let rho = format!("{:.6}", figures.rho);
        [times.to_string(), noise.to_owned(), scale, rho, up(figures.epsilon_zcdp), figures.pld()]
    };
    for (kind, figures) in &parts {
        table.add_row(row(kind.times, kind.mechanism.as_str(), kind.scale.to_string(), figures));
    }
    let times = kinds.iter().fold(0_u64, |all, kind| all.saturating_add(kind.times));
    table.add_row(row(times, "all together", String::new(), &total));
    writeln!(out, "{table}")?;
    writeln!(
        out,
        "δ = {delta:e}. ρ adds up, ε does not. Each ε is an upper bound; by PLD it is at most 0.5 % above the exact one."
    )?;
    if sampling < 1.0 {
        writeln!(out, "PLD of a Poisson sample with probability {sampling}; ρ and zCDP as if of all units.")?;
        writeln!(out, "No release of Siwa claims sampling.")?;
    }
    if let Err(reason) = total.epsilon_pld {
        writeln!(out, "No PLD: {reason}.")?;
    }
    Ok(())
}
