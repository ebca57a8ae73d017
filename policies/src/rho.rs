//! The zCDP parameter ρ as an exact fixed-point number, as the ledger adds it.

use std::fmt;
use std::str::FromStr;

/// ρ of zero-concentrated differential privacy (Bun and Steinke 2016) in units of 10⁻¹².
///
/// Conversions from floating point round **up**, sums are exact, and an overflow is refused: what a
/// ledger adds is never less than what was spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Rho(u64);

/// The value is negative, not finite, or beyond [`Rho::MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("rho is a finite number from 0 to 1,000,000")]
pub struct InvalidRho;

impl Rho {
    /// Nothing spent.
    pub const ZERO: Self = Self(0);
    /// One unit in ρ: 10¹² picos.
    pub const PICOS_PER_UNIT: u64 = 1_000_000_000_000;
    /// The largest value: one million.
    pub const MAX: Self = Self(1_000_000 * Self::PICOS_PER_UNIT);

    /// ρ from a whole number of 10⁻¹².
    ///
    /// # Errors
    /// Above [`Rho::MAX`].
    pub const fn from_picos(picos: u64) -> Result<Self, InvalidRho> {
        if picos <= Self::MAX.0 { Ok(Self(picos)) } else { Err(InvalidRho) }
    }

    /// ρ from floating point, rounded up to the next 10⁻¹².
    ///
    /// # Errors
    /// Negative, not finite, or above [`Rho::MAX`].
    pub fn from_f64_up(value: f64) -> Result<Self, InvalidRho> {
        let picos = (value * 1e12).ceil();
        if !(0.0..=1e18).contains(&picos) {
            return Err(InvalidRho);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked to lie in 0..=10^18, a whole number"
        )]
        Self::from_picos(picos as u64)
    }

    /// In units of 10⁻¹².
    #[must_use]
    pub const fn picos(self) -> u64 {
        self.0
    }

    /// As floating point, for reports and for converting to ε.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "reports only; the ledger adds integers")]
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / 1e12
    }

    /// The sum, or nothing where it would pass [`Rho::MAX`].
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) if sum <= Self::MAX.0 => Some(Self(sum)),
            _ => None,
        }
    }
}

impl FromStr for Rho {
    type Err = InvalidRho;

    /// Reads a decimal number, such as `0.0126`, `5` or `1e-3`, exactly; digits beyond 10⁻¹² round up.
    fn from_str(text: &str) -> Result<Self, InvalidRho> {
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = || whole.strip_prefix('+').unwrap_or(whole).bytes().chain(fraction.bytes());
        if digits().count() == 0 || !digits().all(|digit| digit.is_ascii_digit()) {
            return Err(InvalidRho);
        }
        // The number is its digits × 10^shift picos.
        let exponent: i64 = exponent.parse().map_err(|_| InvalidRho)?;
        let shift = exponent.checked_add(12).and_then(|e| e.checked_sub_unsigned(fraction.len() as u64));
        let shift = shift.ok_or(InvalidRho)?;
        let kept = i64::try_from(digits().count()).ok().and_then(|count| count.checked_add(shift.min(0)));
        let kept = usize::try_from(kept.ok_or(InvalidRho)?).unwrap_or(0);
        let mut picos = 0_u64;
        for digit in digits().take(kept) {
            picos = picos.checked_mul(10).and_then(|p| p.checked_add(u64::from(digit - b'0'))).ok_or(InvalidRho)?;
        }
        if picos > 0 && shift > 0 {
            let power = u32::try_from(shift).ok().and_then(|shift| 10_u64.checked_pow(shift));
            picos = power.and_then(|power| picos.checked_mul(power)).ok_or(InvalidRho)?;
        }
        let rest = digits().skip(kept).any(|digit| digit != b'0');
        Self::from_picos(picos.checked_add(u64::from(rest)).ok_or(InvalidRho)?)
    }
}

impl From<Rho> for f64 {
    fn from(rho: Rho) -> Self {
        rho.as_f64()
    }
}

impl fmt::Display for Rho {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:012}", self.0 / Self::PICOS_PER_UNIT, self.0 % Self::PICOS_PER_UNIT);
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rounds_up_and_refuses() {
        assert_eq!(Rho::from_f64_up(0.1), Rho::from_picos(100_000_000_000));
        assert_eq!(Rho::from_f64_up(1.000_000_000_000_1).map(Rho::picos), Ok(1_000_000_000_001));
        for bad in [-1e-9, f64::NAN, f64::INFINITY, 1_000_000.1] {
            assert_eq!(Rho::from_f64_up(bad), Err(InvalidRho));
        }
        assert_eq!(Rho::MAX.checked_add(Rho(1)), None);
        assert_eq!(Rho(20_000_000_000).to_string(), "0.02");
        assert_eq!(Rho::ZERO.to_string(), "0");
    }

    #[test]
    fn reads_decimals_exactly() {
        for (text, picos) in [
            ("0.013", 13_000_000_000),
            ("5", 5_000_000_000_000),
            ("1e-3", 1_000_000_000),
            ("+1.5E2", 150_000_000_000_000),
            ("0.0000000000001", 1),
            ("0.0000000000000", 0),
            ("1e-400", 1),
            ("0e400", 0),
            ("000001000000.0", Rho::MAX.picos()),
        ] {
            assert_eq!(text.parse::<Rho>().map(Rho::picos), Ok(picos), "{text}");
        }
        for bad in ["", ".", "-1", "inf", "nan", "1000000.1", "1e400", "1e", "0x1", "1e99999999999999999999", "1 "] {
            assert_eq!(bad.parse::<Rho>(), Err(InvalidRho), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn reads_what_it_writes(picos in 0..=Rho::MAX.picos()) {
            prop_assert_eq!(Rho(picos).to_string().parse(), Ok(Rho(picos)));
        }

        #[test]
        fn never_less_than_what_was_asked(value in 0.0..1000.0f64) {
            let rho = Rho::from_f64_up(value).unwrap();
            prop_assert!(rho.as_f64() >= value * (1.0 - 1e-15));
        }
    }
}
