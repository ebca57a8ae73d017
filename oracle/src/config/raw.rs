//! The file's form, and the checks that join its parts.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use attest::{AdmissionMode, ApiKeyHash, KnownNode, KnownNodes, VerifyingKey};
use axum::http::Uri;
use policies::log::{KeyAlgorithm, LogKeys, VerifierKey};
use policies::{Digest, NodeId, RegionId, Signers, TenantId};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use super::{
    CentreConfig, CentreLink, Config, ConfigError, ConfigLimits, IdentityConfig, Listen, LogConfig, RegionConfig,
    TenantAccess, Tls, WitnessConfig,
};
use crate::attester::tpm::{Tcti, TpmOptions};
use crate::attester::{AttestationOptions, EvidenceChoice};
use crate::http::Limits;
use crate::region::{ContentLimits, ContentOptions, IdentityLimits, identity_host};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConfig {
    listen: RawListen,
    tls: RawTls,
    #[serde(default)]
    limits: RawLimits,
    region: Option<RawRegion>,
    centre: Option<RawCentre>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawListen {
    region: Option<SocketAddr>,
    centre: Option<SocketAddr>,
    admin: SocketAddr,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTls {
    certificate: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
}

/// A whole number within bounds, so that an error has the line of the number.
struct Count<const MIN: u64, const MAX: u64>(u64);

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for Count<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer) {
            Ok(number) if (MIN..=MAX).contains(&number) => Ok(Self(number)),
            _ => Err(D::Error::custom(format_args!("this is a whole number from {MIN} to {MAX}"))),
        }
    }
}

impl<const MIN: u64, const MAX: u64> Count<MIN, MAX> {
    fn size(number: Option<Self>, default: usize) -> usize {
        number.map_or(default, |Self(number)| usize::try_from(number).unwrap_or(usize::MAX))
    }

    fn duration(number: Option<Self>, default: Duration) -> Duration {
        number.map_or(default, |Self(ms)| Duration::from_millis(ms))
    }
}

/// Milliseconds of a limit on one connection: up to ten minutes.
type Milliseconds = Count<1, 600_000>;
/// Milliseconds between recurring work: up to a day.
type IntervalMs = Count<100, 86_400_000>;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawLimits {
    connections_max: Option<Count<1, 1_000_000>>,
    body_bytes_max: Option<Count<1024, 16_777_216>>,
    handshake_timeout_ms: Option<Milliseconds>,
    header_timeout_ms: Option<Milliseconds>,
    request_timeout_ms: Option<Milliseconds>,
    drain_deadline_ms: Option<Milliseconds>,
    sessions_max: Option<Count<1, 10_000_000>>,
    catalogue_bytes_max: Option<Count<1024, 1_073_741_824>>,
    logins_max: Option<Count<1, 10_000_000>>,
    signing_queue_max: Option<Count<64, 65_536>>,
}

const SESSIONS_MAX: usize = 100_000;
const CATALOGUE_BYTES_MAX: usize = 64 * 1024 * 1024;
const PULL_INTERVAL_MS: u64 = 30_000;
const TRAINING_GRACE_MS: u64 = 60_000;
const POLICY_INTERVAL_MS: u64 = 30_000;
const LOG_INTERVAL_MS: u64 = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRegion {
    region: RegionId,
    node: NodeId,
    policies: PathBuf,
    policy_keys: Vec<String>,
    policy_threshold: Option<Count<1, 16>>,
    store: PathBuf,
    node_key: PathBuf,
    answer_key: PathBuf,
    pairwise_secret: PathBuf,
    centre: RawCentreLink,
    #[serde(default)]
    attestation: RawAttestation,
    tenants: Vec<RawTenant>,
    identity: Option<RawIdentity>,
    content: Option<RawContent>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawAttestation {
    #[serde(default)]
    evidence: EvidenceChoice,
    tcti: Option<Tcti>,
    enrolment: Option<PathBuf>,
    intermediates: Option<PathBuf>,
    boot_log: Option<PathBuf>,
    ima_log: Option<PathBuf>,
    certificates: Option<PathBuf>,
    collateral: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawIdentity {
    folder: PathBuf,
    operator_key: PathBuf,
    issuer: String,
    issuers_ca: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawContent {
    upload_bytes_max: Option<Count<1024, 1_073_741_824>>,
    uploads_bytes_max: Option<Count<1024, 68_719_476_736>>,
    streams_of_tenant_max: Option<Count<1, 65_536>>,
    stream_idle_ms: Option<IntervalMs>,
    checks_queue_max: Option<Count<1, 65_536>>,
    lists: Option<PathBuf>,
    pictures: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCentreLink {
    url: String,
    ca: PathBuf,
    name: String,
    key: VerifyingKey,
    #[serde(default)]
    admission: AdmissionMode,
    pull_interval_ms: Option<IntervalMs>,
    log: RawLogKeys,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLogKeys {
    key: VerifierKey,
    #[serde(default)]
    witnesses: Vec<VerifierKey>,
    witnesses_min: Option<Count<0, 32>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLog {
    folder: PathBuf,
    key: PathBuf,
    origin: String,
    interval_ms: Option<Count<1, 600_000>>,
    #[serde(default)]
    witnesses: Vec<RawWitness>,
    witnesses_min: Option<Count<0, 32>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWitness {
    url: String,
    key: VerifierKey,
    ca: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTenant {
    tenant: TenantId,
    #[serde(default)]
    api_keys_sha256: Vec<Digest>,
    #[serde(default)]
    client_certificates_sha256: Vec<Digest>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCentre {
    name: String,
    policies: PathBuf,
    policy_keys: Vec<String>,
    policy_threshold: Option<Count<1, 16>>,
    policy_interval_ms: Option<IntervalMs>,
    #[serde(default)]
    earlier_policies: Vec<PathBuf>,
    store: PathBuf,
    key: PathBuf,
    attestation_key: PathBuf,
    #[serde(default)]
    admission: AdmissionMode,
    operators_sha256: Vec<Digest>,
    training_grace_ms: Option<IntervalMs>,
    log: RawLog,
    nodes: Vec<RawNode>,
    tenants: Vec<RawTenant>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawNode {
    node: NodeId,
    region: RegionId,
    key: Option<VerifyingKey>,
}

/// The file while it is checked: what it says, where it stands.
struct Source<'a> {
    text: &'a str,
    file: &'a Path,
}

pub(super) fn parse(text: &str, file: &Path) -> Result<Config, ConfigError> {
    let raw: RawConfig = toml::from_str(text).map_err(|error| ConfigError::syntax(file, text, &error))?;
    let source = Source { text, file };
    if raw.region.is_none() && raw.centre.is_none() {
        return Err(ConfigError::new(
            file,
            None,
            "there is neither [region] nor [centre]: this process has nothing to do",
        ));
    }
    let listen = Listen { region: raw.listen.region, centre: raw.listen.centre, admin: raw.listen.admin };
    source.listens("region", listen.region.is_some(), raw.region.is_some())?;
    source.listens("centre", listen.centre.is_some(), raw.centre.is_some())?;
    let config = Config {
        digest: Digest::of(text.as_bytes()),
        listen,
        tls: Tls {
            certificate: source.path(raw.tls.certificate),
            key: source.path(raw.tls.key),
            client_ca: raw.tls.client_ca.map(|ca| source.path(ca)),
        },
        limits: limits(raw.limits),
        region: raw.region.map(|region| source.region(region)).transpose()?,
        centre: raw.centre.map(|centre| source.centre(centre)).transpose()?,
    };
    source.check_together(&config)?;
    Ok(config)
}

fn limits(raw: RawLimits) -> ConfigLimits {
    let (default, default_identity) = (Limits::default(), IdentityLimits::default());
    let http = Limits {
        connections_max: Count::size(raw.connections_max, default.connections_max),
        body_bytes_max: Count::size(raw.body_bytes_max, default.body_bytes_max),
        handshake_timeout: Count::duration(raw.handshake_timeout_ms, default.handshake_timeout),
        header_timeout: Count::duration(raw.header_timeout_ms, default.header_timeout),
        request_timeout: Count::duration(raw.request_timeout_ms, default.request_timeout),
        drain_deadline: Count::duration(raw.drain_deadline_ms, default.drain_deadline),
    };
    ConfigLimits {
        http,
        sessions_max: Count::size(raw.sessions_max, SESSIONS_MAX),
        catalogue_bytes_max: Count::size(raw.catalogue_bytes_max, CATALOGUE_BYTES_MAX),
        identity: IdentityLimits {
            logins_max: Count::size(raw.logins_max, default_identity.logins_max),
            signing_queue_max: Count::size(raw.signing_queue_max, default_identity.signing_queue_max),
        },
    }
}

impl Source<'_> {
    fn path(&self, path: PathBuf) -> PathBuf {
        self.file.parent().map_or_else(|| path.clone(), |folder| folder.join(&path))
    }

    /// An error at the `nth` (from 0) line that begins with `begin`, such as a section's head.
    fn error(&self, begin: &str, nth: usize, sentence: impl Into<String>) -> ConfigError {
        let lines = self.text.lines().enumerate().filter(|(_, line)| line.trim_start().starts_with(begin));
        ConfigError::new(self.file, lines.map(|(index, _)| index + 1).nth(nth), sentence)
    }

    fn listens(&self, role: &str, address: bool, section: bool) -> Result<(), ConfigError> {
        match (address, section) {
            (false, true) => Err(self.error("[listen]", 0, format!("`{role}` is missing: [{role}] needs an address"))),
            (true, false) => {
                Err(self.error("[listen]", 0, format!("`{role}` has an address, but there is no [{role}]")))
            }
            _ => Ok(()),
        }
    }

    fn region(&self, raw: RawRegion) -> Result<RegionConfig, ConfigError> {
        let link = raw.centre;
        let url: Option<Uri> = link.url.parse().ok();
        if !url.is_some_and(|url| url.scheme_str() == Some("https") && matches!(url.path(), "" | "/")) {
            return Err(self.error("url", 0, "`url` is of the form https://host[:port]"));
        }
        Ok(RegionConfig {
            region: raw.region,
            node: raw.node,
            policies: self.path(raw.policies),
            policy_signers: self.signers("[region]", &raw.policy_keys, raw.policy_threshold)?,
            store: self.path(raw.store),
            node_key: self.path(raw.node_key),
            answer_key: self.path(raw.answer_key),
            pairwise_secret: self.path(raw.pairwise_secret),
            centre: CentreLink {
                url: link.url,
                ca: self.path(link.ca),
                name: link.name,
                key: link.key,
                admission: link.admission,
                log: self.log_keys(link.log)?,
                pull_interval_ms: link.pull_interval_ms.map_or(PULL_INTERVAL_MS, |Count(ms)| ms),
            },
            attestation: self.attestation(raw.attestation)?,
            tenants: self.tenants("[[region.tenants]]", raw.tenants)?,
            identity: raw.identity.map(|raw| self.identity(raw)).transpose()?,
            content: raw.content.map(|raw| self.content(raw)).transpose()?,
        })
    }

    fn signers(&self, section: &str, keys: &[String], threshold: Option<Count<1, 16>>) -> Result<Signers, ConfigError> {
        let keys: Result<Vec<VerifierKey>, _> = keys.iter().map(|key| key.parse()).collect();
        let keys = keys.map_err(|error| self.error(section, 0, format!("`policy_keys`: {error}")))?;
        let threshold = Count::size(threshold, 1);
        Signers::new(keys, threshold).map_err(|error| self.error(section, 0, format!("`policy_keys`: {error}")))
    }

    fn attestation(&self, raw: RawAttestation) -> Result<AttestationOptions, ConfigError> {
        let RawAttestation { evidence, tcti, enrolment, intermediates, boot_log, ima_log, .. } = raw;
        let of_a_tpm =
            tcti.is_some() || [&enrolment, &intermediates, &boot_log, &ima_log].iter().any(|key| key.is_some());
        if of_a_tpm && !matches!(evidence, EvidenceChoice::Auto | EvidenceChoice::Tpm) {
            let sentence =
                "keys of a TPM stand here, and `evidence` is of another kind: the TPM would not be looked at";
            return Err(self.error("[region.attestation]", 0, sentence));
        }
        let path = |path: Option<PathBuf>| path.map(|path| self.path(path));
        let tpm = TpmOptions {
            tcti: tcti.unwrap_or_default(),
            enrolment: path(enrolment),
            intermediates: path(intermediates),
            boot_log: path(boot_log),
            ima_log: path(ima_log),
        };
        let (certificates, collateral) = (path(raw.certificates), path(raw.collateral));
        Ok(AttestationOptions { evidence, tpm: of_a_tpm.then_some(tpm), certificates, collateral })
    }

    fn identity(&self, raw: RawIdentity) -> Result<IdentityConfig, ConfigError> {
        if identity_host(&raw.issuer).is_none() {
            return Err(self.error("issuer ", 0, "`issuer` is of the form https://host[:port]"));
        }
        let (folder, operator_key) = (self.path(raw.folder), self.path(raw.operator_key));
        if operator_key.starts_with(&folder) {
            let sentence = "the operator key stands in the folder that it seals: whoever takes the one takes the other";
            return Err(self.error("operator_key ", 0, sentence));
        }
        let issuers_ca = raw.issuers_ca.map(|path| self.path(path));
        Ok(IdentityConfig { folder, operator_key, issuer: raw.issuer, issuers_ca })
    }

    fn content(&self, raw: RawContent) -> Result<ContentOptions, ConfigError> {
        let default = ContentLimits::default();
        let limits = ContentLimits {
            upload_bytes_max: Count::size(raw.upload_bytes_max, default.upload_bytes_max),
            uploads_bytes_max: Count::size(raw.uploads_bytes_max, default.uploads_bytes_max),
            streams_of_tenant_max: Count::size(raw.streams_of_tenant_max, default.streams_of_tenant_max),
            stream_idle_ms: raw.stream_idle_ms.map_or(default.stream_idle_ms, |Count(ms)| ms),
            checks_queue_max: Count::size(raw.checks_queue_max, default.checks_queue_max),
        };
        if limits.upload_bytes_max > limits.uploads_bytes_max {
            let sentence = "`uploads_bytes_max` is for all uploads at once: it has room for one of `upload_bytes_max`";
            return Err(self.error("[region.content]", 0, sentence));
        }
        let path = |path: PathBuf| self.path(path);
        Ok(ContentOptions { limits, lists: raw.lists.map(path), pictures: raw.pictures.map(path) })
    }

    fn centre(&self, raw: RawCentre) -> Result<CentreConfig, ConfigError> {
        const TENANTS: &str = "[[centre.tenants]]";
        let unpinned = raw.nodes.iter().position(|node| node.key.is_none());
        if let (AdmissionMode::PinnedKey, Some(nth)) = (raw.admission, unpinned) {
            return Err(self.error(
                "[[centre.nodes]]",
                nth,
                "`admission` is \"pinned-key\", and this node has no `key`",
            ));
        }
        let node = |RawNode { node, region, key }| KnownNode { node, region, key };
        let nodes = KnownNodes::new(raw.nodes.into_iter().map(node))
            .map_err(|_| self.error("[[centre.nodes]]", 0, "two nodes have the same name or the same key"))?;
        let tenants = self.tenants(TENANTS, raw.tenants)?;
        if let Some(nth) = tenants.iter().position(|tenant| !tenant.certificates.is_empty()) {
            return Err(self.error(TENANTS, nth, "tenants authenticate at the centre by API key alone"));
        }
        let of_tenants = tenants.iter().flat_map(|tenant| &tenant.api_keys).map(ApiKeyHash::digest);
        if of_tenants.into_iter().any(|hash| raw.operators_sha256.contains(&hash)) {
            return Err(self.error("operators_sha256", 0, "an operator's key is also a tenant's"));
        }
        Ok(CentreConfig {
            name: raw.name,
            policies: self.path(raw.policies),
            policy_signers: self.signers("[centre]", &raw.policy_keys, raw.policy_threshold)?,
            policy_interval_ms: raw.policy_interval_ms.map_or(POLICY_INTERVAL_MS, |Count(ms)| ms),
            earlier_policies: raw.earlier_policies.into_iter().map(|path| self.path(path)).collect(),
            store: self.path(raw.store),
            key: self.path(raw.key),
            attestation_key: self.path(raw.attestation_key),
            admission: raw.admission,
            nodes,
            tenants: tenants.into_iter().map(|tenant| (tenant.tenant, tenant.api_keys)).collect::<BTreeMap<_, _>>(),
            operators: raw.operators_sha256.into_iter().map(ApiKeyHash::from_digest).collect(),
            training_grace_ms: raw.training_grace_ms.map_or(TRAINING_GRACE_MS, |Count(ms)| ms),
            log: self.log(raw.log)?,
        })
    }

    fn log_keys(&self, raw: RawLogKeys) -> Result<LogKeys, ConfigError> {
        let least = Count::size(raw.witnesses_min, raw.witnesses.len());
        LogKeys::new(raw.key, raw.witnesses, least)
            .map_err(|error| self.error("[region.centre.log]", 0, error.to_string()))
    }

    fn log(&self, raw: RawLog) -> Result<LogConfig, ConfigError> {
        let refused = |sentence: String| self.error("[centre.log]", 0, sentence);
        let least = Count::size(raw.witnesses_min, raw.witnesses.len());
        // The log's own key is in a file: another stands for it while the rest is checked.
        let stand_in = VerifierKey::new(&raw.origin, KeyAlgorithm::Note, [0; 32]);
        let stand_in = stand_in.map_err(|error| refused(format!("`origin` names a key: {error}")))?;
        let keys = raw.witnesses.iter().map(|witness| witness.key.clone()).collect();
        LogKeys::new(stand_in, keys, least).map_err(|error| refused(error.to_string()))?;
        let witness = |RawWitness { url, key, ca }| WitnessConfig { url, key, ca: ca.map(|path| self.path(path)) };
        Ok(LogConfig {
            folder: self.path(raw.folder),
            key: self.path(raw.key),
            origin: raw.origin,
            interval_ms: raw.interval_ms.map_or(LOG_INTERVAL_MS, |Count(ms)| ms),
            witnesses: raw.witnesses.into_iter().map(witness).collect(),
            witnesses_min: least,
        })
    }

    fn tenants(&self, begin: &str, raw: Vec<RawTenant>) -> Result<Vec<TenantAccess>, ConfigError> {
        let (mut names, mut credentials, mut tenants) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        for (nth, tenant) in raw.into_iter().enumerate() {
            let (keys, certificates) = (tenant.api_keys_sha256, tenant.client_certificates_sha256);
            if !names.insert(tenant.tenant.clone()) {
                return Err(self.error(begin, nth, "this tenant stands here twice"));
            }
            if keys.is_empty() && certificates.is_empty() {
                return Err(self.error(begin, nth, "this tenant has no API key and no client certificate"));
            }
            if !keys.iter().chain(&certificates).all(|credential| credentials.insert(*credential)) {
                return Err(self.error(begin, nth, "a credential stands here twice: it would not tell who calls"));
            }
            let api_keys = keys.into_iter().map(ApiKeyHash::from_digest).collect();
            tenants.push(TenantAccess { tenant: tenant.tenant, api_keys, certificates });
        }
        Ok(tenants)
    }

    fn check_together(&self, config: &Config) -> Result<(), ConfigError> {
        if let (Some(region), Some(centre)) = (&config.region, &config.centre)
            && region.store == centre.store
        {
            return Err(self.error("[centre]", 0, "the region and the centre have the same `store`"));
        }
        let tenants = config.region.iter().flat_map(|region| &region.tenants);
        let mut by_certificate = tenants.enumerate().filter(|(_, tenant)| !tenant.certificates.is_empty());
        if let (Some((nth, _)), None) = (by_certificate.next(), &config.tls.client_ca) {
            let sentence = "client certificates need [tls] `client_ca`: without it none is asked for";
            return Err(self.error("[[region.tenants]]", nth, sentence));
        }
        Ok(())
    }
}
