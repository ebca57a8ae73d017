//! `siwa account`: what noise costs, what noise an ε needs, and what a policy comes to.

mod calibrate;
mod policy;
mod releases;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use policies::pld::{Composition, PldError};
use policies::zcdp::Mechanism;
use policies::{RegionId, zcdp};

use self::releases::{Kind, kind};

/// Compute ε of noise after a number of releases, in two ways; or the noise that an ε needs; or what a policy comes to.
///
/// Every release adds noise to the same data. The scale is relative to the sensitivity Δ, which is the most that
/// one protected unit can move the result.
///
/// By zCDP, which the ledger goes by: ρ adds up over releases, and is converted to (ε, δ) once, at the end (Canonne, Kamath
/// and Steinke 2020, Proposition 12). By PLD, for reports: the privacy loss distributions of all releases, composed
/// (Doroshenko and others 2022), never below the exact ε and above it by 0.5 % at most. docs/accounting.md explains both.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct AccountCommand {
    /// The noise of one kind of release.
    #[arg(long, value_enum, requires = "scale", group = "what")]
    mechanism: Option<MechanismName>,
    /// The noise's parameter divided by the sensitivity: σ/Δ, or b/Δ for Laplace.
    #[arg(long, value_name = "S", value_parser = positive, requires = "mechanism")]
    scale: Option<f64>,
    /// How many releases of the same data.
    #[arg(long, value_name = "K", default_value_t = 1, conflicts_with_all = ["releases", "policy"])]
    compositions: u64,
    /// K releases with the noise M at scale S; repeat it for a mixture. `gaussian:5:365` is 365 releases at σ/Δ = 5.
    #[arg(long = "release", id = "releases", value_name = "M:S[:K]", value_parser = kind, group = "what")]
    releases: Vec<Kind>,
    /// Find the least Gaussian noise with which all K releases together stay at this ε.
    #[arg(long, value_name = "EPSILON", value_parser = positive, group = "what")]
    calibrate: Option<f64>,
    /// Say what every region of a policy folder costs: a window, a day, a year.
    #[arg(long, value_name = "DIR", group = "what", conflicts_with = "delta")]
    policy: Option<PathBuf>,
    /// The region, instead of every one.
    #[arg(long, value_name = "NAME", requires = "policy")]
    region: Option<RegionId>,
    /// The probability δ with which ε may fail; below 1. A policy states its own.
    #[arg(long, value_name = "D", value_parser = probability, required_unless_present = "policy")]
    delta: Option<f64>,
    /// Each unit takes part in a release with probability Q only, drawn anew and in secret (Poisson sampling). For reports
    /// about mechanisms: no release of Siwa samples so, and none claims it.
    #[arg(long, value_name = "Q", value_parser = share, conflicts_with_all = ["calibrate", "policy"])]
    sampling: Option<f64>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  365 daily releases, each with noise 4.53 times the sensitivity:
    siwa account --mechanism discrete-gaussian --scale 4.53 --compositions 365 --delta 1e-6
  A mixture, part by part and together:
    siwa account --release gaussian:5:365 --release discrete-laplace:2:12 --delta 1e-6
  The least noise for ε = 1 over 52 weekly releases, and the ρ that a ledger needs for it:
    siwa account --calibrate 1 --compositions 52 --delta 1e-6
  What the policies in a folder come to, a window, a day and a year:
    siwa account --policy policies --region eu-west
  Training steps on a secret 1 % of the data each, which Siwa's releases are not:
    siwa account --mechanism gaussian --scale 1 --compositions 1000 --sampling 0.01 --delta 1e-6";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum MechanismName {
    /// Continuous Gaussian noise, Δ in the L2 norm.
    Gaussian,
    /// Gaussian noise on the integers, as Siwa's releases carry it; its PLD is of one integer with Δ = 1.
    DiscreteGaussian,
    /// Laplace noise, Δ in the L1 norm.
    Laplace,
    /// Two-sided geometric noise on the integers, Δ in the L1 norm.
    DiscreteLaplace,
}

impl MechanismName {
    const fn mechanism(self) -> Mechanism {
        match self {
            Self::Gaussian => Mechanism::Gaussian,
            Self::DiscreteGaussian => Mechanism::DiscreteGaussian,
            Self::Laplace => Mechanism::Laplace,
            Self::DiscreteLaplace => Mechanism::DiscreteLaplace,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Gaussian => "gaussian",
            Self::DiscreteGaussian => "discrete-gaussian",
            Self::Laplace => "laplace",
            Self::DiscreteLaplace => "discrete-laplace",
        }
    }
}

fn positive(text: &str) -> Result<f64, &'static str> {
    text.parse().ok().filter(|scale: &f64| scale.is_finite() && *scale > 0.0).ok_or("a number above 0")
}

fn probability(text: &str) -> Result<f64, &'static str> {
    text.parse().ok().filter(|delta| (f64::MIN_POSITIVE..1.0).contains(delta)).ok_or("a number above 0 and below 1")
}

fn share(text: &str) -> Result<f64, &'static str> {
    text.parse().ok().filter(|share| (f64::MIN_POSITIVE..=1.0).contains(share)).ok_or("a number above 0, 1 at most")
}

impl AccountCommand {
    /// Prints the account.
    ///
    /// # Errors
    /// When the policy folder has no such region or an error, when ε is not finite, or when standard output cannot be
    /// written.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        self.write(&mut std::io::stdout().lock())?;
        Ok(ExitCode::SUCCESS)
    }

    fn write(&self, out: &mut impl Write) -> anyhow::Result<()> {
        if let Some(folder) = &self.policy {
            return policy::write(folder, self.region.as_ref(), self.json, out);
        }
        // clap asks for it wherever there is no policy.
        let delta = self.delta.unwrap_or(0.0);
        if let Some(epsilon) = self.calibrate {
            return calibrate::write(epsilon, delta, self.compositions, self.json, out);
        }
        let sampling = self.sampling.unwrap_or(1.0);
        if let (Some(mechanism), Some(scale)) = (self.mechanism, self.scale) {
            let kind = Kind { mechanism, scale, times: self.compositions };
            return releases::write_one(kind, sampling, delta, self.json, out);
        }
        anyhow::ensure!(
            !self.releases.is_empty(),
            "say what to account: --mechanism, --release, --calibrate or --policy"
        );
        releases::write_mixture(&self.releases, sampling, delta, self.json, out)
    }
}

/// ε of the same releases by either way.
#[derive(Debug, Clone, Copy)]
struct Figures {
    rho: f64,
    epsilon_zcdp: f64,
    /// None where the scales, the counts or δ are beyond what the grid takes.
    epsilon_pld: Result<f64, PldError>,
}

impl Figures {
    fn of(rho: f64, composition: Result<Composition, PldError>, delta: f64) -> anyhow::Result<Self> {
        let epsilon_zcdp = zcdp::epsilon(rho, delta);
        anyhow::ensure!(epsilon_zcdp.is_finite(), "so little noise, so often, is no protection: ε is not finite");
        let epsilon_pld = composition.and_then(|composition| composition.epsilon(delta));
        Ok(Self { rho, epsilon_zcdp, epsilon_pld })
    }

    fn pld(&self) -> String {
        self.epsilon_pld.map_or_else(|_| "-".to_owned(), up)
    }
}

/// A figure with four digits behind the point, none below what it stands for.
fn up(figure: f64) -> String {
    let rounded = (figure * 1e4).ceil() / 1e4;
    format!("{:.4}", if rounded.is_finite() { rounded } else { figure })
}

#[cfg(test)]
mod tests;
