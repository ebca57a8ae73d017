//! What a listener allows a client to hold, and for how long.

use std::time::Duration;

/// Limits of one listener. Each is a key of the config's `[limits]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time; beyond it a new one is closed before its handshake.
    pub connections_max: usize,
    /// Bytes of a request's body, where its route sets no other limit.
    pub body_bytes_max: usize,
    /// From accept to the end of the TLS handshake.
    pub handshake_timeout: Duration,
    /// From the moment the connection waits for a request to the end of its head: how long a half-sent head lives,
    /// and how long a kept-alive connection may stay idle.
    pub header_timeout: Duration,
    /// From the end of the head to the response: body and handler. Also how long a response may make no progress.
    pub request_timeout: Duration,
    /// From the order to drain to the moment what still runs is cut off.
    pub drain_deadline: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 4096,
            body_bytes_max: 256 * 1024,
            handshake_timeout: Duration::from_secs(5),
            header_timeout: Duration::from_secs(15),
            request_timeout: Duration::from_secs(10),
            drain_deadline: Duration::from_secs(20),
        }
    }
}

/// Bytes of a request's head.
pub(super) const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Header fields of a request.
pub(super) const HEADERS_MAX: usize = 64;
