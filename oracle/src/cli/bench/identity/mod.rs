//! `siwa bench identity`: each protocol through the whole service, beside its cryptography alone.
//!
//! What "on one core" means: operations are counted, and so is the time that the node's threads were on a processor
//! meanwhile: the one that serves, those that sign, those that write the stores ([`cpu`]). One divided by the other is
//! the rate of one processor that does nothing else, whatever else the machine does and however many processors it
//! has. Waking a thread on an idle processor is in it, so that a node that is busy all the time does a little better.
//! The primitive's rate is per second of its own thread's time.
//!
//! Waiting for a disk is nobody's time: it does not slow a node that has other requests to answer, which is why several
//! connections are open. The load generator's time counts for nothing.

mod cpu;
mod credentials;
mod lists;
mod logins;
mod service;
#[cfg(test)]
mod tests;
mod tokens;

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use attest::content::list::BATCH_ELEMENTS_MAX;
use attest::privacy_pass::{BATCH_REQUESTS_MAX, TokenType};
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::load::{self, Asked, Measured};
use crate::client::Client;
use crate::region::IdentityLimits;
use cpu::{NodeTime, Work};
use credentials::Checks;
use lists::Evaluations;
use logins::Logins;
use service::Service;
use tokens::{Issuance, Redemptions};

/// Turns of primitive and protocol.
const ROUNDS: u32 = 5;
/// Fewer accounts would reach their limits.
const ACCOUNTS_MIN: usize = 4;

/// Logins, anonymous tokens and credentials a second, over TLS, beside what their cryptography alone allows.
///
/// Starts a centre and a node of its own on loopback, with the sample policy of us-east and durable stores in a
/// temporary folder (TMPDIR says where). For each protocol it measures the whole way (TLS 1.3, HTTP, JSON, the durable
/// entry, the signed answer) and the primitive by itself, in five turns, and reports the turn whose share is the median.
///
/// Rates "per core" are for each second that the node's threads were on a processor, as Linux accounts for it: what one
/// core yields that does nothing else. They do not depend on how much of the machine the load takes. The primitive's
/// rate is per second of its own thread's time. HTTPS/s is by the clock, with the load on the same machine.
///
/// The target is the share of the primitive's rate that Siwa means to reach. Machines differ: a target that is missed
/// is said to be, and the exit code is 0 all the same. It is 1 when a call failed.
///
///   siwa bench identity --seconds 5
#[derive(Args)]
pub(crate) struct IdentityBench {
    /// Connections, each with one request under way.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=200))]
    connections: u16,
    /// How long each protocol is measured at most, and its primitive likewise.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=60))]
    seconds: u16,
    /// Measure this one alone.
    #[arg(long, value_enum)]
    only: Option<Protocol>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Protocol {
    /// Both messages of a login, up to the signed assertion. Primitive: `login_start` and `login_finish`.
    OpaqueLogin,
    /// One token of type 0x0002 a call, counted durably. Primitive: `IssuerKey::issue`.
    TokenIssue,
    /// 64 tokens of type 0x0001 a call, in the generic batch. Primitive: `IssuerKey::issue`, once a token.
    TokenBatch,
    /// A token of type 0x0002, spent durably. Primitive: ring's RSA verification.
    TokenRedeem,
    /// A nonce, then an SD-JWT with key binding: two calls. Primitive: ring's two Ed25519 verifications.
    CredentialCheck,
    /// One element of a private list, evaluated with its proof for a token of type 0x0002. Primitive: `ListKey::evaluate`.
    #[value(skip)]
    ListEvaluation,
    /// 16 elements a call, evaluated with one proof. Primitive: `ListKey::evaluate` of 16.
    #[value(skip)]
    ListBatch,
}

impl Protocol {
    /// Those of `siwa bench list`.
    const OF_LISTS: [Self; 2] = [Self::ListEvaluation, Self::ListBatch];

    /// The share of the primitive's rate to be reached.
    const fn target(self) -> f64 {
        match self {
            Self::OpaqueLogin => 0.55,
            Self::TokenIssue => 0.85,
            Self::TokenBatch => 0.90,
            Self::TokenRedeem => 0.15,
            Self::CredentialCheck => 0.40,
            Self::ListEvaluation | Self::ListBatch => 0.50,
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::OpaqueLogin => "OPAQUE login",
            Self::TokenIssue => "token 0x0002, issued",
            Self::TokenBatch => "tokens 0x0001, issued by 64",
            Self::TokenRedeem => "token 0x0002, redeemed",
            Self::CredentialCheck => "SD-JWT check, with its nonce",
            Self::ListEvaluation => "list, an element for a token",
            Self::ListBatch => "list, 16 elements for a token",
        }
    }

    /// How often the primitive is needed in one call.
    const fn operations_a_call(self) -> u64 {
        match self {
            Self::TokenBatch => BATCH_REQUESTS_MAX as u64,
            Self::ListBatch => BATCH_ELEMENTS_MAX as u64,
            _ => 1,
        }
    }

    /// Calls that a node does at a time: beyond it they are refused as busy.
    fn calls_max(self) -> usize {
        match self {
            Self::TokenBatch => IdentityLimits::default().signing_queue_max / BATCH_REQUESTS_MAX,
            _ => usize::MAX,
        }
    }
}

/// Rates of one protocol. An operation is a login, a token or a check.
#[derive(Debug, Serialize)]
struct Row {
    protocol: Protocol,
    /// Operations in a second of the clock.
    https_per_second: f64,
    /// Operations in a second of one processor.
    https_per_core: f64,
    /// The primitive, likewise.
    primitive_per_core: f64,
    /// Of the two.
    share: f64,
    target: f64,
    reached: bool,
    /// Processor time of one operation in µs, by what the node's threads do.
    serving_us: f64,
    signing_us: f64,
    storing_us: f64,
    /// What else its library does for one operation, where the primitive is less than that: `Presentation::parse` and
    /// `Presentation::verify`.
    #[serde(skip_serializing_if = "Option::is_none")]
    library_per_core: Option<f64>,
}

#[derive(Serialize)]
struct Report {
    connections: u16,
    seconds: u16,
    protocols: Vec<Row>,
}

impl IdentityBench {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let all = Protocol::value_variants().iter().copied();
        let protocols: Vec<_> = all.filter(|protocol| self.only.is_none_or(|only| only == *protocol)).collect();
        self.report(&protocols)
    }

    /// Measures these and prints what came of it.
    fn report(&self, protocols: &[Protocol]) -> anyhow::Result<ExitCode> {
        // The load stays on this thread: the other processor is the node's.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
        let report = runtime.block_on(self.measure(protocols, Duration::from_secs(self.seconds.into())))?;
        let mut out = std::io::stdout().lock();
        if self.json {
            writeln!(out, "{}", serde_json::to_string(&report)?)?;
        } else {
            out.write_all(report.table().as_bytes())?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Measures each protocol for `duration`.
    async fn measure(&self, wanted: &[Protocol], duration: Duration) -> anyhow::Result<Report> {
        let service = Service::start(usize::from(self.seconds).max(ACCOUNTS_MIN)).await?;
        let mut protocols = Vec::new();
        for protocol in wanted {
            let row = self.row(&service, *protocol, duration).await;
            protocols.push(row.with_context(|| format!("{} could not be measured", protocol.title()))?);
        }
        service.stop()?;
        Ok(Report { connections: self.connections, seconds: self.seconds, protocols })
    }

    async fn row(&self, service: &Service, protocol: Protocol, duration: Duration) -> anyhow::Result<Row> {
        let connections = usize::from(self.connections).min(protocol.calls_max());
        let clients = load::clients(connections, || service.client_options())?;
        let round = duration / ROUNDS;
        let course = Course { protocol, round, clients };
        match protocol {
            Protocol::OpaqueLogin => course.run(async || Ok(Logins::new(service)), |_| logins::primitive(round)).await,
            Protocol::TokenIssue => {
                let primitive = |_: &_| tokens::issue_primitive(service, TokenType::BlindRsa2048, round);
                course.run(async || Issuance::of_one(service).await, primitive).await
            }
            Protocol::TokenBatch => {
                let primitive = |_: &_| tokens::issue_primitive(service, TokenType::VoprfP384, round);
                course.run(async || Issuance::of_batches(service).await, primitive).await
            }
            Protocol::TokenRedeem => {
                let primitive = |_: &_| tokens::verify_primitive(service, round);
                course.run(async || Redemptions::mint(service, round), primitive).await
            }
            Protocol::ListEvaluation | Protocol::ListBatch => {
                let count = usize::try_from(protocol.operations_a_call())?;
                let asked = async || Evaluations::of(service, count, round).await;
                course.run(asked, |_| lists::primitive(count, round)).await
            }
            Protocol::CredentialCheck => {
                let library = Checks::new(service)?.verifications(round)?.per_second();
                let primitive = |checks: &Checks| checks.signatures(round);
                let row = course.run(async || Checks::new(service), primitive).await?;
                Ok(Row { library_per_core: Some(library), ..row })
            }
        }
    }
}

/// Evaluations of a private list a second, over TLS, each paid for by a token, beside what the evaluation alone allows.
///
/// Starts a centre and a node of its own as `siwa bench identity` does, with a sample list of a thousand clips, and measures
/// in the same way: per second that the node's threads were on a processor. The primitive is the evaluation of the same
/// number of elements with its proof. How fast a list is built, `siwa list build` says.
///
///   siwa bench list --seconds 5
#[derive(Args)]
pub(crate) struct ListBench {
    /// Connections, each with one request under way.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=200))]
    connections: u16,
    /// How long each is measured at most, and its primitive likewise.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=60))]
    seconds: u16,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl ListBench {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let Self { connections, seconds, json } = self;
        IdentityBench { connections, seconds, only: None, json }.report(&Protocol::OF_LISTS)
    }
}

/// One protocol's measurement.
struct Course {
    protocol: Protocol,
    round: Duration,
    clients: Vec<Arc<Client>>,
}

impl Course {
    /// Measures the primitive and what is asked, in turns, and gives the round whose share is the median: what else the
    /// machine did meanwhile disturbs some rounds, and seldom most.
    async fn run<A: Asked>(
        &self,
        asked: impl AsyncFn() -> anyhow::Result<A>,
        primitive: impl Fn(&A) -> anyhow::Result<Work>,
    ) -> anyhow::Result<Row> {
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            let asked = Arc::new(asked().await?);
            let primitive = primitive(&asked)?;
            let before = NodeTime::now()?;
            let run = load::run(&asked, &self.clients, self.round).await?;
            let used = NodeTime::now()?.since(before);
            anyhow::ensure!(run.errors == 0, "{} of {} calls failed", run.errors, run.errors + run.requests);
            rounds.push(Row::of(self.protocol, &run, used, primitive));
        }
        rounds.sort_by(|one, other| one.share.total_cmp(&other.share));
        Ok(rounds.swap_remove(rounds.len() / 2))
    }
}

impl Row {
    fn of(protocol: Protocol, run: &Measured, used: NodeTime, primitive: Work) -> Self {
        let work = Work { times: run.requests * protocol.operations_a_call(), used: used.total() };
        let (https_per_core, primitive_per_core) = (work.per_second(), primitive.per_second());
        let share = https_per_core / primitive_per_core;
        let us = |part: Duration| part.as_secs_f64() * 1e6 / work.times as f64;
        Self {
            protocol,
            https_per_second: work.times as f64 / run.seconds,
            https_per_core,
            primitive_per_core,
            share,
            target: protocol.target(),
            reached: share >= protocol.target(),
            serving_us: us(used.serving),
            signing_us: us(used.signing),
            storing_us: us(used.storing),
            library_per_core: None,
        }
    }
}

impl Report {
    fn table(&self) -> String {
        let mut table = comfy_table::Table::new();
        table.load_preset(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
        table.set_header(["", "HTTPS/s", "per core", "primitive/s", "share", "target", ""]);
        for row in &self.protocols {
            let rates = [row.https_per_second, row.https_per_core, row.primitive_per_core];
            let shares = [row.share, row.target].map(|share| format!("{:.0} %", 100.0 * share));
            let mut cells = vec![row.protocol.title().to_owned()];
            cells.extend(rates.map(|rate| format!("{rate:.0}")));
            cells.extend(shares);
            cells.push(if row.reached { "reached" } else { "missed" }.to_owned());
            table.add_row(cells);
        }
        let mut text = format!("{} connections, {} s each\n{table}\n", self.connections, self.seconds);
        for row in &self.protocols {
            if let Some(library) = row.library_per_core {
                text += &format!("parsing and verifying an SD-JWT whole, without HTTPS: {library:.0}/s\n");
            }
        }
        text
    }
}
