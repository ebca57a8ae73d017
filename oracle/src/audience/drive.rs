//! Drives nodes over HTTPS as a platform's backend does: begin a session, rank, tell what became of the first, end.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context as _;
use hdrhistogram::Histogram;
use personalize::Arm;
use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};

use super::{Audience, Tally, Visit};
use crate::client::{Client, ClientOptions};
use crate::clock::Stopwatch;

/// The slowest answer that the histogram tells from others, in µs: a minute.
const LATENCY_US_MAX: u64 = 60_000_000;

/// Where to drive, and how.
#[derive(Clone)]
pub(crate) struct Driver {
    /// `https://host:port` of one node a region.
    pub(crate) nodes: Vec<String>,
    pub(crate) roots: Vec<CertificateDer<'static>>,
    /// The tenant's bearer key.
    pub(crate) api_key: String,
    /// Connections to each node; sessions are dealt out to them as they become free.
    pub(crate) connections: usize,
    /// The first so many sessions are ranked at random.
    pub(crate) uniform_sessions: usize,
    /// From this session on they count into the last third.
    pub(crate) last_third_from: usize,
}

/// What a stretch of sessions came to.
#[derive(Clone)]
pub(crate) struct Drive {
    /// Sessions ranked at random.
    pub(crate) uniform: Tally,
    /// All others.
    pub(crate) ranked: Tally,
    /// Of those, the last third.
    pub(crate) last_third: Tally,
    /// By region (index into [`Driver::nodes`]) and by version of the model that ranked first.
    pub(crate) by_model: BTreeMap<(usize, u64), Tally>,
    /// Time to a ranking as the platform sees it, in µs.
    pub(crate) rank_us: Histogram<u64>,
}

impl Default for Drive {
    fn default() -> Self {
        let rank_us = Histogram::new_with_max(LATENCY_US_MAX, 3).expect("three digits up to a minute are valid");
        let (uniform, ranked, last_third) = Default::default();
        Self { uniform, ranked, last_third, by_model: BTreeMap::new(), rank_us }
    }
}

impl Drive {
    /// Adds what another stretch came to.
    pub(crate) fn add(&mut self, other: &Self) {
        self.uniform.add(&other.uniform);
        self.ranked.add(&other.ranked);
        self.last_third.add(&other.last_third);
        for (key, tally) in &other.by_model {
            self.by_model.entry(*key).or_default().add(tally);
        }
        self.rank_us.add(&other.rank_us).expect("both histograms have the same range");
    }
}

#[derive(Serialize)]
struct Create<'a> {
    viewer: &'a str,
    arm: Arm,
}

#[derive(Deserialize)]
struct Created {
    session: String,
}

#[derive(Serialize)]
struct Rank<'a> {
    session: &'a str,
    candidates: Vec<&'a str>,
    signals: &'a [Outcome<'a>],
}

#[derive(Serialize)]
struct Outcome<'a> {
    r#type: &'static str,
    seq: u64,
    item: &'a str,
}

#[derive(Serialize)]
struct End<'a> {
    signals: &'a [Outcome<'a>],
}

#[derive(Deserialize)]
struct Ranked<'a> {
    #[serde(borrow)]
    order: Vec<First<'a>>,
    model: u64,
}

#[derive(Deserialize)]
struct First<'a> {
    #[serde(borrow)]
    item: Cow<'a, str>,
}

impl Driver {
    /// Serves the visits of `range`, each at the node of its number modulo the regions, and calls `visited` after each.
    ///
    /// # Errors
    /// The first call that fails.
    pub(crate) async fn run(
        &self,
        audience: &Arc<Audience>,
        range: Range<usize>,
        visited: impl Fn() + Clone + Send + 'static,
    ) -> anyhow::Result<Drive> {
        let next = Arc::new(AtomicUsize::new(range.start));
        let mut workers = tokio::task::JoinSet::new();
        for _ in 0..self.connections.max(1) {
            let (driver, audience, next, visited) =
                (self.clone(), Arc::clone(audience), Arc::clone(&next), visited.clone());
            let end = range.end;
            workers.spawn(async move {
                let clients = driver.connect()?;
                let mut drive = Drive::default();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= end {
                        return anyhow::Ok(drive);
                    }
                    driver.visit(&clients, &audience, number, &mut drive).await?;
                    visited();
                }
            });
        }
        let mut total = Drive::default();
        while let Some(worker) = workers.join_next().await {
            total.add(&worker.context("a worker panicked")??);
        }
        Ok(total)
    }

    fn connect(&self) -> anyhow::Result<Vec<Client>> {
        let client = |url: &String| {
            let bearer = Some(self.api_key.clone());
            Client::new(ClientOptions { bearer, ..ClientOptions::new(url.clone(), self.roots.clone()) })
        };
        Ok(self.nodes.iter().map(client).collect::<Result<_, _>>()?)
    }

    async fn visit(
        &self,
        clients: &[Client],
        audience: &Audience,
        number: usize,
        drive: &mut Drive,
    ) -> anyhow::Result<()> {
        let region = number % clients.len();
        let visit = &audience.visits[number];
        let uniform = number < self.uniform_sessions;
        let arm = if uniform { Arm::Uniform } else { Arm::Adaptive };
        let (rewards, model) = serve(&clients[region], audience, visit, arm, &mut drive.rank_us)
            .await
            .with_context(|| format!("session {number} was not served"))?;
        let decisions = visit.decisions.len() as u64;
        if uniform {
            drive.uniform.session(decisions, rewards);
            return Ok(());
        }
        drive.ranked.session(decisions, rewards);
        drive.by_model.entry((region, model)).or_default().session(decisions, rewards);
        if number >= self.last_third_from {
            drive.last_third.session(decisions, rewards);
        }
        Ok(())
    }
}

/// Serves one visit and returns its rewards and the version of the model that ranked first.
async fn serve(
    client: &Client,
    audience: &Audience,
    visit: &Visit,
    arm: Arm,
    rank_us: &mut Histogram<u64>,
) -> anyhow::Result<(u64, u64)> {
    let created: Created =
        client.post("/v1/sessions").json(&Create { viewer: &visit.viewer, arm }).send().await?.json()?;
    let (mut rewards, mut model) = (0, None);
    let mut outcome: Option<Outcome<'_>> = None;
    for (seq, decision) in (1..).zip(&visit.decisions) {
        let candidates: Vec<&str> =
            decision.candidates.iter().map(|item| audience.items[*item as usize].as_str()).collect();
        let request = Rank { session: &created.session, candidates, signals: outcome.as_slice() };
        let stopwatch = Stopwatch::start();
        let answer = client.post("/v1/rank").json(&request).send().await?;
        rank_us.saturating_record(stopwatch.elapsed_us());
        let ranked: Ranked<'_> = serde_json::from_slice(&answer.body).context("a ranking is not of the known form")?;
        let first = ranked.order.first().context("a ranking is empty")?;
        let item = decision.candidates.iter().find(|item| audience.items[**item as usize] == first.item);
        let item = *item.context("a ranking begins with what was no candidate")?;
        let liked = decision.liked.contains(&item);
        rewards += u64::from(liked);
        model = model.or(Some(ranked.model));
        let r#type = if liked { "like" } else { "skip" };
        outcome = Some(Outcome { r#type, seq, item: &audience.items[item as usize] });
    }
    let path = format!("/v1/sessions/{}/end", created.session);
    client.post(&path).json(&End { signals: outcome.as_slice() }).send().await?;
    Ok((rewards, model.unwrap_or(0)))
}
