//! The config file: one TOML a process, read once at start.
//!
//! Unknown keys are refused, units stand in names, and secrets stand in files of their own, which the config names.
//! Paths are relative to the config file. A process has at most one region and one centre, at least one of them.

mod error;
mod raw;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use attest::{AdmissionMode, ApiKeyHash, KnownNodes, VerifyingKey};
use policies::log::{LogKeys, VerifierKey};
use policies::{Digest, NodeId, RegionId, Signers, TenantId};

use crate::attester::AttestationOptions;
use crate::http::Limits;
use crate::region::{ContentOptions, IdentityLimits};

pub use error::ConfigError;

/// Bytes of a config file.
const CONFIG_BYTES_MAX: u64 = 1024 * 1024;

/// A process's config after every check that needs no other file.
#[derive(Debug, Clone)]
pub struct Config {
    /// SHA-256 of the file: nodes attest to it.
    pub digest: Digest,
    /// Where to listen.
    pub listen: Listen,
    /// The servers' certificate, and whom to believe as a client.
    pub tls: Tls,
    /// What clients may use.
    pub limits: ConfigLimits,
    /// The region that this process is a node of.
    pub region: Option<RegionConfig>,
    /// The centre that this process is.
    pub centre: Option<CentreConfig>,
}

/// Addresses to listen on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen {
    /// HTTPS of the region's role; there if and only if `[region]` is.
    pub region: Option<SocketAddr>,
    /// HTTPS of the centre's role; there if and only if `[centre]` is.
    pub centre: Option<SocketAddr>,
    /// Plain HTTP for `/healthz`, `/readyz` and `/metrics`. Not for the network at large.
    pub admin: SocketAddr,
}

/// PEM files for TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The certificate chain, leaf first.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The roots that client certificates must come from. Without it, none is asked for.
    pub client_ca: Option<PathBuf>,
}

/// What clients may use of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConfigLimits {
    /// Of every listener.
    pub http: Limits,
    /// Sessions that live at a time, in equal shares of the tenants; at its share, a tenant's creation answers 503.
    pub sessions_max: usize,
    /// Bytes of a catalogue, uploaded or pulled.
    pub catalogue_bytes_max: usize,
    /// Of the identity service.
    pub identity: IdentityLimits,
}

/// A node of a region.
#[derive(Debug, Clone)]
pub struct RegionConfig {
    /// The region.
    pub region: RegionId,
    /// This node's name.
    pub node: NodeId,
    /// The folder of the signed policy bundle.
    pub policies: PathBuf,
    /// Who must have signed it, as long as no bundle was taken: later ones name who signs the next.
    pub policy_signers: Signers,
    /// The ledger and outbox, made once by `siwa ledger init`.
    pub store: PathBuf,
    /// The key (PKCS#8 PEM, Ed25519) that signs releases and vouches for the node; the centre may pin its public half.
    pub node_key: PathBuf,
    /// The key that signs answers. Its public half stands at `/.well-known/jwks.json`.
    pub answer_key: PathBuf,
    /// The secret from which viewers' pseudonyms are derived; all nodes of a region share it.
    pub pairwise_secret: PathBuf,
    /// The centre.
    pub centre: CentreLink,
    /// How the node attests.
    pub attestation: AttestationOptions,
    /// Who may call.
    pub tenants: Vec<TenantAccess>,
    /// The identity service, if this node offers it.
    pub identity: Option<IdentityConfig>,
    /// The content oracle, if this node offers it.
    pub content: Option<ContentOptions>,
}

/// A node's identity service. What it may check stands in the policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityConfig {
    /// The folder of keys and accounts, made once by `siwa identity init`.
    pub folder: PathBuf,
    /// The secret that opens what is sealed there. It belongs on another disk than the folder.
    pub operator_key: PathBuf,
    /// The service's name and where devices reach it: `https://host[:port]`. It never changes: credentials, tokens and
    /// the log of keys carry it.
    pub issuer: String,
    /// The roots (PEM) of which one must vouch for foreign issuers. Without it nothing of theirs is fetched.
    pub issuers_ca: Option<PathBuf>,
}

/// How a node reaches its centre.
#[derive(Debug, Clone)]
pub struct CentreLink {
    /// `https://host[:port]`.
    pub url: String,
    /// The roots (PEM) of which one must vouch for the centre.
    pub ca: PathBuf,
    /// The centre's name: the audience of tokens of a pinned key.
    pub name: String,
    /// By what the centre admits this node.
    pub admission: AdmissionMode,
    /// The public key that verifies which model is current.
    pub key: VerifyingKey,
    /// Whom it believes about the centre's transparency log.
    pub log: LogKeys,
    /// How often new catalogues and models are asked for, in ms.
    pub pull_interval_ms: u64,
}

/// A tenant at a node, and what it authenticates with.
#[derive(Debug, Clone)]
pub struct TenantAccess {
    /// The tenant.
    pub tenant: TenantId,
    /// Hashes of its bearer keys.
    pub api_keys: Vec<ApiKeyHash>,
    /// SHA-256 of its client certificates (DER).
    pub certificates: Vec<Digest>,
}

/// A centre.
#[derive(Debug, Clone)]
pub struct CentreConfig {
    /// Its name: issuer of attestation results, audience of tokens of pinned keys.
    pub name: String,
    /// The folder of the signed policy bundle in force.
    pub policies: PathBuf,
    /// Who must have signed it, as long as no bundle was taken: later ones name who signs the next.
    pub policy_signers: Signers,
    /// How often the folder is looked at, in ms.
    pub policy_interval_ms: u64,
    /// Folders of earlier policy files, whose releases may still arrive.
    pub earlier_policies: Vec<PathBuf>,
    /// Everything durable; made at the first start.
    pub store: PathBuf,
    /// The key (PKCS#8 PEM, Ed25519) that signs which model is current; nodes pin its public half.
    pub key: PathBuf,
    /// The key (PKCS#8 PEM, Ed25519) that signs attestation results.
    pub attestation_key: PathBuf,
    /// By what nodes are admitted.
    pub admission: AdmissionMode,
    /// The nodes that may send releases.
    pub nodes: KnownNodes,
    /// Tenants and hashes of their bearer keys.
    pub tenants: BTreeMap<TenantId, Vec<ApiKeyHash>>,
    /// Hashes of the operators' bearer keys.
    pub operators: Vec<ApiKeyHash>,
    /// How long training waits for nodes that have not reported a window, in ms.
    pub training_grace_ms: u64,
    /// Its transparency log.
    pub log: LogConfig,
}

/// A centre's transparency log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// The folder of its files.
    pub folder: PathBuf,
    /// The key (PKCS#8 PEM, Ed25519) that signs its checkpoints, and nothing else.
    pub key: PathBuf,
    /// Its name: the first line of every checkpoint. It never changes.
    pub origin: String,
    /// From one checkpoint to the next at least, in ms.
    pub interval_ms: u64,
    /// Who cosigns.
    pub witnesses: Vec<WitnessConfig>,
    /// How many of them must.
    pub witnesses_min: usize,
}

/// A witness, and how it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessConfig {
    /// `https://host[:port][/path]`.
    pub url: String,
    /// Its key.
    pub key: VerifierKey,
    /// The roots (PEM) of which one must vouch for its server.
    pub ca: Option<PathBuf>,
}

impl Config {
    /// Reads a config file.
    ///
    /// # Errors
    /// With file, line and a sentence.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let unreadable = |source| ConfigError::unreadable(file, &source);
        if std::fs::metadata(file).map_err(unreadable)?.len() > CONFIG_BYTES_MAX {
            return Err(ConfigError::new(file, None, "the file is larger than 1 MiB"));
        }
        Self::parse(&std::fs::read_to_string(file).map_err(unreadable)?, file)
    }

    /// Parses the text of `file`, to whose folder paths are relative.
    ///
    /// # Errors
    /// With file, line and a sentence.
    pub fn parse(text: &str, file: &Path) -> Result<Self, ConfigError> {
        raw::parse(text, file)
    }
}

#[cfg(test)]
mod tests;
