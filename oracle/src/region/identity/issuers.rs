//! Who may vouch for viewers: the issuers of the policy, their keys, and their lists of what was revoked.
//!
//! Keys by file stand in the policy. Keys by URL and status lists are fetched over TLS from roots that the config names,
//! kept, and fetched again; what is older than its limit is not believed. A credential never decides what is fetched:
//! a status list must stand at the origin of its issuer or of its keys.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use attest::sd_jwt::{JwkSet, STATUS_TOKEN_BYTES_MAX, Status, StatusList, StatusReference, TrustedKeys};
use axum::http::Uri;
use policies::{IssuerKeys, IssuerName, IssuerRule, StatusRule};
use rustls_pki_types::CertificateDer;

use super::IdentityError;
use super::refusal::IdentityRefusal;
use crate::client::{Client, ClientOptions};

/// How often keys by URL are fetched.
const FETCH_MS: u64 = 300_000;
/// Keys that could not be fetched for so long are not believed any more.
const KEYS_OLD_MS: u64 = 86_400_000;
/// One fetch, connecting included.
const FETCH_DEADLINE: Duration = Duration::from_secs(5);
/// How long a status list that could not be had is not asked for again.
const FAILED_S: u64 = 10;
/// Status lists kept of one issuer.
const LISTS_MAX: usize = 256;

/// A foreign issuer's keys as they were fetched.
struct Fetched {
    keys: TrustedKeys,
    at_ms: u64,
}

/// A status list, or that it could not be had, and until when that is good.
struct Kept {
    list: Option<Arc<StatusList>>,
    until_s: u64,
}

/// One issuer of the policy.
pub(crate) struct Issuer {
    pub(crate) rule: IssuerRule,
    /// The origin that fetches go to, and the client for it.
    remote: Option<(String, Client)>,
    path: String,
    keys: ArcSwapOption<Fetched>,
    lists: Mutex<BTreeMap<String, Kept>>,
}

/// Every issuer of the policy.
pub(crate) struct Issuers(Vec<Arc<Issuer>>);

impl Issuers {
    /// The issuers of the policy. Keys by URL are not there before the first [`Issuers::refresh`].
    ///
    /// # Errors
    /// A key file that is no JWK set, or keys by URL with nobody to believe.
    pub(crate) fn new(rules: &[IssuerRule], roots: &[CertificateDer<'static>]) -> Result<Self, IdentityError> {
        rules.iter().map(|rule| Issuer::new(rule, roots).map(Arc::new)).collect::<Result<_, _>>().map(Self)
    }

    /// The issuers of other policies; one whose rule did not change keeps the keys that were fetched.
    ///
    /// # Errors
    /// As [`Issuers::new`].
    pub(crate) fn changed(
        &self,
        rules: &[IssuerRule],
        roots: &[CertificateDer<'static>],
    ) -> Result<Self, IdentityError> {
        let known = |rule: &IssuerRule| self.0.iter().find(|issuer| issuer.rule == *rule).cloned();
        let issuer = |rule| known(rule).map_or_else(|| Issuer::new(rule, roots).map(Arc::new), Ok);
        rules.iter().map(issuer).collect::<Result<_, _>>().map(Self)
    }

    /// The issuer of this `iss`; `own` is the name of this service.
    pub(crate) fn named(&self, name: &str, own: &str) -> Option<&Arc<Issuer>> {
        self.0.iter().find(|issuer| match &issuer.rule.issuer {
            IssuerName::Own => name == own,
            IssuerName::Url(url) => name == url,
        })
    }

    /// The rule under which this service issues itself, if the policy has one.
    pub(crate) fn own(&self) -> Option<&IssuerRule> {
        self.0.iter().map(|issuer| &issuer.rule).find(|rule| rule.issuer == IssuerName::Own)
    }

    /// Fetches the keys that are due. A failure keeps those that are known.
    pub(crate) async fn refresh(&self, now_ms: u64) {
        for issuer in &self.0 {
            issuer.refresh(now_ms).await;
        }
    }
}

impl Issuer {
    fn new(rule: &IssuerRule, roots: &[CertificateDer<'static>]) -> Result<Self, IdentityError> {
        let name = match &rule.issuer {
            IssuerName::Own => "of this service".to_owned(),
            IssuerName::Url(url) => url.clone(),
        };
        let url = match (&rule.keys, &rule.issuer) {
            (IssuerKeys::Url(url), _) => Some(url.as_str()),
            (IssuerKeys::File { .. }, IssuerName::Url(url)) => Some(url.as_str()),
            (IssuerKeys::Own | IssuerKeys::File { .. }, _) => None,
        };
        if matches!(rule.keys, IssuerKeys::Url(_)) && roots.is_empty() {
            return Err(IdentityError::NoRoots(name));
        }
        let remote = match url.filter(|_| !roots.is_empty()) {
            None => None,
            Some(url) => Some(remote(url, roots).ok_or_else(|| IdentityError::Keys(name.clone()))?),
        };
        let (remote, path) = remote.map_or((None, String::new()), |(remote, path)| (Some(remote), path));
        let keys = match &rule.keys {
            IssuerKeys::File { jwks, .. } => {
                let keys = JwkSet::parse(jwks).map_err(|_| IdentityError::Keys(name.clone()))?;
                // What stands in the policy does not grow old.
                ArcSwapOption::from_pointee(Fetched { keys: TrustedKeys::new(name, keys), at_ms: u64::MAX })
            }
            IssuerKeys::Own | IssuerKeys::Url(_) => ArcSwapOption::empty(),
        };
        Ok(Self { rule: rule.clone(), remote, path, keys, lists: Mutex::default() })
    }

    /// The issuer's keys, if they are known and not too old.
    pub(crate) fn keys(&self, now_ms: u64) -> Result<TrustedKeys, IdentityRefusal> {
        let fetched = self.keys.load();
        let fresh = fetched.as_ref().filter(|fetched| now_ms.saturating_sub(fetched.at_ms) <= KEYS_OLD_MS);
        fresh.map(|fetched| fetched.keys.clone()).ok_or(IdentityRefusal::IssuerUnreachable)
    }

    async fn refresh(&self, now_ms: u64) {
        let (IssuerKeys::Url(_), Some((_, client)), IssuerName::Url(name)) =
            (&self.rule.keys, &self.remote, &self.rule.issuer)
        else {
            return;
        };
        let known = self.keys.load().as_ref().map(|fetched| fetched.at_ms);
        if known.is_some_and(|at_ms| now_ms.saturating_sub(at_ms) < FETCH_MS) {
            return;
        }
        match client.get(&self.path).send().await {
            Ok(answer) => match JwkSet::parse(&answer.body) {
                Ok(keys) => {
                    let fetched = Fetched { keys: TrustedKeys::new(name, keys), at_ms: now_ms };
                    self.keys.store(Some(Arc::new(fetched)));
                }
                Err(error) => tracing::warn!(issuer = name, %error, "an issuer's keys are refused"),
            },
            Err(error) => tracing::warn!(issuer = name, %error, "an issuer's keys could not be fetched"),
        }
    }

    /// Checks that what `reference` points to is in force: nothing else is accepted (draft-ietf-oauth-status-list §7).
    ///
    /// # Errors
    /// A reference that the policy requires is missing, points elsewhere, cannot be had, or says anything but valid.
    pub(crate) async fn check_status(
        &self,
        reference: Option<&StatusReference>,
        keys: &TrustedKeys,
        now_ms: u64,
    ) -> Result<(), IdentityRefusal> {
        let refused = |why: &str| IdentityRefusal::CredentialRefused { why: why.to_owned() };
        let Some(reference) = reference else {
            return match self.rule.status {
                StatusRule::IfPresent => Ok(()),
                StatusRule::Required => Err(refused("the policy requires a status, and it has none")),
            };
        };
        let (origin, client) = self.remote.as_ref().ok_or(IdentityRefusal::IssuerUnreachable)?;
        let path = reference.uri.strip_prefix(origin.as_str()).filter(|path| path.starts_with('/'));
        let path = path.ok_or_else(|| refused("its status stands at another origin than its issuer"))?;
        let list = self.list(&reference.uri, path, client, keys, now_ms).await?;
        match list.status(reference.index) {
            Ok(Status::Valid) => Ok(()),
            Ok(Status::Suspended) => Err(refused("its issuer has suspended it")),
            Ok(Status::Invalid | Status::Other(_)) => Err(refused("its issuer has revoked it")),
            Err(_) => Err(refused("its status list has no such entry")),
        }
    }

    /// The list, kept or fetched. One that could not be had is not asked for again at once.
    async fn list(
        &self,
        uri: &str,
        path: &str,
        client: &Client,
        keys: &TrustedKeys,
        now_ms: u64,
    ) -> Result<Arc<StatusList>, IdentityRefusal> {
        if let Some(kept) = self.kept(uri, now_ms) {
            return kept.ok_or(IdentityRefusal::IssuerUnreachable);
        }
        // Without the lock: a list that hangs holds up nobody who asks for another.
        let list = fetch_list(uri, path, client, keys, now_ms).await;
        let kept = match &list {
            Some(list) => Kept { list: Some(Arc::clone(list)), until_s: list.fresh_until_s() },
            None => Kept { list: None, until_s: now_ms / 1000 + FAILED_S },
        };
        let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        if lists.len() < LISTS_MAX || lists.contains_key(uri) {
            lists.insert(uri.to_owned(), kept);
        }
        list.ok_or(IdentityRefusal::IssuerUnreachable)
    }

    /// What is known of a list: the list, or that it could not be had a moment ago.
    fn kept(&self, uri: &str, now_ms: u64) -> Option<Option<Arc<StatusList>>> {
        let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        lists.retain(|_, kept| now_ms / 1000 < kept.until_s);
        lists.get(uri).map(|kept| kept.list.clone())
    }
}

async fn fetch_list(
    uri: &str,
    path: &str,
    client: &Client,
    keys: &TrustedKeys,
    now_ms: u64,
) -> Option<Arc<StatusList>> {
    let answer = client.get(path).send().await;
    let answer = answer.inspect_err(|error| tracing::warn!(%error, "a status list could not be fetched")).ok()?;
    let text = std::str::from_utf8(&answer.body).ok()?;
    let list = StatusList::verify(text.trim(), keys, uri, now_ms);
    list.inspect_err(|error| tracing::warn!(%error, "a status list is refused")).ok().map(Arc::new)
}

type Remote = ((String, Client), String);

/// The origin of a URL with a client for it, and the URL's path.
fn remote(url: &str, roots: &[CertificateDer<'static>]) -> Option<Remote> {
    let uri: Uri = url.parse().ok()?;
    let origin = format!("https://{}", uri.authority().filter(|_| uri.scheme_str() == Some("https"))?);
    let client = Client::new(ClientOptions {
        deadline: FETCH_DEADLINE,
        answer_bytes_max: STATUS_TOKEN_BYTES_MAX,
        ..ClientOptions::new(origin.clone(), roots.to_vec())
    });
    let path = uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
    Some(((origin, client.ok()?), path))
}
