use policies::{Delta, Digest, PrivacyUnit, TaskKind, WindowId};
use proptest::prelude::*;

use super::*;
use crate::log::LedgerLogged;
use crate::release::{ChargeRecord, Opening, ReleaseId, Span};

const LEDGER: LedgerId = LedgerId([4; 16]);

fn charge(window: u64) -> Vec<u8> {
    let record = ChargeRecord {
        id: ReleaseId {
            tenant: "demo".parse().unwrap(),
            task: TaskKind::ItemCounts,
            region: "eu-west".parse().unwrap(),
            node: "node-1".parse().unwrap(),
            window: WindowId(window),
        },
        span: Span { from_s: window * 60, until_s: window * 60 + 60 },
        purpose: "recommendations".parse().unwrap(),
        unit: PrivacyUnit::ViewerWindow,
        policy: Digest::of(b"policy"),
        rho: "0.05".parse().unwrap(),
        delta: Delta::ZERO,
        opening: Opening([5; 16]),
    };
    LedgerEntry::Charge(record).encode()
}

fn head(entries: &[Vec<u8>]) -> Head {
    entries.iter().fold(Head::empty(LEDGER), |head, entry| head.after(entry))
}

/// An offer of a ledger that holds `entries`, from the entry after `after` on.
fn offer(entries: &[Vec<u8>], after: usize) -> Offer {
    Offer {
        region: "eu-west".parse().unwrap(),
        node: "node-1".parse().unwrap(),
        ledger: LEDGER,
        head: head(entries),
        after: after as u64,
        entries: entries[after..].iter().take(OFFER_ENTRIES_MAX).cloned().collect(),
    }
}

/// What a centre that has `kept` makes of it.
fn check(offer: &Offer, kept: &[Vec<u8>]) -> Result<usize, FollowError> {
    let followed = Followed { ledger: LEDGER, head: head(kept) };
    let read = |number: u64| Ok(kept.get(usize::try_from(number).unwrap() - 1).cloned());
    offer.check(Some(followed), read).map(|news| news.entries.len())
}

fn chain(length: u64) -> Vec<Vec<u8>> {
    (1..=length).map(charge).collect()
}

#[test]
fn what_goes_on_is_followed_and_what_is_known_is_passed_over() {
    let ledger = chain(5);
    assert_eq!(offer(&ledger, 0).check(None, |_| unreachable!()).map(|news| news.heads[4]), Ok(head(&ledger)));
    for kept in 0..=5 {
        for after in 0..=kept {
            assert_eq!(check(&offer(&ledger, after), &ledger[..kept]), Ok(5 - kept), "{kept} {after}");
        }
    }
    let nothing = Offer { entries: vec![], ..offer(&ledger, 3) };
    assert_eq!(check(&nothing, &ledger[..3]), Ok(0), "where it stands alone");
}

#[test]
fn every_check_refuses_in_its_own_way() {
    let ledger = chain(5);
    let own = |offer: Offer| check(&offer, &ledger[..3]);
    // 1. Contradictions.
    assert_eq!(own(Offer { head: head(&ledger[..4]), ..offer(&ledger, 3) }), Err(FollowError::Malformed));
    assert_eq!(own(Offer { after: u64::MAX, ..offer(&ledger, 3) }), Err(FollowError::Malformed));
    let long = chain(OFFER_ENTRIES_MAX as u64 + 1);
    assert_eq!(check(&Offer { entries: long.clone(), ..offer(&long, 0) }, &[]), Err(FollowError::Malformed));
    // 2. Another ledger.
    assert_eq!(own(Offer { ledger: LedgerId([5; 16]), ..offer(&ledger, 3) }), Err(FollowError::OtherLedger));
    // 3. An older file, as it was and written on.
    assert_eq!(own(offer(&ledger[..2], 0)), Err(FollowError::RolledBack));
    assert_eq!(own(offer(&ledger[..2], 2)), Err(FollowError::RolledBack));
    // 4. The centre lost what it had.
    assert_eq!(own(offer(&ledger, 4)), Err(FollowError::Behind));
    // 5. Other entries where the centre has some.
    let forked = [&ledger[..2], &[charge(77), charge(78)]].concat();
    assert_eq!(own(offer(&forked, 2)), Err(FollowError::Forked));
    assert_eq!(own(offer(&forked[..3], 3)), Err(FollowError::Forked), "of the same length, no entries offered");
    // 6. What is no entry, or not this node's.
    let with = |entry: Vec<u8>| offer(&[&ledger[..3], &[entry]].concat(), 3);
    assert_eq!(own(with(b"no entry".to_vec())), Err(FollowError::Entry));
    assert_eq!(own(with(vec![0; ENTRY_BYTES_MAX + 1])), Err(FollowError::Entry));
    assert_eq!(own(Offer { node: "node-2".parse().unwrap(), ..offer(&ledger, 3) }), Err(FollowError::Foreign));
    assert_eq!(own(Offer { region: "eu-north".parse().unwrap(), ..offer(&ledger, 3) }), Err(FollowError::Foreign));
    // 7. The entries do not come to the head that the node claims.
    let claimed = Head { digest: Digest::of(b"other"), ..head(&ledger) };
    assert_eq!(own(Offer { head: claimed, ..offer(&ledger, 3) }), Err(FollowError::Forked));
}

#[test]
fn leaves_hold_every_new_entry_once_and_fit_the_log() {
    let ledger = chain(150);
    let (offer, before) = (offer(&ledger, 10), head(&ledger[..20]));
    let followed = Followed { ledger: LEDGER, head: before };
    let read = |number: u64| Ok(Some(ledger[usize::try_from(number).unwrap() - 1].clone()));
    let news = offer.check(Some(followed), read).unwrap();
    let leaves = leaves(&offer, before, &news, 7);
    let logged: Vec<LedgerLogged> = leaves
        .iter()
        .map(|leaf| match LogEntry::decode(&leaf.encode()).unwrap() {
            LogEntry::Ledger(logged) => logged,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        logged.iter().map(|leaf| (leaf.first, leaf.entries.len())).collect::<Vec<_>>(),
        [(21, 64), (85, 64), (149, 2)]
    );
    let ends: Vec<_> = logged.iter().map(|leaf| leaf.head().unwrap()).collect();
    assert_eq!(ends, [head(&ledger[..84]), head(&ledger[..148]), head(&ledger)]);
    let entries: Vec<_> =
        logged.iter().flat_map(|leaf| &leaf.entries).map(|text| STANDARD.decode(text).unwrap()).collect();
    assert_eq!(entries, ledger[20..]);
    // The longest entries there are.
    let entries = vec![STANDARD.encode([0; ENTRY_BYTES_MAX]); LEAF_ENTRIES_MAX];
    let longest = LogEntry::Ledger(LedgerLogged { entries, ..logged[0].clone() }).encode().len();
    assert!(longest <= crate::log::ENTRY_BYTES_MAX, "{longest}");
}

proptest! {
    /// Whatever is offered: a centre that takes it has the node's chain, from its beginning on.
    #[test]
    fn what_is_taken_is_the_nodes_chain(
        common in 0usize..6, kept in 0usize..4, own in 0usize..4, after in 0usize..10
    ) {
        let chain = |tail: usize, from: u64| -> Vec<Vec<u8>> {
            chain(common as u64).into_iter().chain((0..tail as u64).map(|n| charge(from + n))).collect()
        };
        let (kept, own) = (chain(kept, 100), chain(own, 200));
        let after = after.min(own.len());
        match check(&offer(&own, after), &kept) {
            Ok(new) => {
                prop_assert!(own.starts_with(&kept));
                prop_assert_eq!(new, own.len() - kept.len());
            }
            Err(FollowError::RolledBack) => prop_assert!(own.len() < kept.len()),
            Err(FollowError::Behind) => prop_assert!(after > kept.len()),
            Err(FollowError::Forked) => prop_assert!(!own.starts_with(&kept)),
            Err(other) => prop_assert!(false, "{other}"),
        }
    }
}
