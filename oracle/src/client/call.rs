//! One call: its parts, its deadline, when it may be sent again, and its answer.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use http_body_util::Full;
use hyper::Request;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::connection::{Connection, Failure};
use super::{AUTHORIZATION, Client, ClientError, authorization};
use crate::http::PROBLEM_MEDIA_TYPE;

/// What every problem type of Siwa begins with.
pub(super) const PROBLEM_PREFIX: &str = "urn:siwa:problem:";
/// Bytes of a problem's type that are kept.
const PROBLEM_TYPE_BYTES_MAX: usize = 128;

/// A call in the making. [`Call::send`] sends it.
#[must_use = "a call does nothing until it is sent"]
pub struct Call<'a> {
    client: &'a Client,
    method: Method,
    path: &'a str,
    headers: HeaderMap,
    body: Bytes,
    deadline: Option<Duration>,
    any_status: bool,
    only_on: Option<Zeroizing<[u8; 32]>>,
    failed: Option<ClientError>,
}

/// An answer with a status of success (2xx), or 304 to a conditional request; with any status after
/// [`Call::any_status`].
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body, whole.
    pub body: Bytes,
}

impl Answer {
    /// The body as a `T`.
    ///
    /// # Errors
    /// [`ClientError::AnswerForm`] when it is not one.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        serde_json::from_slice(&self.body).map_err(|_| ClientError::AnswerForm)
    }

    /// The answer, if it is one of success or "not modified", which only who asked for it gets.
    ///
    /// # Errors
    /// [`ClientError::Refused`] for every other status.
    pub fn judged(self) -> Result<Self, ClientError> {
        if self.status.is_success() || self.status == StatusCode::NOT_MODIFIED {
            return Ok(self);
        }
        let text = |name| self.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let is_problem = text(header::CONTENT_TYPE) == Some(PROBLEM_MEDIA_TYPE);
        let kind = is_problem.then(|| serde_json::from_slice::<ProblemBody>(&self.body).ok()).flatten();
        let kind = kind.map(|problem| problem.r#type).filter(|kind| is_problem_type(kind));
        Err(ClientError::Refused {
            status: self.status.as_u16(),
            kind: kind.unwrap_or_else(|| "about:blank".to_owned()),
            retry_after_s: text(header::RETRY_AFTER).and_then(|seconds| seconds.parse().ok()),
        })
    }
}

impl<'a> Call<'a> {
    pub(super) fn new(client: &'a Client, method: Method, path: &'a str) -> Self {
        let (headers, body) = (HeaderMap::new(), Bytes::new());
        let (deadline, any_status, only_on, failed) = (None, false, None, None);
        Self { client, method, path, headers, body, deadline, any_status, only_on, failed }
    }

    /// A bearer key or token for this call alone.
    pub fn bearer(mut self, token: &str) -> Self {
        match authorization(token) {
            Ok(value) => {
                self.headers.insert(AUTHORIZATION, value);
            }
            Err(error) => self.failed = Some(error),
        }
        self
    }

    /// A header field.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// A body of some media type.
    pub fn bytes(mut self, media_type: &'static str, body: impl Into<Bytes>) -> Self {
        self.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        self.body = body.into();
        self
    }

    /// A body of JSON.
    pub fn json<T: Serialize + ?Sized>(mut self, value: &T) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => self.bytes("application/json", body),
            Err(error) => {
                self.failed = Some(ClientError::Json(error));
                self
            }
        }
    }

    /// A deadline for this call alone.
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Takes an answer of whatever status as an answer: for questions that are answered by a refusal, as that for a
    /// challenge (RFC 9577 §2.1) is.
    pub const fn any_status(mut self) -> Self {
        self.any_status = true;
        self
    }

    /// Sends this call on the connection with this exporter or not at all: what it says was made for that connection.
    pub fn only_on(mut self, exporter: &[u8; 32]) -> Self {
        self.only_on = Some(Zeroizing::new(*exporter));
        self
    }

    /// Sends the call and reads its answer. What was not written to a connection that had meanwhile closed is sent again
    /// on a new one; what may have been written is sent again, once, only by a method that is idempotent (RFC 9110 §9.2.2).
    ///
    /// # Errors
    /// See [`ClientError`]. Every status but 2xx and 304 is [`ClientError::Refused`], unless [`Call::any_status`] was asked for.
    pub async fn send(mut self) -> Result<Answer, ClientError> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let client = self.client;
        let deadline = self.deadline.unwrap_or(client.deadline);
        let any_status = self.any_status;
        let answer = timeout(deadline, self.exchange()).await.unwrap_or(Err(ClientError::Deadline))?;
        if any_status { Ok(answer) } else { answer.judged() }
    }

    async fn exchange(mut self) -> Result<Answer, ClientError> {
        let client = self.client;
        let mut request = self.request()?;
        let mut slot = client.connection.lock().await;
        let kept = Client::take_open(&mut slot).await;
        if let Some(exporter) = &self.only_on {
            let channel = kept.as_ref().and_then(Connection::channel);
            if channel.is_none_or(|channel| channel.exporter != *exporter) {
                *slot = kept;
                return Err(ClientError::OtherConnection);
            }
        }
        let again = self.method != Method::POST && self.only_on.is_none();
        if let Some(mut kept) = kept {
            let copy = again.then(|| request.clone());
            match client.on(&mut kept, request).await {
                Ok(answer) => {
                    *slot = Some(kept);
                    return Ok(answer);
                }
                Err(CallFailure::Unsent(_)) if self.only_on.is_some() => return Err(ClientError::OtherConnection),
                Err(CallFailure::Unsent(unsent)) => request = *unsent,
                Err(CallFailure::Broken(error)) => request = copy.ok_or(ClientError::Broken(error))?,
                Err(CallFailure::Final(error)) => return Err(error),
            }
        }
        let mut fresh = client.connector.connect().await?;
        match client.on(&mut fresh, request).await {
            Ok(answer) => {
                *slot = Some(fresh);
                Ok(answer)
            }
            Err(CallFailure::Unsent(_)) => Err(ClientError::Connect(std::io::ErrorKind::ConnectionAborted.into())),
            Err(CallFailure::Broken(error)) => Err(ClientError::Broken(error)),
            Err(CallFailure::Final(error)) => Err(error),
        }
    }

    fn request(&mut self) -> Result<Request<Full<Bytes>>, ClientError> {
        let target: Uri = self.path.parse().map_err(|_| ClientError::Request)?;
        let in_origin_form = target.scheme().is_none() && target.authority().is_none() && self.path.starts_with('/');
        if !in_origin_form {
            return Err(ClientError::Request);
        }
        let mut request = Request::new(Full::new(std::mem::take(&mut self.body)));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = target;
        *request.headers_mut() = std::mem::take(&mut self.headers);
        let headers = request.headers_mut();
        headers.insert(header::HOST, self.client.connector.authority());
        if let (Some(value), false) = (&self.client.authorization, headers.contains_key(AUTHORIZATION)) {
            headers.insert(AUTHORIZATION, value.clone());
        }
        Ok(request)
    }
}

enum CallFailure {
    Unsent(Box<Request<Full<Bytes>>>),
    Broken(hyper::Error),
    Final(ClientError),
}

impl Client {
    /// The kept connection, if it is open. Taken out, so that a call that is dropped half-way drops the connection too:
    /// its state would be unknown.
    pub(super) async fn take_open(slot: &mut Option<Connection>) -> Option<Connection> {
        let mut kept = slot.take()?;
        kept.is_open().await.then_some(kept)
    }

    async fn on(&self, connection: &mut Connection, request: Request<Full<Bytes>>) -> Result<Answer, CallFailure> {
        let answer = connection.send(request).await.map_err(|failure| match failure {
            Failure::Unsent(request) => CallFailure::Unsent(request),
            Failure::Broken(error) => CallFailure::Broken(error),
        })?;
        let (head, body) = answer.into_parts();
        let body = connection.body(body, self.answer_bytes_max).await.map_err(|error| match error {
            ClientError::Broken(error) => CallFailure::Broken(error),
            other => CallFailure::Final(other),
        })?;
        Ok(Answer { status: head.status, headers: head.headers, body })
    }
}

#[derive(Deserialize)]
struct ProblemBody {
    r#type: String,
}

fn is_problem_type(kind: &str) -> bool {
    let slug = kind.strip_prefix(PROBLEM_PREFIX).unwrap_or_default();
    !slug.is_empty()
        && kind.len() <= PROBLEM_TYPE_BYTES_MAX
        && slug.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}
