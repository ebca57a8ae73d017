//! A closed loop: every connection sends its next request when its last was answered.

use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::client::{Client, ClientError, ClientOptions};
use crate::clock::Stopwatch;

/// The slowest answer that is told from others, in µs.
const LATENCY_US_MAX: u64 = 60_000_000;
/// Rankings of one session before the next begins.
pub(super) const RANKINGS_A_SESSION: u64 = 20;

/// What is asked, over and over.
pub(super) trait Asked: Send + Sync + 'static {
    /// What a connection keeps between requests.
    type State: Default + Send;

    /// Whatever has to happen before the next request; not timed.
    fn prepare(&self, client: &Client, state: &mut Self::State)
    -> impl Future<Output = Result<(), ClientError>> + Send;

    /// The next request's path and body.
    fn request(&self, state: &mut Self::State) -> (&'static str, Vec<u8>);
}

/// Throughput and latency of one run. Times in µs, from the start of a call to the whole answer.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Measured {
    pub(super) requests: u64,
    pub(super) seconds: f64,
    pub(super) requests_per_second: f64,
    pub(super) p50_us: u64,
    pub(super) p99_us: u64,
    pub(super) p999_us: u64,
    pub(super) errors: u64,
}

struct Worker {
    latency: Histogram<u64>,
    errors: u64,
}

/// Runs `connections` loops for `duration`.
///
/// # Errors
/// When no client can be made of the options.
pub(super) async fn run<A: Asked>(
    asked: Arc<A>,
    options: impl Fn() -> ClientOptions,
    connections: usize,
    duration: Duration,
) -> anyhow::Result<Measured> {
    let mut workers = tokio::task::JoinSet::new();
    let stopwatch = Stopwatch::start();
    for _ in 0..connections.max(1) {
        let client = Client::new(options())?;
        let asked = Arc::clone(&asked);
        workers.spawn(async move { worker(&*asked, &client, stopwatch, duration).await });
    }
    let mut latency = Histogram::<u64>::new_with_max(LATENCY_US_MAX, 3)?;
    let mut errors = 0;
    while let Some(worker) = workers.join_next().await {
        let worker = worker??;
        latency.add(&worker.latency)?;
        errors += worker.errors;
    }
    let seconds = stopwatch.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "requests of a few minutes")]
    let requests_per_second = latency.len() as f64 / seconds;
    Ok(Measured {
        requests: latency.len(),
        seconds,
        requests_per_second,
        p50_us: latency.value_at_quantile(0.5),
        p99_us: latency.value_at_quantile(0.99),
        p999_us: latency.value_at_quantile(0.999),
        errors,
    })
}

async fn worker<A: Asked>(
    asked: &A,
    client: &Client,
    started: Stopwatch,
    duration: Duration,
) -> anyhow::Result<Worker> {
    let mut worker = Worker { latency: Histogram::new_with_max(LATENCY_US_MAX, 3)?, errors: 0 };
    let mut state = A::State::default();
    while started.elapsed() < duration {
        if asked.prepare(client, &mut state).await.is_err() {
            worker.errors += 1;
            state = A::State::default();
            continue;
        }
        let stopwatch = Stopwatch::start();
        let (path, body) = asked.request(&mut state);
        match client.post(path).bytes("application/json", body).send().await {
            Ok(_) => worker.latency.saturating_record(stopwatch.elapsed_us()),
            Err(_) => worker.errors += 1,
        }
    }
    Ok(worker)
}
