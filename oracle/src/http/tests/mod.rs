//! Bad clients, at the socket. Nothing here sleeps: every wait is for bytes, for the end of a stream or of a task.

mod bad_clients;
mod drain;
mod scope;
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use prometheus::Registry;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;

use super::*;

/// Long enough never to pass in a test that does not wait for it, short enough that a broken test ends.
pub(crate) const NEVER: Duration = Duration::from_secs(30);
/// Short enough to wait for.
pub(crate) const SOON: Duration = Duration::from_millis(150);

pub(crate) fn patient() -> Limits {
    Limits {
        connections_max: 16,
        body_bytes_max: 1000,
        handshake_timeout: NEVER,
        header_timeout: NEVER,
        request_timeout: NEVER,
        drain_deadline: NEVER,
    }
}

/// A server that runs in this process.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) drain: DrainHandle,
    pub(crate) metrics: ConnectionMetrics,
    pub(crate) serving: JoinHandle<usize>,
}

pub(crate) async fn run(tls: Option<ServerTls>, limits: Limits, router: Router) -> Running {
    let metrics = ConnectionMetrics::register(&Registry::new(), "test").unwrap();
    let server = Server::bind(([127, 0, 0, 1], 0).into(), tls, limits, metrics.clone()).await.unwrap();
    let address = server.local_address().unwrap();
    let (drain, ordered) = Drain::new();
    let serving = tokio::spawn(server.serve(with_fallbacks(router), ordered));
    Running { address, drain, metrics, serving }
}

pub(crate) fn server_tls(ca: &DevelopmentCa, client_ca: Option<&DevelopmentCa>) -> ServerTls {
    let roots = client_ca.map(|ca| vec![ca.certificate().clone()]);
    ServerTls::new(ca.server(&["localhost", "127.0.0.1"]).unwrap(), roots.as_deref()).unwrap()
}

/// Handlers that wait to be let go.
#[derive(Clone)]
pub(crate) struct Gate {
    pub(crate) entered: Arc<Notify>,
    pub(crate) release: Arc<Semaphore>,
}

impl Gate {
    pub(crate) fn new() -> Self {
        Self { entered: Arc::new(Notify::new()), release: Arc::new(Semaphore::new(0)) }
    }

    async fn pass(self) -> &'static str {
        self.entered.notify_one();
        let _ = self.release.acquire().await;
        "let go"
    }
}

/// `GET /` answers, `POST /` reads its body, `GET /gate` waits.
pub(crate) fn router(gate: &Gate) -> Router {
    let gate = gate.clone();
    Router::new()
        .route("/", get(async || "hello"))
        .route("/", post(async |BytesBody(body): BytesBody| body.len().to_string()))
        .route("/gate", get(move || gate.clone().pass()))
}

/// A plain connection to a server, driven byte by byte.
pub(crate) struct Raw(pub(crate) TcpStream);

impl Raw {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// What the server sends until it closes.
    pub(crate) async fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        // A reset is a way to close as well.
        let _ = tokio::time::timeout(NEVER, self.0.read_to_end(&mut bytes)).await.expect("the server closes");
        String::from_utf8(bytes).unwrap()
    }

    /// What the server sends until `end` stands there.
    pub(crate) async fn until(&mut self, end: &str) -> String {
        let mut text = String::new();
        while !text.ends_with(end) {
            text.push(char::from(tokio::time::timeout(NEVER, self.0.read_u8()).await.expect("an answer").unwrap()));
        }
        text
    }
}
