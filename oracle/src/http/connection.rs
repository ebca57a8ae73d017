//! One connection: handshake, then requests one after another, each within its deadline.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use hyper::Request;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower::Service;

use super::drain::Drain;
use super::limits::{HEAD_BYTES_MAX, HEADERS_MAX, Limits};
use super::problem::Problem;
use super::scope::{ConnectionScope, exporter};
use super::server::ConnectionMetrics;
use super::stalled::WriteDeadline;
use super::tls::{PeerCertificate, ServerTls, peer_certificate};

/// What every connection of a listener shares.
#[derive(Clone)]
pub(super) struct Connection {
    pub(super) router: Router,
    pub(super) tls: Option<ServerTls>,
    pub(super) limits: Limits,
    pub(super) metrics: ConnectionMetrics,
    pub(super) drain: Drain,
}

/// The other end of a connection: nothing is known of it without TLS.
#[derive(Clone, Default)]
struct Peer {
    certificate: Option<PeerCertificate>,
    scope: Option<ConnectionScope>,
}

impl Connection {
    /// Serves `stream` until either side closes it.
    pub(super) async fn run(self, stream: TcpStream) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY");
        }
        let Some(tls) = &self.tls else { return self.requests(stream, Peer::default()).await };
        let mut drain = self.drain.clone();
        let handshake = tls.acceptor().accept(stream);
        let shaken = tokio::select! {
            shaken = timeout(self.limits.handshake_timeout, handshake) => shaken,
            () = drain.ordered() => return,
        };
        let Ok(Ok(stream)) = shaken else {
            self.metrics.handshakes_failed.inc();
            return;
        };
        let session = stream.get_ref().1;
        let Ok(exporter) = exporter(session) else {
            // It fails before the end of a handshake alone.
            self.metrics.handshakes_failed.inc();
            return;
        };
        let peer = Peer { certificate: peer_certificate(session), scope: Some(ConnectionScope::new(exporter)) };
        self.requests(stream, peer).await;
    }

    async fn requests<S>(self, stream: S, peer: Peer)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let body_ended = Arc::new(AtomicBool::new(true));
        let service = service_fn(|request| self.answer(request, peer.clone(), Arc::clone(&body_ended)));
        let io = TokioIo::new(WriteDeadline::new(stream, self.limits.request_timeout));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.header_timeout)
            .max_headers(HEADERS_MAX)
            .max_header_size(HEAD_BYTES_MAX)
            .serve_connection(io, service);
        let mut connection = pin!(connection);
        let mut drain = self.drain.clone();
        // How it ended is the client's affair: a reset, a broken request and a timeout are all answered by closing.
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = drain.ordered() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "connection");
        }
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        peer: Peer,
        body_ended: Arc<AtomicBool>,
    ) -> Result<Response, Infallible> {
        body_ended.store(request.body().is_end_stream(), Ordering::Relaxed);
        let mut request = request.map(|body| Body::new(Watched { body, ended: Arc::clone(&body_ended) }));
        if let Some(scope) = peer.scope {
            request.extensions_mut().insert(scope);
        }
        if let Some(certificate) = peer.certificate {
            request.extensions_mut().insert(certificate);
        }
        let mut router = self.router.clone();
        match timeout(self.limits.request_timeout, router.call(request)).await {
            Ok(response) => response,
            Err(_) => {
                self.metrics.deadlines_passed.inc();
                let slow_client = !body_ended.load(Ordering::Relaxed);
                let problem = if slow_client { Problem::body_timeout() } else { Problem::deadline() };
                Ok(problem.into_response())
            }
        }
    }
}

/// A request's body that notes when it was read to its end, so that a passed deadline is laid at the right door.
/// A connection has one request at a time, and so one note.
struct Watched {
    body: Incoming,
    ended: Arc<AtomicBool>,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) || self.body.is_end_stream() {
            self.ended.store(true, Ordering::Relaxed);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
