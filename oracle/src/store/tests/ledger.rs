use aggregator::release::StoreError;
use aggregator::release::store::{CommitError, LedgerState, PersistError, Spent};
use proptest::prelude::*;

use super::*;

#[tokio::test]
async fn a_ledger_is_made_once_and_found_again() {
    let scratch = Scratch::new();
    assert_eq!(scratch.store.open().await, Err(StoreError::MissingLedger));
    assert_eq!(scratch.store.commit_charge(entry(COUNTS, 5, 1)).await, Err(StoreError::MissingLedger.into()));
    assert_eq!(scratch.store.burn_open_charges().await, Err(StoreError::MissingLedger));
    let state = LedgerState { id: LedgerId([1; 16]), last_sequence: 0 };
    assert_eq!(scratch.store.initialise(state.id).await, Ok(true));
    assert_eq!(scratch.store.initialise(LedgerId([2; 16])).await, Ok(false));
    assert_eq!(scratch.store.open().await, Ok(state));
    assert_eq!(scratch.reopen().store.open().await, Ok(state));
}

#[tokio::test]
async fn charges_add_up_to_the_budget_and_not_beyond() {
    let scratch = Scratch::with_ledger().await;
    let store = &scratch.store;
    assert_eq!(store.commit_charge(entry(COUNTS, 5, 60)).await, Ok(1));
    assert_eq!(store.commit_charge(entry(COUNTS, 5, 0)).await, Err(CommitError::AlreadyCharged));
    assert_eq!(store.commit_charge(entry(GRAM, 5, 41)).await, Err(CommitError::OverWindowBudget));
    assert_eq!(store.commit_charge(entry(GRAM, 5, 40)).await, Ok(2));
    assert_eq!(store.commit_charge(entry(COUNTS, 6, 100)).await, Ok(3));
    assert_eq!(store.commit_charge(entry(COUNTS, 7, 51)).await, Err(CommitError::OverYearBudget));
    assert_eq!(store.commit_charge(entry(COUNTS, 7, 50)).await, Ok(4));
    let spent = |window, year| Spent { window: rho(window), year: rho(year) };
    assert_eq!(store.spent(&tenant("demo"), WINDOW, 1).await, Ok(spent(100, 250)));
    assert_eq!(store.spent(&tenant("demo"), WINDOW, 2).await, Ok(spent(100, 0)));
    assert_eq!(store.spent(&tenant("other"), WINDOW, 1).await, Ok(spent(0, 0)));
    let next_year = ChargeEntry { year: 2, ..entry(COUNTS, 8, 100) };
    assert_eq!(store.commit_charge(next_year).await, Ok(5));

    let scratch = scratch.reopen();
    assert_eq!(scratch.store.open().await.map(|state| state.last_sequence), Ok(5));
    assert_eq!(scratch.store.commit_charge(entry(GRAM, 7, 1)).await, Err(CommitError::OverYearBudget));
}

#[tokio::test]
async fn sums_beyond_what_can_be_counted_are_over_the_budget() {
    let scratch = Scratch::with_ledger().await;
    let all = |task| ChargeEntry { window_limit: Rho::MAX, year_limit: Rho::MAX, rho: Rho::MAX, ..entry(task, 5, 0) };
    assert_eq!(scratch.store.commit_charge(all(COUNTS)).await, Ok(1));
    assert_eq!(scratch.store.commit_charge(all(GRAM)).await, Err(CommitError::OverWindowBudget));
}

#[tokio::test]
async fn a_charge_closes_its_window_and_windows_only_rise() {
    let scratch = Scratch::with_ledger().await;
    let demo = tenant("demo");
    assert_eq!(scratch.store.closed_window(&demo).await, Ok(None));
    scratch.store.commit_charge(entry(COUNTS, 5, 1)).await.unwrap();
    assert_eq!(scratch.store.closed_window(&demo).await, Ok(Some(WINDOW)));
    scratch.store.close_window(&demo, WindowId(9)).await.unwrap();
    scratch.store.close_window(&demo, WindowId(8)).await.unwrap();
    scratch.store.commit_charge(entry(GRAM, 5, 1)).await.unwrap();
    let scratch = scratch.reopen();
    assert_eq!(scratch.store.closed_window(&demo).await, Ok(Some(WindowId(9))));
    assert_eq!(scratch.store.closed_window(&tenant("other")).await, Ok(None));
}

#[tokio::test]
async fn one_noised_value_stands_under_an_id() {
    let scratch = Scratch::with_ledger().await;
    let store = &scratch.store;
    assert_eq!(store.persist_noised(noised(COUNTS, 5, 1, b"a")).await, Err(PersistError::NotCharged));
    store.commit_charge(entry(COUNTS, 5, 1)).await.unwrap();
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
        assert_eq!(scratch.store.commit_charge(entry(COUNTS, window, 1)).await, Ok(sequence));
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
    assert_eq!(store.open().await.map(|state| state.last_sequence), Ok(3));
}

#[tokio::test]
async fn a_charge_without_bytes_is_burned_for_good() {
    let scratch = Scratch::with_ledger().await;
    scratch.store.commit_charge(entry(COUNTS, 5, 60)).await.unwrap();
    scratch.store.commit_charge(entry(GRAM, 5, 30)).await.unwrap();
    scratch.store.persist_noised(noised(COUNTS, 5, 1, b"a")).await.unwrap();
    let scratch = scratch.reopen();
    let store = &scratch.store;
    assert_eq!(store.burn_open_charges().await, Ok(vec![id(GRAM, 5)]));
    assert_eq!(store.burn_open_charges().await, Ok(vec![]));
    assert_eq!(store.persist_noised(noised(GRAM, 5, 2, b"b")).await, Err(PersistError::NotCharged));
    assert_eq!(store.commit_charge(entry(GRAM, 5, 1)).await, Err(CommitError::AlreadyCharged));
    let over = entry(TaskKind::ArmReward, 5, 11);
    assert_eq!(store.commit_charge(over).await, Err(CommitError::OverWindowBudget), "what was burned stays spent");
    store.mark_sent(&id(GRAM, 5)).await.unwrap();
    assert_eq!(store.open().await.map(|state| state.last_sequence), Ok(2));
}

/// What the ledger must do, in a few lines: the model that a random history is compared with.
#[derive(Default)]
struct Model {
    charges: Vec<(ReleaseId, u64, u64)>,
}

impl Model {
    fn commit(&mut self, entry: &ChargeEntry) -> Result<u64, CommitError> {
        let sum = |of: &dyn Fn(&(ReleaseId, u64, u64)) -> bool| {
            self.charges.iter().filter(|charge| of(charge)).map(|(.., picos)| picos).sum::<u64>() + entry.rho.picos()
        };
        if self.charges.iter().any(|(id, ..)| *id == entry.id) {
            return Err(CommitError::AlreadyCharged);
        }
        if sum(&|(id, ..)| id.window == entry.id.window) > entry.window_limit.picos() {
            return Err(CommitError::OverWindowBudget);
        }
        if sum(&|(_, year, _)| *year == entry.year) > entry.year_limit.picos() {
            return Err(CommitError::OverYearBudget);
        }
        self.charges.push((entry.id.clone(), entry.year, entry.rho.picos()));
        Ok(self.charges.len() as u64)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_history_keeps_the_budgets(history in prop::collection::vec((0..4usize, 0..8u64, 0..60u64, any::<bool>()), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut scratch = Scratch::with_ledger().await;
            let mut model = Model::default();
            for (task, window, picos, restart) in history {
                let entry = ChargeEntry { year: window / 4, ..entry(TaskKind::ALL[task], window, picos) };
                prop_assert_eq!(scratch.store.commit_charge(entry.clone()).await, model.commit(&entry));
                if restart {
                    scratch = scratch.reopen();
                }
            }
            prop_assert_eq!(scratch.store.open().await.map(|s| s.last_sequence), Ok(model.charges.len() as u64));
            Ok(())
        })?;
    }
}
