//! Bodies of the fuzz targets of oblivious messages.

use std::sync::OnceLock;

use zeroize::Zeroizing;

use super::{ClientContext, Gateway, GatewayKey, InnerRequest, InnerResponse, binary, client};

/// Body of the fuzz target `oblivious_message`: opens any bytes with fixed keys, and answers what opens.
///
/// # Panics
/// When a request that was opened cannot be answered.
pub fn message(data: &[u8]) {
    static GATEWAY: OnceLock<Gateway> = OnceLock::new();
    let gateway = GATEWAY.get_or_init(|| {
        let key = |id| GatewayKey::from_secret_bytes(&[&[1, id], [7; 32].as_slice()].concat()).expect("34 bytes");
        Gateway::new(vec![key(1), key(2)]).expect("two ids")
    });
    if let Ok((_, responder)) = gateway.decapsulate(data) {
        assert!(responder.encapsulate(200, &[], b"").is_ok());
    }
}

/// Body of the fuzz target `oblivious_request`: reads any bytes as what was in a capsule.
///
/// # Panics
/// When a request does not come back from its bytes.
pub fn binary_request(data: &[u8]) {
    if let Ok(request) = binary::read_request(data)
        && let Ok(written) = binary::write_request(&request, "")
    {
        assert!(binary::read_request(&written).is_ok_and(|read: InnerRequest| read == request));
    }
}

/// Body of the fuzz target `oblivious_response`: reads any bytes as what was in a response's capsule.
///
/// # Panics
/// When a response does not come back from its bytes.
pub fn binary_response(data: &[u8]) {
    let Ok(response) = binary::read_response(data) else { return };
    let headers: Vec<_> = response.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
    if let Ok(written) = binary::write_response(response.status, &headers, &response.body) {
        assert!(binary::read_response(&written).is_ok_and(|read: InnerResponse| read == response));
    }
}

/// Body of the fuzz target `oblivious_configs`: seals a request to whatever key is in any bytes.
///
/// # Panics
/// When a configuration that was chosen is chosen otherwise from a list of itself.
pub fn configs(data: &[u8]) {
    if let Ok(chosen) = client::first_usable(data) {
        let list = [&[0, 41], chosen.as_slice()].concat();
        assert!(client::first_usable(&list) == Ok(chosen));
    }
    let request = InnerRequest { method: "GET".into(), path: "/".into(), headers: Vec::new(), body: Vec::new() };
    if let Ok((_, context)) = ClientContext::encapsulate(data, &request, "") {
        assert!(context.decapsulate(&Zeroizing::new([0; 64])[..]).is_err());
    }
}
