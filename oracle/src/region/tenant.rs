//! One tenant at one node: who may call, what is served, and the window that counts.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aggregator::release::{Contributed, WindowAccumulator};
use arc_swap::{ArcSwap, ArcSwapOption};
use attest::{ApiKey, ApiKeyHash, ModelPointer};
use personalize::{Catalogue, Model};
use policies::{Digest, TaskRule, TenantId};
use prometheus::IntCounterVec;

use super::metrics::TenantMetrics;
use super::sessions::Entry;

/// A catalogue and the model that ranks it: always a pair that fits.
pub(crate) struct Serving {
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) model: Model,
}

/// One tenant's state at a node.
pub(crate) struct Tenant {
    pub(crate) id: TenantId,
    /// What its sessions may be counted for here, by the policies in force.
    rules: ArcSwap<Vec<TaskRule>>,
    pub(crate) metrics: TenantMetrics,
    api_keys: Vec<ApiKeyHash>,
    certificates: Vec<Digest>,
    serving: ArcSwapOption<Serving>,
    /// A pair with another catalogue, which takes effect when the next window opens.
    next: Mutex<Option<Arc<Serving>>>,
    pointer: Mutex<Option<ModelPointer>>,
    window: Mutex<Option<WindowAccumulator>>,
    contributions: IntCounterVec,
}

impl Tenant {
    pub(crate) fn new(
        id: TenantId,
        rules: Vec<TaskRule>,
        api_keys: Vec<ApiKeyHash>,
        certificates: Vec<Digest>,
        metrics: TenantMetrics,
        contributions: IntCounterVec,
    ) -> Self {
        let (serving, next) = (ArcSwapOption::empty(), Mutex::default());
        let (pointer, window, rules) = (Mutex::default(), Mutex::default(), ArcSwap::from_pointee(rules));
        Self { id, rules, metrics, api_keys, certificates, serving, next, pointer, window, contributions }
    }

    /// What its sessions may be counted for.
    pub(crate) fn rules(&self) -> Arc<Vec<TaskRule>> {
        self.rules.load_full()
    }

    /// Changes what its sessions may be counted for, at a window's turn.
    pub(crate) fn set_rules(&self, rules: Vec<TaskRule>) {
        self.rules.store(Arc::new(rules));
    }

    /// Whether `key` is one of the tenant's. Every hash is compared, so that time tells nothing.
    pub(crate) fn has_key(&self, key: &ApiKey) -> bool {
        self.api_keys.iter().fold(false, |found, hash| found | hash.is_of(key))
    }

    /// Whether the client certificate with this SHA-256 is one of the tenant's.
    pub(crate) fn has_certificate(&self, fingerprint: &Digest) -> bool {
        self.certificates.contains(fingerprint)
    }

    /// What is served now; nothing before the first catalogue.
    pub(crate) fn serving(&self) -> Option<Arc<Serving>> {
        self.serving.load_full()
    }

    /// Puts a new pair in place: at once where the catalogue stays, else when the next window opens.
    /// Without a predecessor there is nothing to wait for.
    pub(crate) fn offer(&self, serving: Arc<Serving>) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.serving.load_full();
        if current.is_none_or(|current| current.catalogue.digest() == serving.catalogue.digest()) {
            *next = None;
            self.put(serving);
        } else {
            *next = Some(serving);
        }
    }

    /// What the next window is planned with: the pair that waited for it, if one did.
    pub(crate) fn turn(&self) -> Option<Arc<Serving>> {
        if let Some(next) = self.next.lock().unwrap_or_else(PoisonError::into_inner).take() {
            self.put(next);
        }
        self.serving()
    }

    fn put(&self, serving: Arc<Serving>) {
        self.metrics.model_version.set(i64::try_from(serving.model.version()).unwrap_or(i64::MAX));
        self.serving.store(Some(serving));
    }

    /// The newest pair that is served or waits, by which a pull knows what it needs not fetch.
    pub(crate) fn newest(&self) -> Option<Arc<Serving>> {
        let next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        next.clone().or_else(|| self.serving())
    }

    /// The last pointer that was followed.
    pub(crate) fn pointer(&self) -> Option<ModelPointer> {
        self.pointer.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes the pointer that was followed: an older one is refused from now on.
    pub(crate) fn note_pointer(&self, pointer: ModelPointer) {
        *self.pointer.lock().unwrap_or_else(PoisonError::into_inner) = Some(pointer);
    }

    /// The open window, if this node counts now.
    pub(crate) fn window(&self) -> MutexGuard<'_, Option<WindowAccumulator>> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends a session and counts it in the open window, once.
    pub(crate) fn end(&self, entry: &Entry) {
        let record = entry.lock().session.end();
        let outcome = match record {
            None => "not-counted",
            Some(record) => match self.window().as_mut() {
                None => "no-window",
                // Encodings speak of the window's catalogue: what points into another is served, not counted.
                Some(window)
                    if record.catalogue.is_some_and(|catalogue| catalogue != window.plan().frame().catalogue) =>
                {
                    "other-catalogue"
                }
                Some(window) => {
                    match window.contribute(entry.owner.viewer().map(|viewer| &viewer.as_bytes()[..]), &record) {
                        Contributed::Counted => "counted",
                        Contributed::OverQuota => "over-quota",
                        Contributed::NoPseudonym => "no-pseudonym",
                        Contributed::Empty => "empty",
                        Contributed::Refused => "refused",
                        Contributed::AtCapacity => "at-capacity",
                    }
                }
            },
        };
        self.contributions.with_label_values(&[self.id.as_str(), outcome]).inc();
    }
}
