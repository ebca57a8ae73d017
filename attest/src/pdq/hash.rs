//! From luminance to 256 bits.

use std::f32::consts::PI;
use std::fmt;
use std::str::FromStr;

/// Pictures with a shorter side are not hashed: there is nothing to tell them apart by.
pub const SIDE_MIN: usize = 5;
/// Side of the smoothed and decimated picture.
const SMALL: usize = 64;
/// Side of the block of its cosine transform that is kept.
const KEPT: usize = 16;
/// How often both box filters pass: twice comes close to a tent.
const PASSES: usize = 2;

/// 256 bits; bit `16 i + j` tells whether coefficient (i, j) is above the median. Text form: 64 lower-case hexadecimal
/// digits, the last bit first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PdqHash([u64; 4]);

/// The text is not 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a PDQ hash is 64 hexadecimal digits")]
pub struct PdqHashError;

/// A picture's hash, and how much there was to go by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hashed {
    /// The hash.
    pub hash: PdqHash,
    /// 0 to 100: how much the picture varies. Its authors advise to match nothing under 50.
    pub quality: u8,
}

impl PdqHash {
    /// The hash of `width` × `height` luminances (0 to 255), row by row; nothing where a side is shorter than [`SIDE_MIN`]
    /// or the number of luminances is another.
    #[must_use]
    pub fn of(mut luminance: Vec<f32>, width: usize, height: usize) -> Option<Hashed> {
        if width < SIDE_MIN || height < SIDE_MIN || Some(luminance.len()) != width.checked_mul(height) {
            return None;
        }
        // 1. Smooth away what decimation would alias.
        let mut other = vec![0.0; luminance.len()];
        for _ in 0..PASSES {
            for row in 0..height {
                let line = row * width;
                box_filter(&luminance, &mut other, Line { begin: line, stride: 1, length: width });
            }
            for column in 0..width {
                box_filter(&other, &mut luminance, Line { begin: column, stride: width, length: height });
            }
        }
        // 2. Take 64 × 64 samples at the middles of equal cells.
        let small: Vec<f32> = (0..SMALL)
            .flat_map(|i| (0..SMALL).map(move |j| (i, j)))
            .map(|(i, j)| luminance[middle(i, height) * width + middle(j, width)])
            .collect();
        // 3. Their cosine transform without the constant, 16 × 16, and its median.
        let coefficients = transform(&small);
        let mut sorted = coefficients.clone();
        sorted.sort_unstable_by(f32::total_cmp);
        let median = sorted[KEPT * KEPT / 2 - 1];
        let mut words = [0; 4];
        for (bit, coefficient) in coefficients.iter().enumerate() {
            words[bit / 64] |= u64::from(*coefficient > median) << (bit % 64);
        }
        Some(Hashed { hash: Self(words), quality: quality(&small) })
    }

    /// The bits in four words, the lowest first.
    #[must_use]
    pub const fn words(&self) -> &[u64; 4] {
        &self.0
    }

    /// The hash of these words, the lowest first.
    #[must_use]
    pub const fn from_words(words: [u64; 4]) -> Self {
        Self(words)
    }

    /// In how many bits two hashes differ.
    #[must_use]
    pub fn distance(&self, other: &Self) -> u16 {
        let bits: u32 = self.0.iter().zip(&other.0).map(|(a, b)| (a ^ b).count_ones()).sum();
        u16::try_from(bits).unwrap_or(u16::MAX)
    }
}

/// One line of a picture.
#[derive(Clone, Copy)]
struct Line {
    begin: usize,
    stride: usize,
    length: usize,
}

/// The mean over a window around each place, cut off at the line's ends. The window is half a decimation cell wide,
/// rounded up.
fn box_filter(from: &[f32], to: &mut [f32], line: Line) {
    let Line { begin, stride, length } = line;
    let window = length.div_ceil(2 * SMALL);
    let ahead = window / 2 + 1;
    let (mut sum, mut entered, mut left) = (0.0_f32, 0, 0);
    for place in 0..length {
        while entered < length.min(place + ahead) {
            sum += from[begin + entered * stride];
            entered += 1;
        }
        while left + window < place + ahead {
            sum -= from[begin + left * stride];
            left += 1;
        }
        to[begin + place * stride] = sum / count(entered - left);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a window is far below 2^24")]
fn count(number: usize) -> f32 {
    number as f32
}

/// The place in a line of `length` that stands for cell `cell` of 64.
const fn middle(cell: usize, length: usize) -> usize {
    (2 * cell + 1) * length / (2 * SMALL)
}

/// D A Dᵀ with D the rows 1 to 16 of the 64-point DCT-II.
fn transform(small: &[f32]) -> Vec<f32> {
    let scale = (2.0 / count(SMALL)).sqrt();
    let row = |i: usize| -> Vec<f32> {
        (0..SMALL).map(|j| scale * (PI / 2.0 / count(SMALL) * count(i + 1) * count(2 * j + 1)).cos()).collect()
    };
    let cosines: Vec<Vec<f32>> = (0..KEPT).map(row).collect();
    let mut half = vec![0.0; KEPT * SMALL];
    for (i, cosine) in cosines.iter().enumerate() {
        for j in 0..SMALL {
            half[i * SMALL + j] = cosine.iter().enumerate().map(|(k, c)| c * small[k * SMALL + j]).sum();
        }
    }
    let dot = |i: usize, j: usize| cosines[j].iter().zip(&half[i * SMALL..]).map(|(c, h)| c * h).sum();
    (0..KEPT).flat_map(|i| (0..KEPT).map(move |j| (i, j))).map(|(i, j)| dot(i, j)).collect()
}

/// The sum of the steps between neighbours, in percent of the range, over 90; at most 100.
fn quality(small: &[f32]) -> u8 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a step is 0 to 100 percent")]
    let step = |a: f32, b: f32| ((a - b) * 100.0 / 255.0).abs().min(100.0) as u32;
    let mut sum = 0;
    for i in 0..SMALL {
        for j in 0..SMALL - 1 {
            sum += step(small[i * SMALL + j], small[i * SMALL + j + 1]);
            sum += step(small[j * SMALL + i], small[(j + 1) * SMALL + i]);
        }
    }
    u8::try_from((sum / 90).min(100)).unwrap_or(100)
}

impl fmt::Display for PdqHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().rev().try_for_each(|word| write!(f, "{word:016x}"))
    }
}

impl fmt::Debug for PdqHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PdqHash {
    type Err = PdqHashError;

    fn from_str(text: &str) -> Result<Self, PdqHashError> {
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(PdqHashError);
        }
        let mut words = [0; 4];
        for (word, place) in words.iter_mut().rev().zip((0..64).step_by(16)) {
            *word = u64::from_str_radix(&text[place..place + 16], 16).map_err(|_| PdqHashError)?;
        }
        Ok(Self(words))
    }
}

#[cfg(test)]
mod tests;
