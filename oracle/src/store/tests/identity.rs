use attest::Pseudonym;
use policies::Digest;

use super::*;
use crate::store::identity::{Account, Gate, Invite, IssuanceWindow, Registered, Reservation, Reserved, TokenName};

/// Later than any reservation runs.
const LATE_MS: u64 = 1 << 60;

fn account(name: u8, record: u8) -> Account {
    Account {
        credential_id: [name; 32],
        tenant: tenant("demo"),
        subject: Pseudonym::from_bytes([record; 32]),
        record: vec![record; 192],
        claims: vec![record],
    }
}

fn token(nonce: u8) -> TokenName {
    TokenName { key_id: [1; 32], nonce: [nonce; 32] }
}

fn by_token(nonce: u8) -> Gate {
    Gate::Token { token: token(nonce), now_ms: 0 }
}

async fn record_of(store: &Store, name: u8) -> Option<u8> {
    store.login_record([name; 32]).await.unwrap().map(|account| account.record[0])
}

#[tokio::test]
async fn an_account_is_never_overwritten() {
    let scratch = Scratch::new();
    assert_eq!(scratch.store.register(account(1, 10), Gate::Open).await, Ok(Registered::Accepted));
    assert_eq!(scratch.store.register(account(1, 20), Gate::Open).await, Ok(Registered::Accepted), "says the same");
    let scratch = scratch.reopen();
    assert_eq!((record_of(&scratch.store, 1).await, record_of(&scratch.store, 2).await), (Some(10), None));
    assert_eq!(record_of(&scratch.store, 0).await, Some(0), "nobody's, which no keyed hash can name");
}

#[tokio::test]
async fn an_account_is_found_by_subject_and_erased_for_its_tenant_alone() {
    let scratch = Scratch::new();
    let subject = Pseudonym::from_bytes([10; 32]);
    scratch.store.register(account(1, 10), Gate::Open).await.unwrap();
    let found = scratch.store.account_of(tenant("demo"), subject).await.unwrap();
    assert!(found.is_some_and(|found| found == account(1, 10)));
    assert_eq!(scratch.store.erase_account(tenant("other"), subject).await, Ok(false));
    assert_eq!(scratch.store.erase_account(tenant("demo"), subject).await, Ok(true));
    assert_eq!(
        (scratch.store.erase_account(tenant("demo"), subject).await, record_of(&scratch.store, 1).await),
        (Ok(false), None)
    );
}

#[tokio::test]
async fn an_invite_is_used_once_in_time_and_for_its_tenant() {
    let scratch = Scratch::new();
    let invite = |code: &[u8], tenant_name: &str, expires_s| Invite {
        digest: Digest::of(code),
        tenant: tenant(tenant_name),
        claims: b"vouched".to_vec(),
        expires_s,
    };
    let gate = |code: &[u8], now_s| Gate::Invite { digest: Digest::of(code), now_s };
    for (code, of, expires_s) in [(b"a", "demo", 100), (b"b", "demo", 50), (b"c", "other", 100)] {
        assert_eq!(scratch.store.invite(invite(code, of, expires_s), 2, 10).await, Ok(true));
    }
    assert_eq!(scratch.store.invite(invite(b"d", "demo", 100), 2, 10).await, Ok(false), "as many are open as may");
    let register = |name, code: &'static [u8], now_s| scratch.store.register(account(name, name), gate(code, now_s));
    assert_eq!(register(1, b"x", 10).await, Ok(Registered::NotInvited));
    assert_eq!(register(1, b"b", 50).await, Ok(Registered::NotInvited), "expired");
    assert_eq!(register(1, b"c", 10).await, Ok(Registered::NotInvited), "another tenant's");
    assert_eq!(register(1, b"a", 99).await, Ok(Registered::Accepted));
    assert_eq!(register(2, b"a", 99).await, Ok(Registered::NotInvited), "used");
    let subject = Pseudonym::from_bytes([1; 32]);
    let claims = scratch.store.account_of(tenant("demo"), subject).await.unwrap().map(|account| account.claims);
    assert_eq!((claims, record_of(&scratch.store, 2).await), (Some(b"vouched".to_vec()), None));
    assert_eq!(scratch.store.invite(invite(b"d", "demo", 100), 2, 60).await, Ok(true), "what expired makes room");
}

#[tokio::test]
async fn issuance_is_limited_per_subject_and_window_across_restarts() {
    let scratch = Scratch::new();
    let count = async |store: &Store, subject: u8, tokens, window| {
        let window = IssuanceWindow { window, tokens_max: 10 };
        store.count_issued(tenant("demo"), Pseudonym::from_bytes([subject; 32]), tokens, window).await
    };
    assert_eq!(count(&scratch.store, 1, 11, 5).await, Ok(false), "more than all at once");
    assert_eq!(count(&scratch.store, 1, 0, 5).await, Ok(false));
    assert_eq!(count(&scratch.store, 1, 7, 5).await, Ok(true));
    let scratch = scratch.reopen();
    assert_eq!(count(&scratch.store, 1, 4, 5).await, Ok(false), "all or nothing");
    assert_eq!(count(&scratch.store, 1, 3, 5).await, Ok(true));
    assert_eq!(count(&scratch.store, 1, 1, 5).await, Ok(false));
    let uncount = async |tokens| {
        let window = IssuanceWindow { window: 5, tokens_max: 10 };
        scratch.store.uncount_issued(tenant("demo"), Pseudonym::from_bytes([1; 32]), tokens, window).await
    };
    uncount(4).await.unwrap();
    assert_eq!((count(&scratch.store, 1, 5, 5).await, count(&scratch.store, 1, 4, 5).await), (Ok(false), Ok(true)));
    uncount(10).await.unwrap();
    assert_eq!((count(&scratch.store, 1, 10, 5).await, count(&scratch.store, 1, 1, 5).await), (Ok(true), Ok(false)));
    assert_eq!((count(&scratch.store, 2, 10, 5).await, count(&scratch.store, 1, 10, 6).await), (Ok(true), Ok(true)));
    scratch.store.forget_issued(6).await.unwrap();
    assert_eq!((count(&scratch.store, 1, 1, 6).await, count(&scratch.store, 1, 1, 5).await), (Ok(false), Ok(true)));
}

/// 64 tasks at once, and again after a restart: one wins, for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_token_is_spent_once() {
    let scratch = Scratch::new();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let store = scratch.store.clone();
        tasks.spawn(async move { store.spend(token(1), 0).await });
    }
    let outcomes = tasks.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Ok(true)).count(), 1);
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Ok(false)).count(), 63);
    let scratch = scratch.reopen();
    assert_eq!(scratch.store.spend(token(1), LATE_MS).await, Ok(false));
    assert_eq!(scratch.store.register(account(1, 1), by_token(1)).await, Ok(Registered::TokenSpent));
    assert_eq!(record_of(&scratch.store, 1).await, None);
    assert_eq!(scratch.store.register(account(1, 1), by_token(2)).await, Ok(Registered::Accepted));
    assert_eq!(scratch.store.spend(token(2), 0).await, Ok(false));
}

#[tokio::test]
async fn a_reservation_holds_until_it_is_settled_or_runs_out() {
    let scratch = Scratch::new();
    let reservation = |nonce, name, until_ms| Reservation { token: token(nonce), name: [name; 16], until_ms };
    let (first, second) = (reservation(1, 1, 100), reservation(1, 2, 300));
    assert_eq!(scratch.store.reserve(first, 0).await, Ok(Reserved::Yes));
    let scratch = scratch.reopen();
    assert_eq!(scratch.store.reserve(second, 99).await, Ok(Reserved::Held));
    assert_eq!(scratch.store.spend(token(1), 99).await, Ok(false));
    assert_eq!(scratch.store.register(account(1, 1), by_token(1)).await, Ok(Registered::TokenSpent));
    // It ran out: another takes the token, and the first has lost it.
    assert_eq!(scratch.store.reserve(second, 100).await, Ok(Reserved::Yes));
    assert_eq!(scratch.store.settle(first, true).await, Ok(false));
    assert_eq!(scratch.store.settle(first, false).await, Ok(false));
    assert_eq!(scratch.store.settle(second, true).await, Ok(true));
    assert_eq!(scratch.store.reserve(reservation(1, 3, LATE_MS), LATE_MS).await, Ok(Reserved::Spent));
    // What is given back can be spent.
    let third = reservation(2, 1, 100);
    assert_eq!(scratch.store.reserve(third, 0).await, Ok(Reserved::Yes));
    assert_eq!(scratch.store.settle(third, false).await, Ok(true));
    assert_eq!((scratch.store.spend(token(2), 0).await, scratch.store.spend(token(2), 0).await), (Ok(true), Ok(false)));
}

#[tokio::test]
async fn nonces_go_with_their_key() {
    let scratch = Scratch::new();
    let other = TokenName { key_id: [2; 32], ..token(1) };
    assert_eq!((scratch.store.spend(token(1), 0).await, scratch.store.spend(other, 0).await), (Ok(true), Ok(true)));
    scratch.store.forget_tokens([1; 32]).await.unwrap();
    assert_eq!((scratch.store.spend(token(1), 0).await, scratch.store.spend(other, 0).await), (Ok(true), Ok(false)));
}
