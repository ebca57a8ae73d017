use super::*;
use crate::centre::models::ModelList;
use crate::centre::training::{TrainingOutcome, TrainingReport};
use crate::http::Drain;
use std::time::Duration;

/// Every release of a window of each node, handed in.
async fn window(harness: &Harness, ledgers: &[Ledger<Store>], window: u64) -> usize {
    let mut sent = 0;
    for (node, ledger) in ledgers.iter().enumerate() {
        for envelope in harness.releases(node, window, ledger, &mut Noise::off()).await {
            assert_eq!(harness.send(node, &envelope.bytes).await.status, StatusCode::OK);
            sent += 1;
        }
    }
    sent
}

async fn measuring() -> (Harness, Vec<Ledger<Store>>) {
    let harness = Harness::with(CentreLimits::default(), true).await;
    harness.upload(&jsonl(30)).await;
    let mut ledgers = Vec::new();
    for node in 0..NODES.len() {
        ledgers.push(harness.ledger(&format!("ledger-{node}.sqlite")).await);
    }
    (harness, ledgers)
}

#[tokio::test]
async fn training_publishes_a_model_that_knows_its_releases() {
    let (harness, ledgers) = measuring().await;
    let demo = tenant(DEMO);
    let nothing = harness.centre.train_now(&demo).await.unwrap();
    assert_eq!((nothing.outcome, nothing.releases), (TrainingOutcome::Nothing, 0));
    let sent = window(&harness, &ledgers, WINDOW).await as u64;
    let reply = harness.call(Method::POST, "/v1/models/demo-platform/train", Some(&harness.operator), "").await;
    let report: TrainingReport = reply.json();
    let TrainingOutcome::Published { pointer, .. } = &report.outcome else { panic!("{report:?}") };
    assert_eq!((report.releases, pointer.version, pointer.serial), (sent, 1, 1));

    let list: ModelList = harness.get("/v1/models/demo-platform", &harness.demo).await.json();
    let origin = list.models[0].origin.clone().unwrap();
    assert_eq!((origin.releases, origin.private, origin.epsilon, origin.parent), (sent, false, None, None));
    assert_eq!(list.last_training, Some(report));

    // Nothing arrived since: nothing is published, and no serial is spent.
    let again = harness.centre.train_now(&demo).await.unwrap();
    assert_eq!((again.outcome, again.releases), (TrainingOutcome::Nothing, 0));
    // The next model names only what is new.
    let more = window(&harness, &ledgers, WINDOW + 1).await as u64;
    let next = harness.centre.train_now(&demo).await.unwrap();
    assert_eq!(next.releases, more);
    let list = harness.centre.models(&demo).await.unwrap();
    assert_eq!(list.models[1].origin.clone().unwrap().parent, Some(list.models[0].digest));
}

#[tokio::test]
async fn a_window_is_trained_when_every_node_has_reported() {
    let (harness, ledgers) = measuring().await;
    let (demo, grace_ms) = (tenant(DEMO), CentreLimits::default().training_grace_ms);
    let state = harness.centre.tenant(&demo).unwrap();
    let due = |now_ms| harness.centre.arrivals.due(&demo, &harness.centre.expected(state), grace_ms, now_ms);
    window(&harness, &ledgers[..2], WINDOW).await;
    assert_eq!((due(NOW_MS), due(NOW_MS + grace_ms - 1), due(NOW_MS + grace_ms)), (false, false, true));
    let (handle, drain) = Drain::new();
    let background = tokio::spawn(Arc::clone(&harness.centre).run_background(drain));
    for envelope in harness.releases(2, WINDOW, &ledgers[2], &mut Noise::off()).await {
        assert_eq!(harness.send(2, &envelope.bytes).await.status, StatusCode::OK);
    }
    // The training runs on the blocking pool: its end is waited for.
    let ended = async {
        while state.last_training().is_none() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), ended).await.unwrap();
    handle.order();
    background.await.unwrap();
    assert_eq!(harness.centre.pointer(&demo).await.unwrap().map(|pointer| pointer.version), Some(1));
    assert!(!due(u64::MAX), "what was learned is no longer waited for");
}

#[tokio::test]
async fn two_trainings_of_a_tenant_do_not_overlap() {
    let harness = Harness::new().await;
    let _under_way = harness.centre.tenant(&tenant(DEMO)).unwrap().training.lock().await;
    let reply = harness.call(Method::POST, "/v1/models/demo-platform/train", Some(&harness.operator), "").await;
    assert_eq!(reply.refusal(), refused(409, "training-under-way"));
}

#[tokio::test]
async fn a_restarted_centre_knows_what_it_knew() {
    let (harness, ledgers) = measuring().await;
    window(&harness, &ledgers, WINDOW).await;
    harness.centre.train_now(&tenant(DEMO)).await.unwrap();
    let before = harness.centre.tenant(&tenant(DEMO)).unwrap();
    let (catalogue, frame) = (before.catalogue().unwrap().digest(), before.newest_frame().unwrap());
    let mut rng = OsRng.unwrap_err();
    let again = Centre::start(CentreParts {
        name: CENTRE.to_owned(),
        key: SigningKey::generate(&mut rng),
        attestation_key: SigningKey::generate(&mut rng),
        admission: AdmissionMode::PinnedKey,
        nodes: KnownNodes::default(),
        tenants: [(tenant(DEMO), vec![])].into(),
        operators: vec![],
        policies: harness.centre.in_force_bundle(),
        policy_folder: None,
        earlier_policies: Vec::new(),
        limits: CentreLimits::default(),
        measurement: true,
        clock: harness.clock.clone(),
        store: harness.centre.store.clone(),
        log: crate::log::testing::options(harness.folder.path().join("log")),
        registry: Registry::new(),
    })
    .await
    .unwrap();
    let after = again.tenant(&tenant(DEMO)).unwrap();
    assert_eq!(after.catalogue().map(|known| known.digest()), Some(catalogue));
    assert_eq!(after.frame_of(frame.digest()), Some(frame));
    assert_eq!(again.conditions().len(), 3);
}
