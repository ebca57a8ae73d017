//! The order to stop: given once, seen by every listener and task.

use std::sync::Arc;

use tokio::sync::watch;

/// Gives the order to drain. Dropping every clone gives it too: a task whose owner is gone stops.
#[derive(Debug, Clone)]
pub struct DrainHandle(Arc<watch::Sender<bool>>);

/// Sees the order to drain. Clones are cheap and each waits for itself.
#[derive(Debug, Clone)]
pub struct Drain(watch::Receiver<bool>);

impl Drain {
    /// A handle and what it orders.
    #[must_use]
    pub fn new() -> (DrainHandle, Self) {
        let (sender, receiver) = watch::channel(false);
        (DrainHandle(Arc::new(sender)), Self(receiver))
    }

    /// Waits until the order was given. Cancel-safe; returns at once if it was given already.
    pub async fn ordered(&mut self) {
        // An error means that every handle is gone, which is the order as well.
        let _ = self.0.wait_for(|ordered| *ordered).await;
    }

    /// Whether the order was given.
    #[must_use]
    pub fn is_ordered(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}

impl DrainHandle {
    /// Orders everyone to drain. A second order changes nothing.
    pub fn order(&self) {
        self.0.send_replace(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_clone_sees_the_order() {
        let (handle, mut drain) = Drain::new();
        let mut other = drain.clone();
        assert!(!drain.is_ordered());
        handle.order();
        drain.ordered().await;
        other.ordered().await;
        assert!(drain.is_ordered());
    }

    #[tokio::test]
    async fn a_lost_handle_is_an_order() {
        let (handle, mut drain) = Drain::new();
        drop(handle);
        drain.ordered().await;
        assert!(drain.is_ordered());
    }
}
