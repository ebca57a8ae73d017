//! An HTTPS client that believes pinned roots alone and keeps one connection.
//!
//! Actors: this process, and one peer that is named by its URL and vouched for by the pinned roots.
//! Data flow: a [`Call`] is sent on the kept connection, or on a new one if that is gone, and its [`Answer`] is read whole.
//! The peer can't make an answer large (a bound), slow (a deadline) or speak through our errors: of a problem
//! (RFC 9457) only the status and a well-formed type are kept.
//!
//! The connection is driven by the call that uses it, not by a task of its own: a call costs no hop between threads, and
//! many connections are many clients.

mod call;
mod connection;
mod connector;

use std::time::Duration;

use axum::http::{HeaderValue, Method, Uri, header};
use policies::Digest;
use rustls_pki_types::CertificateDer;
use tokio::sync::Mutex;
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::http::Identity;
use connection::{Channel, Connection};
use connector::Connector;

pub use call::{Answer, Call};

/// Whom to call, whom to believe, and for how long.
pub struct ClientOptions {
    /// `https://host[:port]`, without a path. `http://` is taken for loopback addresses alone.
    pub url: String,
    /// The roots of which one must vouch for the peer. Unused for `http://`.
    pub roots: Vec<CertificateDer<'static>>,
    /// The certificate with which to authenticate, if the peer asks.
    pub identity: Option<Identity>,
    /// The bearer key for calls that bring none of their own. A secret.
    pub bearer: Option<String>,
    /// From the call to its answer, connecting included.
    pub deadline: Duration,
    /// Bytes of an answer's body.
    pub answer_bytes_max: usize,
}

impl ClientOptions {
    /// Options with a deadline of 10 s and answers up to 1 MiB, and no credential.
    #[must_use]
    pub fn new(url: impl Into<String>, roots: Vec<CertificateDer<'static>>) -> Self {
        Self {
            url: url.into(),
            roots,
            identity: None,
            bearer: None,
            deadline: Duration::from_secs(10),
            answer_bytes_max: 1024 * 1024,
        }
    }
}

/// One peer and at most one connection to it. Calls through one client wait for each other.
///
/// Has no `Debug`: it holds a secret.
pub struct Client {
    connector: Connector,
    connection: Mutex<Option<Connection>>,
    authorization: Option<HeaderValue>,
    deadline: Duration,
    answer_bytes_max: usize,
}

/// Why a call has no answer. Safe to log: it holds nothing that the peer wrote, but for a problem's type.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The URL is not `https://host[:port]`.
    #[error("the URL is not of the form https://host[:port]")]
    Url,
    /// The roots or the identity can't be used.
    #[error("the TLS settings cannot be used")]
    Tls(#[from] rustls::Error),
    /// The path, the bearer or a header can't stand in a request.
    #[error("the request cannot be written")]
    Request,
    /// The value can't be written as JSON.
    #[error("the value cannot be written as JSON")]
    Json(#[source] serde_json::Error),
    /// No connection: refused, unreachable, or the handshake failed.
    #[error("cannot connect")]
    Connect(#[source] std::io::Error),
    /// The connection is not encrypted, or the peer's certificate can't be read: it has no exporter and no key.
    #[error("the connection does not tell whom it is with")]
    Unencrypted,
    /// The connection that this call was made for is gone. Nothing was sent.
    #[error("the connection that this call was made for is gone")]
    OtherConnection,
    /// The connection broke before the answer was complete. The request may have been carried out.
    #[error("the connection broke")]
    Broken(#[source] hyper::Error),
    /// The deadline passed. The request may have been carried out.
    #[error("the deadline passed")]
    Deadline,
    /// The answer is larger than allowed.
    #[error("the answer is larger than allowed")]
    AnswerTooLarge,
    /// The answer is not what this call is answered with.
    #[error("the answer is not of the expected form")]
    AnswerForm,
    /// The peer answered with an error.
    #[error("refused with status {status}: {kind}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The problem's type, such as `urn:siwa:problem:not-found`; `about:blank` where it has none.
        kind: String,
        /// Seconds after which to try again, if the peer said so.
        retry_after_s: Option<u32>,
    },
}

impl ClientError {
    /// The status, if the peer answered with one.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// The last part of the problem's type, if it is one of Siwa's.
    #[must_use]
    pub fn problem(&self) -> Option<&str> {
        match self {
            Self::Refused { kind, .. } => kind.strip_prefix(call::PROBLEM_PREFIX),
            _ => None,
        }
    }
}

impl Client {
    /// A client that connects when it is first used.
    ///
    /// # Errors
    /// A URL, roots, identity or bearer that can't be used.
    pub fn new(options: ClientOptions) -> Result<Self, ClientError> {
        let authorization = options.bearer.as_deref().map(authorization).transpose()?;
        let url: Uri = options.url.parse().map_err(|_| ClientError::Url)?;
        let connector = Connector::new(&url, &options.roots, options.identity)?;
        let (deadline, answer_bytes_max) = (options.deadline, options.answer_bytes_max);
        Ok(Self { connector, connection: Mutex::new(None), authorization, deadline, answer_bytes_max })
    }

    /// The exporter (RFC 8446 §7.5) of the kept connection under [`attest::binding::EXPORTER_LABEL`]. Connects first
    /// where none is kept.
    ///
    /// # Errors
    /// No connection, or one without TLS.
    pub async fn exporter(&self) -> Result<Zeroizing<[u8; 32]>, ClientError> {
        self.channel(|channel| Some(channel.exporter.clone())).await
    }

    /// SHA-256 of the subject public key info of the leaf that the peer serves the kept connection with. Connects first
    /// where none is kept.
    ///
    /// # Errors
    /// No connection, one without TLS, or a leaf that can't be read.
    pub async fn peer_spki(&self) -> Result<Digest, ClientError> {
        self.channel(|channel| channel.peer_spki).await
    }

    async fn channel<T>(&self, read: impl FnOnce(&Channel) -> Option<T>) -> Result<T, ClientError> {
        let connected = async {
            let mut slot = self.connection.lock().await;
            let connection = match Self::take_open(&mut slot).await {
                Some(kept) => kept,
                None => self.connector.connect().await?,
            };
            let read = connection.channel().and_then(read).ok_or(ClientError::Unencrypted);
            *slot = Some(connection);
            read
        };
        timeout(self.deadline, connected).await.unwrap_or(Err(ClientError::Deadline))
    }

    /// A call by GET of `path` (and query).
    pub fn get<'a>(&'a self, path: &'a str) -> Call<'a> {
        Call::new(self, Method::GET, path)
    }

    /// A call by PUT.
    pub fn put<'a>(&'a self, path: &'a str) -> Call<'a> {
        Call::new(self, Method::PUT, path)
    }

    /// A call by POST.
    pub fn post<'a>(&'a self, path: &'a str) -> Call<'a> {
        Call::new(self, Method::POST, path)
    }

    /// A call by DELETE.
    pub fn delete<'a>(&'a self, path: &'a str) -> Call<'a> {
        Call::new(self, Method::DELETE, path)
    }
}

/// `Bearer <token>` (RFC 6750 §2.1), marked as sensitive.
fn authorization(token: &str) -> Result<HeaderValue, ClientError> {
    let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| ClientError::Request)?;
    value.set_sensitive(true);
    Ok(value)
}

const AUTHORIZATION: header::HeaderName = header::AUTHORIZATION;

#[cfg(test)]
mod tests;
