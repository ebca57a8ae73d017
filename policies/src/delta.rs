//! The parameter δ of approximate differential privacy as an exact fixed-point number, as the ledger adds it.

use std::fmt;

/// δ in units of 10⁻¹⁸. Conversions from floating point round **up**, sums are exact, and what would pass 1 is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Delta(u64);

/// The value is negative, not finite, or above 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("delta is a finite number from 0 to 1")]
pub struct InvalidDelta;

impl Delta {
    /// Nothing spent.
    pub const ZERO: Self = Self(0);
    /// One: 10¹⁸ attos.
    pub const ONE: Self = Self(1_000_000_000_000_000_000);

    /// δ from a whole number of 10⁻¹⁸.
    ///
    /// # Errors
    /// Above 1.
    pub const fn from_attos(attos: u64) -> Result<Self, InvalidDelta> {
        if attos <= Self::ONE.0 { Ok(Self(attos)) } else { Err(InvalidDelta) }
    }

    /// δ from floating point, rounded up: the next 10⁻¹⁸ of the product in floating point, and one more where that
    /// product may itself have been rounded down.
    ///
    /// # Errors
    /// Negative, not finite, or above 1.
    pub fn from_f64_up(value: f64) -> Result<Self, InvalidDelta> {
        if value == 0.0 {
            return Ok(Self::ZERO);
        }
        let attos = (value * 1e18).next_up().ceil();
        if !(value > 0.0 && value <= 1.0 && attos.is_finite()) {
            return Err(InvalidDelta);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a whole number from 1 to about 10^18"
        )]
        let attos = attos as u64;
        Ok(Self(attos.min(Self::ONE.0)))
    }

    /// In units of 10⁻¹⁸.
    #[must_use]
    pub const fn attos(self) -> u64 {
        self.0
    }

    /// As floating point, for reports and for converting to ε.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "reports only; the ledger adds integers")]
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / 1e18
    }

    /// The sum, or nothing where it would pass 1.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) if sum <= Self::ONE.0 => Some(Self(sum)),
            _ => None,
        }
    }
}

impl fmt::Display for Delta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:e}", self.as_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rounds_up_and_refuses() {
        assert_eq!(Delta::from_f64_up(0.0), Ok(Delta::ZERO));
        assert_eq!(Delta::from_f64_up(1.0), Ok(Delta::ONE));
        assert_eq!(Delta::from_f64_up(1e-30).map(Delta::attos), Ok(1));
        for bad in [-1e-9, f64::NAN, f64::INFINITY, 1.000_001] {
            assert_eq!(Delta::from_f64_up(bad), Err(InvalidDelta), "{bad}");
        }
        assert_eq!(Delta::ONE.checked_add(Delta(1)), None);
        assert_eq!(Delta::ONE.checked_add(Delta::ZERO), Some(Delta::ONE));
    }

    proptest! {
        #[test]
        fn never_less_than_what_was_asked(log in -17.0..0.0f64) {
            let value = 10f64.powf(log);
            let delta = Delta::from_f64_up(value).unwrap();
            prop_assert!(delta.as_f64() >= value * (1.0 - 1e-15));
            prop_assert!(delta.as_f64() <= value * (1.0 + 1e-15) + 2e-18);
        }
    }
}
