//! Faults of a store, planted by tests: a commit that is a process's last deed, or one that is said to have failed.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// When a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Nothing of the commit is durable.
    Before,
    /// All of it is.
    After,
}

/// What whoever waits for the commit learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    /// Nothing, ever: the process is dead.
    Crash,
    /// That it failed.
    Error,
}

/// A fault to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Planted {
    /// Commits that still succeed.
    pub(crate) commits: u8,
    pub(crate) moment: Moment,
    pub(crate) deed: Deed,
}

/// Raised once, and waited for.
#[derive(Default)]
pub(crate) struct Flag {
    raised: AtomicBool,
    wake: Notify,
}

impl Flag {
    pub(crate) fn raise(&self) {
        self.raised.store(true, Ordering::SeqCst);
        self.wake.notify_waiters();
        self.wake.notify_one();
    }

    pub(crate) fn lower(&self) {
        self.raised.store(false, Ordering::SeqCst);
    }

    pub(crate) fn is_raised(&self) -> bool {
        self.raised.load(Ordering::SeqCst)
    }

    /// Resolves when it is raised.
    pub(crate) async fn raised(&self) {
        loop {
            let woken = self.wake.notified();
            if self.is_raised() {
                return;
            }
            woken.await;
        }
    }
}

/// The fault that is planted in the stores of one process, over all its lives.
#[derive(Default)]
pub(crate) struct Fuse {
    planted: Mutex<Option<Planted>>,
    /// Raised by a crash.
    pub(crate) blown: Flag,
}

impl Fuse {
    pub(crate) fn plant(&self, planted: Option<Planted>) {
        *self.planted.lock().unwrap_or_else(PoisonError::into_inner) = planted;
    }

    /// Counts a commit.
    fn burn(&self) -> Option<(Moment, Deed)> {
        let mut slot = self.planted.lock().unwrap_or_else(PoisonError::into_inner);
        let planted = slot.as_mut()?;
        if let Some(left) = planted.commits.checked_sub(1) {
            planted.commits = left;
            return None;
        }
        slot.take().map(|planted| (planted.moment, planted.deed))
    }
}

thread_local! {
    /// On a test's thread: of the stores that it opens now. On a store's thread: its own.
    static FUSE: RefCell<Option<Arc<Fuse>>> = const { RefCell::new(None) };
    static DEAD: Cell<bool> = const { Cell::new(false) };
}

/// Opens a store that `fuse` can break.
pub(crate) fn with<T>(fuse: &Arc<Fuse>, open: impl FnOnce() -> T) -> T {
    FUSE.set(Some(Arc::clone(fuse)));
    let opened = open();
    FUSE.set(None);
    opened
}

/// The fuse of a store that is opened on this thread.
pub(super) fn current() -> Option<Arc<Fuse>> {
    FUSE.with_borrow(Clone::clone)
}

/// Makes it the fuse of this thread's store.
pub(super) fn attend(fuse: Option<Arc<Fuse>>) {
    FUSE.set(fuse);
}

/// Counts a commit of this thread's store.
pub(super) fn next() -> Option<(Moment, Deed)> {
    FUSE.with_borrow(|fuse| fuse.as_ref().and_then(|fuse| fuse.burn()))
}

/// The fault strikes.
pub(super) fn strike(deed: Deed) {
    if deed == Deed::Crash {
        DEAD.set(true);
        FUSE.with_borrow(|fuse| fuse.iter().for_each(|fuse| fuse.blown.raise()));
    }
}

/// Whether the process of this thread's store is dead: it does nothing and tells nobody anything.
pub(super) fn is_dead() -> bool {
    DEAD.get()
}
