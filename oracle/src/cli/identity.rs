//! `siwa identity`: a region's identity keys, for its operator.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::Context as _;
use attest::VerifyingKey;
use attest::key_epoch::{Epoch, EpochLog, KeyKind};
use attest::keys::JwkSet;
use clap::{Args, Subcommand, ValueEnum};
use comfy_table::{Table, presets};
use policies::{IdentityRule, TenantId};
use rand_core::{OsRng, TryRngCore as _};
use serde::Serialize;

use crate::config::{Config, IdentityConfig};
use crate::environment::Environment;
use crate::identity_folder::{IdentityFolder, Periods, Setup};
use crate::region::token_directory;
use crate::serve::{read_operator_key, read_policies};

/// A region's identity keys: made once, turned on a schedule, published.
///
/// The folder that `[region.identity]` names holds the OPAQUE setup, the keys of every epoch (sealed under the operator
/// key), and the accounts. Nodes turn keys by themselves, as the region's policy says; these commands are for the rest.
/// A node takes up what they change within seconds.
#[derive(Args)]
#[command(after_help = "Example:\n  siwa keys operator --out keys/operator.secret\n  siwa identity init --config \
                        region.toml\n  siwa identity epochs --config region.toml")]
pub(crate) struct IdentityCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Args)]
struct Named {
    /// The node's config file, whose `[region.identity]` names the folder and the operator key.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

#[derive(Subcommand)]
enum Action {
    /// Make the folder: OPAQUE setup, first keys, an empty store. Once in a region's life.
    ///
    /// Another setup would lose every account, so that an existing one is never replaced. Back it up, and the operator
    /// key elsewhere: whoever has both and the accounts can guess passwords offline.
    Init {
        #[command(flatten)]
        named: Named,
    },
    /// Make new keys now, in place of waiting for the schedule. They issue an hour later, when no cache holds a directory
    /// without them.
    ///
    /// What the earlier keys issued stays good until their epochs end; `erase` ends that at once.
    Rotate {
        #[command(flatten)]
        named: Named,
        /// Which kind of key; all that are due where none is named.
        #[arg(long, value_name = "KIND")]
        kind: Vec<Kind>,
    },
    /// Erase the secret half of one epoch's key, for good: what it issued is refused from now on, and a new key takes its
    /// place at once.
    Erase {
        #[command(flatten)]
        named: Named,
        /// The epoch's number, as `epochs` lists it.
        #[arg(long, value_name = "NUMBER")]
        epoch: u32,
    },
    /// List every key epoch: kind, when it issues and until when it is accepted, and whether its secret is here.
    Epochs {
        #[command(flatten)]
        named: Named,
        /// Print one JSON object, with the signed statements.
        #[arg(long)]
        json: bool,
    },
    /// Print the JWK set that verifies the credentials issued here, for the policies of other regions.
    Jwks {
        #[command(flatten)]
        named: Named,
    },
    /// Print the issuer directory of anonymous tokens, as nodes publish it.
    Directory {
        #[command(flatten)]
        named: Named,
    },
}

/// What a key is for.
#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// Anonymous tokens of type 0x0001.
    TokenVoprf,
    /// Anonymous tokens of type 0x0002.
    TokenBlindRsa,
    /// Oblivious HTTP.
    Oblivious,
    /// Credentials.
    Credential,
}

impl From<Kind> for KeyKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::TokenVoprf => Self::TokenVoprf,
            Kind::TokenBlindRsa => Self::TokenBlindRsa,
            Kind::Oblivious => Self::Oblivious,
            Kind::Credential => Self::Credential,
        }
    }
}

/// The folder of a config, with the rule of its region.
struct Opened {
    folder: IdentityFolder,
    rule: IdentityRule,
    path: PathBuf,
}

/// One line of `epochs`.
#[derive(Serialize)]
struct EpochLine<'a> {
    number: u32,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'a TenantId>,
    state: &'static str,
    begins_s: u64,
    issues_until_s: u64,
    accepted_until_s: u64,
    public: &'a str,
}

#[derive(Serialize)]
struct EpochReport<'a> {
    issuer: &'a str,
    log_key: VerifyingKey,
    epochs: Vec<EpochLine<'a>>,
    statements: &'a [String],
}

impl IdentityCommand {
    pub(crate) fn run(self, environment: &Environment) -> anyhow::Result<ExitCode> {
        self.act(environment.clock.now_s(), &mut std::io::stdout().lock())?;
        Ok(ExitCode::SUCCESS)
    }

    fn act(self, now_s: u64, out: &mut impl Write) -> anyhow::Result<()> {
        match self.action {
            Action::Init { named } => init(&Opened::of(&named)?, now_s, out),
            Action::Rotate { named, kind } => {
                rotate(&Opened::of(&named)?, kind.into_iter().map(KeyKind::from).collect(), now_s, out)
            }
            Action::Erase { named, epoch } => erase(&Opened::of(&named)?, epoch, now_s, out),
            Action::Epochs { named, json } => epochs(&Opened::of(&named)?, json, now_s, out),
            Action::Jwks { named } => jwks(&Opened::of(&named)?, now_s, out),
            Action::Directory { named } => {
                let opened = Opened::of(&named)?;
                let log = opened.folder.log(&opened.folder.setup()?)?;
                let numbers = opened.folder.key_numbers(&log, now_s)?;
                Ok(writeln!(out, "{}", token_directory(&log, &numbers, now_s))?)
            }
        }
    }
}

impl Opened {
    fn of(named: &Named) -> anyhow::Result<Self> {
        let config = Config::load(&named.config)?;
        let region = config.region.context("the config has no [region]: a centre checks no identity")?;
        let identity = region.identity.context("the config has no [region.identity]")?;
        let policies = read_policies(&region.policies)?;
        let rule = policies
            .region(&region.region)
            .with_context(|| format!("no region `{}` in the policies", region.region))?;
        let rule =
            rule.identity.clone().with_context(|| format!("the policy of `{}` has no [identity]", region.region))?;
        let IdentityConfig { folder: path, operator_key, issuer, .. } = identity;
        let tenants: Vec<TenantId> = region.tenants.into_iter().map(|access| access.tenant).collect();
        let folder = IdentityFolder::new(path.clone(), read_operator_key(&operator_key)?, issuer, &tenants);
        Ok(Self { folder, rule, path })
    }

    fn turn(&self, setup: &Setup, at_once: &BTreeSet<KeyKind>, now_s: u64) -> anyhow::Result<EpochLog> {
        Ok(self.folder.turn(setup, &Periods::of(&self.rule), at_once, now_s, &mut OsRng.unwrap_err())?)
    }
}

fn init(opened: &Opened, now_s: u64, out: &mut impl Write) -> anyhow::Result<()> {
    opened.folder.initialise(&mut OsRng.unwrap_err())?;
    let setup = opened.folder.setup()?;
    let log = opened.turn(&setup, &BTreeSet::new(), now_s)?;
    writeln!(out, "made {} with {} keys", opened.path.display(), log.epochs().len())?;
    writeln!(out, "the log of keys is signed by {}", setup.log_key.verifying_key())?;
    Ok(())
}

fn rotate(opened: &Opened, kinds: BTreeSet<KeyKind>, now_s: u64, out: &mut impl Write) -> anyhow::Result<()> {
    let setup = opened.folder.setup()?;
    let before = opened.folder.log(&setup)?.epochs().len();
    let log = opened.turn(&setup, &kinds, now_s)?;
    for epoch in &log.epochs()[before..] {
        writeln!(out, "made epoch {} ({}), issues from {}", epoch.number, epoch.kind.as_str(), date(epoch.begins_s))?;
    }
    if log.epochs().len() == before {
        writeln!(out, "no key is due; name a --kind to make one all the same")?;
    }
    Ok(())
}

fn erase(opened: &Opened, number: u32, now_s: u64, out: &mut impl Write) -> anyhow::Result<()> {
    let log = opened.folder.log(&opened.folder.setup()?)?;
    let epoch = log.epochs().get(number as usize).with_context(|| format!("there is no epoch {number}"))?;
    match opened.folder.erase(number as usize)? {
        true => writeln!(out, "erased the key of epoch {number} ({})", epoch.kind.as_str())?,
        false => writeln!(out, "the key of epoch {number} was erased before")?,
    }
    rotate(opened, BTreeSet::new(), now_s, out)
}

fn epochs(opened: &Opened, json: bool, now_s: u64, out: &mut impl Write) -> anyhow::Result<()> {
    let setup = opened.folder.setup()?;
    let log = opened.folder.log(&setup)?;
    let here = opened.folder.key_numbers(&log, now_s)?;
    let lines: Vec<_> = log.epochs().iter().map(|epoch| line(epoch, &log, &here, now_s)).collect();
    if json {
        let log_key = setup.log_key.verifying_key();
        let report = EpochReport { issuer: opened.folder.issuer(), log_key, epochs: lines, statements: log.texts() };
        return Ok(writeln!(out, "{}", serde_json::to_string(&report)?)?);
    }
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["epoch", "kind", "tenant", "state", "issues from", "issues until", "accepted until"]);
    for line in lines {
        let times = [line.begins_s, line.issues_until_s, line.accepted_until_s].map(date);
        let tenant = line.tenant.map(ToString::to_string).unwrap_or_default();
        let mut row = vec![line.number.to_string(), line.kind.to_owned(), tenant, line.state.to_owned()];
        row.extend(times);
        table.add_row(row);
    }
    Ok(writeln!(out, "{table}")?)
}

fn line<'a>(epoch: &'a Epoch, log: &EpochLog, here: &BTreeSet<u32>, now_s: u64) -> EpochLine<'a> {
    let issuing = log.issuing(&epoch.key_use(), now_s).is_some_and(|issuing| issuing.number == epoch.number);
    let state = match epoch {
        _ if !epoch.accepts(now_s) => "ended",
        _ if !here.contains(&epoch.number) => "erased",
        _ if issuing => "issuing",
        _ if epoch.begins_s > now_s => "to come",
        _ => "accepted",
    };
    EpochLine {
        number: epoch.number,
        kind: epoch.kind.as_str(),
        tenant: epoch.tenant.as_ref(),
        state,
        begins_s: epoch.begins_s,
        issues_until_s: epoch.issues_until_s,
        accepted_until_s: epoch.accepted_until_s,
        public: &epoch.public,
    }
}

fn jwks(opened: &Opened, now_s: u64, out: &mut impl Write) -> anyhow::Result<()> {
    let log = opened.folder.log(&opened.folder.setup()?)?;
    let here = opened.folder.key_numbers(&log, now_s)?;
    let keys = log.live(KeyKind::Credential, now_s).filter(|epoch| here.contains(&epoch.number));
    let keys = keys.filter_map(|epoch| epoch.public_bytes().try_into().ok());
    let keys: Vec<_> = keys.map(VerifyingKey::from_bytes).collect();
    Ok(writeln!(out, "{}", serde_json::to_string_pretty(&JwkSet::of(&keys))?)?)
}

/// A day and time, from Unix seconds.
fn date(seconds: u64) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds))
}
