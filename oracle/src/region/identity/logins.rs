//! Logins between their first and their second message: in memory, each for a minute, each finished once at most.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use attest::Pseudonym;
use attest::opaque::PendingLogin;
use policies::TenantId;

/// From the first message to the second.
const LOGIN_MS: u64 = 60_000;

/// Ends that may be kept beyond twice the logins under way, so that sweeping them stays rare.
const ENDS_SLACK: usize = 1024;

/// A login's name: 128 random bits.
pub(crate) type LoginId = [u8; 16];

/// What the node keeps of a login that was begun.
pub(crate) struct Begun {
    /// Whose viewer wants in.
    pub(crate) tenant: TenantId,
    /// The pairwise pseudonym of the account; that of nobody where there is none, and then the login cannot be finished.
    pub(crate) subject: Pseudonym,
    /// What the protocol keeps.
    pub(crate) pending: PendingLogin,
}

/// As many logins of a tenant are under way as may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LoginsFull;

#[derive(Default)]
struct Inner {
    logins: HashMap<LoginId, Begun>,
    /// In the order of their ends, since all have the same time.
    ends: VecDeque<(u64, LoginId)>,
    of_tenants: BTreeMap<TenantId, usize>,
}

/// The logins under way at a node.
pub(crate) struct Logins {
    inner: Mutex<Inner>,
    of_tenant_max: usize,
}

impl Logins {
    /// At most `logins_max`, in equal shares of so many tenants.
    pub(crate) fn new(logins_max: usize, tenants: usize) -> Self {
        Self { inner: Mutex::default(), of_tenant_max: (logins_max / tenants.max(1)).max(1) }
    }

    /// Keeps a login under `id`.
    ///
    /// # Errors
    /// When as many of the tenant's are under way as may.
    pub(crate) fn begin(&self, id: LoginId, begun: Begun, now_ms: u64) -> Result<(), LoginsFull> {
        let mut inner = self.lock();
        inner.sweep(now_ms);
        let count = inner.of_tenants.entry(begun.tenant.clone()).or_default();
        if *count >= self.of_tenant_max {
            return Err(LoginsFull);
        }
        *count += 1;
        inner.logins.insert(id, begun);
        // Ends of logins that were finished early are swept before they outnumber those under way.
        if inner.ends.len() > 2 * inner.logins.len() + ENDS_SLACK {
            let Inner { logins, ends, .. } = &mut *inner;
            ends.retain(|(_, id)| logins.contains_key(id));
        }
        inner.ends.push_back((now_ms.saturating_add(LOGIN_MS), id));
        Ok(())
    }

    /// Takes a login out, if its time has not run out.
    pub(crate) fn take(&self, id: &LoginId, now_ms: u64) -> Option<Begun> {
        let mut inner = self.lock();
        inner.sweep(now_ms);
        inner.remove(id)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn sweep(&mut self, now_ms: u64) {
        while let Some(&(end_ms, id)) = self.ends.front() {
            if now_ms < end_ms {
                return;
            }
            self.ends.pop_front();
            self.remove(&id);
        }
    }

    fn remove(&mut self, id: &LoginId) -> Option<Begun> {
        let begun = self.logins.remove(id)?;
        if let Some(count) = self.of_tenants.get_mut(&begun.tenant) {
            *count -= 1;
        }
        Some(begun)
    }
}
