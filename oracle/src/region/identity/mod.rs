//! The identity service of a node: accounts, credentials, anonymous tokens, oblivious requests.
//!
//! Actors: viewers' devices (hostile until they proved something), tenants' backends, issuers of credentials. Data flow:
//! a device proves something once (a login, a credential) and gets an [`Access`]; with it, it may ask for a credential
//! or for anonymous tokens; with a token it is a verified viewer whom nobody can tell from the others who hold one.
//! Trust boundary: passwords never come here; names come here and are kept as keyed hashes; claims of a presentation
//! live for the length of one call.

pub(crate) mod claims;
pub(crate) mod issuers;
pub(crate) mod limiter;
pub(crate) mod logins;
mod maintenance;
pub(crate) mod redeem;
pub(crate) mod refusal;
pub(crate) mod ring;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use attest::Pseudonym;
use attest::access::{Access, AccessError, AccessKey};
use attest::seal::OperatorKey;
use policies::{Check, Digest, IdentityRule, PolicySet, TenantId};
use rand_core::{OsRng, TryRngCore as _};
use rustls_pki_types::CertificateDer;

use crate::environment::{EntropyError, Environment};
use crate::identity_folder::{FolderError, IdentityFolder, Periods, Setup};
use crate::store::{OpenError, Store};
use crate::workers::Workers;
use attest::challenge::Challenges;
use issuers::Issuers;
use limiter::Limiter;
use logins::Logins;
use ring::KeyRing;

/// Registrations of one tenant in an hour where the policy lets anyone register: what an account costs is disk.
const OPEN_REGISTRATIONS_PER_HOUR: u32 = 36_000;

/// Tenants of a region that checks identities: each has token keys of its own in the one directory.
const TENANTS_MAX: usize = 128;

/// What clients may make the identity service hold. Each is a key of the config's `[limits]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdentityLimits {
    /// Logins under way, in equal shares of the tenants; at its share, a tenant's viewers are answered 503.
    pub logins_max: usize,
    /// Signatures that wait for the threads that make them, of about two milliseconds each; beyond it, 503.
    pub signing_queue_max: usize,
}

impl Default for IdentityLimits {
    fn default() -> Self {
        Self { logins_max: 65_536, signing_queue_max: 256 }
    }
}

/// What a node's identity service is made of.
pub struct IdentityOptions {
    /// The folder of keys, made once by `siwa identity init`.
    pub folder: PathBuf,
    /// Opens what is sealed there.
    pub operator: OperatorKey,
    /// The service's name and where devices reach it: `https://host[:port]`.
    pub issuer: String,
    /// Whom to believe when keys and status lists of foreign issuers are fetched. Nothing is fetched without any.
    pub issuers_ca: Vec<CertificateDer<'static>>,
    /// What clients may make it hold.
    pub limits: IdentityLimits,
}

/// Why the identity service does not start.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The region's policy has no `[identity]`.
    #[error("the region's policy has no [identity]: what may be checked is for the policy to say")]
    NotInPolicy,
    /// The name is not `https://host[:port]`.
    #[error("the identity service's name is not of the form https://host[:port]")]
    Issuer,
    /// More tenants than one directory of token keys has room for.
    #[error("more than 128 tenants: each has token keys of its own, all in one directory")]
    Tenants,
    /// The folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The store in it.
    #[error("the identity store cannot be used")]
    Store(#[from] OpenError),
    /// The system gave no thread.
    #[error("no threads for the identity service")]
    Threads(#[source] std::io::Error),
    /// The operating system gave no randomness.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// An issuer in the policy can't be used.
    #[error("the issuer {0} of the policy cannot be used: its keys are not a JWK set")]
    Keys(String),
    /// Keys of an issuer have to be fetched, and nobody is believed.
    #[error("keys of the issuer {0} are to be fetched, but the config names no `issuers_ca` to believe")]
    NoRoots(String),
}

/// What the policies in force say of it.
pub(crate) struct Rules {
    pub(crate) rule: IdentityRule,
    pub(crate) issuers: Issuers,
}

/// The identity service of a node.
pub(crate) struct Identity {
    rules: ArcSwap<Rules>,
    pub(crate) setup: Setup,
    pub(crate) folder: IdentityFolder,
    pub(crate) ring: ArcSwap<KeyRing>,
    pub(crate) store: Store,
    pub(crate) workers: Workers,
    pub(crate) logins: Logins,
    pub(crate) challenges: Challenges,
    pub(crate) login_starts: Limiter,
    pub(crate) registrations: Limiter,
    /// Digests of the challenges that tokens may answer, and whose viewers each is for.
    challenges_open: Vec<(Digest, TenantId)>,
    /// Nobody's pseudonym, for logins to accounts that do not exist.
    pub(crate) nobody: Pseudonym,
    /// Whom to believe when keys of issuers are fetched.
    issuers_ca: Vec<CertificateDer<'static>>,
    looked_ms: AtomicU64,
    folder_usable: AtomicBool,
    /// Ended token epochs whose nonces were forgotten by this process.
    forgotten: Mutex<BTreeSet<u32>>,
}

impl Identity {
    /// Opens the folder, makes the keys that are due, and is ready to serve.
    ///
    /// # Errors
    /// See [`IdentityError`].
    pub(crate) fn start(
        options: IdentityOptions,
        rule: IdentityRule,
        policies: &PolicySet,
        tenants: &[TenantId],
        environment: &Environment,
    ) -> Result<Arc<Self>, IdentityError> {
        let issuer_host = host(&options.issuer).ok_or(IdentityError::Issuer)?;
        let challenges_open = redeem::open_challenges(issuer_host, tenants.iter());
        let limits = options.limits;
        if tenants.len() > TENANTS_MAX {
            return Err(IdentityError::Tenants);
        }
        let folder = IdentityFolder::new(options.folder, options.operator, options.issuer, tenants);
        let setup = folder.setup()?;
        let now_s = environment.clock.now_s();
        let periods = Periods::of(&rule);
        let log = folder.turn(&setup, &periods, &BTreeSet::new(), now_s, &mut OsRng.unwrap_err())?;
        let ring = KeyRing::load(&folder, log, now_s)?;
        let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        Ok(Arc::new(Self {
            login_starts: Limiter::new(&environment.entropy.bytes()?, rule.login_starts_per_hour),
            registrations: Limiter::new(&environment.entropy.bytes()?, OPEN_REGISTRATIONS_PER_HOUR),
            challenges: Challenges::new(&environment.entropy.bytes()?, tenants.len()),
            store: Store::open_sqlite(&folder.store_file())?,
            workers: Workers::start("siwa-sign", threads, limits.signing_queue_max).map_err(IdentityError::Threads)?,
            logins: Logins::new(limits.logins_max, tenants.len()),
            challenges_open,
            nobody: Pseudonym::from_bytes([0; 32]),
            // Looks at once, so that issuers' keys are fetched.
            looked_ms: AtomicU64::new(0),
            folder_usable: AtomicBool::new(true),
            forgotten: Mutex::default(),
            ring: ArcSwap::from_pointee(ring),
            rules: ArcSwap::from_pointee(Rules {
                issuers: Issuers::new(policies.issuers(), &options.issuers_ca)?,
                rule,
            }),
            issuers_ca: options.issuers_ca,
            setup,
            folder,
        }))
    }

    /// What the policies in force say.
    pub(crate) fn rules(&self) -> Arc<Rules> {
        self.rules.load_full()
    }

    /// Whether [`Identity::follow`] would succeed under these policies.
    ///
    /// # Errors
    /// An issuer whose keys cannot be used.
    pub(crate) fn can_follow(&self, policies: &PolicySet) -> Result<(), IdentityError> {
        Issuers::new(policies.issuers(), &self.issuers_ca).map(|_| ())
    }

    /// Goes by other policies from now on. A region without `[identity]` lets nobody ask: its rule stays as it was. The
    /// keys of issuers whose rule did not change stay known.
    ///
    /// # Errors
    /// An issuer whose keys cannot be used.
    pub(crate) fn follow(&self, rule: Option<&IdentityRule>, policies: &PolicySet) -> Result<(), IdentityError> {
        let last = self.rules();
        let rule = rule.unwrap_or(&last.rule).clone();
        self.login_starts.set(rule.login_starts_per_hour);
        let issuers = last.issuers.changed(policies.issuers(), &self.issuers_ca)?;
        self.rules.store(Arc::new(Rules { rule, issuers }));
        // Looks at once, so that issuers' keys are fetched.
        self.looked_ms.store(0, std::sync::atomic::Ordering::Relaxed);
        Ok(())
    }

    /// The service's name: the audience of what is addressed to it.
    pub(crate) fn issuer(&self) -> &str {
        self.folder.issuer()
    }

    /// The name of the token issuer: the service's host (RFC 9577 §2.1).
    pub(crate) fn issuer_host(&self) -> &str {
        host(self.issuer()).unwrap_or_default()
    }

    /// A token with which the device of `sub` may ask for more, after it passed `check`.
    /// It is good for `seconds`.
    pub(crate) fn access(&self, tenant: &TenantId, sub: Pseudonym, check: Check, now_s: u64, seconds: u64) -> Access {
        let (aud, tenant) = (self.issuer().to_owned(), tenant.clone());
        Access { aud, tenant, sub, check, iat: now_s, exp: now_s + seconds }
    }

    /// What a device shows as its access.
    ///
    /// # Errors
    /// See [`AccessError`].
    pub(crate) fn verify_access(&self, token: &str, now_ms: u64) -> Result<Access, AccessError> {
        Access::verify(token, self.access_key(), self.issuer(), now_ms)
    }

    pub(crate) const fn access_key(&self) -> &AccessKey {
        &self.setup.access_key
    }
}

/// The host, with its port, of `https://host[:port]`.
pub(crate) fn host(issuer: &str) -> Option<&str> {
    let host = issuer.strip_prefix("https://")?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']');
    (!host.is_empty() && host.len() <= 255 && host.bytes().all(plain)).then_some(host)
}

#[cfg(test)]
mod tests;
