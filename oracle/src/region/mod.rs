//! A regional node: sessions in memory, rankings, windows and their releases, models pulled from the centre.
//!
//! Actors: streaming platforms (authenticated tenants), the operator (admin listener) and the centre (which this node
//! calls; it never calls us). Data flow: signals enter by `api`, live in `sessions`, end as one contribution in the
//! tenant's open window, and leave as a noised release by `window` and `outbox`. Models come back by `pull`.
//! Trust boundary: raw signals are in this process's memory only.

mod admission;
mod answers;
mod api;
mod authenticate;
mod binding;
pub(crate) mod content;
mod countersign;
pub(crate) mod identity;
mod key_log;
mod metrics;
mod node;
mod outbox;
mod policies;
mod pull;
mod refusal;
mod release_tick;
mod sessions;
mod streams;
mod tenant;
#[cfg(test)]
pub(crate) mod testing;
mod window;

pub(crate) use api::token_directory;
pub use api::{openapi, router};
pub use content::{ContentError, ContentLimits, ContentOptions};
pub(crate) use identity::host as identity_host;
pub use identity::{IdentityError, IdentityLimits, IdentityOptions};
pub use node::{CentreLink, Node, NodeOptions, StartError, TenantAccess};
pub use outbox::Sent;
pub use window::Turn;

#[cfg(test)]
mod tests;
