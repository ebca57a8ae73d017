//! `siwa bench rank`

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use axum::body::Bytes;
use clap::Args;
use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};

use super::echo::{Echo, Echoed};
use super::load::{self, Asked, Measured, RANKINGS_A_SESSION, Request};
use crate::audience::Synthetic;
use crate::client::{Client, ClientError, ClientOptions};
use crate::cluster::{Cluster, ClusterOptions};
use crate::http::{DevelopmentCa, certificates_from_pem_file};

/// Items of the catalogue of a node that the bench starts itself.
const ITEMS: u64 = 2000;

/// Rankings a second and their latency, over TLS, with feedback in every call.
///
/// Starts a centre and a node of its own on loopback unless --url names one. Beside the node it measures an echo of
/// the same bytes over the same HTTP stack in the same run: how far rankings are from what the machine allows.
///
///   siwa bench rank --connections 32 --seconds 10
#[derive(Args)]
pub(crate) struct RankBench {
    /// Connections, each with one request under way.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    connections: u16,
    /// Candidates of each ranking.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=500))]
    candidates: u16,
    /// How long each of the two measurements lasts.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=600))]
    seconds: u16,
    /// A running node, `https://host:port`, instead of one that is started here.
    #[arg(long, requires_all = ["api_key_file", "catalogue"])]
    url: Option<String>,
    /// With --url: a file that holds the tenant's bearer key.
    #[arg(long)]
    api_key_file: Option<PathBuf>,
    /// With --url: the tenant's catalogue, as JSON lines.
    #[arg(long)]
    catalogue: Option<PathBuf>,
    /// With --url: the certificates that vouch for the node, as PEM.
    #[arg(long)]
    ca: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// What is measured: where, as whom, and over which items.
struct Target {
    url: String,
    roots: Vec<CertificateDer<'static>>,
    api_key: String,
    items: Vec<String>,
    /// Keeps the node alive that was started here.
    cluster: Option<Cluster>,
}

#[derive(Serialize)]
struct Report {
    connections: u16,
    candidates: u16,
    #[serde(flatten)]
    rank: Measured,
    echo: Measured,
    /// Rankings a second as a share of echoes a second.
    share_of_echo: f64,
}

impl RankBench {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let runtime = tokio::runtime::Runtime::new().context("no runtime")?;
        let report = runtime.block_on(self.measure())?;
        let mut out = std::io::stdout().lock();
        if self.json {
            writeln!(out, "{}", serde_json::to_string(&report)?)?;
        } else {
            out.write_all(report.table().as_bytes())?;
        }
        Ok(if report.rank.errors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    async fn measure(&self) -> anyhow::Result<Report> {
        let target = self.target().await?;
        let options = || ClientOptions {
            bearer: Some(target.api_key.clone()),
            ..ClientOptions::new(target.url.clone(), target.roots.clone())
        };
        let asked = Arc::new(Rankings {
            items: target.items.clone(),
            candidates: self.candidates.into(),
            next: AtomicU64::new(0),
        });
        let (request, answer) = asked.example(&Client::new(options())?).await.context("the node does not rank")?;
        let (connections, duration) = (self.connections.into(), Duration::from_secs(self.seconds.into()));
        let rank = load::run(&asked, &load::clients(connections, options)?, duration).await?;
        let ca = DevelopmentCa::generate()?;
        let echo = Echo::start(&ca, answer).await?;
        let echoed = Arc::new(Echoed(request));
        let options = || ClientOptions::new(echo.url.clone(), vec![ca.certificate().clone()]);
        let echo = load::run(&echoed, &load::clients(connections, options)?, duration).await?;
        if let Some(cluster) = target.cluster {
            cluster.stop().await;
        }
        let share_of_echo = rank.requests_per_second / echo.requests_per_second;
        Ok(Report { connections: self.connections, candidates: self.candidates, rank, echo, share_of_echo })
    }

    async fn target(&self) -> anyhow::Result<Target> {
        if let Some(url) = &self.url {
            let read = |path: &Option<PathBuf>, what| {
                let path = path.as_ref().with_context(|| format!("--url needs {what}"))?;
                std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
            };
            let items = catalogue_ids(&read(&self.catalogue, "--catalogue")?)?;
            let roots = self.ca.as_deref().map(certificates_from_pem_file).transpose()?.unwrap_or_default();
            let api_key = read(&self.api_key_file, "--api-key-file")?.trim().to_owned();
            return Ok(Target { url: url.clone(), roots, api_key, items, cluster: None });
        }
        let sizes = Synthetic { items: ITEMS, visits: 0, decisions_per_visit: 0, candidates_per_decision: 0, seed: 1 };
        let (catalogue, audience) = sizes.generate();
        let cluster = Cluster::start(ClusterOptions::for_bench()?).await?;
        cluster.upload_catalogue(&catalogue).await?;
        Ok(Target {
            url: cluster.node_urls()[0].clone(),
            roots: cluster.roots(),
            api_key: cluster.api_key().to_owned(),
            items: audience.items,
            cluster: Some(cluster),
        })
    }
}

fn catalogue_ids(jsonl: &str) -> anyhow::Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Line {
        id: String,
    }
    let line = |(number, line): (usize, &str)| {
        let line: Line = serde_json::from_str(line).with_context(|| format!("line {} of the catalogue", number + 1))?;
        anyhow::Ok(line.id)
    };
    jsonl.lines().enumerate().map(line).collect()
}

/// Rankings of sessions that give feedback with every call.
struct Rankings {
    items: Vec<String>,
    candidates: usize,
    next: AtomicU64,
}

#[derive(Default)]
struct Session {
    id: String,
    rankings: u64,
    feedback: Option<usize>,
}

impl Rankings {
    /// One request and its answer, whose bytes the echo repeats.
    async fn example(&self, client: &Client) -> Result<(Bytes, Bytes), ClientError> {
        let mut session = Session::default();
        self.prepare(client, &mut session).await?;
        for _ in 0..2 {
            let Some(request) = self.request(&mut session) else { break };
            let body = request.body.clone();
            let answer = request.send(client).await?;
            if session.rankings == 2 {
                return Ok((body, answer.body));
            }
        }
        Err(ClientError::AnswerForm)
    }
}

impl Asked for Rankings {
    type State = Session;

    async fn prepare(&self, client: &Client, session: &mut Session) -> Result<(), ClientError> {
        #[derive(Deserialize)]
        struct Created {
            session: String,
        }
        if !session.id.is_empty() && session.rankings < RANKINGS_A_SESSION {
            return Ok(());
        }
        if !session.id.is_empty() {
            let path = format!("/v1/sessions/{}/end", session.id);
            client.post(&path).bytes("application/json", r#"{"signals":[]}"#).send().await?;
        }
        let created: Created = client.post("/v1/sessions").bytes("application/json", "{}").send().await?.json()?;
        *session = Session { id: created.session, ..Session::default() };
        Ok(())
    }

    fn request(&self, session: &mut Session) -> Option<Request> {
        let first = usize::try_from(self.next.fetch_add(self.candidates as u64, Ordering::Relaxed)).unwrap_or(0);
        let item = |offset: usize| first.wrapping_add(offset) % self.items.len();
        let mut body = String::with_capacity(32 * self.candidates + 128);
        body.push_str(r#"{"session":""#);
        body.push_str(&session.id);
        body.push_str(r#"","candidates":["#);
        for offset in 0..self.candidates.min(self.items.len()) {
            let separator = if offset == 0 { "" } else { "," };
            write!(body, "{separator}{:?}", self.items[item(offset)]).expect("writing to a string never fails");
        }
        body.push(']');
        session.rankings += 1;
        if let Some(watched) = session.feedback.replace(item(0)) {
            let kind = if session.rankings.is_multiple_of(3) { "like" } else { "skip" };
            let (seq, item) = (session.rankings, &self.items[watched]);
            write!(body, r#","signals":[{{"type":"{kind}","seq":{seq},"item":{item:?}}}]"#)
                .expect("writing to a string never fails");
        }
        body.push('}');
        Some(Request::json("/v1/rank", body))
    }
}

impl Report {
    fn table(&self) -> String {
        let mut table = comfy_table::Table::new();
        table.load_preset(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
        table.set_header(["", "requests/s", "p50 µs", "p99 µs", "p99.9 µs", "errors"]);
        for (name, run) in [("rank", &self.rank), ("echo of the same bytes", &self.echo)] {
            let figures = [run.p50_us, run.p99_us, run.p999_us, run.errors].map(|figure| figure.to_string());
            let mut row = vec![name.to_owned(), format!("{:.0}", run.requests_per_second)];
            row.extend(figures);
            table.add_row(row);
        }
        format!(
            "{} candidates, {} connections, {:.0} s each\n{table}\nrankings reach {:.0} % of the echo\n",
            self.candidates,
            self.connections,
            self.rank.seconds,
            100.0 * self.share_of_echo
        )
    }
}
