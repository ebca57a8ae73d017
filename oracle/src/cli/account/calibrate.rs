//! The least Gaussian noise for an ε.

use std::io::Write;

use comfy_table::{Table, presets};
use policies::zcdp::{self, Mechanism};
use serde_json::json;

/// Noise that keeps K releases at ε, and the ρ of all of them.
struct Noise {
    scale: f64,
    rho: f64,
}

pub(super) fn write(
    epsilon: f64,
    delta: f64,
    compositions: u64,
    json: bool,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    anyhow::ensure!(compositions > 0, "there are no releases to calibrate");
    #[expect(clippy::cast_precision_loss, reason = "beyond 2^53 releases no figure is of use")]
    let times = compositions as f64;
    // √k times the noise of one release: k Gaussians are one. Rounded up.
    let scale = zcdp::sigma_for(epsilon, delta) * times.sqrt() * (1.0 + 4.0 * f64::EPSILON);
    let exact = Noise { scale, rho: Mechanism::Gaussian.rho(scale, compositions) };
    let budget = zcdp::rho_for_epsilon(epsilon, delta).as_f64();
    let scale = (times / (2.0 * budget)).sqrt() * (1.0 + 4.0 * f64::EPSILON);
    let ledger = Noise { scale, rho: budget };
    anyhow::ensure!(exact.scale.is_finite() && ledger.scale.is_finite(), "no noise gives so small an ε at this δ");
    if json {
        let part =
            |noise: &Noise| json!({ "scale": noise.scale, "rho": noise.rho, "rho_per_release": noise.rho / times });
        let account = json!({
            "epsilon": epsilon,
            "delta": delta,
            "compositions": compositions,
            "analytic_gaussian": part(&exact),
            "zcdp": part(&ledger),
        });
        return Ok(writeln!(out, "{account}")?);
    }
    let plural = if compositions == 1 { "release" } else { "releases" };
    writeln!(
        out,
        "The least Gaussian noise with which {compositions} {plural} together have ε = {epsilon}, δ = {delta:e}:"
    )?;
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["by", "σ/Δ of each", "ρ of each", "ρ in all"]);
    for (by, noise) in [("analytic Gaussian (exact)", &exact), ("zCDP (the ledger)", &ledger)] {
        let scale = (noise.scale * 1e6).ceil() / 1e6;
        table.add_row([by.to_owned(), format!("{scale:.6}"), down(noise.rho / times), down(noise.rho)]);
    }
    writeln!(out, "{table}")?;
    writeln!(out, "A ledger that admits ρ = {} in all keeps this ε for any mixture of releases.", down(ledger.rho))?;
    Ok(())
}

/// A budget with nine digits behind the point, none above what it stands for.
fn down(rho: f64) -> String {
    format!("{:.9}", (rho * 1e9).floor() / 1e9)
}
