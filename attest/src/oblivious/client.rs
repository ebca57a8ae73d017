//! The client's half, for the reference client, tests and benches.

use ohttp::{ClientRequest, ClientResponse};
use zeroize::Zeroizing;

use super::{
    CONFIGS_BYTES_MAX, InnerRequest, InnerResponse, ObliviousError, RESPONSE_BYTES_MAX, RESPONSE_OVERHEAD_BYTES, SUITE,
    binary,
};

/// A key configuration of one suite: id, KEM, public key (32), length of the suites (2), suite (4).
const CONFIG_BYTES: usize = 1 + 2 + 32 + 2 + 4;

/// A request that waits for its response. No `Debug`.
pub struct ClientContext(ClientResponse);

impl ClientContext {
    /// Seals a request to the first key of `configs` (`application/ohttp-keys`) that has our suite, padded. Fields that
    /// are not passed on are dropped.
    ///
    /// # Errors
    /// [`ObliviousError::Configs`], or what is not allowed in the request.
    pub fn encapsulate(
        configs: &[u8],
        request: &InnerRequest,
        authority: &str,
    ) -> Result<(Vec<u8>, Self), ObliviousError> {
        let config = first_usable(configs)?;
        let message = binary::write_request(request, authority)?;
        let sender = ClientRequest::from_encoded_config(&config).map_err(|_| ObliviousError::Configs)?;
        let (sealed, response) = sender.encapsulate(&message).map_err(|_| ObliviousError::Configs)?;
        Ok((sealed, Self(response)))
    }

    /// Opens the response to this request.
    ///
    /// # Errors
    /// [`ObliviousError`].
    pub fn decapsulate(self, message: &[u8]) -> Result<InnerResponse, ObliviousError> {
        if message.len() > RESPONSE_BYTES_MAX {
            return Err(ObliviousError::TooLong);
        }
        if message.len() < RESPONSE_OVERHEAD_BYTES {
            return Err(ObliviousError::TooShort);
        }
        let response = Zeroizing::new(self.0.decapsulate(message).map_err(|_| ObliviousError::Refused)?);
        binary::read_response(&response)
    }
}

/// The first configuration of a list (RFC 9458 §3.2) with our suite, reduced to it. Own code: the crate takes the last
/// of a list, the first suite of that one, and panics where it supports none.
pub(super) fn first_usable(configs: &[u8]) -> Result<[u8; CONFIG_BYTES], ObliviousError> {
    if configs.len() > CONFIGS_BYTES_MAX {
        return Err(ObliviousError::Configs);
    }
    let (mut rest, mut found) = (configs, None);
    while !rest.is_empty() {
        let (length, behind) = rest.split_first_chunk::<2>().ok_or(ObliviousError::Configs)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (config, behind) = behind.split_at_checked(length).ok_or(ObliviousError::Configs)?;
        found = found.or_else(|| reduced(config));
        rest = behind;
    }
    found.ok_or(ObliviousError::Configs)
}

/// A configuration with our suite alone; `None` if it lacks it, or is of another KEM or form.
fn reduced(config: &[u8]) -> Option<[u8; CONFIG_BYTES]> {
    let (head, behind) = config.split_first_chunk::<35>()?;
    let (length, suites) = behind.split_first_chunk::<2>()?;
    let whole = usize::from(u16::from_be_bytes(*length)) == suites.len() && suites.len() % 4 == 0;
    let (kem, symmetric) = SUITE.split_at(2);
    if !whole || head[1..3] != *kem || !suites.chunks_exact(4).any(|suite| suite == symmetric) {
        return None;
    }
    let mut reduced = [0; CONFIG_BYTES];
    reduced[..35].copy_from_slice(head);
    reduced[36] = 4;
    reduced[37..].copy_from_slice(symmetric);
    Some(reduced)
}
