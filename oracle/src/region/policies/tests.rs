use std::collections::BTreeMap;

use attest::SigningKey;
use policies::log::LogProof;
use proptest::prelude::*;
use rand_core::{OsRng, TryRngCore as _};
use serde_json::{Value, json};

use super::*;
use crate::client::{Client, ClientOptions};
use crate::cluster::{Cluster, ClusterOptions};
use crate::environment::NoiseMode;
use crate::http::ConditionState;
use crate::policy_signing::self_signed;

const TENANT: &str = "demo-platform";
/// The grant of the demo platform in eu-west and us-east.
const GRANT: &str = "regions = [\"eu-west\", \"us-east\"]";

/// The sample policies with these texts in place of others.
fn sample(changes: &[(&str, &str, &str)]) -> PolicySet {
    let mut files = policies::sample::files();
    for (file, from, to) in changes {
        let text = String::from_utf8(files[*file].clone()).unwrap();
        assert!(text.contains(from), "{file} says {from}");
        files.insert((*file).to_owned(), text.replace(from, to).into_bytes());
    }
    PolicySet::parse(&files).unwrap_or_else(|findings| panic!("{findings:?}"))
}

/// A centre and two nodes, eu-west and us-east, over TLS on loopback, with a catalogue.
async fn cluster() -> Cluster {
    let options = ClusterOptions {
        regions: vec!["eu-west".parse().unwrap(), "us-east".parse().unwrap()],
        policies: sample(&[]),
        tenant: TENANT.parse().unwrap(),
        noise: NoiseMode::Calibrated,
        seed: None,
        identity: false,
        attestation: BTreeMap::new(),
    };
    let cluster = Cluster::start(options).await.unwrap();
    let items =
        (0..3).map(|n| format!("{{\"id\":\"c{n}\",\"title\":\"t\",\"kind\":\"clip\",\"tags\":[],\"year\":null}}"));
    cluster.upload_catalogue(&items.collect::<Vec<_>>().join("\n")).await.unwrap();
    cluster
}

/// What the node of this number says to a new session: its policy, or the problem.
async fn session(cluster: &Cluster, number: usize) -> Result<String, String> {
    let options = ClientOptions::new(cluster.node_urls()[number].clone(), cluster.roots());
    let client = Client::new(ClientOptions { bearer: Some(cluster.api_key().to_owned()), ..options }).unwrap();
    match client.post("/v1/sessions").bytes("application/json", "{}").send().await {
        Ok(answer) => Ok(answer.json::<Value>().unwrap()["policy"].as_str().unwrap().to_owned()),
        Err(error) => Err(error.problem().unwrap_or("none").to_owned()),
    }
}

fn condition(conditions: Vec<Condition>, name: &str) -> Option<(ConditionState, String)> {
    let found = conditions.into_iter().find(|condition| condition.name == name);
    found.map(|condition| (condition.state, condition.detail.to_string()))
}

fn pulls(node: &Node, outcome: &str) -> u64 {
    node.metrics.policies.with_label_values(&[outcome]).get()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_comes_into_force_over_sockets_without_a_restart() {
    let cluster = cluster().await;
    let [west, east] = cluster.nodes() else { panic!("two nodes") };
    let before = sample(&[]);
    // Less in us-east: the grant is gone. More in eu-west: sessions may last an hour longer.
    let after = sample(&[
        ("access.toml", GRANT, "regions = [\"eu-west\"]"),
        ("regions/eu-west.toml", "session_absolute_seconds = 14400", "session_absolute_seconds = 18000"),
    ]);
    let (old, new) = (before.digest().to_string(), after.digest().to_string());
    assert_eq!((session(&cluster, 0).await, session(&cluster, 1).await), (Ok(old.clone()), Ok(old.clone())));

    cluster.put_policies(&after, 2).unwrap();
    assert_eq!(cluster.centre().reload_policies().await.unwrap(), Some(2));
    assert_eq!(cluster.centre().reload_policies().await.unwrap(), None);
    for node in cluster.nodes() {
        node.pull_policies().await;
        node.pull_policies().await;
        assert_eq!((pulls(node, "taken"), pulls(node, "unchanged"), pulls(node, "refused")), (1, 1, 0));
        // Within a window nothing that it is planned by changes.
        assert_eq!((node.policy_version(), node.policy()), (1, before.digest()));
        assert_eq!(node.binding("n".to_owned()).policy, before.digest());
    }
    // What is no longer allowed ends at once, what is new waits.
    assert_eq!(session(&cluster, 1).await, Err("not-served".to_owned()));
    assert_eq!(session(&cluster, 0).await, Ok(old));
    let told = "the policies grant 1 tenants of the config nothing here".to_owned();
    assert_eq!(condition(east.conditions(), "grants"), Some((ConditionState::Degraded, told)));
    assert_eq!(condition(west.conditions(), "grants"), None);

    // The windows that were open are released by the policies under which they were counted, and accepted.
    let turn = cluster.turn().await.unwrap();
    assert_eq!(turn.withheld, 0);
    assert!(turn.released >= 6, "{turn:?}: both regions release what they counted");
    for node in cluster.nodes() {
        assert_eq!((node.policy_version(), node.policy()), (2, after.digest()));
        assert_eq!(node.binding("n".to_owned()).policy, after.digest());
    }
    assert_eq!(session(&cluster, 0).await, Ok(new));
    assert_eq!(session(&cluster, 1).await, Err("not-served".to_owned()));
    assert_eq!(west.in_force().rule.retention.session_absolute_seconds, 18_000);
    // The next window is released under the new policies, by the one region that serves.
    let next = cluster.turn().await.unwrap();
    assert_eq!((next.withheld, next.released < turn.released), (0, true), "{next:?}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_signed_is_not_taken_and_costs_one_attempt_an_interval() {
    let cluster = cluster().await;
    let (centre, node) = (cluster.centre(), &cluster.nodes()[0]);
    let stranger = SigningKey::generate(&mut OsRng.unwrap_err());
    let foreign = self_signed(&sample(&[("access.toml", GRANT, "regions = [\"eu-west\"]")]), 2, stranger).unwrap();
    cluster.put_bundle(&foreign).unwrap();
    let mut looked_ms = cluster.clock().now_ms();
    centre.look_at_policies(&mut looked_ms).await;
    assert_eq!(centre.policy_reloads("refused"), 0, "an interval has not passed");
    for attempts in 1..=3 {
        cluster.clock().advance(30_000);
        centre.look_at_policies(&mut looked_ms).await;
        centre.look_at_policies(&mut looked_ms).await;
        assert_eq!(centre.policy_reloads("refused"), attempts);
    }
    let why = "the bundle in the folder is refused, 1 stays: nobody signed who may sign this version".to_owned();
    assert_eq!(condition(centre.conditions(), "policies"), Some((ConditionState::Degraded, why)));
    assert_eq!(centre.policy_version(), 1);
    node.pull_policies().await;
    assert_eq!((node.policy_version(), pulls(node, "unchanged")), (1, 1));

    // What is wrong becomes right, and everybody recovers.
    cluster.put_policies(&sample(&[]), 3).unwrap();
    cluster.clock().advance(30_000);
    centre.look_at_policies(&mut looked_ms).await;
    assert_eq!(condition(centre.conditions(), "policies"), Some((ConditionState::Met, String::new())));
    node.pull_policies().await;
    assert_eq!((centre.policy_version(), pulls(node, "taken")), (3, 1));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_believes_no_centre_that_was_not_told_by_the_signers() {
    let cluster = cluster().await;
    let (centre, node) = (cluster.centre(), &cluster.nodes()[0]);
    let stranger = SigningKey::generate(&mut OsRng.unwrap_err());
    let foreign = self_signed(&sample(&[]), 2, stranger).unwrap();
    centre.put_in_force(foreign);
    for attempts in 1..=2 {
        node.pull_policies().await;
        assert_eq!(pulls(node, "refused"), attempts);
    }
    let why = "a newer bundle is refused, 1 stays: nobody signed who may sign this version".to_owned();
    assert_eq!(condition(node.conditions(), "policies"), Some((ConditionState::Degraded, why)));
    assert_eq!((node.policy_version(), session(&cluster, 0).await.is_ok()), (1, true));

    // Signed as it should be, and the log speaks of another one.
    centre.put_in_force(cluster.signed(&sample(&[]), 2).unwrap());
    node.pull_policies().await;
    assert_eq!((pulls(node, "refused"), node.policy_version()), (3, 1));
    let why = condition(node.conditions(), "policies").unwrap().1;
    assert!(why.ends_with("the log's entry speaks of something else"), "{why}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_that_vanishes_serves_nobody() {
    let cluster = cluster().await;
    let east = &cluster.nodes()[1];
    let mut files = policies::sample::files();
    files.remove("regions/us-east.toml");
    let access = String::from_utf8(files["access.toml"].clone()).unwrap().replace(GRANT, "regions = [\"eu-west\"]");
    files.insert("access.toml".to_owned(), access.into_bytes());
    cluster.put_policies(&PolicySet::parse(&files).unwrap(), 2).unwrap();
    cluster.centre().reload_policies().await.unwrap();
    for node in cluster.nodes() {
        node.pull_policies().await;
    }
    assert_eq!(session(&cluster, 1).await, Err("not-served".to_owned()));
    let told = "the policies no longer have this region: nobody is served".to_owned();
    assert_eq!(condition(east.conditions(), "region"), Some((ConditionState::Degraded, told)));
    cluster.clock().advance(u64::from(east.in_force().rule.unit.window_seconds) * 1000);
    east.close_window().await;
    assert_eq!((east.policy_version(), east.in_force().known), (2, false));
    assert!(east.tenants().all(|tenant| tenant.window().is_none() && tenant.rules().is_empty()));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_and_a_signal_that_appear_wait_for_the_window() {
    let cluster = cluster().await;
    let node = &cluster.nodes()[0];
    let fewer = sample(&[
        (
            "regions/eu-west.toml",
            "signals = [\"watch\", \"skip\", \"like\", \"kpi\"]",
            "signals = [\"watch\", \"skip\", \"kpi\"]",
        ),
        ("access.toml", GRANT, "regions = [\"us-east\"]"),
    ]);
    let counted = |node: &Node| node.tenants().map(|tenant| tenant.rules().len()).collect::<Vec<_>>();
    for (version, policies) in [(2, fewer), (3, sample(&[]))] {
        cluster.put_policies(&policies, version).unwrap();
        cluster.centre().reload_policies().await.unwrap();
        node.pull_policies().await;
        // Neither before the turn, in one case by what will be, in the other by what is.
        assert_eq!((node.takes(SignalKind::Like), node.takes(SignalKind::Watch)), (false, true), "{version}");
        assert_eq!(session(&cluster, 0).await, Err("not-served".to_owned()), "{version}");
        cluster.clock().advance(u64::from(node.in_force().rule.unit.window_seconds) * 1000);
        node.close_window().await;
    }
    assert!(node.takes(SignalKind::Like));
    assert!(session(&cluster, 0).await.is_ok());
    assert_eq!(counted(node), [4]);
    cluster.stop().await;
}

proptest! {
    /// Whatever the lengths, no second lies in the window that closes and in the one that opens.
    #[test]
    fn windows_of_two_lengths_do_not_overlap(after in 0_u64..1 << 40, from in 3600_u32..2_700_000, to in 3600_u32..2_700_000) {
        let first = first_after(WindowId(after), from, to);
        let end_s = (after + 1) * u64::from(from);
        prop_assert!(first.0 * u64::from(to) >= end_s);
        prop_assert!(first.0 * u64::from(to) < end_s + u64::from(to));
        if from == to {
            prop_assert_eq!(first, WindowId(after + 1));
        }
    }
}

/// A delivery is JSON that another program can read.
#[tokio::test(flavor = "multi_thread")]
async fn anyone_may_read_the_policies_in_force() {
    let cluster = cluster().await;
    let options = ClientOptions::new(cluster.listening()[0].url.clone(), cluster.roots());
    let answer = Client::new(options).unwrap().get("/v1/policies/current").send().await.unwrap();
    let told: Value = answer.json().unwrap();
    let manifest: BTreeMap<String, Vec<u8>> = told["files"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(path, text)| (path.clone(), text.as_str().unwrap().as_bytes().to_vec()))
        .collect();
    assert_eq!(manifest, policies::sample::files());
    let note = told["notes"][0].as_str().unwrap();
    assert!(note.starts_with("siwa-policy-bundle/1\nversion 1\n"), "{note}");
    // And see that the log holds them.
    let proof = LogProof::parse(told["proof"].as_str().unwrap().as_bytes()).unwrap();
    let (leaf, _) = proof.verified_leaf(cluster.centre().log_keys()).unwrap();
    let leaf: Value = serde_json::from_slice(leaf).unwrap();
    assert_eq!((&leaf["kind"], &leaf["version"]), (&json!("policy"), &json!(1)));
    assert_eq!(leaf["bundle"], json!(Digest::of(note.as_bytes())));
    cluster.stop().await;
}
