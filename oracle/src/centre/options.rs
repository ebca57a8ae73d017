//! What a centre is made of: names, keys, pinned nodes, tenants, policies and limits.

use std::collections::BTreeMap;
use std::path::PathBuf;

use attest::{AdmissionMode, ApiKeyHash, KnownNodes, SigningKey};
use policies::{Bundle, PolicySet, TenantId};
use prometheus::Registry;

use crate::clock::Clock;
use crate::log::LogOptions;
use crate::store::Store;

/// Everything a centre is started from. The config file and `demo` both build it.
pub struct CentreParts {
    /// The centre's name: the audience of node tokens.
    pub name: String,
    /// Signs model pointers. Its public half stands at `/.well-known/jwks.json`, and nodes pin it.
    pub key: SigningKey,
    /// Signs attestation results, and statements on keys in genuine TPMs.
    pub attestation_key: SigningKey,
    /// By what nodes are admitted.
    pub admission: AdmissionMode,
    /// The nodes that may send releases and pull models.
    pub nodes: KnownNodes,
    /// The tenants, each with the hashes of its API keys.
    pub tenants: BTreeMap<TenantId, Vec<ApiKeyHash>>,
    /// Hashes of the operators' API keys.
    pub operators: Vec<ApiKeyHash>,
    /// The policies in force at the start, signed.
    pub policies: Bundle,
    /// Where newer ones will stand; nothing where they never change.
    pub policy_folder: Option<PathBuf>,
    /// Earlier policies that the store does not know, whose releases may still arrive.
    pub earlier_policies: Vec<PolicySet>,
    /// Limits.
    pub limits: CentreLimits,
    /// Whether releases without private noise are taken: only where a whole installation measures. No config says so.
    pub measurement: bool,
    /// The time.
    pub clock: Clock,
    /// Everything durable.
    pub store: Store,
    /// What its transparency log is published with.
    pub log: LogOptions,
    /// Where the centre's metrics are registered.
    pub registry: Registry,
}

/// Limits of a centre, keys of the config's `[centre]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CentreLimits {
    /// Bytes of an uploaded catalogue.
    pub catalogue_bytes_max: usize,
    /// How long training waits for nodes that have not reported, after the first release that is not yet learned.
    pub training_grace_ms: u64,
    /// How often the policy folder is looked at.
    pub policy_interval_ms: u64,
}

impl Default for CentreLimits {
    fn default() -> Self {
        Self { catalogue_bytes_max: 64 << 20, training_grace_ms: 60_000, policy_interval_ms: 30_000 }
    }
}
