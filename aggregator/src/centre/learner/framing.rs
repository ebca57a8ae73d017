//! The frame that the next windows encode by.
//!
//! A frame stays as it is so that releases add up. Reasons for another: there is none yet, policy allows fewer
//! items, or other items clearly hold more impressions. It depends on noised counts and policy alone.

use personalize::frame::PPM;
use personalize::{Catalogue, Frame, ItemIndex};

use super::items;
use super::sums::Counts;

/// Items of a frame, where policy and catalogue allow as many. More cells drown in noise, fewer miss tastes
/// (measured: 600 is better than 400 and than 1000 at every finite ε).
pub const FRAME_ITEMS: usize = 600;

/// An item's weight is 1/√(likes + this): frequent items say less of a taste.
const LIKES_OFFSET: f64 = 60.0;
/// Another choice of items is clearly better with this many times the impressions.
const BETTER: f64 = 1.25;

pub(super) fn next(catalogue: &Catalogue, items_max: usize, last: &Frame, counts: &Counts) -> Frame {
    let mut best = items(catalogue).collect::<Vec<_>>();
    best.sort_by(|(a, _), (b, _)| counts.impressions[*b].total_cmp(&counts.impressions[*a]).then(a.cmp(b)));
    best.truncate(FRAME_ITEMS.min(items_max));
    if !last.top.is_empty() && last.top.len() <= items_max && !better(&best, last, counts) {
        return last.clone();
    }
    let (top, weights_ppm) = best.into_iter().map(|(place, item)| (item, weight(place, last, counts))).unzip();
    Frame { top, weights_ppm, ..last.clone() }
}

/// Whether `best` holds clearly more impressions, beyond what choosing by noised counts pretends: at most about one σ an item.
#[expect(clippy::cast_precision_loss, reason = "at most FRAME_ITEMS items")]
fn better(best: &[(usize, ItemIndex)], last: &Frame, counts: &Counts) -> bool {
    let now = last.top.iter().map(|item| counts.impressions[item.offset()].max(0.0)).sum::<f64>();
    let then = best.iter().map(|(place, _)| counts.impressions[*place].max(0.0)).sum::<f64>();
    then - counts.impressions_variance.sqrt() * best.len() as f64 > BETTER * now
}

/// 1/√(likes + offset) in millionths; likes = rewards + c·impressions, at least 0.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 1..=10^6")]
fn weight(place: usize, last: &Frame, counts: &Counts) -> u32 {
    let likes = counts.rewards[place] + f64::from(last.base_rate()) * counts.impressions[place];
    let parts = f64::from(PPM) / (likes.max(0.0) + LIKES_OFFSET).sqrt();
    parts.clamp(1.0, f64::from(PPM)) as u32
}
