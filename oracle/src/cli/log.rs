//! `siwa log`: read, check and witness a transparency log.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use aggregator::log::LogEntry;
use anyhow::Context as _;
use attest::note::{NoteSigner, verifier_key};
use clap::{Args, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use policies::log::note::NOTE_BYTES_MAX;
use policies::log::{KeyAlgorithm, LogKeys, VerifierKey};
use policies::{Digest, TenantId};
use serde_json::json;

use super::keys::read_signing_key;
use crate::environment::Environment;
use crate::http::{ConnectionMetrics, Drain, Identity, Limits, Server, ServerTls, certificates_from_pem_file};
use crate::log::witness::{Witness, router};
use crate::log::{Location, LogReadError, LogReader};

/// Entries that `show` prints, unless it is told another number.
const SHOWN: usize = 100;

/// Read, check and witness a transparency log.
///
/// A centre's log holds every release with what it spent, every pointer to a model, every policy bundle, every entry of
/// the nodes' ledgers, and the regions' key epochs. It is a folder of static files, also served at `/log/`: whoever has
/// the log's key can check all of it without asking anyone. DIR|URL is such a folder or address.
///
/// Exit codes: 0 it holds, 1 it does not or cannot be read, 2 the arguments are not understood.
#[derive(Debug, Args)]
pub(crate) struct LogCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Read every entry, recompute the whole tree, and compare every tile and the checkpoint with it.
    #[command(after_help = "Example:\n  siwa log verify https://centre.example --ca ca.pem --key VKEY --witness VKEY")]
    Verify {
        #[command(flatten)]
        log: LogArguments,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Print the proof that an entry is in the log (C2SP tlog-proof), after checking it.
    Inclusion {
        #[command(flatten)]
        log: LogArguments,
        #[command(flatten)]
        entry: EntryArguments,
    },
    /// Check that the log still has all that an earlier checkpoint had.
    Consistency {
        #[command(flatten)]
        log: LogArguments,
        /// A checkpoint of this log that was saved earlier.
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// List entries, oldest first, one JSON object a line.
    Show {
        #[command(flatten)]
        log: LogArguments,
        /// Only entries of this kind.
        #[arg(long)]
        kind: Option<EntryKind>,
        /// Only entries of this tenant.
        #[arg(long, value_name = "NAME")]
        tenant: Option<TenantId>,
        /// Begin with this entry.
        #[arg(long, value_name = "N", default_value_t = 0)]
        from: u64,
        /// Print so many at most.
        #[arg(long, value_name = "N", default_value_t = SHOWN)]
        count: usize,
    },
    /// Print the verifier key of a log's or a witness's key file, for the configs of those who believe it.
    Key {
        /// A key file as `keys new` writes it.
        file: PathBuf,
        /// The log's origin, or the witness's name.
        #[arg(long, value_name = "NAME")]
        origin: String,
        /// A witness's key, which cosigns.
        #[arg(long)]
        witness: bool,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Run a witness: cosign checkpoints of one log, each of which extends the one before it (C2SP tlog-witness).
    ///
    /// The state file is the witness's memory: with another one it could be led to cosign a fork.
    Witness(WitnessArguments),
}

#[derive(Debug, Args)]
struct LogArguments {
    /// The log's folder or address.
    #[arg(value_name = "DIR|URL")]
    location: String,
    /// The log's verifier key.
    #[arg(long, value_name = "VKEY")]
    key: VerifierKey,
    /// A witness that must have cosigned. Can be repeated.
    #[arg(long, value_name = "VKEY")]
    witness: Vec<VerifierKey>,
    /// How many of the witnesses must; all of them, unless it says less.
    #[arg(long, value_name = "N")]
    witnesses_min: Option<usize>,
    /// The roots (PEM) of which one vouches for the server.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct EntryArguments {
    /// The entry's place, from 0.
    #[arg(long, value_name = "N")]
    index: Option<u64>,
    /// The release of this id: tenant/task/region/node/window.
    #[arg(long, value_name = "ID")]
    release: Option<aggregator::release::ReleaseId>,
    /// The first entry that names this digest: of a release, a model, a policy bundle or a key's statement.
    #[arg(long, value_name = "SHA256")]
    digest: Option<Digest>,
}

#[derive(Debug, Args)]
struct WitnessArguments {
    /// Where to listen.
    #[arg(long, value_name = "ADDR")]
    listen: SocketAddr,
    /// The witness's key file, as `keys new` writes it.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The witness's name.
    #[arg(long, value_name = "NAME")]
    name: String,
    /// The verifier key of the log.
    #[arg(long, value_name = "VKEY")]
    log: VerifierKey,
    /// The newest checkpoint that was cosigned; made with the first.
    #[arg(long, value_name = "FILE")]
    state: PathBuf,
    /// The certificate (PEM) to serve with. Without it, plain HTTP: for a proxy or loopback.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// Its private key.
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum EntryKind {
    Policy,
    Model,
    Ledger,
    Release,
    KeyEpoch,
}

impl LogArguments {
    fn open(self) -> anyhow::Result<(LogReader, LogKeys)> {
        let least = self.witnesses_min.unwrap_or(self.witness.len());
        let keys = LogKeys::new(self.key, self.witness, least)?;
        let roots = self.ca.as_deref().map(certificates_from_pem_file).transpose()?.unwrap_or_default();
        let location = Location::parse(&self.location, roots)?;
        let reader = LogReader::open(location, &keys).with_context(|| format!("the log {}", self.location))?;
        Ok((reader, keys))
    }
}

impl LogCommand {
    /// Reads, checks, or runs a witness.
    ///
    /// # Errors
    /// What does not hold, or cannot be read or written.
    pub(crate) fn run(self, environment: &Environment) -> anyhow::Result<ExitCode> {
        match self.action {
            Action::Witness(arguments) => run_witness(arguments, environment)?,
            action => act(action, &mut std::io::stdout().lock())?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn act(action: Action, out: &mut impl Write) -> anyhow::Result<()> {
    match action {
        Action::Verify { log, json } => verify(&log.open()?.0, json, out),
        Action::Inclusion { log, entry } => {
            let (reader, _) = log.open()?;
            let index = find(&reader, &entry)?;
            out.write_all(&reader.proof(index)?.encode())?;
            Ok(())
        }
        Action::Consistency { log, from, json } => {
            let (reader, keys) = log.open()?;
            consistency(&reader, &keys, &from, json, out)
        }
        Action::Show { log, kind, tenant, from, count } => {
            show(&log.open()?.0, kind, tenant.as_ref(), from, count, out)
        }
        Action::Key { file, origin, witness, json } => {
            let algorithm = if witness { KeyAlgorithm::Cosignature } else { KeyAlgorithm::Note };
            let key = verifier_key(&origin, algorithm, &read_signing_key(&file)?.verifying_key())?;
            if json {
                writeln!(out, "{}", json!({"key": key}))?
            } else {
                writeln!(out, "{key}")?
            }
            Ok(())
        }
        Action::Witness(_) => Ok(()),
    }
}

fn verify(reader: &LogReader, json: bool, out: &mut impl Write) -> anyhow::Result<()> {
    let style = ProgressStyle::with_template("{bar:40} {human_pos} of {human_len} entries, {per_sec}")?;
    let bar = ProgressBar::new(reader.size()).with_style(style);
    let mut kinds = [0_u64; 5];
    reader.verify(|index, bytes| -> anyhow::Result<()> {
        let entry = LogEntry::decode(bytes).with_context(|| format!("entry {index}"))?;
        kinds[kind_of(&entry) as usize] += 1;
        if index.is_multiple_of(1024) {
            bar.set_position(index);
        }
        Ok(())
    })?;
    bar.finish_and_clear();
    let [policies, models, ledgers, releases, epochs] = kinds;
    let checkpoint = reader.checkpoint().checkpoint();
    if json {
        let kinds = json!({
            "policy": policies, "model": models, "ledger": ledgers, "release": releases, "key-epoch": epochs,
        });
        let root = checkpoint.root;
        writeln!(
            out,
            "{}",
            json!({"origin": checkpoint.origin, "size": checkpoint.size, "root": root, "entries": kinds})
        )?;
    } else {
        writeln!(out, "{} holds: {} entries, root {}", checkpoint.origin, checkpoint.size, checkpoint.root)?;
        writeln!(
            out,
            "{releases} releases, {ledgers} of ledgers, {models} pointers to models, {policies} policy bundles, \
             {epochs} key epochs"
        )?;
    }
    Ok(())
}

fn consistency(
    reader: &LogReader,
    keys: &LogKeys,
    from: &Path,
    json: bool,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let named = || format!("the checkpoint {}", from.display());
    let length = std::fs::metadata(from).with_context(named)?.len();
    anyhow::ensure!(length <= NOTE_BYTES_MAX as u64, "{} is larger than a checkpoint", from.display());
    let note = std::fs::read(from).with_context(named)?;
    // Its witnesses may have been others.
    let earlier = keys.without_witnesses().verify(&note).with_context(named)?;
    let hashes = reader.check_extends(earlier.checkpoint()).context("the log was forked or rolled back")?;
    let (old, new) = (earlier.size(), reader.size());
    if json {
        writeln!(out, "{}", json!({"from": old, "to": new, "hashes": hashes}))?;
    } else {
        writeln!(
            out,
            "the log of {new} entries has the {old} of the earlier checkpoint, by a proof of {hashes} hashes"
        )?;
    }
    Ok(())
}

fn show(
    reader: &LogReader,
    kind: Option<EntryKind>,
    tenant: Option<&TenantId>,
    from: u64,
    count: usize,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let mut shown = 0;
    for read in reader.entries() {
        let (index, bytes) = read?;
        let entry = LogEntry::decode(&bytes).with_context(|| format!("entry {index}"))?;
        let wanted = index >= from
            && kind.is_none_or(|kind| kind == kind_of(&entry))
            && tenant.is_none_or(|tenant| tenant_of(&entry) == Some(tenant));
        // The rest is read all the same: before the last entry none is known to be the log's.
        if wanted && shown < count {
            shown += 1;
            writeln!(out, "{}", json!({"index": index, "entry": serde_json::to_value(&entry)?}))?;
        }
    }
    Ok(())
}

fn find(reader: &LogReader, wanted: &EntryArguments) -> anyhow::Result<u64> {
    if let Some(index) = wanted.index {
        return Ok(index);
    }
    let is_wanted = |entry: &LogEntry| match (&wanted.release, &wanted.digest, entry) {
        (Some(id), _, LogEntry::Release(release)) => release.id() == *id,
        (_, Some(digest), entry) => digests_of(entry).contains(digest),
        _ => false,
    };
    let found = reader.entries().find_map(|read| match read {
        Ok((index, bytes)) => LogEntry::decode(&bytes).ok().filter(&is_wanted).map(|_| Ok(index)),
        Err(error) => Some(Err(error)),
    });
    found.transpose().map_err(|error: LogReadError| error)?.context("the log has no such entry")
}

const fn kind_of(entry: &LogEntry) -> EntryKind {
    match entry {
        LogEntry::Policy(_) => EntryKind::Policy,
        LogEntry::Model(_) => EntryKind::Model,
        LogEntry::Ledger(_) => EntryKind::Ledger,
        LogEntry::Release(_) => EntryKind::Release,
        LogEntry::KeyEpoch(_) => EntryKind::KeyEpoch,
    }
}

fn tenant_of(entry: &LogEntry) -> Option<&TenantId> {
    match entry {
        LogEntry::Model(model) => Some(&model.tenant),
        LogEntry::Release(release) => Some(&release.tenant),
        LogEntry::Policy(_) | LogEntry::Ledger(_) | LogEntry::KeyEpoch(_) => None,
    }
}

fn digests_of(entry: &LogEntry) -> Vec<Digest> {
    match entry {
        LogEntry::Policy(policy) => vec![policy.digest, policy.bundle],
        LogEntry::Model(model) => vec![model.digest],
        LogEntry::Ledger(ledger) => vec![ledger.head],
        LogEntry::Release(release) => vec![release.digest],
        LogEntry::KeyEpoch(epoch) => vec![epoch.statement],
    }
}

fn run_witness(arguments: WitnessArguments, environment: &Environment) -> anyhow::Result<()> {
    let WitnessArguments { listen, key, name, log, state, tls_certificate, tls_key } = arguments;
    let signer = NoteSigner::of_cosignatures(&name, read_signing_key(&key)?)?;
    let witness = Arc::new(Witness::open(signer, log, state, environment.clock.clone())?);
    let tls = match (tls_certificate, tls_key) {
        (Some(certificate), Some(key)) => Some(ServerTls::new(Identity::from_pem_files(&certificate, &key)?, None)?),
        _ => None,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime")?;
    runtime.block_on(async {
        let metrics = ConnectionMetrics::register(&prometheus::Registry::new(), "witness")?;
        let server = Server::bind(listen, tls, Limits::default(), metrics).await;
        let server = server.with_context(|| format!("cannot listen on {listen}"))?;
        writeln!(std::io::stdout(), "{} listens on {}", witness.verifier_key(), server.local_address()?)?;
        let (stop, drain) = Drain::new();
        let served = tokio::spawn(server.serve(router(witness), drain));
        tokio::signal::ctrl_c().await.context("no signals")?;
        stop.order();
        served.await.context("the listener was cut off")?;
        Ok(())
    })
}

#[cfg(test)]
mod tests;
