//! HTTP over TLS 1.3: the accept loop, its limits, and the form of every error.
//!
//! Actors: clients (hostile until authenticated) and the routers of `region`, `centre` and the admin listener.
//! Data flow: [`Server`] accepts, shakes hands, reads one request at a time within the [`Limits`], puts the
//! connection's [`ConnectionScope`] and the client's [`PeerCertificate`] into the request's extensions, and calls the
//! router. Everything that a client can make large,
//! slow or many has a limit there; what passes it is a [`Problem`] (RFC 9457) or a closed connection.
//!
//! HTTP/1.1 (RFC 9112) only. The admin listener speaks plain HTTP and belongs on loopback.

mod admin;
mod connection;
mod development_ca;
mod drain;
mod extract;
mod limits;
mod problem;
mod scope;
mod server;
mod stalled;
pub(crate) mod tls;

pub use admin::{Condition, ConditionState, admin_router};
pub use development_ca::{DevelopmentCa, DevelopmentCaError};
pub use drain::{Drain, DrainHandle};
pub use extract::{BytesBody, JsonBody, JsonBodyAndBytes, PathParameters, QueryParameters};
pub use limits::Limits;
pub use problem::{MEDIA_TYPE as PROBLEM_MEDIA_TYPE, Problem, with_fallbacks};
pub use scope::ConnectionScope;
pub(crate) use scope::{Exporter, exporter};
pub use server::{ConnectionMetrics, Server};
pub use tls::{Identity, PeerCertificate, ServerTls, TlsError, certificates_from_pem, certificates_from_pem_file};

#[cfg(test)]
pub(crate) mod tests;
