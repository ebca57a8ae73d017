//! What belongs to one connection and dies with it: its exporter, and the node that was admitted on it.

use std::sync::{Arc, Mutex, PoisonError};

use attest::Admission;
use attest::binding::EXPORTER_LABEL;
use rustls::ConnectionCommon;
use zeroize::Zeroizing;

/// Bytes of an exporter.
const EXPORTER_BYTES: usize = 32;

/// The exporter of a connection (RFC 8446 §7.5) under [`EXPORTER_LABEL`], without a context. Both ends have the same,
/// and no other connection has it. A secret: who knows it could have evidence made for the connection.
pub(crate) type Exporter = Zeroizing<[u8; EXPORTER_BYTES]>;

/// Takes the exporter of a connection whose handshake is complete.
pub(crate) fn exporter<Data>(connection: &ConnectionCommon<Data>) -> Result<Exporter, rustls::Error> {
    connection.export_keying_material(Zeroizing::new([0; EXPORTER_BYTES]), EXPORTER_LABEL, None)
}

/// One TLS connection, in the extensions of every request that came by it.
///
/// An admission lives here and nowhere else: it ends with the connection. Has no `Debug`: it holds a secret.
#[derive(Clone)]
pub struct ConnectionScope(Arc<Scope>);

struct Scope {
    exporter: Exporter,
    admission: Mutex<Option<Admission>>,
}

impl ConnectionScope {
    pub(crate) fn new(exporter: Exporter) -> Self {
        Self(Arc::new(Scope { exporter, admission: Mutex::new(None) }))
    }

    /// The connection's exporter.
    #[must_use]
    pub fn exporter(&self) -> &[u8; EXPORTER_BYTES] {
        &self.0.exporter
    }

    /// The admission that was given on this connection, if it holds at `now_ms`.
    #[must_use]
    pub fn admission(&self, now_ms: u64) -> Option<Admission> {
        self.slot().clone().filter(|admission| admission.is_live(now_ms))
    }

    /// Replaces what was given on this connection before.
    pub(crate) fn set(&self, admission: Option<Admission>) {
        *self.slot() = admission;
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Admission>> {
        self.0.admission.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
