use aggregator::release::store::{KeptCheckpoint, LedgerState, PersistError, Spent};
use aggregator::release::{LedgerEntry, StoreError};
use proptest::prelude::*;

use super::*;

#[tokio::test]
async fn a_ledger_is_made_once_and_found_again() {
    let scratch = Scratch::new();
    assert_eq!(scratch.store.open().await, Err(StoreError::MissingLedger));
    assert_eq!(charge(&scratch.store, entry(COUNTS, 5, 1)).await, Err(StoreError::MissingLedger.into()));
    assert_eq!(scratch.store.burn_open_charges().await, Err(StoreError::MissingLedger));
    let id = LedgerId([1; 16]);
    let state = LedgerState { id, head: Head::empty(id), checkpoint: None };
    assert_eq!(scratch.store.initialise(state.id).await, Ok(true));
    assert_eq!(scratch.store.initialise(LedgerId([2; 16])).await, Ok(false));
    assert_eq!(scratch.store.open().await, Ok(state.clone()));
    assert_eq!(scratch.reopen().store.open().await, Ok(state));
}

#[tokio::test]
async fn charges_add_up_to_the_budget_and_not_beyond() {
    let scratch = Scratch::with_ledger().await;
    let store = &scratch.store;
    assert_eq!(charge(store, entry(COUNTS, 5, 60)).await, Ok(1));
    assert_eq!(charge(store, entry(COUNTS, 5, 0)).await, Err(CommitError::AlreadyCharged));
    assert_eq!(charge(store, entry(GRAM, 5, 41)).await, Err(CommitError::OverWindowBudget));
    assert_eq!(charge(store, entry(GRAM, 5, 40)).await, Ok(2));
    assert_eq!(charge(store, entry(COUNTS, 6, 100)).await, Ok(3));
    assert_eq!(charge(store, entry(COUNTS, 7, 51)).await, Err(CommitError::OverYearBudget));
    assert_eq!(charge(store, entry(COUNTS, 7, 50)).await, Ok(4));
    let spent = |window, year| Spent { window: rho(window), year: rho(year), delta: Delta::ZERO };
    let (demo, span) = (tenant("demo"), entry(COUNTS, 5, 0).record.span);
    assert_eq!(store.spent(&demo, None, span).await, Ok(spent(100, 250)));
    assert_eq!(store.spent(&demo, Some(&"ranking".parse().unwrap()), span).await, Ok(spent(100, 250)));
    assert_eq!(store.spent(&demo, Some(&"other".parse().unwrap()), span).await, Ok(spent(0, 0)));
    let next_year = Span { from_s: 2 * second(0), until_s: 2 * second(0) + 10 };
    assert_eq!(store.spent(&demo, None, next_year).await, Ok(spent(0, 0)));
    let both = Span { from_s: second(5) + 9, until_s: second(6) + 1 };
    assert_eq!(store.spent(&demo, None, both).await, Ok(spent(200, 250)), "what overlaps");
    let none = Span { from_s: second(8), until_s: second(9) };
    assert_eq!(store.spent(&demo, None, none).await, Ok(spent(0, 250)), "what only touches");
    assert_eq!(store.spent(&tenant("other"), None, span).await, Ok(spent(0, 0)));
    let mut later = entry(COUNTS, 8, 100);
    later.record.span = next_year;
    assert_eq!(charge(store, later).await, Ok(5));

    let scratch = scratch.reopen();
    assert_eq!(entries(&scratch.store).await, Ok(5));
    assert_eq!(charge(&scratch.store, entry(GRAM, 7, 1)).await, Err(CommitError::OverYearBudget));
}

#[tokio::test]
async fn sums_beyond_what_can_be_counted_are_over_the_budget() {
    let scratch = Scratch::with_ledger().await;
    let all = |task| {
        let mut entry = without_year(entry(task, 5, 0));
        (entry.limits.window, entry.record.rho) = (Rho::MAX, Rho::MAX);
        entry
    };
    assert_eq!(charge(&scratch.store, all(COUNTS)).await, Ok(1));
    assert_eq!(charge(&scratch.store, all(GRAM)).await, Err(CommitError::OverWindowBudget));
}

#[tokio::test]
async fn a_charge_closes_its_time_and_time_only_rises() {
    let scratch = Scratch::with_ledger().await;
    let demo = tenant("demo");
    assert_eq!(scratch.store.closed_until(&demo).await, Ok(None));
    charge(&scratch.store, entry(COUNTS, 5, 1)).await.unwrap();
    assert_eq!(scratch.store.closed_until(&demo).await, Ok(Some(second(6))));
    scratch.store.close_until(&demo, second(9)).await.unwrap();
    scratch.store.close_until(&demo, second(8)).await.unwrap();
    charge(&scratch.store, entry(GRAM, 5, 1)).await.unwrap();
    let scratch = scratch.reopen();
    assert_eq!(scratch.store.closed_until(&demo).await, Ok(Some(second(9))));
    assert_eq!(scratch.store.closed_until(&tenant("other")).await, Ok(None));
}

#[tokio::test]
async fn one_noised_value_stands_under_an_id() {
    let scratch = Scratch::with_ledger().await;
    let store = &scratch.store;
    assert_eq!(store.persist_noised(noised(COUNTS, 5, 1, b"a")).await, Err(PersistError::NotCharged));
    charge(store, entry(COUNTS, 5, 1)).await.unwrap();
    assert_eq!(store.persist_noised(noised(COUNTS, 5, 2, b"a")).await, Err(PersistError::NotCharged));
    assert_eq!(store.persist_noised(noised(COUNTS, 5, 1, b"a")).await, Ok(()));
    assert_eq!(store.persist_noised(noised(COUNTS, 5, 1, b"a")).await, Ok(()));
    assert_eq!(store.persist_noised(noised(COUNTS, 5, 1, b"b")).await, Err(PersistError::AlreadyPersisted));
    store.mark_sent(&id(COUNTS, 5)).await.unwrap();
    assert_eq!(store.persist_noised(noised(COUNTS, 5, 1, b"a")).await, Ok(()));
    assert_eq!(store.persist_noised(noised(COUNTS, 5, 1, b"b")).await, Err(PersistError::AlreadyPersisted));
    assert_eq!(store.unsent(0, 10).await, Ok(vec![]));
}

#[tokio::test]
async fn the_outbox_survives_a_restart_and_is_read_in_pages() {
    let scratch = Scratch::with_ledger().await;
    for (window, sequence) in [(5, 1), (6, 2), (7, 3)] {
        assert_eq!(charge(&scratch.store, entry(COUNTS, window, 1)).await, Ok(sequence));
        scratch.store.persist_noised(noised(COUNTS, window, sequence, &[9; 5000])).await.unwrap();
    }
    let scratch = scratch.reopen();
    let store = &scratch.store;
    assert_eq!(store.unsent(0, 2).await, Ok(vec![noised(COUNTS, 5, 1, &[9; 5000]), noised(COUNTS, 6, 2, &[9; 5000])]));
    assert_eq!(store.unsent(2, 2).await, Ok(vec![noised(COUNTS, 7, 3, &[9; 5000])]));
    for _ in 0..2 {
        store.mark_sent(&id(COUNTS, 6)).await.unwrap();
    }
    store.mark_sent(&id(COUNTS, 99)).await.unwrap();
    let left = store.unsent(0, 9).await.unwrap();
    assert_eq!(left.iter().map(|release| release.sequence).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(entries(store).await, Ok(3));
}

#[tokio::test]
async fn a_charge_without_bytes_is_burned_for_good() {
    let scratch = Scratch::with_ledger().await;
    charge(&scratch.store, entry(COUNTS, 5, 60)).await.unwrap();
    charge(&scratch.store, entry(GRAM, 5, 30)).await.unwrap();
    scratch.store.persist_noised(noised(COUNTS, 5, 1, b"a")).await.unwrap();
    let scratch = scratch.reopen();
    let store = &scratch.store;
    assert_eq!(store.burn_open_charges().await.map(|burned| burned.releases), Ok(vec![id(GRAM, 5)]));
    let burned = store.burn_open_charges().await.unwrap();
    assert_eq!((burned.releases, burned.head.entries), (vec![], 3));
    assert_eq!(store.persist_noised(noised(GRAM, 5, 2, b"b")).await, Err(PersistError::NotCharged));
    assert_eq!(charge(store, entry(GRAM, 5, 1)).await, Err(CommitError::AlreadyCharged));
    let over = entry(TaskKind::ArmReward, 5, 11);
    assert_eq!(charge(store, over).await, Err(CommitError::OverWindowBudget), "what was burned stays spent");
    store.mark_sent(&id(GRAM, 5)).await.unwrap();
    assert_eq!(entries(store).await, Ok(3));
}

/// What the ledger must do, in a few lines: the model that a random history is compared with.
#[derive(Default)]
struct Model {
    charges: Vec<ChargeRecord>,
    entries: u64,
}

impl Model {
    fn commit(&mut self, entry: &ChargeEntry) -> Result<u64, CommitError> {
        let (new, limits) = (&entry.record, &entry.limits);
        if self.charges.iter().any(|charge| charge.id == new.id) {
            return Err(CommitError::AlreadyCharged);
        }
        let sum = |of: &dyn Fn(&&ChargeRecord) -> bool| {
            let same = self.charges.iter().filter(|charge| charge.id.tenant == new.id.tenant);
            same.filter(of).map(|charge| u128::from(charge.rho.picos())).sum::<u128>() + u128::from(new.rho.picos())
        };
        let over = |sum: u128, limit: Rho| sum > u128::from(limit.picos());
        let same = |charge: &ChargeRecord| charge.purpose == new.purpose;
        if over(sum(&|charge| charge.span.overlaps(&new.span)), limits.window) {
            return Err(CommitError::OverWindowBudget);
        }
        if over(sum(&|charge| charge.span.year() == new.span.year()), limits.year) {
            return Err(CommitError::OverYearBudget);
        }
        let overlapping = self.charges.iter().filter(|c| c.id.tenant == new.id.tenant && c.span.overlaps(&new.span));
        if overlapping.map(|charge| charge.delta.attos()).sum::<u64>() + new.delta.attos() > limits.delta_window.attos()
        {
            return Err(CommitError::OverWindowDelta);
        }
        let of_purpose = sum(&|charge| same(charge) && charge.span.overlaps(&new.span));
        if limits.purpose_window.is_some_and(|limit| over(of_purpose, limit)) {
            return Err(CommitError::OverPurposeWindowBudget);
        }
        let of_purpose = sum(&|charge| same(charge) && charge.span.year() == new.span.year());
        if limits.purpose_year.is_some_and(|limit| over(of_purpose, limit)) {
            return Err(CommitError::OverPurposeYearBudget);
        }
        self.charges.push(new.clone());
        self.entries += 1;
        Ok(self.entries)
    }
}

/// Charges of any name, for any time, under any window length.
fn any_charge() -> impl Strategy<Value = ChargeEntry> {
    let names = (0..4usize, 0..2usize, 0..2usize, 0..3usize, 0..2usize, 0..1000u64);
    let time = (0..40u64, 1..30u64, 0..2u64);
    (names, time, 0..60u64, 0..4u64).prop_map(|((task, tenant, node, region, purpose, number), time, picos, attos)| {
        let (start, length, year) = time;
        let tenant = ["demo", "other"][tenant];
        let (region, node) = (["eu-west", "eu-north", "us"][region], ["node-1", "node-2"][node]);
        let mut entry = entry(TaskKind::ALL[task], 0, picos);
        let task = TaskKind::ALL[task];
        entry.record.id = format!("{tenant}/{task}/{region}/{node}/{number}").parse().unwrap();
        let from_s = (1 + year) * u64::from(UnitRule::SECONDS_PER_YEAR) - 20 + start;
        entry.record.span = Span { from_s, until_s: from_s + length };
        entry.record.purpose = ["ranking", "quality"][purpose].parse().unwrap();
        entry.record.policy = Digest::of(&[u8::try_from(picos).unwrap()]);
        entry.record.delta = Delta::from_attos(attos).unwrap();
        entry.limits.delta_window = Delta::from_attos(10).unwrap();
        entry.limits.purpose_window = (picos % 2 == 0).then(|| rho(70));
        entry.limits.purpose_year = (picos % 3 == 0).then(|| rho(170));
        entry
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Sums are over whose viewers and when, exactly: whatever a task, a node, a region or a policy is called, and however
    /// windows are cut, what is charged counts.
    #[test]
    fn any_history_keeps_the_budgets(history in prop::collection::vec((any_charge(), any::<bool>()), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut scratch = Scratch::with_ledger().await;
            let mut model = Model::default();
            for (entry, restart) in history {
                prop_assert_eq!(charge(&scratch.store, entry.clone()).await, model.commit(&entry));
                if restart {
                    scratch = scratch.reopen();
                }
            }
            prop_assert_eq!(entries(&scratch.store).await, Ok(model.entries));
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn each_limit_refuses_its_own_way() {
    let scratch = Scratch::with_ledger().await;
    let store = &scratch.store;
    let limited = |task, window, picos: u64, attos| {
        let mut entry = entry(task, window, picos);
        entry.record.delta = Delta::from_attos(attos).unwrap();
        entry.limits.delta_window = Delta::from_attos(5).unwrap();
        (entry.limits.purpose_window, entry.limits.purpose_year) = (Some(rho(30)), Some(rho(50)));
        entry
    };
    assert_eq!(charge(store, limited(COUNTS, 5, 10, 3)).await, Ok(1));
    assert_eq!(charge(store, limited(GRAM, 5, 10, 3)).await, Err(CommitError::OverWindowDelta));
    assert_eq!(charge(store, limited(GRAM, 5, 21, 2)).await, Err(CommitError::OverPurposeWindowBudget));
    let mut other = limited(GRAM, 5, 21, 2);
    other.record.purpose = "other".parse().unwrap();
    assert_eq!(charge(store, other).await, Ok(2), "a purpose of its own");
    assert_eq!(charge(store, limited(COUNTS, 6, 30, 0)).await, Ok(3));
    assert_eq!(charge(store, limited(COUNTS, 7, 11, 0)).await, Err(CommitError::OverPurposeYearBudget));
    assert_eq!(charge(store, limited(COUNTS, 7, 10, 0)).await, Ok(4));
}

#[tokio::test]
async fn the_chain_and_its_heads_are_kept() {
    let scratch = Scratch::with_ledger().await;
    let store = &scratch.store;
    let empty = Head::empty(LedgerId([7; 16]));
    let written: Vec<_> = (5..8).map(|window| entry(COUNTS, window, 1)).collect();
    let mut heads = vec![empty];
    for entry in &written {
        let known = heads[heads.len() / 2];
        heads.push(store.commit_charge(entry.clone(), known).await.unwrap());
    }
    let bytes: Vec<_> = written.iter().map(|entry| LedgerEntry::Charge(entry.record.clone()).encode()).collect();
    for (number, entry) in bytes.iter().enumerate() {
        assert_eq!(heads[number].after(entry), heads[number + 1]);
    }
    assert_eq!(store.entries(1, 9).await, Ok(bytes[1..].to_vec()));
    assert_eq!(store.entries(0, 2).await, Ok(bytes[..2].to_vec()));
    for head in &heads {
        assert_eq!(store.head_at(head.entries).await, Ok(Some(*head)));
    }
    assert_eq!((store.head_at(4).await, store.head_at(u64::MAX).await), (Ok(None), Ok(None)));
    // What this process wrote is not what stands there.
    for unknown in [Head { entries: 4, ..heads[3] }, Head { digest: Digest::of(b"other"), ..heads[2] }] {
        assert_eq!(store.commit_charge(entry(COUNTS, 9, 1), unknown).await, Err(CommitError::Replaced));
    }
}

#[tokio::test]
async fn the_newest_checkpoint_is_kept() {
    let scratch = Scratch::with_ledger().await;
    charge(&scratch.store, entry(COUNTS, 5, 1)).await.unwrap();
    let head = scratch.store.head_at(1).await.unwrap().unwrap();
    let kept = |head, token: &str| KeptCheckpoint { head, token: token.to_owned() };
    scratch.store.keep_checkpoint(kept(head, "a")).await.unwrap();
    scratch.store.keep_checkpoint(kept(Head::empty(LedgerId([7; 16])), "older")).await.unwrap();
    scratch.store.keep_checkpoint(kept(head, "b")).await.unwrap();
    assert_eq!(scratch.reopen().store.open().await.map(|state| state.checkpoint), Ok(Some(kept(head, "b"))));
}
