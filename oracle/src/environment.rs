//! What a process takes from outside itself: time, randomness, noise, and where tests may stop it.

use std::sync::Mutex;

use rand_chacha::ChaCha20Rng;
use rand_core::{OsRng, RngCore, SeedableRng, TryRngCore};

use crate::clock::Clock;

/// The operating system gave no randomness. Nothing may be released or promised without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no randomness")]
pub struct EntropyError;

/// The source of session ids, exploration seeds and window keys. Noise has a source of its own.
pub enum Entropy {
    /// The operating system's generator.
    Os,
    /// A seeded generator, for replays that must repeat exactly.
    Seeded(Box<Mutex<ChaCha20Rng>>),
}

impl Entropy {
    /// A generator that repeats for the same seed. Only replays use it.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self::Seeded(Box::new(Mutex::new(ChaCha20Rng::seed_from_u64(seed))))
    }

    /// Random bytes.
    ///
    /// # Errors
    /// When the operating system has none; callers fail closed.
    pub fn bytes<const N: usize>(&self) -> Result<[u8; N], EntropyError> {
        let mut bytes = [0; N];
        match self {
            Self::Os => OsRng.try_fill_bytes(&mut bytes).map_err(|_| EntropyError)?,
            Self::Seeded(generator) => generator.lock().map_err(|_| EntropyError)?.fill_bytes(&mut bytes),
        }
        Ok(bytes)
    }
}

/// Where the noise of releases comes from. Configuration cannot name it: `serve` always has
/// [`NoiseMode::Calibrated`], and only replays construct the others, whose output says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoiseMode {
    /// Exact discrete Gaussian noise from the operating system's randomness.
    Calibrated,
    /// The same noise from a seed: repeatable, therefore not private.
    Seeded([u8; 32]),
    /// No noise, for measuring what noise costs.
    Off,
}

impl NoiseMode {
    /// Whether what is released under this mode is private.
    #[must_use]
    pub fn is_private(self) -> bool {
        self == Self::Calibrated
    }
}

/// A step of a release after which a process under test stands still, so that it can be killed there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopPoint {
    /// The window was durably marked as closed; nothing was charged.
    WindowClosed,
    /// The charge is durable at the node; the centre does not know of it.
    Charged,
    /// The centre knows of the charge; no noise was drawn.
    Countersigned,
    /// Noise was drawn and added; nothing was persisted.
    Noised,
    /// The noised bytes are durable; nothing was sent.
    Persisted,
    /// The centre has the release; the node has not noted that.
    Sent,
}

impl StopPoint {
    /// Every point, in the order of a release.
    pub const ALL: [Self; 6] =
        [Self::WindowClosed, Self::Charged, Self::Countersigned, Self::Noised, Self::Persisted, Self::Sent];

    /// The point's name on the test program's command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WindowClosed => "window-closed",
            Self::Charged => "charged",
            Self::Countersigned => "countersigned",
            Self::Noised => "noised",
            Self::Persisted => "persisted",
            Self::Sent => "sent",
        }
    }
}

/// Everything that a process takes from outside itself.
pub struct Environment {
    /// The time.
    pub clock: Clock,
    /// Randomness other than noise.
    pub entropy: Entropy,
    /// The noise of releases.
    pub noise: NoiseMode,
    /// Where to stand still, in tests that kill the process.
    pub stop_at: Option<StopPoint>,
}

impl Environment {
    /// The real clock, the operating system's randomness and calibrated noise.
    #[must_use]
    pub fn production() -> Self {
        Self { clock: Clock::system(), entropy: Entropy::Os, noise: NoiseMode::Calibrated, stop_at: None }
    }

    /// A generator for one call, seeded from the entropy.
    ///
    /// # Errors
    /// When there is none; callers fail closed.
    pub(crate) fn rng(&self) -> Result<ChaCha20Rng, EntropyError> {
        self.entropy.bytes().map(ChaCha20Rng::from_seed)
    }

    /// Stands still for ever when `point` is where this process shall be killed.
    pub(crate) async fn reached(&self, point: StopPoint) {
        #[cfg(test)]
        crate::simulation::reached(point).await;
        if self.stop_at == Some(point) {
            tracing::warn!(point = point.as_str(), "standing still at a stop point");
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeded_entropy_repeats_and_moves_on() {
        let draw = || {
            let entropy = Entropy::seeded(7);
            [entropy.bytes::<16>(), entropy.bytes::<16>()]
        };
        assert_eq!(draw(), draw());
        assert_ne!(draw()[0], draw()[1]);
    }

    #[test]
    fn only_calibrated_noise_is_private() {
        let modes = [NoiseMode::Calibrated, NoiseMode::Seeded([1; 32]), NoiseMode::Off];
        assert_eq!(modes.map(NoiseMode::is_private), [true, false, false]);
        assert_eq!(Environment::production().noise, NoiseMode::Calibrated);
    }
}
