use super::*;
use crate::centre::releases::ReleaseReceipt;
use crate::centre::reports::{ReleaseReport, ReleaseTotals};
use aggregator::centre::CentreStore as _;

async fn with_catalogue() -> Harness {
    let harness = Harness::new().await;
    assert_eq!(harness.upload(&jsonl(30)).await.status, StatusCode::CREATED);
    harness
}

async fn kept(harness: &Harness) -> usize {
    harness.centre.store.releases(None, 0, 100).await.unwrap().len()
}

#[tokio::test]
async fn a_release_is_taken_once_however_often_it_is_sent() {
    let harness = with_catalogue().await;
    let ledger = harness.ledger("ledger.sqlite").await;
    let made = harness.releases(0, WINDOW, &ledger, &mut Noise::from_os().unwrap()).await;
    assert_eq!(
        made.iter().map(|envelope| envelope.kind).collect::<Vec<_>>(),
        [TaskKind::ItemCounts, TaskKind::RankerMoments, TaskKind::ArmReward]
    );
    for envelope in &made {
        let receipt: ReleaseReceipt = harness.send(0, &envelope.bytes).await.json();
        let expected = format!("demo-platform/{}/eu-west/node-w/{WINDOW}", envelope.kind);
        assert_eq!((receipt.release.as_str(), receipt.digest), (&*expected, policies::Digest::of(&envelope.bytes)));
        for _ in 0..2 {
            assert_eq!(harness.send(0, &envelope.bytes).await.json::<ReleaseReceipt>(), receipt);
        }
    }
    let sums = harness.centre.store.sums(&tenant(DEMO)).await.unwrap();
    assert_eq!(sums.iter().map(|sum| sum.releases).collect::<Vec<_>>(), [1, 1, 1]);
    assert_eq!(kept(&harness).await, 3);
}

#[tokio::test]
async fn what_was_accepted_gets_its_reply_after_the_catalogue_moved_on() {
    let harness = with_catalogue().await;
    let envelope = harness.release(0).await;
    let receipt: ReleaseReceipt = harness.send(0, &envelope).await.json();
    for items in 31..40 {
        harness.upload(&jsonl(items)).await;
    }
    assert_eq!(harness.send(0, &envelope).await.json::<ReleaseReceipt>(), receipt);
}

#[tokio::test]
async fn other_bytes_under_an_accepted_id_are_refused() {
    let harness = with_catalogue().await;
    let (one, other) = (harness.ledger("one.sqlite").await, harness.ledger("other.sqlite").await);
    let mut noise = Noise::from_os().unwrap();
    let first = harness.releases(0, WINDOW, &one, &mut noise).await;
    let second = harness.releases(0, WINDOW, &other, &mut noise).await;
    assert_eq!(harness.send(0, &first[0].bytes).await.status, StatusCode::OK);
    assert_eq!(harness.send(0, &second[0].bytes).await.refusal(), refused(409, "release-conflict"));
    // Another ledger than the one the node was first seen with: a budget that was reset.
    assert_eq!(harness.send(0, &second[1].bytes).await.refusal(), refused(409, "ledger-changed"));
    // The second task was charged after the first, the third after the second.
    assert_eq!(harness.send(0, &first[2].bytes).await.status, StatusCode::OK);
    assert_eq!(harness.send(0, &first[1].bytes).await.refusal(), refused(409, "sequence-regress"));
    assert_eq!(kept(&harness).await, 2);
}

#[tokio::test]
async fn releases_of_others_and_forgeries_are_refused() {
    let harness = with_catalogue().await;
    let envelope = harness.release(0).await;
    let reason = |reply: Reply| {
        let (status, kind, detail) = reply.problem();
        assert_eq!((status, kind.as_str()), (422, "release-refused"));
        detail
    };
    // Another pinned node cannot hand it in.
    assert_eq!(reason(harness.send(2, &envelope).await), "the signature is not the admitted node's");
    let mut flipped = envelope.clone();
    let last = flipped.len() - 1;
    flipped[last] ^= 1;
    assert_eq!(reason(harness.send(0, &flipped).await), "the signature is not the admitted node's");
    for bad in [&[][..], b"x", &envelope[..envelope.len() - 1], &[&envelope[..], b"x"].concat()] {
        assert_eq!(reason(harness.send(0, bad).await), "the release is not well-formed");
    }
    assert_eq!(kept(&harness).await, 0);
}

/// Whatever bit of a release is flipped on the way, nothing of it is kept.
#[tokio::test]
async fn any_flipped_bit_refuses() {
    let harness = with_catalogue().await;
    let envelope = harness.release(0).await;
    for bit in (0..envelope.len() * 8).step_by(23) {
        let mut flipped = envelope.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(harness.send(0, &flipped).await.refusal(), refused(422, "release-refused"), "bit {bit}");
    }
    assert_eq!(kept(&harness).await, 0);
    assert_eq!(harness.send(0, &envelope).await.status, StatusCode::OK);
}

/// A node's clock may run ahead by the skew and no further.
#[tokio::test]
async fn a_window_is_taken_from_its_beginning_less_the_skew() {
    let harness = with_catalogue().await;
    let next = NOW_MS / 604_800_000 + 1;
    let envelope = made_with(&harness, 0, |inputs| inputs.window = WindowId(next)).await;
    harness.clock.advance(next * 604_800_000 - 30_001 - NOW_MS);
    let refusal = (422, "release-refused".to_owned(), "the window has not closed yet".to_owned());
    assert_eq!(harness.send(0, &envelope).await.problem(), refusal);
    harness.clock.advance(1);
    assert_eq!(harness.send(0, &envelope).await.status, StatusCode::OK);
}

/// A signed release whose plan was made from `change`d inputs.
async fn made_with(harness: &Harness, node: usize, change: impl FnOnce(&mut PlanInputs<'_>)) -> Vec<u8> {
    let rules = harness.rules(node);
    let mut inputs = harness.inputs(node, WINDOW, &rules);
    change(&mut inputs);
    let plan = WindowPlan::freeze(inputs).unwrap();
    let open = WindowAccumulator::open(Arc::new(plan), Zeroizing::new([7; 32]));
    let task = open.close().into_tasks().swap_remove(0);
    let ledger = harness.ledger("changed.sqlite").await;
    let charge = ledger.charge(&task).await.unwrap();
    let release =
        Release::new(seen(&ledger, charge).await, task, &mut Noise::from_os().unwrap(), &harness.keys[node]).unwrap();
    let (name, region) = NODES[node];
    // Of another node or region: refused here already.
    let _ = follow(&harness.centre.store, &ledger, region, name, NOW_MS).await;
    ledger.persist(&release).await.unwrap().bytes
}

#[tokio::test]
async fn claims_that_differ_from_what_the_centre_computes_are_refused() {
    type Change = fn(&mut PlanInputs<'_>);
    let changes: [(Change, &str); 8] = [
        (|i| i.node = node("node-u"), "the release names another node"),
        (|i| i.region = region("us-east"), "the release names another region"),
        (|i| i.policy = policies::Digest::of(b"other"), "the release was made under another policy set"),
        (|i| i.frame.base_rate_ppm += 1, "the release names another frame"),
        (|i| i.frame.catalogue = policies::Digest::of(b"other"), "the release names another catalogue"),
        (|i| i.window = WindowId(WINDOW + 20), "the window has not closed yet"),
        (|i| i.unit.region_factor = 1, "the release claims another privacy unit than the policy"),
        (|i| i.catalogue_items += 1, "the release has other segments or cells than its task"),
    ];
    for (change, reason) in changes {
        let harness = with_catalogue().await;
        let envelope = made_with(&harness, 0, change).await;
        let refusal = (422, "release-refused".to_owned(), reason.to_owned());
        assert_eq!(harness.send(0, &envelope).await.problem(), refusal);
        assert_eq!(kept(&harness).await, 0);
    }
    let harness = with_catalogue().await;
    let envelope = made_with(&harness, 0, |inputs| inputs.tenant = tenant("nobody")).await;
    assert_eq!(harness.send(0, &envelope).await.refusal(), refused(404, "tenant-unknown"));
    // A region sends for a tenant that the policy does not grant it.
    let envelope = made_with(&harness, 2, |inputs| inputs.tenant = tenant(NORDLYS)).await;
    assert_eq!(harness.send(2, &envelope).await.refusal(), refused(422, "release-refused"));
}

#[tokio::test]
async fn what_is_not_private_is_taken_only_where_all_is_measurement() {
    let harness = with_catalogue().await;
    let ledger = harness.ledger("ledger.sqlite").await;
    let made = harness.releases(0, WINDOW, &ledger, &mut Noise::off()).await;
    let refusal = (422, "release-refused".to_owned(), "the release is marked as not private".to_owned());
    assert_eq!(harness.send(0, &made[0].bytes).await.problem(), refusal);
}

#[tokio::test]
async fn oversized_releases_are_refused_before_they_are_read() {
    let harness = with_catalogue().await;
    let limit = crate::centre::releases::RELEASE_BYTES_MAX;
    assert_eq!(harness.send(0, &vec![0; limit + 1]).await.refusal(), refused(413, "body-too-large"));
    assert_eq!(harness.send(0, &vec![0; limit]).await.refusal(), refused(422, "release-refused"));
}

#[tokio::test]
async fn reports_say_what_left_at_which_price() {
    let harness = with_catalogue().await;
    let ledger = harness.ledger("ledger.sqlite").await;
    let mut noise = Noise::from_os().unwrap();
    let mut bytes = 0;
    for window in [WINDOW, WINDOW + 1] {
        for envelope in harness.releases(0, window, &ledger, &mut noise).await {
            assert_eq!(harness.send(0, &envelope.bytes).await.status, StatusCode::OK);
            bytes += envelope.bytes.len() as u64;
        }
    }
    let report: ReleaseReport = harness.get("/v1/releases?tenant=demo-platform", &harness.demo).await.json();
    assert_eq!(report.releases.len(), 6);
    let counts = report.releases.iter().find(|line| line.task == TaskKind::ItemCounts).unwrap();
    assert_eq!((counts.rho, counts.delta, counts.private), (0.0558, 1e-6, true));
    let page: ReleaseReport =
        harness.get("/v1/releases?tenant=demo-platform&offset=1&limit=2", &harness.operator).await.json();
    assert_eq!(page.releases, report.releases[1..3]);

    let totals: ReleaseTotals = harness.get("/v1/releases/totals?tenant=demo-platform", &harness.demo).await.json();
    let [total] = &totals.regions[..] else { panic!("one region has released") };
    assert_eq!((total.region.as_str(), total.releases, total.bytes), ("eu-west", 6, bytes));
    // The Gram waits for a model's frame and costs nothing: .0558 + .0045 + .0045 a window.
    assert!((total.rho_per_window - 0.0648).abs() < 1e-12 && (total.rho_total - 0.1296).abs() < 1e-12, "{total:?}");
    let epsilon = policies::zcdp::epsilon(0.0648, 1e-6);
    assert!((total.epsilon_per_window.unwrap() - epsilon).abs() < 1e-9, "{total:?}");
    let other: ReleaseTotals = harness.get("/v1/releases/totals?tenant=nordlys-clips", &harness.nordlys).await.json();
    assert_eq!(other.regions, []);
    let metrics = prometheus::TextEncoder::new().encode_to_string(&harness.registry.gather()).unwrap();
    let line = r#"siwa_centre_releases_total{region="eu-west",task="item-counts",tenant="demo-platform"} 2"#;
    assert!(metrics.contains(line), "{metrics}");
}
