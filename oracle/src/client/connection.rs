//! One HTTP/1.1 connection, driven by the call that uses it.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Context;

use axum::body::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::{Request, Response};

use policies::Digest;

use super::ClientError;
use crate::http::Exporter;

type Driver = Pin<Box<dyn Future<Output = Result<(), hyper::Error>> + Send>>;

/// Both ends of hyper's connection. While no call runs, nobody polls it: what the peer does meanwhile is seen by the next.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: Option<Driver>,
    channel: Option<Channel>,
}

/// What TLS says of a connection.
pub(super) struct Channel {
    pub(super) exporter: Exporter,
    /// SHA-256 of the subject public key info of the peer's leaf; nothing where it can't be read.
    pub(super) peer_spki: Option<Digest>,
}

/// Why a request has no answer.
pub(super) enum Failure {
    /// Nothing of the request was written: here it is back.
    Unsent(Box<Request<Full<Bytes>>>),
    /// It may have been written.
    Broken(hyper::Error),
}

impl Connection {
    pub(super) fn new(sender: SendRequest<Full<Bytes>>, driver: Driver, channel: Option<Channel>) -> Self {
        Self { sender, driver: Some(driver), channel }
    }

    /// What TLS says of this connection; nothing on loopback without TLS.
    pub(super) const fn channel(&self) -> Option<&Channel> {
        self.channel.as_ref()
    }

    /// Whether a request can be sent: looks at the socket, where the peer's closing may wait unseen.
    pub(super) async fn is_open(&mut self) -> bool {
        let Self { sender, driver, .. } = self;
        poll_fn(|context| {
            poll_driver(driver, context);
            sender.poll_ready(context)
        })
        .await
        .is_ok()
            && self.driver.is_some()
    }

    pub(super) async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Failure> {
        let answer = self.sender.try_send_request(request);
        self.drive(answer).await.map_err(|mut error| match error.take_message() {
            Some(request) => Failure::Unsent(Box::new(request)),
            None => Failure::Broken(error.into_error()),
        })
    }

    /// Reads a body whole.
    pub(super) async fn body(&mut self, body: Incoming, bytes_max: usize) -> Result<Bytes, ClientError> {
        let collected = self.drive(Limited::new(body, bytes_max).collect()).await;
        let collected = collected.map_err(|error| match error.downcast::<hyper::Error>() {
            Ok(error) => ClientError::Broken(*error),
            Err(error) => {
                debug_assert!(error.is::<LengthLimitError>(), "Limited fails by itself in one way");
                ClientError::AnswerTooLarge
            }
        })?;
        Ok(collected.to_bytes())
    }

    /// Runs `future` and the connection together until `future` is done.
    async fn drive<F: Future>(&mut self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|context| {
            poll_driver(&mut self.driver, context);
            future.as_mut().poll(context)
        })
        .await
    }
}

fn poll_driver(driver: &mut Option<Driver>, context: &mut Context<'_>) {
    let Some(running) = driver else { return };
    if running.as_mut().poll(context).is_ready() {
        // How it ended is told by the request that it cut off, if there is one.
        *driver = None;
    }
}
