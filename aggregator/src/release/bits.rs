//! Exact random decisions from uniform bits: integers below a bound, fair coins, and coins of bias e^(−γ).

use rand_core::RngCore;

/// A generator with a small buffer of single bits.
pub struct Bits<R> {
    generator: R,
    coins: u64,
    coins_left: u32,
}

/// 20!, the largest factorial below 2⁶⁴.
const FACTORIAL_20: u64 = 2_432_902_008_176_640_000;

/// 20!/2!, 20!/3!, … 20!/20!.
const QUOTIENTS: [u64; 19] = {
    let mut quotients = [0; 19];
    let (mut quotient, mut at) = (FACTORIAL_20, 0);
    while at < 19 {
        quotient /= at as u64 + 2;
        quotients[at] = quotient;
        at += 1;
    }
    quotients
};

impl<R: RngCore> Bits<R> {
    /// Decisions by `generator`.
    pub const fn new(generator: R) -> Self {
        Self { generator, coins: 0, coins_left: 0 }
    }

    /// The generator, to erase it.
    pub const fn generator_mut(&mut self) -> &mut R {
        &mut self.generator
    }

    /// Forgets buffered bits.
    pub const fn clear(&mut self) {
        self.coins = 0;
        self.coins_left = 0;
    }

    /// A fair coin.
    pub fn coin(&mut self) -> bool {
        if self.coins_left == 0 {
            self.coins = self.generator.next_u64();
            self.coins_left = u64::BITS;
        }
        let coin = self.coins & 1 == 1;
        self.coins >>= 1;
        self.coins_left -= 1;
        coin
    }

    /// A uniform integer in `0..bound`, for a bound above 0 (Lemire 2019: multiply, refuse the uneven rest).
    pub fn below(&mut self, bound: u64) -> u64 {
        debug_assert!(bound > 0, "nothing is below 0");
        loop {
            let product = u128::from(self.generator.next_u64()) * u128::from(bound);
            let (high, low) = split(product);
            if low >= bound || low >= bound.wrapping_neg() % bound {
                return high;
            }
        }
    }

    /// Whether a uniform integer in `0..bound` is below `threshold ≤ bound`: probability threshold ÷ bound.
    ///
    /// A bound beyond 64 bits is compared from the top: the upper 63 bits nearly always decide, and only where they
    /// are those of the threshold or of the bound are the lower ones drawn.
    fn is_below(&mut self, threshold: u128, bound: u128) -> bool {
        if let Ok(bound) = u64::try_from(bound) {
            return u128::from(self.below(bound)) < threshold;
        }
        let lower_bits = u128::BITS - bound.leading_zeros() - 63;
        let (bound_top, threshold_top) = (bound >> lower_bits, threshold >> lower_bits);
        let tops = u64::try_from(bound_top + 1).expect("63 bits are left of the bound");
        loop {
            let top = u128::from(self.below(tops));
            if top < threshold_top {
                return true;
            }
            if top > threshold_top && top < bound_top {
                return false;
            }
            let uniform = top << lower_bits | self.lower(lower_bits);
            if uniform < bound {
                return uniform < threshold;
            }
        }
    }

    /// `count` uniform bits, 1 to 65.
    fn lower(&mut self, count: u32) -> u128 {
        let high = u128::from(self.generator.next_u64()) << 64;
        (high | u128::from(self.generator.next_u64())) & (u128::MAX >> (u128::BITS - count))
    }

    /// True with probability 1/k, for k of at least 2.
    fn one_in(&mut self, k: u64) -> bool {
        if k == 2 { self.coin() } else { self.below(k) == 0 }
    }

    /// True with probability e⁻¹.
    ///
    /// CKS algorithm 1 for γ = 1: K goes on from k with probability 1/k, so P(K > k) = 1/k!, and the answer is whether
    /// K is odd. One uniform integer below 20! decides up to k = 20; where it is 0, the walk goes on by single steps.
    pub fn exponential_one(&mut self) -> bool {
        let uniform = self.below(FACTORIAL_20);
        let mut k = 2;
        for quotient in QUOTIENTS {
            if uniform >= quotient {
                return k % 2 == 1;
            }
            k += 1;
        }
        while self.one_in(k) {
            k += 1;
        }
        k % 2 == 1
    }

    /// True with probability e^(−numerator/denominator), for 0 ≤ numerator ≤ denominator and denominator > 0.
    pub fn exponential_fraction(&mut self, numerator: u64, denominator: u64) -> bool {
        self.exponential_unit(u128::from(numerator), u128::from(denominator))
    }

    /// True with probability e^(−numerator/denominator), for a denominator above 0.
    pub fn exponential(&mut self, mut numerator: u128, denominator: u128) -> bool {
        while numerator > denominator {
            if !self.exponential_one() {
                return false;
            }
            numerator -= denominator;
        }
        self.exponential_unit(numerator, denominator)
    }

    /// CKS algorithm 1: K goes on from k with probability γ/k; the answer is whether K is odd.
    /// The probability γ/k is that of two independent events, γ and 1/k, so no product can overflow.
    fn exponential_unit(&mut self, numerator: u128, denominator: u128) -> bool {
        let mut k = 1u64;
        while (k == 1 || self.one_in(k)) && self.is_below(numerator, denominator) {
            k += 1;
        }
        k % 2 == 1
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the two halves are what is wanted")]
const fn split(product: u128) -> (u64, u64) {
    ((product >> 64) as u64, product as u64)
}
