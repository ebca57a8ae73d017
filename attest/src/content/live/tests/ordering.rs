use std::collections::BTreeSet;

use proptest::prelude::*;

use super::super::SEQUENCE_WINDOW;
use super::super::sequence::{Mark, Order, Sequence, Splice};

fn mark(number: u64) -> Mark {
    Mark { signed: [u8::try_from(number % 251).unwrap(); 32], chained: None }
}

/// What [`Sequence`] must say, by a list of everything that was accepted.
fn expected(accepted: &BTreeSet<u64>, number: u64) -> Order {
    match accepted.last() {
        None => Order::InOrder,
        Some(last) if number > *last => match number - last {
            1 => Order::InOrder,
            _ => Order::Gap { missing_from: last + 1, missing_to: number - 1 },
        },
        Some(last) if last - number >= SEQUENCE_WINDOW => Order::Stale,
        Some(_) if accepted.contains(&number) => Order::Replay,
        Some(_) => Order::Reordered,
    }
}

proptest! {
    /// Each segment is accepted once, whatever comes in whatever order.
    #[test]
    fn a_number_is_accepted_once(numbers in prop::collection::vec(prop_oneof![0_u64..1200, 500_u64..540], 0..200)) {
        let (mut sequence, mut accepted) = (Sequence::default(), BTreeSet::new());
        for number in numbers {
            let order = sequence.place(number, &mark(number));
            prop_assert_eq!(order, expected(&accepted, number));
            if !matches!(order, Order::Replay | Order::Stale) {
                sequence.accept(number, mark(number));
                prop_assert!(accepted.insert(number), "twice");
            }
        }
        prop_assert_eq!(sequence.last(), accepted.last().copied());
    }
}

#[test]
fn the_ends_of_the_numbers_are_numbers() {
    let mut sequence = Sequence::default();
    assert_eq!(sequence.place(0, &mark(0)), Order::InOrder);
    sequence.accept(0, mark(0));
    let gap = Order::Gap { missing_from: 1, missing_to: u64::MAX - 1 };
    assert_eq!(sequence.place(u64::MAX, &mark(1)), gap);
    sequence.accept(u64::MAX, mark(1));
    assert_eq!(sequence.place(u64::MAX, &mark(1)), Order::Replay);
    assert_eq!(sequence.place(u64::MAX, &mark(2)), Order::Spliced(Splice::Number));
    assert_eq!(sequence.place(0, &mark(0)), Order::Stale);
}
