//! Requests and responses as binary HTTP (RFC 9292): read with bounds, written with padding.

use std::io::Cursor;

use bhttp::{ControlData, Message, Mode, StatusCode};
use zeroize::{Zeroize as _, Zeroizing};

use super::{
    AUTHORITY_BYTES_MAX, FIELD_NAME_BYTES_MAX, FIELD_VALUE_BYTES_MAX, FIELDS_MAX, METHOD_BYTES_MAX, ObliviousError,
    PATH_BYTES_MAX, REQUEST_BYTES_MAX, REQUEST_OVERHEAD_BYTES, RESPONSE_BYTES_MAX, RESPONSE_OVERHEAD_BYTES, padded_len,
};

/// A request as it came out of its capsule. No `Debug`; erased when dropped, so fields are taken with
/// [`std::mem::take`].
#[derive(PartialEq, Eq)]
pub struct InnerRequest {
    /// A token.
    pub method: String,
    /// Path and query, from the first `/` on.
    pub path: String,
    /// Lower-case names and their values, without those that are not passed on.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The content.
    pub body: Vec<u8>,
}

impl Drop for InnerRequest {
    fn drop(&mut self) {
        self.path.zeroize();
        self.headers.zeroize();
        self.body.zeroize();
    }
}

/// A response as it came out of its capsule. No `Debug`; erased when dropped.
#[derive(PartialEq, Eq)]
pub struct InnerResponse {
    /// 200 to 599.
    pub status: u16,
    /// Lower-case names and their values, without those that are not passed on.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The content.
    pub body: Vec<u8>,
}

impl Drop for InnerResponse {
    fn drop(&mut self) {
        self.headers.zeroize();
        self.body.zeroize();
    }
}

/// Fields of one hop (RFC 9110 §7.6.1), fields whose truth the capsule makes itself (length, host), cookies, and what
/// proxies write about clients. `x-forwarded-` and all that `connection` names are beside them.
const NOT_PASSED: [&str; 16] = [
    "connection",
    "content-length",
    "cookie",
    "forwarded",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-real-ip",
];

/// Reads a request of either framing (RFC 9292 §3.1, §3.2), padded or not. Trailers are read and left.
pub(super) fn read_request(bytes: &[u8]) -> Result<InnerRequest, ObliviousError> {
    let message = read(bytes, REQUEST_BYTES_MAX)?;
    let ControlData::Request { method, scheme, authority, path } = message.control() else {
        return Err(ObliviousError::Binary);
    };
    if scheme != b"https" {
        return Err(ObliviousError::Scheme);
    }
    // Not compared: a gateway of ours answers for itself alone, whatever name a client reached it by.
    check_authority(authority)?;
    Ok(InnerRequest {
        method: checked_method(method)?,
        path: checked_path(path)?,
        headers: passed(message.header().fields().iter().map(|field| (field.name(), field.value())))?,
        body: message.content().to_vec(),
    })
}

/// Reads a final response of either framing, padded or not. Informational ones before it and trailers are left.
pub(super) fn read_response(bytes: &[u8]) -> Result<InnerResponse, ObliviousError> {
    let message = read(bytes, RESPONSE_BYTES_MAX)?;
    let status = message.control().status().ok_or(ObliviousError::Binary)?;
    Ok(InnerResponse {
        status: status.code(),
        headers: passed(message.header().fields().iter().map(|field| (field.name(), field.value())))?,
        body: message.content().to_vec(),
    })
}

/// Writes a request of known length, padded so that its capsule has one of the lengths of [`padded_len`].
pub(super) fn write_request(request: &InnerRequest, authority: &str) -> Result<Zeroizing<Vec<u8>>, ObliviousError> {
    check_authority(authority.as_bytes())?;
    let message = Message::request(
        checked_method(request.method.as_bytes())?.into(),
        b"https".to_vec(),
        authority.into(),
        checked_path(request.path.as_bytes())?.into(),
    );
    let headers = request.headers.iter().map(|(name, value)| (name.as_bytes(), value.as_slice()));
    write(message, passed(headers)?, &request.body, REQUEST_OVERHEAD_BYTES, REQUEST_BYTES_MAX)
}

/// Writes a response as [`write_request`] does a request.
pub(super) fn write_response(
    status: u16,
    headers: &[(&str, &[u8])],
    body: &[u8],
) -> Result<Zeroizing<Vec<u8>>, ObliviousError> {
    let status = StatusCode::try_from(status).ok().filter(|status| !status.informational());
    let message = Message::response(status.ok_or(ObliviousError::Status)?);
    let headers = headers.iter().map(|(name, value)| (name.as_bytes(), *value));
    write(message, passed(headers)?, body, RESPONSE_OVERHEAD_BYTES, RESPONSE_BYTES_MAX)
}

fn read(bytes: &[u8], bytes_max: usize) -> Result<Message, ObliviousError> {
    // 1. Bounded size: what the crate allocates is bounded by it, since it checks lengths first.
    if bytes.len() > bytes_max {
        return Err(ObliviousError::TooLong);
    }
    // 2. One message.
    let mut cursor = Cursor::new(bytes);
    let message = Message::read_bhttp(&mut cursor).map_err(|_| ObliviousError::Binary)?;
    // 3. Nothing but zeros behind it. The crate does not look.
    let read = usize::try_from(cursor.position()).map_err(|_| ObliviousError::Binary)?;
    let padding = bytes.get(read..).ok_or(ObliviousError::Binary)?;
    if padding.iter().any(|byte| *byte != 0) {
        return Err(ObliviousError::Padding);
    }
    Ok(message)
}

fn write(
    mut message: Message,
    mut headers: Vec<(String, Vec<u8>)>,
    body: &[u8],
    overhead: usize,
    bytes_max: usize,
) -> Result<Zeroizing<Vec<u8>>, ObliviousError> {
    if body.len() > bytes_max {
        return Err(ObliviousError::TooLong);
    }
    for (name, value) in headers.drain(..) {
        message.put_header(name, value);
    }
    message.write_content(body);
    let mut bytes = Zeroizing::new(Vec::with_capacity(padded_len(body.len() + overhead)));
    message.write_bhttp(Mode::KnownLength, &mut *bytes).expect("a vector takes all bytes");
    let whole = padded_len(bytes.len() + overhead);
    if whole > bytes_max {
        return Err(ObliviousError::TooLong);
    }
    bytes.resize(whole - overhead, 0);
    Ok(bytes)
}

/// The fields that are passed on. A field that is not allowed refuses the message, also if it would be dropped.
fn passed<'a>(
    fields: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
) -> Result<Vec<(String, Vec<u8>)>, ObliviousError> {
    if fields.clone().count() > FIELDS_MAX {
        return Err(ObliviousError::TooManyFields);
    }
    let listed: Vec<Vec<u8>> = fields
        .clone()
        .filter(|(name, _)| matches!(*name, b"connection" | b"proxy-connection"))
        .flat_map(|(_, value)| value.split(|byte| *byte == b','))
        .map(|name| name.trim_ascii().to_ascii_lowercase())
        .collect();
    let mut passed = Vec::new();
    for (name, value) in fields {
        let text = checked_name(name)?;
        check_value(value)?;
        let dropped = NOT_PASSED.contains(&text) || text.starts_with("x-forwarded-");
        if !dropped && !listed.iter().any(|listed| listed == name) {
            passed.push((text.to_owned(), value.to_vec()));
        }
    }
    Ok(passed)
}

/// A token (RFC 9110 §5.6.2) without upper case (RFC 9292 §3.6, as HTTP/2 has it). Pseudo-fields are none.
fn checked_name(name: &[u8]) -> Result<&str, ObliviousError> {
    let lower = name.iter().all(|byte| is_token(*byte) && !byte.is_ascii_uppercase());
    if name.is_empty() || name.len() > FIELD_NAME_BYTES_MAX || !lower {
        return Err(ObliviousError::Field);
    }
    std::str::from_utf8(name).map_err(|_| ObliviousError::Field)
}

/// No controls but the tabulator, and no white space around (RFC 9110 §5.5).
fn check_value(value: &[u8]) -> Result<(), ObliviousError> {
    let allowed = value.iter().all(|byte| !byte.is_ascii_control() || *byte == b'\t');
    if allowed && value.len() <= FIELD_VALUE_BYTES_MAX && value.trim_ascii().len() == value.len() {
        Ok(())
    } else {
        Err(ObliviousError::Field)
    }
}

fn checked_method(method: &[u8]) -> Result<String, ObliviousError> {
    let token = !method.is_empty() && method.len() <= METHOD_BYTES_MAX && method.iter().all(|byte| is_token(*byte));
    if !token || method == b"CONNECT" {
        return Err(ObliviousError::Method);
    }
    String::from_utf8(method.to_vec()).map_err(|_| ObliviousError::Method)
}

fn checked_path(path: &[u8]) -> Result<String, ObliviousError> {
    let visible = path.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'#');
    if path.first() != Some(&b'/') || path.len() > PATH_BYTES_MAX || !visible {
        return Err(ObliviousError::Path);
    }
    String::from_utf8(path.to_vec()).map_err(|_| ObliviousError::Path)
}

/// Empty is allowed: `host` may stand for it (RFC 9292 §3.4).
fn check_authority(authority: &[u8]) -> Result<(), ObliviousError> {
    if authority.len() <= AUTHORITY_BYTES_MAX && authority.iter().all(u8::is_ascii_graphic) {
        Ok(())
    } else {
        Err(ObliviousError::Authority)
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
