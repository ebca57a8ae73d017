use std::collections::BTreeMap;

use axum::Router;
use axum::extract::State;
use axum::http::Uri;
use axum::response::IntoResponse as _;
use rand_core::{OsRng, TryRngCore as _};
use std::sync::Arc;

use super::*;
use crate::cluster::{Cluster, ClusterOptions, Loopback};
use crate::environment::NoiseMode;

/// One node of the sample policies, with an identity service, and its centre.
async fn cluster() -> Cluster {
    let options = ClusterOptions {
        regions: vec!["eu-west".parse().unwrap()],
        policies: sample(|_| {}),
        tenant: "demo-platform".parse().unwrap(),
        noise: NoiseMode::Calibrated,
        seed: None,
        identity: true,
        attestation: BTreeMap::new(),
    };
    Cluster::start(options).await.unwrap()
}

fn sample(change: impl FnOnce(&mut BTreeMap<String, Vec<u8>>)) -> PolicySet {
    let mut files = policies::sample::files();
    change(&mut files);
    PolicySet::parse(&files).unwrap()
}

/// The sample policies with one text in place of another.
fn replaced(file: &str, from: &str, to: &str) -> PolicySet {
    sample(|files| {
        let text = String::from_utf8(files[file].clone()).unwrap();
        assert!(text.contains(from), "{file} says {from}");
        files.insert(file.to_owned(), text.replace(from, to).into_bytes());
    })
}

async fn asked(
    cluster: &Cluster,
    options: ClientOptions,
    policies: &PolicySet,
    reference: Option<&PolicySet>,
) -> Checked {
    let key = cluster.nodes()[0].node_key.verifying_key();
    let region = "eu-west".parse().unwrap();
    let reviewed = Reviewed {
        policies,
        reference,
        region: &region,
        node: None,
        log_key: None,
        node_key: Some(&key),
        enrolled_by: &[],
    };
    check(options, &reviewed, cluster.clock().now_ms(), &mut OsRng.unwrap_err()).await.unwrap()
}

fn direct(cluster: &Cluster) -> ClientOptions {
    ClientOptions::new(cluster.node_urls()[0].clone(), cluster.roots())
}

fn reasons(checked: &Checked) -> Vec<&str> {
    let worst = checked.claims.iter().filter(|claim| claim.status == Status::Contraindicated);
    worst.map(|claim| claim.sentence.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_held_against_what_was_reviewed() {
    let cluster = cluster().await;
    let reviewed = sample(|_| {});
    let good = asked(&cluster, direct(&cluster), &reviewed, None).await;
    assert_eq!((good.yes, good.tier, good.status), (true, Tier::Software, Status::Warning), "{good:?}");
    assert_eq!((good.node.as_str(), good.profile.as_deref()), ("eu-west-1", Some("node-software")));
    assert_eq!((good.policy, reasons(&good)), (reviewed.digest(), vec![]));
    let sentences: Vec<&str> = good.claims.iter().map(|claim| claim.sentence.as_str()).collect();
    assert!(
        sentences.contains(&"Every key for capsules and tokens stands in the log of keys that the node shows; who signed it is not known."),
        "{sentences:?}"
    );

    // One letter of a comment: another policy.
    let other = replaced("access.toml", "What no grant names", "What no grant  names");
    let checked = asked(&cluster, direct(&cluster), &other, None).await;
    assert_eq!((checked.yes, reasons(&checked)), (false, vec!["The node runs under another policy."]));

    // The auditor's own reference values.
    let reference = replaced("attestation.toml", "versions = [\"0.1.0\"]", "versions = [\"0.0.9\"]");
    let checked = asked(&cluster, direct(&cluster), &reviewed, Some(&reference)).await;
    let none = "The version that the program says it is is none of the policy's reference values.";
    assert_eq!((checked.yes, reasons(&checked)), (false, vec![none]));

    // A key that nobody published.
    let region = "eu-west".parse().unwrap();
    let known = Reviewed {
        policies: &reviewed,
        reference: None,
        region: &region,
        node: None,
        log_key: None,
        node_key: None,
        enrolled_by: &[],
    };
    let now_ms = cluster.clock().now_ms();
    let checked = check(direct(&cluster), &known, now_ms, &mut OsRng.unwrap_err()).await.unwrap();
    let unknown = "The node's key is not known, and nothing else vouches for it.";
    assert_eq!((checked.yes, reasons(&checked)), (false, vec![unknown]));

    // A node does not choose the rule that it is held against, nor its name, nor who signs its log.
    let (region, node) = ("us-east".parse().unwrap(), "eu-west-2".parse().unwrap());
    let key = cluster.nodes()[0].node_key.verifying_key();
    let known = Reviewed { region: &region, node: Some(&node), log_key: Some(&key), node_key: Some(&key), ..known };
    let checked = check(direct(&cluster), &known, now_ms, &mut OsRng.unwrap_err()).await.unwrap();
    let others = vec![
        "The node is of another region than it was asked as.",
        "The node has another name than the one that was meant.",
        "The log of keys is signed by another key than its operator published.",
    ];
    assert_eq!((checked.yes, checked.status, reasons(&checked)), (false, Status::Contraindicated, others));
    cluster.stop().await;
}

/// A relay serves genuine evidence of a genuine node, fresh and for the nonce of whoever asks it. Its own certificate is
/// as good as the node's: only the key in the evidence tells that it is not the node.
#[tokio::test(flavor = "multi_thread")]
async fn a_relay_of_genuine_evidence_is_caught() {
    async fn pass_on(State(node): State<Arc<Client>>, uri: Uri) -> axum::response::Response {
        node.get(uri.path_and_query().unwrap().as_str()).send().await.unwrap().body.into_response()
    }
    let cluster = cluster().await;
    let node = Arc::new(Client::new(direct(&cluster)).unwrap());
    let mut relay = Loopback::new().unwrap();
    let router = Router::new().fallback(pass_on).with_state(node);
    let identity = relay.identity().unwrap();
    relay.serve("relay", identity, router, &prometheus::Registry::new(), Vec::new).await.unwrap();
    let through = ClientOptions::new(relay.listening[0].url.clone(), vec![relay.ca.certificate().clone()]);
    let checked = asked(&cluster, through, &sample(|_| {}), None).await;
    let between = "This connection is served with another key than the evidence covers: somebody stands between.";
    assert_eq!((checked.yes, reasons(&checked)), (false, vec![between]));
    relay.stop().await;
    cluster.stop().await;
}

/// Where the policy asks for hardware, a program's word is not enough.
#[test]
fn what_the_policy_asks_at_least() {
    let reviewed = sample(|_| {});
    let rule = reviewed.region(&"eu-north".parse().unwrap()).unwrap().attestation.clone().unwrap();
    let software = short_of(Some(&rule), Tier::Software, Status::Affirming).unwrap();
    assert_eq!(software.sentence, "The policy asks for a stronger root of trust than stands behind this evidence.");
    let warned = short_of(Some(&rule), Tier::Hardware, Status::Warning).unwrap();
    assert_eq!(warned.sentence, "The policy accepts no warnings.");
    assert_eq!(short_of(Some(&rule), Tier::Hardware, Status::Affirming), None);
    assert_eq!(short_of(None, Tier::Hardware, Status::Affirming).unwrap().status, Status::Contraindicated);
}
