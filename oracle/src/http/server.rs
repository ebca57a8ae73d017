//! The accept loop.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use prometheus::{IntCounter, IntGauge, Opts, Registry};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use super::connection::Connection;
use super::drain::Drain;
use super::limits::Limits;
use super::tls::ServerTls;

/// How long the loop rests after an accept failed for want of descriptors or memory.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// A bound listener that is not accepting yet, so that its address can be told first.
pub struct Server {
    listener: TcpListener,
    tls: Option<ServerTls>,
    limits: Limits,
    metrics: ConnectionMetrics,
}

/// What a listener counts. The label `listener` tells which.
#[derive(Debug, Clone)]
pub struct ConnectionMetrics {
    pub(crate) open: IntGauge,
    pub(crate) shed: IntCounter,
    pub(crate) handshakes_failed: IntCounter,
    pub(crate) deadlines_passed: IntCounter,
}

impl ConnectionMetrics {
    /// Registers the metrics of the listener called `listener`.
    ///
    /// # Errors
    /// When the registry has them already.
    pub fn register(registry: &Registry, listener: &'static str) -> Result<Self, prometheus::Error> {
        let named = |name: &str, help: &str| Opts::new(name, help).const_label("listener", listener);
        let metrics = Self {
            open: IntGauge::with_opts(named("siwa_http_connections_open", "Connections open now."))?,
            shed: IntCounter::with_opts(named(
                "siwa_http_connections_shed_total",
                "Connections closed at once because the cap was reached.",
            ))?,
            handshakes_failed: IntCounter::with_opts(named(
                "siwa_http_handshakes_failed_total",
                "TLS handshakes that failed or took too long.",
            ))?,
            deadlines_passed: IntCounter::with_opts(named(
                "siwa_http_deadlines_passed_total",
                "Requests that were not answered within their deadline.",
            ))?,
        };
        registry.register(Box::new(metrics.open.clone()))?;
        for counter in [&metrics.shed, &metrics.handshakes_failed, &metrics.deadlines_passed] {
            registry.register(Box::new(counter.clone()))?;
        }
        Ok(metrics)
    }
}

impl Server {
    /// Binds `address`. Without `tls` it speaks plain HTTP, which is for the admin listener on loopback.
    ///
    /// # Errors
    /// When the address can't be bound.
    pub async fn bind(
        address: SocketAddr,
        tls: Option<ServerTls>,
        limits: Limits,
        metrics: ConnectionMetrics,
    ) -> io::Result<Self> {
        Ok(Self { listener: TcpListener::bind(address).await?, tls, limits, metrics })
    }

    /// The bound address: with port 0 asked for, the port that was given.
    ///
    /// # Errors
    /// When the socket is gone.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Accepts until the order to drain; then closes the listener and idle connections, lets running requests finish,
    /// and cuts off what still runs at the drain deadline. Returns how many connections were cut off.
    pub async fn serve(self, router: Router, mut drain: Drain) -> usize {
        let Self { listener, tls, limits, metrics } = self;
        let router = router.layer(DefaultBodyLimit::max(limits.body_bytes_max));
        let connection = Connection { router, tls, limits, metrics, drain: drain.clone() };
        let capacity = Arc::new(Semaphore::new(limits.connections_max.min(Semaphore::MAX_PERMITS)));
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = drain.ordered() => break,
                Some(_) = connections.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => admit(&mut connections, &connection, &capacity, stream),
                    Err(error) => rest_after(&error).await,
                },
            }
        }
        drop(listener);
        let finished = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(limits.drain_deadline, finished).await.is_ok() {
            return 0;
        }
        let cut_off = connections.len();
        connections.shutdown().await;
        cut_off
    }
}

fn admit(tasks: &mut JoinSet<()>, connection: &Connection, capacity: &Arc<Semaphore>, stream: TcpStream) {
    let Ok(permit) = Arc::clone(capacity).try_acquire_owned() else {
        // An answer would cost a handshake, which is what the cap saves: closing is the answer.
        connection.metrics.shed.inc();
        return;
    };
    connection.metrics.open.inc();
    let guard = Open { gauge: connection.metrics.open.clone(), _permit: permit };
    let connection = connection.clone();
    tasks.spawn(async move {
        let _guard = guard;
        connection.run(stream).await;
    });
}

/// Gives the connection's place back when its task ends, in whatever way.
struct Open {
    gauge: IntGauge,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.gauge.dec();
    }
}

/// A connection that was reset before it was accepted is its own affair; want of descriptors passes only with time.
async fn rest_after(error: &io::Error) {
    let theirs = [io::ErrorKind::ConnectionAborted, io::ErrorKind::ConnectionReset, io::ErrorKind::ConnectionRefused];
    if !theirs.contains(&error.kind()) {
        tracing::warn!(%error, "cannot accept connections");
        tokio::time::sleep(ACCEPT_RETRY).await;
    }
}
