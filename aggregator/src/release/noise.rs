//! Where noise comes from.

use rand_chacha::ChaCha20Rng;
use rand_core::{OsRng, SeedableRng as _, TryRngCore as _};
use zeroize::Zeroizing;

use super::bits::Bits;
use super::gaussian::{Gaussian, Variance};

/// A source of discrete Gaussian noise. Its state is erased when it is dropped; it has no `Debug` and no `Clone`:
/// who holds a copy can subtract the noise.
pub struct Noise {
    bits: Bits<ChaCha20Rng>,
    mode: Mode,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Private,
    Seeded,
    Off,
}

/// The operating system gave no randomness. Nothing is released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no randomness")]
pub struct EntropyError;

impl Noise {
    /// Private noise: ChaCha20 with a seed from the operating system.
    ///
    /// # Errors
    /// The operating system gave no randomness.
    pub fn from_os() -> Result<Self, EntropyError> {
        let mut seed = Zeroizing::new([0; 32]);
        OsRng.try_fill_bytes(seed.as_mut()).map_err(|_| EntropyError)?;
        Ok(Self::new(&seed, Mode::Private))
    }

    /// The same noise again for the same seed: **not private**. For measurement only, and every release says so.
    #[must_use]
    pub fn seeded(seed: [u8; 32]) -> Self {
        Self::new(&seed, Mode::Seeded)
    }

    /// No noise at all: **not private**. For measurement only, and every release says so.
    #[must_use]
    pub fn off() -> Self {
        Self::new(&[0; 32], Mode::Off)
    }

    /// Whether what it noises is private. Only [`Noise::from_os`] is.
    #[must_use]
    pub const fn is_private(&self) -> bool {
        matches!(self.mode, Mode::Private)
    }

    fn new(seed: &[u8; 32], mode: Mode) -> Self {
        Self { bits: Bits::new(ChaCha20Rng::from_seed(*seed)), mode }
    }

    /// Noise for `cells` cells.
    pub(super) fn draw(&mut self, variance: Variance, cells: usize) -> Vec<i64> {
        if self.mode == Mode::Off {
            return vec![0; cells];
        }
        let gaussian = Gaussian::new(variance);
        (0..cells).map(|_| gaussian.sample(&mut self.bits)).collect()
    }
}

impl Drop for Noise {
    /// The generator has no way to erase itself: another state is written over it, and shown to the optimiser's
    /// barrier so that the write is not left out.
    fn drop(&mut self) {
        *self.bits.generator_mut() = ChaCha20Rng::from_seed([0; 32]);
        self.bits.clear();
        std::hint::black_box(&self.bits);
    }
}
