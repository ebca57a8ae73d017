//! What a window's encodings are frozen to when it opens.

use policies::Digest;
use serde::{Deserialize, Serialize};

use crate::catalogue::ItemIndex;

/// Items of a frame at most: the side of the largest Gram matrix.
pub const FRAME_ITEMS_MAX: usize = 1024;
/// One, in parts per million.
pub const PPM: u32 = 1_000_000;

/// Base rate, most shown items and their weights, from earlier releases or public input only.
///
/// Two windows with the same frame encode alike, so their releases add up. A frame therefore stays as it is until the
/// learner has reason to change it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Frame {
    /// The catalogue that `top` points into.
    pub catalogue: Digest,
    /// c: the mean reward that `item-counts` subtracts, in millionths.
    pub base_rate_ppm: u32,
    /// The items of the Gram matrix, distinct, at most [`FRAME_ITEMS_MAX`]. Empty: no Gram is released.
    pub top: Vec<ItemIndex>,
    /// One weight an item of `top`, in millionths, 1 to 1,000,000.
    pub weights_ppm: Vec<u32>,
}

/// A frame was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Above one million.
    #[error("the frame's base rate is above one million parts per million")]
    BaseRate,
    /// More items than [`FRAME_ITEMS_MAX`], or not one weight each.
    #[error("a frame has at most {FRAME_ITEMS_MAX} items and one weight each")]
    Size,
    /// An item is repeated or not in the catalogue.
    #[error("the frame's items are not distinct items of the catalogue")]
    Items,
    /// A weight is 0 or above one.
    #[error("a frame's weight is 1 to 1,000,000 parts per million")]
    Weight,
}

impl Frame {
    /// The frame before any model was learned: no items, so no Gram.
    #[must_use]
    pub fn initial(catalogue: Digest, base_rate_ppm: u32) -> Self {
        Self { catalogue, base_rate_ppm: base_rate_ppm.min(PPM), top: Vec::new(), weights_ppm: Vec::new() }
    }

    /// c, as a number from 0 to 1.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "rounds to f32, which the ranker computes in")]
    pub fn base_rate(&self) -> f32 {
        (f64::from(self.base_rate_ppm) / f64::from(PPM)) as f32
    }

    /// SHA-256 over every field, in a fixed form.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut bytes = b"siwa frame v1\0".to_vec();
        bytes.extend(self.catalogue.as_bytes());
        bytes.extend(self.base_rate_ppm.to_be_bytes());
        bytes.extend((self.top.len() as u64).to_be_bytes());
        self.top.iter().for_each(|item| bytes.extend(item.0.to_be_bytes()));
        self.weights_ppm.iter().for_each(|weight| bytes.extend(weight.to_be_bytes()));
        Digest::of(&bytes)
    }

    /// Whether the frame keeps its bounds over a catalogue of `items` items.
    ///
    /// # Errors
    /// Says which bound is broken.
    pub fn check(&self, items: usize) -> Result<(), FrameError> {
        if self.base_rate_ppm > PPM {
            return Err(FrameError::BaseRate);
        }
        if self.top.len() > FRAME_ITEMS_MAX || self.top.len() != self.weights_ppm.len() {
            return Err(FrameError::Size);
        }
        let mut sorted = self.top.clone();
        sorted.sort_unstable();
        if sorted.windows(2).any(|pair| pair[0] == pair[1]) || sorted.last().is_some_and(|last| last.offset() >= items)
        {
            return Err(FrameError::Items);
        }
        if self.weights_ppm.iter().any(|weight| !(1..=PPM).contains(weight)) {
            return Err(FrameError::Weight);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> Frame {
        let top = vec![ItemIndex(2), ItemIndex(0)];
        Frame { catalogue: Digest::of(b"c"), base_rate_ppm: 100_000, top, weights_ppm: vec![5, PPM] }
    }

    #[test]
    fn digest_covers_every_field() {
        type Change = fn(&mut Frame);
        let changes: [Change; 5] = [
            |f| f.catalogue = Digest::of(b"d"),
            |f| f.base_rate_ppm += 1,
            |f| f.top.reverse(),
            |f| f.weights_ppm.reverse(),
            |f| f.top.truncate(1),
        ];
        for change in changes {
            let mut other = frame();
            change(&mut other);
            assert_ne!(other.digest(), frame().digest(), "{other:?}");
        }
        assert_eq!(frame().digest(), frame().digest());
    }

    #[test]
    fn refuses_each_broken_bound() {
        assert_eq!(frame().check(3), Ok(()));
        assert_eq!(frame().check(2), Err(FrameError::Items));
        assert_eq!(Frame { top: vec![ItemIndex(0); 2], ..frame() }.check(3), Err(FrameError::Items));
        assert_eq!(Frame { base_rate_ppm: PPM + 1, ..frame() }.check(3), Err(FrameError::BaseRate));
        assert_eq!(Frame { weights_ppm: vec![1], ..frame() }.check(3), Err(FrameError::Size));
        assert_eq!(Frame { weights_ppm: vec![0, 1], ..frame() }.check(3), Err(FrameError::Weight));
        assert_eq!(Frame { weights_ppm: vec![PPM + 1, 1], ..frame() }.check(3), Err(FrameError::Weight));
        let many = (0..=1024).map(ItemIndex).collect::<Vec<_>>();
        assert_eq!(Frame { weights_ppm: vec![1; 1025], top: many, ..frame() }.check(5000), Err(FrameError::Size));
    }
}
