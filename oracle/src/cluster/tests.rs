use std::collections::BTreeMap;

use aggregator::log::LogEntry;
use indicatif::ProgressBar;

use super::*;
use crate::audience::{Audience, Course, Outcome, Synthetic, Tally};
use crate::log::{Location, LogReadError, LogReader};

const WINDOWS: usize = 3;

/// Every entry of the centre's log, read and verified as anyone can.
async fn logged(cluster: &Cluster) -> Vec<LogEntry> {
    cluster.centre.publisher().publish().await.unwrap();
    let location = Location::parse(&cluster.listening()[0].url, cluster.roots()).unwrap();
    let keys = cluster.centre.log_keys().clone();
    let read = move || {
        let (reader, mut entries) = (LogReader::open(location, &keys).unwrap(), Vec::new());
        let read = reader.verify(|_, bytes| -> Result<(), LogReadError> {
            entries.push(LogEntry::decode(bytes).unwrap());
            Ok(())
        });
        read.map(|()| entries)
    };
    tokio::task::spawn_blocking(read).await.unwrap().unwrap()
}

/// Three windows of a synthetic audience over real sockets: what they came to, the nodes' model at the end, and the log.
async fn course(regions: usize, noise: NoiseMode, seed: Option<u64>) -> (Outcome, Vec<Option<u64>>, Vec<LogEntry>) {
    let MeasurementPolicies { regions, set } = measurement_policies(regions, Some(50.0)).unwrap();
    let options = ClusterOptions {
        regions,
        policies: set,
        tenant: TENANT.parse().unwrap(),
        noise,
        seed,
        identity: false,
        attestation: BTreeMap::new(),
    };
    let cluster = Cluster::start(options).await.unwrap();
    let sizes = Synthetic { items: 40, visits: 900, decisions_per_visit: 4, candidates_per_decision: 8, seed: 3 };
    let (catalogue, audience): (String, Audience) = sizes.generate();
    cluster.upload_catalogue(&catalogue).await.unwrap();
    let course = Course { audience: Arc::new(audience), windows: WINDOWS, connections: 1, uniform_sessions: 100 };
    let outcome = course.run(&cluster, &ProgressBar::hidden()).await.unwrap();
    let models = cluster.nodes.iter().map(|node| node.model_version(&cluster.tenant)).collect();
    let logged = logged(&cluster).await;
    cluster.stop().await;
    (outcome, models, logged)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_loop_turns_over_sockets() {
    let (outcome, models, logged) = course(2, NoiseMode::Calibrated, None).await;
    assert_eq!((outcome.drive.uniform.sessions, outcome.drive.ranked.sessions), (100, 800));
    assert_eq!(outcome.drive.ranked.decisions, 3200);
    let published: Vec<u64> = outcome.models.iter().map(|model| model.version).collect();
    assert_eq!(published.len() + outcome.refusals.len(), WINDOWS);
    assert_eq!(models, [published.last().copied(), published.last().copied()], "both nodes run the newest model");
    for region in &outcome.regions {
        // Counts and moments in every window, co-engagement from the first window that has a frame on.
        assert!((6..=8).contains(&region.releases), "{region:?}");
        assert!(region.private && region.epsilon_per_window.is_some_and(|epsilon| epsilon <= 50.0), "{region:?}");
    }
    let versions = logged.iter().filter_map(|entry| match entry {
        LogEntry::Model(model) => Some(model.version),
        _ => None,
    });
    assert_eq!(versions.collect::<Vec<_>>(), published, "nodes ran what the log says");
    let releases = logged.iter().filter(|entry| matches!(entry, LogEntry::Release(release) if release.private));
    let made: usize = outcome.regions.iter().map(|region| usize::try_from(region.releases).unwrap()).sum();
    assert_eq!(releases.count(), made);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seeded_course_repeats_and_is_not_private() {
    let rewards = |outcome: &Outcome| -> BTreeMap<(usize, u64), Tally> { outcome.drive.by_model.clone() };
    let seeded = NoiseMode::Seeded([9; 32]);
    let (first, ..) = course(1, seeded, Some(5)).await;
    let (again, ..) = course(1, seeded, Some(5)).await;
    let (other, ..) = course(1, seeded, Some(6)).await;
    assert_eq!(rewards(&first), rewards(&again));
    assert_ne!(rewards(&first), rewards(&other));
    assert_eq!(
        first.regions.iter().map(|region| (region.private, region.epsilon_total)).collect::<Vec<_>>(),
        [(false, None)]
    );
}

/// Status and problem of a call that must be refused.
async fn refused(call: crate::client::Call<'_>) -> (u16, String) {
    let error = call.send().await.map(|answer| answer.status).expect_err("a refusal");
    (error.status().unwrap_or(0), error.problem().unwrap_or("none").to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_refuses_each_bad_call_and_takes_nothing_of_it() {
    let cluster = Cluster::start(ClusterOptions::for_bench().unwrap()).await.unwrap();
    let items =
        (0..3).map(|n| format!("{{\"id\":\"c{n}\",\"title\":\"t\",\"kind\":\"clip\",\"tags\":[],\"year\":null}}"));
    cluster.upload_catalogue(&items.collect::<Vec<_>>().join("\n")).await.unwrap();
    let options = || ClientOptions::new(cluster.node_urls()[0].clone(), cluster.roots());
    let stranger = Client::new(options()).unwrap();
    let client = Client::new(ClientOptions { bearer: Some(cluster.api_key().to_owned()), ..options() }).unwrap();
    let json = |path: &'static str, body: String| client.post(path).bytes("application/json", body);
    let created: serde_json::Value = json("/v1/sessions", "{}".to_owned()).send().await.unwrap().json().unwrap();
    let session = created["session"].as_str().unwrap().to_owned();
    let rank = |rest: &str| json("/v1/rank", format!("{{\"session\":\"{session}\",{rest}}}"));
    let is = |status: u16, problem: &str| (status, problem.to_owned());

    assert_eq!(refused(stranger.post("/v1/sessions").bytes("application/json", "{}")).await, is(401, "unauthorized"));
    assert_eq!(refused(json("/v1/sessions", "{\"secret\":1}".to_owned())).await, is(422, "json-shape"));
    assert_eq!(refused(rank("\"candidates\":[NaN]")).await, is(422, "json-syntax"));
    assert_eq!(refused(rank("\"candidates\":[]")).await, is(422, "candidate-count"));
    assert_eq!(refused(rank("\"candidates\":[\"c0\",\"other\"]")).await, is(422, "item-unknown"));
    assert_eq!(refused(rank("\"candidates\":[\"c0\",\"c0\"]")).await, is(422, "candidate-duplicate"));
    let long = format!("\"candidates\":[\"{}\"]", "a".repeat(300_000));
    assert_eq!(refused(rank(&long)).await, is(413, "body-too-large"));
    let foreign = "{\"session\":\"AAAAAAAAAAAAAAAAAAAAAA\",\"candidates\":[\"c0\"]}".to_owned();
    assert_eq!(refused(json("/v1/rank", foreign)).await, is(404, "session-unknown"));

    let like =
        |seq: u64| format!("\"candidates\":[\"c1\"],\"signals\":[{{\"type\":\"like\",\"seq\":{seq},\"item\":\"c0\"}}]");
    assert_eq!(rank(&like(1)).send().await.unwrap().status, 200);
    assert_eq!(refused(rank(&like(1))).await, is(409, "signal-replayed"));
    let kpi = "\"candidates\":[\"c1\"],\"signals\":[{\"type\":\"kpi\",\"seq\":2,\"startup_ms\":1,\"rebuffer_ms\":1,\"watched_ms\":1}]";
    assert_eq!(refused(rank(kpi)).await, is(422, "signal-not-allowed"));
    assert_eq!(rank(&like(2)).send().await.unwrap().status, 200, "a refused call has taken no sequence number");

    let path = format!("/v1/sessions/{session}");
    assert_eq!(client.delete(&path).send().await.unwrap().status, 204);
    assert_eq!(refused(rank("\"candidates\":[\"c0\"]")).await, is(404, "session-unknown"));
    cluster.stop().await;
}
