use super::*;
use crate::release::tests::fixture::{outcome, plan, rules, session, unit};
use policies::PrivacyUnit;

fn encoded(record: &SessionRecord) -> Vec<Sparse> {
    let plan = plan(&rules(), unit(PrivacyUnit::Session, 1), 1);
    encode(&plan, &FramePlaces::of(plan.frame()), record).unwrap()
}

/// Rewards less c = 0.1, in 2⁻¹⁶, truncated toward zero; impressions with their repeats.
#[test]
fn counts_are_centred_and_truncated() {
    let vectors = encoded(&session(vec![outcome(3, 1.0), outcome(9, 0.0), outcome(3, 0.5)]));
    assert_eq!(vectors[0], [(3, 85_196), (9, -6_553)]);
    assert_eq!(vectors[1], [(3, 2 << 16), (9, 1 << 16)]);
}

/// A hundred impressions of one item are clipped to √20, a hundred rewards of .9 to 2.6.
#[test]
fn counts_are_clipped() {
    let vectors = encoded(&session(vec![outcome(3, 1.0); 100]));
    assert_eq!(vectors[0], [(3, 170_392)]);
    assert_eq!(vectors[1], [(3, 293_084)]);
}

/// v = (liked · 1, watched · −½ · ¼) over places 0 and 2, of unit norm: vvᵀ in 2⁻²⁴, × 29 on the diagonal, × 41 beside it.
#[test]
fn the_gram_is_signed_weighted_and_of_unit_norm() {
    let gram = &encoded(&session(vec![outcome(0, 1.0), outcome(2, 0.49), outcome(11, 1.0)]))[2];
    let norm = (1.0f64 + 0.125 * 0.125).sqrt();
    let (first, second) = ((4096.0 / norm).trunc() as i64, (-0.125 * 4096.0 / norm).trunc() as i64);
    assert_eq!((first, second), (4064, -508));
    // Eight places: row 0 has cells 0..8, row 2 begins at 8 + 7.
    assert_eq!(*gram, [(0, 29 * first * first), (2, 41 * first * second), (15, 29 * second * second)]);
}

#[test]
fn an_item_liked_once_is_liked_and_no_item_is_no_vector() {
    let once = encoded(&session(vec![outcome(1, 1.0), outcome(1, 0.0)]));
    assert_eq!(once[2], [(8, 29 * 4095 * 4095)]);
    assert_eq!(encoded(&session(vec![outcome(10, 1.0)]))[2], []);
}

/// z = (¼ × 12, reward): mean of zzᵀ over two outcomes in 2⁻²⁴.
#[test]
fn moments_are_means_of_products() {
    let moments = &encoded(&session(vec![outcome(0, 1.0), outcome(1, 0.0)]))[3];
    let cell = |row: usize, column: usize| {
        let at = row * (2 * 13 - row + 1) / 2 + column - row;
        moments.iter().find(|(cell, _)| *cell == at).map(|(_, value)| *value)
    };
    assert_eq!(cell(0, 0), Some(29 << 20));
    assert_eq!(cell(0, 11), Some(41 << 20));
    assert_eq!(cell(0, 12), Some((41 << 22) / 2));
    assert_eq!(cell(12, 12), Some((29 << 24) / 2));
    assert_eq!(moments.len(), 91);
}

/// (1, mean reward ½, start-up ¼, rebuffering ¼) in the second arm's cells, in 2⁻¹⁶.
#[test]
fn arms_hold_their_measures() {
    let arms = &encoded(&session(vec![outcome(0, 1.0), outcome(1, 0.0)]))[4];
    assert_eq!(*arms, [(4, 1 << 16), (5, 1 << 15), (6, 1 << 14), (7, 1 << 14)]);
}

/// The last check stands on its own: one integer too much, a cell twice, or one outside, and nothing is added.
#[test]
fn the_last_word_is_exact() {
    let plan = plan(&rules(), unit(PrivacyUnit::Session, 1), 1);
    let segment = Segment { clip: 5, cells: 3, ..plan.tasks()[0].segments[0] };
    assert_eq!(within(vec![(0, 3), (2, -4)], &segment), Ok(vec![(0, 3), (2, -4)]));
    for bad in [
        vec![(0, 3), (1, 1), (2, -4)],
        vec![(0, i64::MIN)],
        vec![(0, i64::MIN); 9],
        vec![(3, 1)],
        vec![(1, 1), (1, 1)],
        vec![(2, 1), (1, 1)],
    ] {
        assert_eq!(within(bad.clone(), &segment), Err(NotEncodable), "{bad:?}");
    }
}

#[test]
fn places_follow_the_frame() {
    let plan = plan(&rules(), unit(PrivacyUnit::Session, 1), 1);
    let mut frame = plan.frame().clone();
    frame.top.reverse();
    let places = FramePlaces::of(&frame);
    assert_eq!([7, 0, 8].map(|item| places.place(ItemIndex(item))), [Some(0), Some(7), None]);
}
