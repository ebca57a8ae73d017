//! Typed policy files and the privacy arithmetic that everyone verifies with.
//!
//! A compliance team reviews TOML files; this crate parses them into types that cannot hold an
//! unchecked value ([`rules`]), and holds the arithmetic (zero-concentrated differential privacy,
//! zCDP) that says what a budget means ([`zcdp`]; [`pld`] for reports). It opens no file and no socket: callers hand in bytes.

pub mod blt;
pub mod bundle;
pub mod cases;
pub mod decide;
pub mod delta;
pub mod diff;
pub mod digest;
pub mod explain;
pub mod finding;
pub mod form;
pub mod ids;
pub mod log;
mod parse;
pub mod pld;
pub mod rho;
pub mod rules;
pub mod sample;
pub mod schema;
pub mod set;
pub mod zcdp;

pub use bundle::{Bundle, BundleError, Delivery, Signers};
pub use decide::{Question, Reason};
pub use delta::Delta;
pub use digest::Digest;
pub use finding::{Finding, Severity};
pub use ids::{Jurisdiction, NodeId, PurposeId, RegionId, TaskKind, TenantId, WindowId};
pub use rho::Rho;
pub use rules::{
    Anchor, AttestationRule, Budget, Check, ContentCheck, ContentRule, EvidenceKind, Grant, IdentityRule, IssuerKeys,
    IssuerName, IssuerRule, ListMeaning, ListRule, Measurement, Noised, PictureListRule, PrivacyUnit, Profile,
    ProvenanceRule, PurposeBudget, PurposePolicy, ReferenceValues, RegionPolicy, Registration, Retention, SignalKind,
    Status, StatusRule, TaskRule, TaskSpec, Tier, UnitRule,
};
pub use set::PolicySet;
