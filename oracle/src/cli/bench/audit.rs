//! How long an audit takes, and how much memory: a made-up log, written to a file first so that making it is not measured.

use std::collections::BTreeMap;
use std::io::{BufReader, BufWriter, Read as _, Seek as _, Write as _};
use std::process::ExitCode;

use aggregator::audit::sample::SampleLog;
use aggregator::audit::{Audit, AuditOptions, Verdict};
use aggregator::log::LogEntry;
use anyhow::Context as _;
use clap::Args;
use policies::PolicySet;
use policies::log::Frontier;
use policies::log::tree::leaf_hash;

use crate::clock::Stopwatch;

/// Audit a made-up log: how long it takes, and the most memory that this process held.
///
/// What is measured is reading the leaves from a file, hashing them into the tree, and auditing them, all in one thread.
#[derive(Args)]
pub(super) struct AuditBench {
    /// Releases in the log.
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    releases: u64,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl AuditBench {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let set = PolicySet::parse(&policies::sample::files())
            .map_err(|findings| anyhow::anyhow!("the sample policies have {} findings", findings.len()))?;
        let mut file = tempfile::tempfile().context("no place for the log")?;
        let leaves = self.write(&set, &mut file)?;
        file.rewind()?;
        let (watch, busy_before) = (Stopwatch::start(), busy_seconds()?);
        let mut audit = Audit::new(AuditOptions::default(), BTreeMap::from([(set.digest(), set)]));
        let (mut tree, mut reader) = (Frontier::default(), BufReader::with_capacity(1 << 20, file));
        let mut leaf = Vec::new();
        for index in 0..leaves {
            let mut length = [0; 4];
            reader.read_exact(&mut length)?;
            leaf.resize(usize::try_from(u32::from_be_bytes(length))?, 0);
            reader.read_exact(&mut leaf)?;
            tree.append(leaf_hash(&leaf), |_, _| {});
            audit.take(index, &leaf);
        }
        let root = tree.root();
        let report = audit.finish();
        let (seconds, busy) = (watch.elapsed().as_secs_f64(), busy_seconds()? - busy_before);
        anyhow::ensure!(
            report.verdict == Verdict::Holds,
            "the made-up log does not hold: {:?}",
            report.findings_by_kind
        );
        let memory = memory_peak_bytes()?;
        let mut out = std::io::stdout().lock();
        if self.json {
            let shown = serde_json::json!({
                "releases": report.counts.releases, "leaves": leaves, "seconds": seconds, "cpu_seconds": busy,
                "memory_peak_bytes": memory, "root": root,
            });
            writeln!(out, "{shown}")?;
        } else {
            #[expect(clippy::cast_precision_loss, reason = "figures for people")]
            let (rate, megabytes) = (report.counts.releases as f64 / seconds, memory as f64 / 1e6);
            writeln!(out, "{} releases in {leaves} leaves: {seconds:.1} s, {rate:.0}/s", report.counts.releases)?;
            writeln!(out, "time on a processor: {busy:.1} s")?;
            writeln!(out, "most memory held: {megabytes:.0} MB")?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Writes whole windows until there are as many releases, each leaf after its length, and says how many leaves.
    fn write(&self, set: &PolicySet, file: &mut std::fs::File) -> anyhow::Result<u64> {
        let mut writer = BufWriter::with_capacity(1 << 20, file);
        let (mut releases, mut leaves) = (0, 0);
        for entry in SampleLog::new(set) {
            match &entry {
                LogEntry::Ledger(_) if releases >= self.releases => break,
                LogEntry::Release(_) => releases += 1,
                _ => {}
            }
            let leaf = entry.encode();
            writer.write_all(&u32::try_from(leaf.len())?.to_be_bytes())?;
            writer.write_all(&leaf)?;
            leaves += 1;
        }
        writer.flush()?;
        Ok(leaves)
    }
}

/// The most memory that this process held, as Linux counts it.
fn memory_peak_bytes() -> anyhow::Result<u64> {
    let status =
        std::fs::read_to_string("/proc/self/status").context("the system does not say how much memory is held")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes: u64 =
        line.and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse().ok()).context("no VmHWM")?;
    Ok(kilobytes * 1024)
}

/// How long this thread has run on a processor, as Linux counts it: what is left of the time when others were busy too.
fn busy_seconds() -> anyhow::Result<f64> {
    let counted =
        std::fs::read_to_string("/proc/thread-self/schedstat").context("the system counts no time on a processor")?;
    let nanoseconds: u64 =
        counted.split(' ').next().and_then(|first| first.parse().ok()).context("no time on a processor")?;
    Ok(std::time::Duration::from_nanos(nanoseconds).as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_that_of_a_process() {
        let before = memory_peak_bytes().unwrap();
        assert!((1 << 20..1 << 40).contains(&before), "{before}");
    }

    #[test]
    fn a_small_log_is_written_whole_and_holds() {
        assert_eq!(AuditBench { releases: 50, json: true }.run().unwrap(), ExitCode::SUCCESS);
    }
}
