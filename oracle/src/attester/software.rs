//! The node's own statement: nothing stands behind it but the node's key.

use std::sync::Arc;

use attest::evidence::software;
use attest::{Evidence, SigningKey};
use policies::Digest;

use super::AttesterError;
use crate::clock::Clock;

/// States by the node's key what the program says it is.
pub struct SoftwareAttester {
    key: Arc<SigningKey>,
    clock: Clock,
}

impl SoftwareAttester {
    /// By this key.
    #[must_use]
    pub const fn new(key: Arc<SigningKey>, clock: Clock) -> Self {
        Self { key, clock }
    }

    /// A statement of now over `bound`.
    ///
    /// # Errors
    /// [`AttesterError::Signing`].
    pub fn evidence(&self, bound: Digest) -> Result<Evidence, AttesterError> {
        let statement = software::state(bound, env!("CARGO_PKG_VERSION"), &self.key, self.clock.now_ms())?;
        Ok(Evidence::Software(statement))
    }
}
