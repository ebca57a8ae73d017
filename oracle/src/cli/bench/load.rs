//! A closed loop: every connection sends its next request when its last was answered.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderValue, header};
use hdrhistogram::Histogram;
use serde::Serialize;

use crate::client::{Answer, Client, ClientError, ClientOptions};
use crate::clock::Stopwatch;

/// The slowest answer that is told from others, in µs.
const LATENCY_US_MAX: u64 = 60_000_000;
/// Rankings of one session before the next begins.
pub(super) const RANKINGS_A_SESSION: u64 = 20;

/// One request by POST.
pub(super) struct Request {
    pub(super) path: &'static str,
    pub(super) media_type: &'static str,
    pub(super) body: Bytes,
    /// Instead of the client's own, where there is one.
    pub(super) authorization: Option<HeaderValue>,
}

impl Request {
    /// A request whose body is JSON.
    pub(super) fn json(path: &'static str, body: impl Into<Bytes>) -> Self {
        Self { path, media_type: "application/json", body: body.into(), authorization: None }
    }

    /// Sends it and reads the answer whole.
    ///
    /// # Errors
    /// Everything but an answer of success.
    pub(super) async fn send(self, client: &Client) -> Result<Answer, ClientError> {
        let call = client.post(self.path).bytes(self.media_type, self.body);
        match self.authorization {
            None => call.send().await,
            Some(value) => call.header(header::AUTHORIZATION, value).send().await,
        }
    }
}

/// What is asked, over and over.
pub(super) trait Asked: Send + Sync + 'static {
    /// What a connection keeps between requests.
    type State: Default + Send;

    /// Whatever has to happen before the next request; not timed.
    fn prepare(&self, client: &Client, state: &mut Self::State)
    -> impl Future<Output = Result<(), ClientError>> + Send;

    /// The next request; nothing where everything was asked, which ends the run.
    fn request(&self, state: &mut Self::State) -> Option<Request>;
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

/// One client a connection. They connect when they are first used.
///
/// # Errors
/// When no client can be made of the options.
pub(super) fn clients(
    connections: usize,
    options: impl Fn() -> ClientOptions,
) -> Result<Vec<Arc<Client>>, ClientError> {
    (0..connections.max(1)).map(|_| Client::new(options()).map(Arc::new)).collect()
}

/// Runs one loop for each of `clients` for `duration`, or until nothing is left to ask.
///
/// # Errors
/// When a loop panicked.
pub(super) async fn run<A: Asked>(
    asked: &Arc<A>,
    clients: &[Arc<Client>],
    duration: Duration,
) -> anyhow::Result<Measured> {
    let mut workers = tokio::task::JoinSet::new();
    let stopwatch = Stopwatch::start();
    for client in clients {
        let (asked, client) = (Arc::clone(asked), Arc::clone(client));
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
        let Some(request) = asked.request(&mut state) else { break };
        match request.send(client).await {
            Ok(_) => worker.latency.saturating_record(stopwatch.elapsed_us()),
            Err(_) => worker.errors += 1,
        }
    }
    Ok(worker)
}
