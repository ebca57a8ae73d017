//! Our generators (rand_core 0.9) as what the protocol crates ask for: rand_core 0.6 (opaque-ke, voprf, p384) and
//! rand_core 0.10 (blind-rsa-signatures, rsa). The one place where the three meet.

use std::convert::Infallible;

use rand_core::CryptoRng;

/// A generator of rand_core 0.6.
pub(crate) struct Rng06<'a, R>(pub(crate) &'a mut R);

impl<R: CryptoRng> rand_core_06::RngCore for Rng06<'_, R> {
    fn next_u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core_06::Error> {
        self.0.fill_bytes(bytes);
        Ok(())
    }
}

impl<R: CryptoRng> rand_core_06::CryptoRng for Rng06<'_, R> {}

/// A generator of rand_core 0.10.
pub(crate) struct Rng10<'a, R>(pub(crate) &'a mut R);

impl<R: CryptoRng> rand_core_10::TryRng for Rng10<'_, R> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.0.next_u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0.next_u64())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill_bytes(bytes);
        Ok(())
    }
}

impl<R: CryptoRng> rand_core_10::TryCryptoRng for Rng10<'_, R> {}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_core::{OsRng, TryRngCore as _};

    /// One stream of bytes under all three traits: nothing is generated anew and nothing is left out.
    #[test]
    fn the_bytes_are_the_generators_own() {
        struct Counter(u8);
        impl rand_core::RngCore for Counter {
            fn next_u32(&mut self) -> u32 {
                rand_core::impls::next_u32_via_fill(self)
            }
            fn next_u64(&mut self) -> u64 {
                rand_core::impls::next_u64_via_fill(self)
            }
            fn fill_bytes(&mut self, bytes: &mut [u8]) {
                for byte in bytes {
                    *byte = self.0;
                    self.0 = self.0.wrapping_add(1);
                }
            }
        }
        impl CryptoRng for Counter {}
        let mut counter = Counter(0);
        let mut bytes = [0; 4];
        rand_core_06::RngCore::fill_bytes(&mut Rng06(&mut counter), &mut bytes);
        assert_eq!(bytes, [0, 1, 2, 3]);
        assert_eq!(rand_core_10::Rng::next_u32(&mut Rng10(&mut counter)), 0x0706_0504);
        assert_eq!(rand_core_06::RngCore::next_u64(&mut Rng06(&mut counter)), 0x0f0e_0d0c_0b0a_0908);
    }

    #[test]
    fn the_systems_generator_adapts() {
        let mut os = OsRng.unwrap_err();
        let (one, two) =
            (rand_core_10::Rng::next_u64(&mut Rng10(&mut os)), rand_core_06::RngCore::next_u64(&mut Rng06(&mut os)));
        assert_ne!(one, two);
    }
}
