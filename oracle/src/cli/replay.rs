//! `siwa replay`

use std::fs::File;
use std::io::{BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use personalize::Catalogue;

use super::report::Report;
use crate::audience::{Audience, Course, read_slates};
use crate::cluster::{Cluster, ClusterOptions, DELTA, MeasurementPolicies, TENANT, measurement_policies};
use crate::environment::NoiseMode;

/// Sessions at the start that are ranked at random, so that the first models have something unbiased to learn from.
const UNIFORM_SESSIONS: usize = 500;

/// Replay a log of ranking decisions through the whole service, and see what privacy costs in quality.
///
/// Starts a centre and nodes on loopback and plays the platform over their HTTPS API: for each slate the service ranks
/// the candidates, the first is "watched", and only its outcome is sent back. Sessions are served in the file's order;
/// at each window's end the nodes release and the centre retrains.
///
///   siwa replay --catalogue catalogue.jsonl --slates slates.jsonl --epsilon-window 2
///
/// catalogue.jsonl: {"id","title","kind","tags","year"}     slates.jsonl: {"session","step","candidates","liked"}
#[derive(Args)]
pub(crate) struct ReplayCommand {
    /// The catalogue, one item a line.
    #[arg(long)]
    catalogue: PathBuf,
    /// The log, one ranking decision a line, lines of a session together.
    #[arg(long)]
    slates: PathBuf,
    /// Regions, each with one node; sessions are dealt out in turn.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=16))]
    regions: u8,
    /// ε that one session loses, over all tasks of its window together, at δ = 1e-6; `inf` switches noise off, for
    /// measurement only.
    #[arg(long, default_value = "2")]
    epsilon_window: EpsilonWindow,
    /// Windows of about as many sessions each.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    windows: u16,
    /// Replay the first so many sessions only.
    #[arg(long)]
    limit_sessions: Option<usize>,
    /// Connections to each node. With more than one, sessions overlap and no two replays are alike.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    connections: u16,
    /// Repeat exactly, noise included: not private, and the output says so. Takes one connection.
    #[arg(long)]
    seed: Option<u64>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// An ε, or none for no noise.
#[derive(Debug, Clone, Copy, PartialEq)]
struct EpsilonWindow(Option<f64>);

impl FromStr for EpsilonWindow {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse::<f64>() {
            Ok(f64::INFINITY) => Ok(Self(None)),
            Ok(epsilon) if (0.01..=100.0).contains(&epsilon) => Ok(Self(Some(epsilon))),
            _ => Err("ε is a number from 0.01 to 100, or `inf`"),
        }
    }
}

impl ReplayCommand {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        anyhow::ensure!(
            self.seed.is_none() || self.connections == 1,
            "--seed repeats a replay exactly, which more than one connection cannot: leave out --connections"
        );
        let (catalogue, audience) = self.read()?;
        let runtime = tokio::runtime::Runtime::new().context("no runtime")?;
        let report = runtime.block_on(self.replay(&catalogue, audience))?;
        let mut out = std::io::stdout().lock();
        if self.json {
            writeln!(out, "{}", serde_json::to_string(&report)?)?;
        } else {
            out.write_all(report.tables().as_bytes())?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn read(&self) -> anyhow::Result<(String, Audience)> {
        let shown = |path: &Path| format!("cannot read {}", path.display());
        let text = std::fs::read_to_string(&self.catalogue).with_context(|| shown(&self.catalogue))?;
        let catalogue = Catalogue::parse(TENANT.parse()?, 1, text.as_bytes()).context("the catalogue is refused")?;
        let items = catalogue.items().iter().map(|item| item.id.to_string()).collect();
        let file = File::open(&self.slates).with_context(|| shown(&self.slates))?;
        let reading =
            progress(self.json, file.metadata().map_or(0, |file| file.len()), "reading {bar:40} {bytes}/{total_bytes}");
        let slates = BufReader::new(reading.wrap_read(file));
        let audience = read_slates(slates, items, self.limit_sessions.unwrap_or(usize::MAX))?;
        reading.finish_and_clear();
        anyhow::ensure!(
            audience.visits.len() >= self.windows.into(),
            "{} sessions are too few for {} windows",
            audience.visits.len(),
            self.windows
        );
        Ok((text, audience))
    }

    async fn replay(&self, catalogue: &str, audience: Audience) -> anyhow::Result<Report> {
        let EpsilonWindow(epsilon) = self.epsilon_window;
        let MeasurementPolicies { regions, set, .. } = measurement_policies(self.regions.into(), epsilon)?;
        let noise = match (epsilon, self.seed) {
            (None, _) => NoiseMode::Off,
            (Some(_), Some(seed)) => NoiseMode::Seeded(seed_bytes(seed)),
            (Some(_), None) => NoiseMode::Calibrated,
        };
        let names: Vec<String> = regions.iter().map(ToString::to_string).collect();
        let options = ClusterOptions {
            regions,
            policies: set,
            tenant: TENANT.parse()?,
            noise,
            seed: self.seed,
            identity: false,
            attestation: std::collections::BTreeMap::new(),
        };
        let cluster = Cluster::start(options).await?;
        cluster.upload_catalogue(catalogue).await?;
        let sessions = audience.visits.len();
        let bar = progress(self.json, sessions as u64, "{bar:40} {pos}/{len} sessions, {eta} left, {msg}");
        let course = Course {
            audience: Arc::new(audience),
            windows: self.windows.into(),
            connections: self.connections.into(),
            uniform_sessions: UNIFORM_SESSIONS,
        };
        let outcome = course.run(&cluster, &bar).await?;
        bar.finish_and_clear();
        cluster.stop().await;
        let mut report = Report::new(outcome, &names, noise, epsilon, DELTA);
        report.notes = self.notes(noise);
        Ok(report)
    }

    fn notes(&self, noise: NoiseMode) -> Vec<String> {
        let mut notes = vec![
            format!("each session is its own viewer; the first {UNIFORM_SESSIONS} are ranked at random and not in the mean"),
            "ε is that of one session; copies of a person in the log are not new people, and are not protected together"
                .to_owned(),
        ];
        match noise {
            NoiseMode::Calibrated => {}
            NoiseMode::Seeded(_) => notes.push("seeded noise repeats, and so protects nobody".to_owned()),
            NoiseMode::Off => notes.push("without noise nobody is protected: for measurement only".to_owned()),
        }
        notes
    }
}

/// The seed as the noise generator takes it.
fn seed_bytes(seed: u64) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes
}

/// A progress bar on standard error; none where a program reads.
pub(super) fn progress(hidden: bool, length: u64, template: &str) -> ProgressBar {
    let target = if hidden { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(length), target).with_style(style)
}
