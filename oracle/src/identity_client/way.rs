//! How a request reaches the node: as it is, or in a capsule that a relay carries (RFC 9458).

use attest::InnerRequest;
use attest::key_epoch::KeyKind;
use attest::oblivious::ClientContext;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Serialize;

use super::{IdentityClient, IdentityClientError, ServiceKeys};
use crate::client::{Answer, Client, ClientError};

/// Where keys stand and capsules go (RFC 9540).
const GATEWAY: &str = "/.well-known/ohttp-gateway";
const MEDIA_TYPE_REQUEST: &str = "message/ohttp-req";

/// How requests that name no viewer are sent.
pub(crate) enum Way<'a> {
    /// As they are: the node sees the address of the device.
    Direct(&'a Client),
    /// In capsules. The address is hidden from the node only where somebody else runs the carrier.
    Oblivious {
        /// The relay; or the node itself, which hides nothing.
        carrier: &'a Client,
        /// The node's keys, `application/ohttp-keys`.
        configs: Vec<u8>,
        /// The node's host.
        authority: String,
    },
}

impl IdentityClient {
    /// A way through the node's gateway, carried by `relay` or, without one, straight to the node.
    ///
    /// The keys come from the node itself and must stand in the log: a key of the relay's would open every capsule.
    ///
    /// # Errors
    /// No answer, or [`IdentityClientError::KeyNotLogged`] where no key of the gateway stands in the log.
    pub(crate) async fn oblivious<'a>(
        &'a self,
        keys: &ServiceKeys,
        relay: Option<&'a Client>,
    ) -> Result<Way<'a>, IdentityClientError> {
        let offered = self.client.get(GATEWAY).send().await?.body;
        let configs = logged_configs(&offered, keys, self.environment.clock.now_s())?;
        Ok(Way::Oblivious { carrier: relay.unwrap_or(&self.client), configs, authority: keys.host().to_owned() })
    }
}

/// Those of a list of key configurations (RFC 9458 §3.2) that stand in the log.
pub(super) fn logged_configs(offered: &[u8], keys: &ServiceKeys, now_s: u64) -> Result<Vec<u8>, IdentityClientError> {
    let (mut rest, mut logged) = (offered, Vec::new());
    while !rest.is_empty() {
        let (length, behind) = rest.split_first_chunk::<2>().ok_or(ClientError::AnswerForm)?;
        let bytes = usize::from(u16::from_be_bytes(*length));
        let (config, behind) = behind.split_at_checked(bytes).ok_or(ClientError::AnswerForm)?;
        if keys.stands(KeyKind::Oblivious, config, now_s) {
            logged.extend_from_slice(length);
            logged.extend_from_slice(config);
        }
        rest = behind;
    }
    if logged.is_empty() { Err(IdentityClientError::KeyNotLogged) } else { Ok(logged) }
}

impl Way<'_> {
    /// Posts JSON with these credentials, if any, and gives an answer of success.
    pub(super) async fn post<T: Serialize>(
        &self,
        path: &str,
        authorization: Option<&str>,
        body: &T,
    ) -> Result<Answer, IdentityClientError> {
        match self {
            Self::Direct(client) => {
                let mut call = client.post(path).json(body);
                if let Some(authorization) = authorization {
                    call = call.header(AUTHORIZATION, sensitive(authorization)?);
                }
                Ok(call.send().await?)
            }
            Self::Oblivious { .. } => {
                let field = |name: &HeaderName, value: &str| (name.as_str().to_owned(), value.as_bytes().to_vec());
                let mut headers = vec![field(&CONTENT_TYPE, "application/json")];
                headers.extend(authorization.map(|value| field(&AUTHORIZATION, value)));
                let request = InnerRequest {
                    method: "POST".to_owned(),
                    path: path.to_owned(),
                    headers,
                    body: serde_json::to_vec(body).map_err(ClientError::Json)?,
                };
                self.inside(&request).await
            }
        }
    }

    /// Gets what stands there for everyone, and gives an answer of success.
    pub(super) async fn get(&self, path: &str) -> Result<Answer, IdentityClientError> {
        match self {
            Self::Direct(client) => Ok(client.get(path).send().await?),
            Self::Oblivious { .. } => {
                let (method, path) = ("GET".to_owned(), path.to_owned());
                self.inside(&InnerRequest { method, path, headers: Vec::new(), body: Vec::new() }).await
            }
        }
    }

    /// Sends a request in a capsule.
    async fn inside(&self, request: &InnerRequest) -> Result<Answer, IdentityClientError> {
        let Self::Oblivious { carrier, configs, authority } = self else { return Err(ClientError::Request.into()) };
        let (sealed, context) = ClientContext::encapsulate(configs, request, authority)?;
        let outer = carrier.post(GATEWAY).bytes(MEDIA_TYPE_REQUEST, sealed).send().await?;
        let mut inner = context.decapsulate(&outer.body)?;
        Ok(answer(&mut inner).ok_or(ClientError::AnswerForm)?.judged()?)
    }
}

/// What came out of a capsule, as any other answer.
fn answer(inner: &mut attest::oblivious::InnerResponse) -> Option<Answer> {
    let mut headers = HeaderMap::new();
    for (name, value) in &inner.headers {
        headers.append(HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_bytes(value).ok()?);
    }
    let status = StatusCode::from_u16(inner.status).ok()?;
    Some(Answer { status, headers, body: std::mem::take(&mut inner.body).into() })
}

/// A header's value that logs do not show.
pub(super) fn sensitive(text: &str) -> Result<HeaderValue, ClientError> {
    let mut value = HeaderValue::try_from(text).map_err(|_| ClientError::Request)?;
    value.set_sensitive(true);
    Ok(value)
}
