//! Whether there is an account of some name cannot be read from what a login's first message is answered with, nor from
//! how long that takes.

use std::collections::BTreeSet;

use attest::opaque::AccountRecord;

use super::*;
use crate::clock::Stopwatch;

/// Trials of a round: half of them with an account, half without.
const TRIALS: usize = 10_000;
/// Rounds of which the calmest counts.
const ROUNDS: usize = 3;
/// How far the two medians may be apart, in thousandths of the smaller.
const APART_MAX: u64 = 10;

/// The middle of a list, in ns.
fn median(times: &mut [u64]) -> u64 {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Medians of (with an account, without) of calls that alternate, so that whatever else the machine does falls on both.
/// Which of the two comes first changes as well: what runs second finds warm caches.
async fn medians(trials: usize, mut call: impl AsyncFnMut(bool)) -> (u64, u64) {
    let (mut real, mut unknown) = (Vec::with_capacity(trials / 2), Vec::with_capacity(trials / 2));
    for trial in 0..trials {
        let exists = matches!(trial % 4, 0 | 3);
        let stopwatch = Stopwatch::start();
        call(exists).await;
        let ns = u64::try_from(stopwatch.elapsed().as_nanos()).unwrap();
        if exists { real.push(ns) } else { unknown.push(ns) }
    }
    (median(&mut real), median(&mut unknown))
}

/// How far the medians of the calmest round are apart, in thousandths.
async fn apart(trials: usize, mut call: impl AsyncFnMut(bool)) -> u64 {
    let mut least = u64::MAX;
    for round in 0..ROUNDS {
        let (real, unknown) = medians(trials, &mut call).await;
        let apart = real.abs_diff(unknown) * 1000 / real.min(unknown);
        println!("round {round}: real {real} ns, unknown {unknown} ns, {apart} ‰ apart");
        least = least.min(apart);
        if least <= APART_MAX {
            break;
        }
    }
    least
}

/// Over 10,000 logins that alternate between an account and none, what the handler does — look the record up, answer
/// KE1 — gives answers of one length, and the medians of its time are within 1 % of each other in the best of three
/// rounds; some 0.1 % are usual.
///
/// What this sees: work that is done for one of the two only, from 1 % of a login's first message (about 2 µs) on, such
/// as reading the account's record (2 %), or another query of the store. What it does not: differences below that,
/// which take more trials than the limit of tries an hour lets anyone have, those in rare slow calls, and what a cache
/// does between calls that are far apart.
#[tokio::test]
async fn a_login_begins_alike_with_an_account_and_without() {
    let service = Service::new().await;
    assert_eq!(service.register("ann", b"password", &json!({})).await.status, StatusCode::ACCEPTED);
    let identity = service.identity();
    let tenant: TenantId = TENANT.parse().unwrap();
    let (_, ke1) = ClientLogin::start(b"guess", &mut OsRng.unwrap_err()).unwrap();
    let mut rng = service.node.environment.rng().unwrap();
    let mut lengths = BTreeSet::new();
    let begin = async |exists: bool, spin_ns: u64, lengths: &mut BTreeSet<usize>, rng: &mut _| {
        let user = if exists { "ann" } else { "bob" };
        let id = identity.setup.opaque.credential_id(&tenant, user).unwrap();
        let found = identity.store.login_record(*id.as_bytes()).await.unwrap();
        assert_eq!(found.is_some(), exists);
        let record = found.map(|found| AccountRecord::from_bytes(&found.record).unwrap());
        let (ke2, pending) = identity.setup.opaque.login_start(&id, record.as_ref(), &ke1, rng).unwrap();
        lengths.insert(ke2.len());
        drop(pending);
        let stopwatch = Stopwatch::start();
        while exists && stopwatch.elapsed().as_nanos() < u128::from(spin_ns) {}
    };
    let measured = apart(TRIALS, async |exists| begin(exists, 0, &mut lengths, &mut rng).await).await;
    assert!(measured <= APART_MAX, "{measured} ‰ apart");
    assert_eq!(lengths.into_iter().collect::<Vec<_>>(), [attest::opaque::KE2_BYTES]);
    // The measurement itself: 5 % more work for one of the two are seen in every round.
    let (usual, _) = medians(400, async |exists| begin(exists, 0, &mut BTreeSet::new(), &mut rng).await).await;
    let more_ns = usual / 20;
    let planted = apart(2000, async |exists| begin(exists, more_ns, &mut BTreeSet::new(), &mut rng).await).await;
    assert!(planted > APART_MAX, "a planted difference of 5 % went unseen: {planted} ‰");
}

/// Through the router: the same status, fields and lengths, and times within the same bound of each other.
#[tokio::test]
async fn the_whole_answer_is_alike() {
    let service =
        Service::with(&[("regions/us-east.toml", "login_starts_per_hour = 20", "login_starts_per_hour = 10000")]).await;
    assert_eq!(service.register("ann", b"password", &json!({})).await.status, StatusCode::ACCEPTED);
    let (_, ke1) = ClientLogin::start(b"guess", &mut OsRng.unwrap_err()).unwrap();
    let mut seen = BTreeMap::<String, [usize; 2]>::new();
    let measured = apart(2000, async |exists| {
        service.clock.advance(1000);
        let answered = service.opaque_start("login", TENANT, if exists { "ann" } else { "bob" }, &ke1).await;
        let fields: Vec<_> = answered.json().as_object().unwrap().keys().cloned().collect();
        let form = format!("{} {:?} {fields:?} {}", answered.status, answered.headers, answered.body.len());
        seen.entry(form).or_default()[usize::from(exists)] += 1;
    })
    .await;
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert!(seen.values().all(|counts| counts[0] == counts[1]));
    assert!(measured <= APART_MAX, "{measured} ‰ apart");

    // And the last message says one thing of a wrong password, of no account, and of no login.
    let mut endings = BTreeSet::new();
    for user in ["ann", "bob"] {
        let started = service.opaque_start("login", TENANT, user, &ke1).await;
        let ended = service.finish_login(&started.text("login"), &[7; 64]).await;
        endings.insert((ended.status, format!("{:?}", ended.headers), ended.body));
    }
    let ended = service.finish_login(&text(&[7; 16]), &[7; 64]).await;
    endings.insert((ended.status, format!("{:?}", ended.headers), ended.body));
    assert_eq!(endings.len(), 1);
}
