//! `siwa account`: what noise at a scale costs.

use std::io::Write;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use policies::zcdp::{self, Mechanism};
use serde_json::json;

/// Compute ε of a noise mechanism after a number of releases, by zCDP with the tight conversion.
///
/// Every release adds noise to the same data. The scale is relative to the sensitivity Δ, which is the most that
/// one protected unit can move the result. ρ adds up over releases, and is converted to (ε, δ) once, at the end
/// (Canonne, Kamath and Steinke 2020, Proposition 12).
#[derive(Debug, Args)]
#[command(after_help = "Example: 365 daily releases, each with noise 4.53 times the sensitivity:\n  siwa account \
                        --mechanism discrete-gaussian --scale 4.53 --compositions 365 --delta 1e-6")]
pub(crate) struct AccountCommand {
    /// The noise.
    #[arg(long, value_enum)]
    mechanism: MechanismName,
    /// The noise's parameter divided by the sensitivity: σ/Δ, or b/Δ for Laplace.
    #[arg(long, value_name = "S", value_parser = positive)]
    scale: f64,
    /// How many releases of the same data.
    #[arg(long, value_name = "K", default_value_t = 1)]
    compositions: u64,
    /// The probability δ with which ε may fail; below 1.
    #[arg(long, value_name = "D", value_parser = probability)]
    delta: f64,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum MechanismName {
    /// Continuous Gaussian noise, Δ in the L2 norm.
    Gaussian,
    /// Gaussian noise on the integers, as Siwa's releases carry it.
    DiscreteGaussian,
    /// Laplace noise, Δ in the L1 norm.
    Laplace,
}

impl MechanismName {
    const fn mechanism(self) -> Mechanism {
        match self {
            Self::Gaussian => Mechanism::Gaussian,
            Self::DiscreteGaussian => Mechanism::DiscreteGaussian,
            Self::Laplace => Mechanism::Laplace,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Gaussian => "gaussian",
            Self::DiscreteGaussian => "discrete-gaussian",
            Self::Laplace => "laplace",
        }
    }
}

fn positive(text: &str) -> Result<f64, &'static str> {
    text.parse().ok().filter(|scale: &f64| scale.is_finite() && *scale > 0.0).ok_or("a number above 0")
}

fn probability(text: &str) -> Result<f64, &'static str> {
    text.parse().ok().filter(|delta| (f64::MIN_POSITIVE..1.0).contains(delta)).ok_or("a number above 0 and below 1")
}

impl AccountCommand {
    /// Prints the account.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        self.write(&mut std::io::stdout().lock())?;
        Ok(ExitCode::SUCCESS)
    }

    fn write(&self, out: &mut impl Write) -> anyhow::Result<()> {
        let Self { mechanism, scale, compositions, delta, json } = *self;
        let rho = mechanism.mechanism().rho(scale, compositions);
        let epsilon = zcdp::epsilon(rho, delta);
        anyhow::ensure!(epsilon.is_finite(), "so little noise, so often, is no protection: ε is not finite");
        if json {
            let account = json!({
                "mechanism": mechanism.as_str(),
                "scale": scale,
                "compositions": compositions,
                "delta": delta,
                "rho": rho,
                "epsilon_zcdp": epsilon,
            });
            writeln!(out, "{account}")?;
        } else {
            writeln!(out, "mechanism     {}", mechanism.as_str())?;
            writeln!(out, "scale         {scale} times the sensitivity")?;
            writeln!(out, "compositions  {compositions}")?;
            writeln!(out, "delta         {delta:e}")?;
            writeln!(out, "rho           {rho}")?;
            writeln!(out, "epsilon       {epsilon:.4} (zCDP, tight conversion)")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        account: AccountCommand,
    }

    fn account(arguments: &str) -> Result<String, String> {
        let arguments = ["siwa"].into_iter().chain(arguments.split(' '));
        let program = Program::try_parse_from(arguments).map_err(|error| error.kind().to_string())?;
        let mut out = Vec::new();
        program.account.write(&mut out).map_err(|error| error.to_string())?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn figures_for_people_and_programs() {
        insta::assert_snapshot!(
            account("--mechanism discrete-gaussian --scale 5 --compositions 10 --delta 1e-6").unwrap()
        );
        let text = account("--mechanism laplace --scale 1 --compositions 100 --delta 1e-6 --json").unwrap();
        let account: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(account["mechanism"], "laplace");
        assert_eq!(account["compositions"], 100);
        assert!((account["rho"].as_f64().unwrap() - 100.0 / std::f64::consts::E).abs() < 1e-9);
        // 71.55 by the privacy loss distribution, which zCDP cannot beat.
        assert!((71.55..81.0).contains(&account["epsilon_zcdp"].as_f64().unwrap()), "{text}");
    }

    #[test]
    fn senseless_figures_are_refused() {
        for bad in [
            "--mechanism gaussian --scale 0 --delta 1e-6",
            "--mechanism gaussian --scale NaN --delta 1e-6",
            "--mechanism gaussian --scale -1 --delta 1e-6",
            "--mechanism gaussian --scale 1 --delta 0",
            "--mechanism gaussian --scale 1 --delta 1",
            "--mechanism gaussian --scale 1 --delta 1e-6 --compositions -1",
            "--mechanism uniform --scale 1 --delta 1e-6",
        ] {
            let refusal = account(bad).unwrap_err();
            let known = ["invalid value", "one of the values isn't valid", "unexpected argument found"];
            assert!(known.iter().any(|known| refusal.contains(known)), "{bad}: {refusal}");
        }
        let refusal = account("--mechanism gaussian --scale 1e-200 --delta 1e-6");
        assert_eq!(refusal, Err("so little noise, so often, is no protection: ε is not finite".to_owned()));
    }
}
