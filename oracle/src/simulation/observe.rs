//! What the simulation sees of a node from inside: the points of a release, and every draw of noise.
//!
//! The hooks are thread-local: a simulated node runs on the test's own thread.

use std::cell::RefCell;
use std::future::pending;
use std::sync::{Arc, Mutex, PoisonError};

use aggregator::release::ReleaseId;

use crate::environment::StopPoint;
use crate::store::probe::fault::Flag;

thread_local! {
    static WATCH: RefCell<Option<Arc<Watch>>> = const { RefCell::new(None) };
}

/// The observer of the node on this thread, over all its lives.
#[derive(Default)]
pub(super) struct Watch {
    stop: Mutex<Option<(StopPoint, u8)>>,
    drawn: Mutex<Vec<ReleaseId>>,
    /// Raised where the node has reached the point at which it dies.
    pub(super) stopped: Flag,
}

impl Watch {
    /// Begins to observe this thread.
    pub(super) fn begin() -> Arc<Self> {
        let watch = Arc::new(Self::default());
        WATCH.set(Some(Arc::clone(&watch)));
        watch
    }

    /// Lets the node die at the point, after it has passed it so often.
    pub(super) fn stop_at(&self, point: Option<(StopPoint, u8)>) {
        *self.stop.lock().unwrap_or_else(PoisonError::into_inner) = point;
    }

    /// Draws of noise since the last call.
    pub(super) fn take_drawn(&self) -> Vec<ReleaseId> {
        std::mem::take(&mut *self.drawn.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn ends_at(&self, point: StopPoint) -> bool {
        let mut stop = self.stop.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((wanted, passes)) = stop.as_mut() else { return false };
        if *wanted != point {
            return false;
        }
        if let Some(left) = passes.checked_sub(1) {
            *passes = left;
            return false;
        }
        *stop = None;
        true
    }
}

/// A release came to a point: the node goes on, or never does.
pub(crate) async fn reached(point: StopPoint) {
    let ends = WATCH.with_borrow(|watch| {
        watch.as_ref().is_some_and(|watch| {
            let ends = watch.ends_at(point);
            if ends {
                watch.stopped.raise();
            }
            ends
        })
    });
    if ends {
        pending::<()>().await;
    }
}

/// Noise is about to be drawn for a release.
pub(crate) fn drawn(id: &ReleaseId) {
    WATCH.with_borrow(|watch| {
        if let Some(watch) = watch {
            watch.drawn.lock().unwrap_or_else(PoisonError::into_inner).push(id.clone());
        }
    });
}
