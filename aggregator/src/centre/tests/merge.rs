use policies::WindowId;
use proptest::prelude::*;

use super::intake::{Centre, signed};
use crate::centre::{MergeError, SumSegment, TaskSum, VerifiedRelease};
use crate::release::Noise;
use crate::release::SegmentKind;
use crate::release::plan::{DIAGONAL, OFF_DIAGONAL};
use crate::release::tests::wire::envelopes;
use crate::release::wire::CborError;

fn release(task: usize, window: u64, values: &[i64]) -> VerifiedRelease {
    let change = |body: &mut crate::release::ReleaseBody<Vec<i64>>| {
        body.id.window = WindowId(window);
        body.segments[0].values[..values.len()].copy_from_slice(values);
    };
    Centre::new().verify(&signed(task, change)).unwrap()
}

#[test]
fn sums_add_values_and_variances() {
    let (one, two, late) = (release(3, 5, &[1, -7]), release(3, 6, &[10, -70]), release(3, 4, &[100, -700]));
    let mut sum = TaskSum::of(&one);
    assert_eq!(sum.add(&two), Ok(()));
    assert_eq!(sum.add(&late), Ok(()));
    assert_eq!((sum.windows, sum.last_window, sum.releases, sum.private), (2, 6, 3, true));
    let arms = sum.segment(SegmentKind::Arms).unwrap();
    assert_eq!(arms.values[..2], [111, -777]);
    let single = one.segments()[0].variance.as_f64();
    assert!((arms.noise_variance / single - 3.0).abs() < 1e-12);
    assert!((arms.real_variance() - arms.noise_variance / 65_536f64.powi(2)).abs() < 1e-9);
    assert_eq!(arms.reals().next(), Some(111.0 / 65_536.0));
}

#[test]
fn what_does_not_fit_changes_nothing() {
    let mut sum = TaskSum::of(&release(3, 5, &[1]));
    let before = sum.clone();
    assert_eq!(sum.add(&release(2, 5, &[1])), Err(MergeError::Shape));
    let mut other = release(3, 5, &[1]);
    other.frame = policies::Digest::of(b"another");
    assert_eq!(sum.add(&other), Err(MergeError::Shape));
    let mut other = release(3, 5, &[1]);
    other.segments[0].scale += 1;
    assert_eq!(sum.add(&other), Err(MergeError::Shape));
    let mut other = release(3, 5, &[1]);
    other.segments[0].values.pop();
    assert_eq!(sum.add(&other), Err(MergeError::Shape));
    let mut other = release(3, 5, &[1]);
    other.id.tenant = "other".parse().unwrap();
    assert_eq!(sum.add(&other), Err(MergeError::Shape));
    let mut other = release(3, 5, &[1]);
    other.segments[0].values[3] = i64::MAX;
    sum.segments[0].values[3] = 1;
    assert_eq!(sum.add(&other), Err(MergeError::Full));
    sum.segments[0].values[3] = before.segments[0].values[3];
    assert_eq!(sum, before);
}

#[test]
fn one_measured_release_marks_the_sum() {
    let mut centre = Centre::new();
    centre.measurement = true;
    let mut sum = TaskSum::of(&release(0, 5, &[]));
    let (_, envelope) = envelopes(&mut Noise::off()).remove(0);
    sum.add(&centre.verify(&envelope).unwrap()).unwrap();
    assert!(!sum.private);
}

#[test]
fn a_triangle_unfolds() {
    let (d, o) = (DIAGONAL.cast_signed() * 4, OFF_DIAGONAL.cast_signed() * 4);
    let values = vec![d, 2 * o, 3 * o, 5 * d, -o, -2 * d];
    let segment =
        SumSegment { kind: SegmentKind::Gram, values, keys: None, scale: 4, noise_variance: (29f64 * 4.0).powi(2) };
    let matrix = segment.symmetric().unwrap();
    assert_eq!(matrix.side, 3);
    assert_eq!(matrix.values, [1.0, 2.0, 3.0, 2.0, 5.0, -1.0, 3.0, -1.0, -2.0]);
    assert!((matrix.diagonal_variance - 1.0).abs() < 1e-12);
    assert!((matrix.off_diagonal_variance - (29f64 / 41.0).powi(2)).abs() < 1e-12);
    let uneven = SumSegment { values: vec![1; 4], ..segment.clone() };
    assert_eq!(uneven.symmetric(), None);
    assert_eq!(SumSegment { kind: SegmentKind::Arms, ..segment }.symmetric(), None);
}

#[test]
fn bytes_read_as_written() {
    for task in 0..4 {
        let mut sum = TaskSum::of(&release(task, 5, &[-1]));
        sum.add(&release(task, 6, &[i64::from(i32::MIN)])).unwrap();
        let bytes = sum.encode();
        assert_eq!(TaskSum::decode(&bytes), Ok(sum));
        assert_eq!(TaskSum::decode(&bytes[..bytes.len() - 1]), Err(CborError::Truncated));
    }
    let mut sum = TaskSum::of(&release(3, 5, &[]));
    sum.segments[0].noise_variance = f64::NAN;
    assert_eq!(TaskSum::decode(&sum.encode()), Err(CborError::OutOfBounds));
}

proptest! {
    /// Whatever decodes is what would have been written.
    #[test]
    fn one_form_for_one_sum(at: prop::sample::Index, bit in 0u8..8) {
        let mut bytes = TaskSum::of(&release(3, 5, &[1, 2, 3])).encode();
        let place = at.index(bytes.len());
        bytes[place] ^= 1 << bit;
        if let Ok(sum) = TaskSum::decode(&bytes) {
            prop_assert_eq!(sum.encode(), bytes);
        }
    }
}
