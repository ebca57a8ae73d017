//! The generic batch (draft-ietf-privacypass-batched-tokens, "Generic Batched Token Issuance"): several requests of
//! any types and keys in one body, and as many responses in the same order, each of which may be absent.

use super::TokenType;
use super::reader::{Reader, put_varint};
use super::wire::{TokenRequest, TokenResponse, WireError};

/// Requests in one batch. An issuer's work for one body is at most this many evaluations.
pub const BATCH_REQUESTS_MAX: usize = 64;
/// The longest batch: a length of four bytes, and the longest request as often as allowed.
pub const BATCH_REQUEST_BYTES_MAX: usize = 4 + BATCH_REQUESTS_MAX * TokenType::BlindRsa2048.request_bytes();
/// The longest answer to one: a response has the mark of presence and its type before it.
pub const BATCH_RESPONSE_BYTES_MAX: usize = 4 + BATCH_REQUESTS_MAX * (3 + TokenType::BlindRsa2048.response_bytes());

const ABSENT: u8 = 0;
const PRESENT: u8 = 1;

/// Several requests in one body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchedTokenRequest(Vec<TokenRequest>);

impl BatchedTokenRequest {
    /// A batch of these.
    ///
    /// # Errors
    /// [`WireError::BatchCount`] unless there are 1 to [`BATCH_REQUESTS_MAX`].
    pub fn new(requests: Vec<TokenRequest>) -> Result<Self, WireError> {
        if (1..=BATCH_REQUESTS_MAX).contains(&requests.len()) { Ok(Self(requests)) } else { Err(WireError::BatchCount) }
    }

    /// Reads a batch. One request of an unknown type makes the whole unreadable: its length is not known.
    ///
    /// # Errors
    /// [`WireError::BatchCount`], [`WireError::TokenType`] or [`WireError::Length`].
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = framed(bytes, BATCH_REQUEST_BYTES_MAX)?;
        let mut requests = Vec::new();
        while !reader.is_empty() {
            if requests.len() == BATCH_REQUESTS_MAX {
                return Err(WireError::BatchCount);
            }
            requests.push(TokenRequest::read(&mut reader)?);
        }
        Self::new(requests)
    }

    /// The serialised batch.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut body = Vec::new();
        for request in &self.0 {
            request.put(&mut body);
        }
        frame(&body)
    }

    /// The requests in order.
    #[must_use]
    pub fn requests(&self) -> &[TokenRequest] {
        &self.0
    }
}

/// The responses to a batch, in the order of its requests; `None` where the issuer refused one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchedTokenResponse(Vec<Option<TokenResponse>>);

impl BatchedTokenResponse {
    /// An answer of these.
    ///
    /// # Errors
    /// [`WireError::BatchCount`] unless there are 1 to [`BATCH_REQUESTS_MAX`].
    pub fn new(responses: Vec<Option<TokenResponse>>) -> Result<Self, WireError> {
        if (1..=BATCH_REQUESTS_MAX).contains(&responses.len()) {
            Ok(Self(responses))
        } else {
            Err(WireError::BatchCount)
        }
    }

    /// Reads an answer.
    ///
    /// # Errors
    /// Each of [`WireError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = framed(bytes, BATCH_RESPONSE_BYTES_MAX)?;
        let mut responses = Vec::new();
        while !reader.is_empty() {
            if responses.len() == BATCH_REQUESTS_MAX {
                return Err(WireError::BatchCount);
            }
            responses.push(match reader.u8()? {
                ABSENT => None,
                PRESENT => {
                    let token_type = TokenType::from_code(reader.u16()?).ok_or(WireError::TokenType)?;
                    Some(TokenResponse::read(token_type, &mut reader)?)
                }
                _ => return Err(WireError::Presence),
            });
        }
        Self::new(responses)
    }

    /// The serialised answer.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut body = Vec::new();
        for response in &self.0 {
            match response {
                None => body.push(ABSENT),
                Some(response) => {
                    body.push(PRESENT);
                    body.extend_from_slice(&response.token_type().code().to_be_bytes());
                    body.extend_from_slice(response.as_bytes());
                }
            }
        }
        frame(&body)
    }

    /// The responses in the order of the requests.
    #[must_use]
    pub fn responses(&self) -> &[Option<TokenResponse>] {
        &self.0
    }
}

/// The content behind a length that states exactly what follows.
fn framed(bytes: &[u8], bytes_max: usize) -> Result<Reader<'_>, WireError> {
    if bytes.len() > bytes_max {
        return Err(WireError::Length);
    }
    let mut reader = Reader::new(bytes);
    let length = usize::try_from(reader.varint()?).map_err(|_| WireError::Length)?;
    let content = reader.take(length)?;
    reader.end()?;
    Ok(Reader::new(content))
}

fn frame(body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(4 + body.len());
    put_varint(&mut bytes, body.len());
    bytes.extend_from_slice(body);
    bytes
}
