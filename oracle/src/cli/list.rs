//! `siwa list`: private lists, for their operator.

use std::io::{IsTerminal as _, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use attest::content::list::ListName;
use clap::{Args, Subcommand, ValueEnum};
use indicatif::ProgressBar;
use policies::{ListMeaning, TenantId};
use rand_core::{OsRng, TryRngCore as _};
use serde_json::json;

use crate::clock::Stopwatch;
use crate::environment::Environment;
use crate::lists::build::{Build, Built, CHUNK_LINES, Format, Progress};
use crate::lists::{ListEpoch, ListFolder};
use crate::serve::read_operator_key;

const DAY_SECONDS: u64 = 86_400;

/// Private lists: made once, built from a file, served by nodes.
///
/// Whoever asks a node about a clip learns whether it stands in the list, and no more; the node does not learn which clip
/// it was. docs/content.md says how, and what is learned all the same. A node takes up what is built within seconds, where
/// `[region.content]` names the folder and content.toml of the policies the list.
#[derive(Args)]
#[command(after_help = "Example:\n  siwa list init --out lists --signing-key demo-blocked.pem --tenant demo-platform \
                        --list demo-blocked --meaning blocked\n  siwa list build --out lists --signing-key \
                        demo-blocked.pem --operator-key operator.secret --tenant demo-platform --list demo-blocked --input digests.txt")]
pub(crate) struct ListCommand {
    #[command(subcommand)]
    action: Action,
}

/// Which list, and where.
#[derive(Args)]
struct Named {
    /// The folder of all lists.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// Whose list.
    #[arg(long, value_name = "NAME")]
    tenant: TenantId,
    /// Its name.
    #[arg(long, value_name = "NAME")]
    list: ListName,
}

#[derive(Subcommand)]
enum Action {
    /// Make a list and the key that signs its manifests. Prints the public half, which clients pin.
    Init {
        #[command(flatten)]
        named: Named,
        /// Where the key that signs the list's manifests is written (PEM, mode 0600). It lies outside of the folder of
        /// lists, and no node gets it: it is needed to build alone.
        #[arg(long, value_name = "FILE")]
        signing_key: PathBuf,
        /// What the list says of the clips in it.
        #[arg(long)]
        meaning: Meaning,
    },
    /// Build the list's next epoch from a file, and put it in force.
    ///
    /// A line is an identifier; empty lines and repeated ones are left out. A build that was interrupted goes on where it
    /// was when the same command is given again, and ends in the same bytes. The two before it are kept for calls under
    /// way, and earlier ones are removed with their keys.
    Build(BuildArguments),
    /// Verify the epoch in force, every bucket of it, and print what it is.
    Inspect {
        #[command(flatten)]
        named: Named,
        /// The key under which the list's secrets are sealed.
        #[arg(long, value_name = "FILE")]
        operator_key: PathBuf,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Args)]
struct BuildArguments {
    #[command(flatten)]
    named: Named,
    /// The key under which the epoch's key is sealed for nodes, as `siwa keys operator` makes it.
    #[arg(long, value_name = "FILE")]
    operator_key: PathBuf,
    /// The key that signs the list's manifests, as `init` wrote it.
    #[arg(long, value_name = "FILE")]
    signing_key: PathBuf,
    /// The identifiers, one a line.
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// What a line holds.
    #[arg(long, value_enum, default_value = "sha256")]
    format: Format,
    /// How long the epoch is good for, up to 366 days.
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=366))]
    days: u16,
    /// Threads that evaluate; as many as there are cores where none is given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Forget a build that was interrupted, and begin anew.
    #[arg(long)]
    restart: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// What a list says of the clips in it.
#[derive(Clone, Copy, ValueEnum)]
enum Meaning {
    /// They must not be shown.
    Blocked,
    /// They may be shown: rights are held.
    Licensed,
    /// They must be taken down: a notice was received.
    Takedown,
}

impl From<Meaning> for ListMeaning {
    fn from(meaning: Meaning) -> Self {
        match meaning {
            Meaning::Blocked => Self::Blocked,
            Meaning::Licensed => Self::Licensed,
            Meaning::Takedown => Self::Takedown,
        }
    }
}

impl Named {
    fn open(&self) -> anyhow::Result<ListFolder> {
        Ok(ListFolder::open(&self.out, &self.tenant, &self.list)?)
    }
}

impl ListCommand {
    /// Does what is asked, and prints what came of it.
    ///
    /// # Errors
    /// A file that cannot be used, a line that is refused, or an epoch that does not verify.
    pub(crate) fn run(self, environment: &Environment) -> anyhow::Result<ExitCode> {
        self.act(environment, &mut std::io::stdout().lock())?;
        Ok(ExitCode::SUCCESS)
    }

    fn act(self, environment: &Environment, out: &mut impl Write) -> anyhow::Result<()> {
        match self.action {
            Action::Init { named, signing_key, meaning } => init(named, &signing_key, meaning.into(), out),
            Action::Build(arguments) => build(&arguments, environment, out),
            Action::Inspect { named, operator_key, json } => {
                inspect(&named, &operator_key, json, environment.clock.now_ms(), out)
            }
        }
    }
}

fn init(named: Named, signing_key: &Path, meaning: ListMeaning, out: &mut impl Write) -> anyhow::Result<()> {
    let names = (named.tenant, named.list, meaning);
    let made = ListFolder::initialise(&named.out, names, signing_key, &mut OsRng.unwrap_err())?;
    writeln!(out, "made {}", made.path().display())?;
    writeln!(out, "its manifests are signed by {}", made.key)?;
    writeln!(out, "that key is {}: keep it, and away from nodes", signing_key.display())?;
    Ok(())
}

fn build(arguments: &BuildArguments, environment: &Environment, out: &mut impl Write) -> anyhow::Result<()> {
    let folder = arguments.named.open()?;
    let operator = read_operator_key(&arguments.operator_key)?;
    let signer = folder.signing_key(&arguments.signing_key)?;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let build = Build {
        folder: &folder,
        operator: &operator,
        signer: &signer,
        input: &arguments.input,
        format: arguments.format,
        threads: arguments.threads.map_or(cores, usize::from),
        chunk_lines: CHUNK_LINES,
        seconds: u64::from(arguments.days) * DAY_SECONDS,
        restart: arguments.restart,
        now_s: environment.clock.now_s(),
    };
    let bar = bar(arguments.json);
    let (watch, mut resumed) = (Stopwatch::start(), 0);
    let mut tell = |progress: Progress| {
        bar.set_length(progress.bytes_total);
        if progress.resumed {
            // What an earlier run did says nothing about the rate of this one.
            resumed = progress.entries;
            bar.set_position(progress.bytes_done);
            bar.reset_eta();
        } else {
            bar.set_position(progress.bytes_done);
        }
        bar.set_message(rate(progress.entries - resumed, watch.elapsed(), progress.entries));
        ControlFlow::Continue(())
    };
    let built = build.run(&mut OsRng.unwrap_err(), &mut tell)?;
    bar.finish_and_clear();
    let seconds = watch.elapsed().as_secs_f64();
    report(&built, resumed, seconds, arguments.json, out)
}

fn bar(json: bool) -> ProgressBar {
    let hidden = json || !std::io::stderr().is_terminal();
    super::replay::progress(hidden, 0, "{bar:40} {percent} % {msg}, {eta} left")
}

fn rate(entries: u64, elapsed: Duration, all: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = entries as f64 / elapsed.as_secs_f64().max(1e-9);
    format!("{all} entries, {rate:.0}/s")
}

fn report(built: &Built, resumed: u64, seconds: f64, json: bool, out: &mut impl Write) -> anyhow::Result<()> {
    if json {
        let mut shown = serde_json::to_value(built)?;
        shown["resumed_entries"] = json!(resumed);
        shown["seconds"] = json!(seconds);
        return Ok(writeln!(out, "{shown}")?);
    }
    writeln!(
        out,
        "epoch {} is in force: {} entries ({} repeated lines left out)",
        built.epoch, built.entries, built.duplicates
    )?;
    writeln!(
        out,
        "{} buckets of {} slots, {} bytes each; good until {}",
        1_u32 << built.bits,
        built.slots,
        built.bucket_bytes,
        httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(built.expires_s))
    )?;
    Ok(())
}

fn inspect(named: &Named, operator_key: &Path, json: bool, now_ms: u64, out: &mut impl Write) -> anyhow::Result<()> {
    let folder = named.open()?;
    let epoch = folder.current()?.with_context(|| format!("{} was never built", folder.path().display()))?;
    let epoch = ListEpoch::open(&folder, epoch, &read_operator_key(operator_key)?, now_ms)?;
    if let Err((number, error)) = epoch.verify_buckets().context("the buckets")? {
        bail!("bucket {number}: {error}");
    }
    let (manifest, geometry) = (&epoch.manifest, &epoch.geometry);
    if json {
        let shown = json!({"key": folder.key, "manifest": manifest, "bucket_bytes": geometry.bucket_bytes()});
        return Ok(writeln!(out, "{shown}")?);
    }
    writeln!(out, "{}/{}: epoch {}, every bucket verified", manifest.tenant, manifest.list, manifest.epoch)?;
    writeln!(
        out,
        "{} buckets of {} slots, up to {} entries",
        geometry.buckets(),
        geometry.slots(),
        manifest.entries_max
    )?;
    let expires = UNIX_EPOCH + Duration::from_secs(manifest.exp);
    writeln!(out, "good until {}; signed by {}", httpdate::fmt_http_date(expires), folder.key)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, Parser};

    #[derive(Parser)]
    #[command(name = "siwa", max_term_width = 100)]
    enum Program {
        List(ListCommand),
    }

    fn run(line: &str) -> Result<String, String> {
        let Program::List(command) = Program::try_parse_from(line.split(' ')).map_err(|error| error.to_string())?;
        let mut out = Vec::new();
        command.act(&Environment::production(), &mut out).map_err(|error| format!("{error:#}"))?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn help_teaches() {
        let mut program = Program::command().term_width(100);
        program.build();
        let list = program.find_subcommand_mut("list").unwrap();
        let help = list.render_long_help().to_string();
        for taught in ["init", "build", "inspect", "docs/content.md", "siwa list build --out lists"] {
            assert!(help.contains(taught), "{taught}: {help}");
        }
        let build = list.find_subcommand_mut("build").unwrap().render_long_help().to_string();
        assert!(build.contains("ends in the same bytes"), "{build}");
    }

    #[test]
    fn a_list_is_made_built_and_looked_at() {
        let files = tempfile::tempdir().unwrap();
        let file = |name: &str| files.path().join(name).to_str().unwrap().to_owned();
        let operator = attest::seal::OperatorKey::generate(&mut OsRng.unwrap_err());
        std::fs::write(file("operator"), operator.to_text().as_bytes()).unwrap();
        let named = format!("--out {} --tenant t --list l", file("lists"));
        let of = format!("{named} --operator-key {}", file("operator"));
        let signed = format!("--signing-key {}", file("l.pem"));
        assert!(run(&format!("siwa list inspect {of}")).unwrap_err().contains("siwa list init"));
        let made = run(&format!("siwa list init {named} {signed} --meaning takedown")).unwrap();
        assert!(made.contains("its manifests are signed by "), "{made}");
        assert!(
            run(&format!("siwa list init {named} {signed} --meaning takedown"))
                .unwrap_err()
                .contains("has a list already")
        );
        assert!(run(&format!("siwa list inspect {of}")).unwrap_err().contains("was never built"));
        std::fs::write(file("ids"), "a\nb\na\n").unwrap();
        let refused = run(&format!("siwa list build {of} {signed} --input {}", file("ids"))).unwrap_err();
        assert_eq!(refused, "line 1 of the input is refused: it is not 64 hexadecimal digits");
        let build = format!("siwa list build {of} {signed} --format text --days 7 --restart --input {}", file("ids"));
        let built: serde_json::Value = serde_json::from_str(&run(&format!("{build} --json")).unwrap()).unwrap();
        assert_eq!([&built["epoch"], &built["entries"], &built["duplicates"], &built["slots"]], [1, 2, 1, 16]);
        let said = run(&build).unwrap();
        assert!(
            said.starts_with("epoch 2 is in force: 2 entries (1 repeated lines left out)\n1 buckets of 16"),
            "{said}"
        );
        let shown: serde_json::Value =
            serde_json::from_str(&run(&format!("siwa list inspect {of} --json")).unwrap()).unwrap();
        assert_eq!([&shown["manifest"]["epoch"], &shown["manifest"]["entries_max"]], [2, 1024]);
        assert_eq!(shown["manifest"]["meaning"], "takedown");
        assert!(made.contains(shown["key"].as_str().unwrap()));
        let buckets = files.path().join("lists/t/l/epochs/2/buckets.bin");
        let mut altered = std::fs::read(&buckets).unwrap();
        altered[3] ^= 1;
        std::fs::write(&buckets, altered).unwrap();
        let refused = run(&format!("siwa list inspect {of}")).unwrap_err();
        assert_eq!(refused, "bucket 0: the bucket is not the one that the manifest commits to");
    }
}
