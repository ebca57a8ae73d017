//! `siwa audit`

mod folders;
mod history;
mod html;
mod plot;
mod text;

use std::collections::VecDeque;
use std::io::{IsTerminal as _, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use aggregator::audit::{Audit, AuditOptions, AuditReport, AuditedRelease, Verdict};
use anyhow::Context as _;
use clap::Args;
use policies::log::{LogKeys, VerifierKey};
use rustls_pki_types::CertificateDer;
use serde::Serialize;

use crate::http::certificates_from_pem_file;
use crate::log::{Location, LogReadError, LogReader};
use folders::PolicyFiles;

/// Code 1: something was found, or could not be checked.
const FOUND: u8 = 1;
/// Code 2, as clap gives it too.
const USAGE: u8 = 2;
/// Releases that an HTML report lists, the newest.
const RELEASES_SHOWN_MAX: usize = 1000;
/// Leaves from one move of the progress bar to the next.
const LEAVES_PER_TICK: u64 = 512;

/// Audit everything that ever left: was each logged release allowed by a logged policy, and charged?
///
/// Reads the whole transparency log of a centre, from a copy of its folder or from its address, verifies its tree and its
/// checkpoint, and then believes nothing else in it. Follows each node's ledger from the first entry, recomputes from the
/// policies' files what every release may hold and cost, and adds up what viewers lost, by window, year and purpose.
/// Prints sums, ledgers, policy versions, whatever is wrong, a verdict, and what the verdict rests on.
///
/// Policies are folders. Where one lies in a git work tree, versions that are not checked out are looked for in its
/// history. docs/audit.md explains the report and every finding.
///
/// Exit codes: 0 all holds, 1 something is wrong or could not be checked, 2 there was nothing to audit, or the arguments
/// are wrong.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  siwa audit https://centre.example/log --ca ca.pem --log-key \"$KEY\" --policies \
                  policies\n  siwa audit copied-log --log-key \"$KEY\" --policies policies --html audit.html\n  siwa audit \
                  copied-log --log-key \"$KEY\" --policies 2025 --policies 2026 --releases --json | jq .")]
pub(crate) struct AuditCommand {
    /// The log: a folder that holds a copy of it, or its address.
    #[arg(value_name = "DIR|URL")]
    log: String,
    /// The log's key, as its operator published it (`siwa log key` prints it).
    #[arg(long, value_name = "VKEY")]
    log_key: VerifierKey,
    /// The key of a witness that must have cosigned the checkpoint. Can be repeated.
    #[arg(long, value_name = "VKEY")]
    witness: Vec<VerifierKey>,
    /// How many of the witnesses must have; all of them where nothing is said.
    #[arg(long, value_name = "N", requires = "witness")]
    witnesses_min: Option<usize>,
    /// The roots (PEM) of which one vouches for the address's certificate.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// A policy folder. Can be repeated, for versions of it that lie apart.
    #[arg(long, value_name = "DIR", required = true)]
    policies: Vec<PathBuf>,
    /// For how long after a policy was superseded windows may still begin under it.
    #[arg(long, value_name = "SECONDS", default_value_t = aggregator::audit::POLICY_GRACE_MS / 1000)]
    policy_grace: u64,
    /// For how long after its window a charge may be without its release; as long as the window was where nothing is said.
    #[arg(long, value_name = "SECONDS")]
    pending: Option<u64>,
    /// List every release: what it measured, Δ, ρ, δ, and the policy version that allowed it.
    #[arg(long)]
    releases: bool,
    /// Write the report as one HTML file, too.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Print the report as one JSON object, and each release of `--releases` as one before it, a line each.
    #[arg(long)]
    json: bool,
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct LogRead {
    /// Its name for itself.
    origin: String,
    /// Its leaves by the checkpoint.
    size: u64,
    /// Their root by the checkpoint.
    root: Option<policies::Digest>,
    /// Whether the checkpoint, the tiles and the leaves are one.
    verified: bool,
    /// Witnesses that must have cosigned.
    witnesses_min: usize,
}

/// All that is shown.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    log: LogRead,
    /// Where policies came from.
    policy_sources: Vec<String>,
    #[serde(flatten)]
    report: AuditReport,
    /// The newest releases, for the HTML report.
    #[serde(skip)]
    newest: VecDeque<AuditedRelease>,
}

impl AuditCommand {
    /// Audits, and prints what came of it.
    ///
    /// # Errors
    /// When standard error cannot be written.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self.audited(&mut std::io::stdout().lock()) {
            Ok(Verdict::Holds) => Ok(ExitCode::SUCCESS),
            Ok(Verdict::Incomplete | Verdict::Broken) => Ok(ExitCode::from(FOUND)),
            Err(error) => {
                // Whoever read the output has seen enough; that the rest holds was not said.
                let closed = |cause: &std::io::Error| cause.kind() == std::io::ErrorKind::BrokenPipe;
                if !error.downcast_ref().is_some_and(closed) {
                    writeln!(std::io::stderr().lock(), "error: {error:#}")?;
                }
                Ok(ExitCode::from(USAGE))
            }
        }
    }

    fn audited(&self, out: &mut impl Write) -> anyhow::Result<Verdict> {
        let witnesses_min = self.witnesses_min.unwrap_or(self.witness.len());
        let keys = LogKeys::new(self.log_key.clone(), self.witness.clone(), witnesses_min)?;
        let location = Location::parse(&self.log, self.roots()?)?;
        let mut files = PolicyFiles::read(&self.policies)?;
        let options = AuditOptions {
            policy_grace_ms: self.policy_grace.saturating_mul(1000),
            pending_ms: self.pending.map(|seconds| seconds.saturating_mul(1000)),
            ..AuditOptions::default()
        };
        let mut audit = Audit::new(options, &mut files);
        let mut read =
            LogRead { origin: keys.origin().to_owned(), size: 0, root: None, verified: false, witnesses_min };
        let mut newest = VecDeque::new();
        match LogReader::open(location, &keys) {
            Ok(log) => {
                (read.size, read.root) = (log.size(), Some(log.checkpoint().root()));
                read.verified = self.read(&log, &mut audit, &mut newest, out)?;
            }
            // What was read is a checkpoint, and not this log's: a finding, not a mistake of who asks.
            Err(error @ LogReadError::Checkpoint(_)) => audit.unreadable(chain(error)),
            Err(error) => return Err(anyhow::Error::new(error).context("the log cannot be read")),
        }
        let report = audit.finish();
        let shown = Shown { log: read, policy_sources: files.sources(), report, newest };
        if let Some(path) = &self.html {
            std::fs::write(path, html::page(&shown)).with_context(|| format!("cannot write {}", path.display()))?;
        }
        if self.json {
            serde_json::to_writer(&mut *out, &shown)?;
            writeln!(out)?;
        } else {
            text::write(&shown, out)?;
        }
        Ok(shown.report.verdict)
    }

    /// Takes every leaf. False where the log is not what its checkpoint says, which the audit was told.
    fn read<S: aggregator::audit::PolicySource>(
        &self,
        log: &LogReader,
        audit: &mut Audit<S>,
        newest: &mut VecDeque<AuditedRelease>,
        out: &mut impl Write,
    ) -> anyhow::Result<bool> {
        let bar = super::replay::progress(
            !std::io::stderr().is_terminal(),
            log.size(),
            "{bar:40} {pos}/{len} leaves, {per_sec}, {eta} left",
        );
        let read = log.verify(|index, leaf| -> Result<(), Interrupted> {
            if index % LEAVES_PER_TICK == 0 {
                bar.set_position(index);
            }
            let Some(release) = audit.take(index, leaf) else { return Ok(()) };
            if self.releases {
                if self.json { text::release_json(&release, out)? } else { text::release(&release, out)? }
            }
            if self.html.is_some() {
                if newest.len() == RELEASES_SHOWN_MAX {
                    newest.pop_front();
                }
                newest.push_back(release);
            }
            Ok(())
        });
        bar.finish_and_clear();
        match read {
            Ok(()) => Ok(true),
            Err(Interrupted::Log(error)) => {
                audit.unreadable(chain(error));
                Ok(false)
            }
            Err(Interrupted::Output(error)) => Err(error.into()),
        }
    }

    fn roots(&self) -> anyhow::Result<Vec<CertificateDer<'static>>> {
        match &self.ca {
            Some(path) => Ok(certificates_from_pem_file(path)?),
            None => {
                anyhow::ensure!(!self.log.contains("://"), "--ca names the roots that vouch for the address");
                Ok(Vec::new())
            }
        }
    }
}

/// Why reading ended before the log did.
#[derive(Debug)]
enum Interrupted {
    Log(LogReadError),
    Output(std::io::Error),
}

impl From<LogReadError> for Interrupted {
    fn from(error: LogReadError) -> Self {
        Self::Log(error)
    }
}

impl From<std::io::Error> for Interrupted {
    fn from(error: std::io::Error) -> Self {
        Self::Output(error)
    }
}

/// An error with its causes, in one line.
fn chain(error: LogReadError) -> String {
    format!("{:#}", anyhow::Error::new(error))
}

#[cfg(test)]
mod tests;
