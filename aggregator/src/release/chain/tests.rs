use policies::{TaskKind, WindowId};
use proptest::prelude::*;

use super::*;

fn charge() -> ChargeRecord {
    ChargeRecord {
        id: ReleaseId {
            tenant: "demo".parse().unwrap(),
            task: TaskKind::ItemCounts,
            region: "eu-west".parse().unwrap(),
            node: "node-1".parse().unwrap(),
            window: WindowId(7),
        },
        span: Span { from_s: 70, until_s: 80 },
        purpose: "recommendations".parse().unwrap(),
        unit: PrivacyUnit::ViewerWindow,
        policy: Digest::of(b"policy"),
        rho: "0.05".parse().unwrap(),
        delta: Delta::ZERO,
        opening: Opening([5; 16]),
    }
}

#[test]
fn entries_read_as_they_are_written_and_in_no_other_form() {
    for entry in [LedgerEntry::Charge(charge()), LedgerEntry::Burn(3)] {
        let bytes = entry.encode();
        assert_eq!(LedgerEntry::decode(&bytes), Ok(entry.clone()));
        for cut in 0..bytes.len() {
            assert_eq!(LedgerEntry::decode(&bytes[..cut]), Err(CborError::Truncated), "{cut}");
        }
        for place in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            assert_ne!(LedgerEntry::decode(&changed), Ok(entry.clone()), "{place}");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(LedgerEntry::decode(&longer), Err(CborError::Trailing));
    }
    let nothing = ChargeRecord { span: Span { from_s: 80, until_s: 80 }, ..charge() };
    assert_eq!(LedgerEntry::decode(&LedgerEntry::Charge(nothing).encode()), Err(CborError::OutOfBounds));
}

/// The chain's definition, by hand.
#[test]
fn a_head_names_every_entry_and_their_order() {
    let ledger = LedgerId([9; 16]);
    let (first, second) = (LedgerEntry::Charge(charge()).encode(), LedgerEntry::Burn(1).encode());
    let empty = Head::empty(ledger);
    assert_eq!(empty.digest, Digest::of(&[&b"siwa ledger v1\0"[..], &[9; 16]].concat()));
    let head = empty.after(&first).after(&second);
    let inner = Digest::of(&[b"siwa ledger entry v1\0", &empty.digest.as_bytes()[..], &first].concat());
    let outer = Digest::of(&[b"siwa ledger entry v1\0", &inner.as_bytes()[..], &second].concat());
    assert_eq!(head, Head { entries: 2, digest: outer });
    assert_ne!(empty.after(&second).after(&first), head);
    assert_ne!(Head::empty(LedgerId([8; 16])).after(&first).after(&second), head);
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_one_entry_or_none(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        fuzz::entry(&bytes);
    }
}
