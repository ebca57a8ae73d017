use std::collections::BTreeMap;

use indicatif::ProgressBar;

use super::*;
use crate::audience::{Audience, Course, Outcome, Synthetic, Tally};

const WINDOWS: usize = 3;

/// Three windows of a synthetic audience over real sockets: what they came to, and the nodes' model at the end.
async fn course(regions: usize, noise: NoiseMode, seed: Option<u64>) -> (Outcome, Vec<Option<u64>>) {
    let MeasurementPolicies { regions, set } = measurement_policies(regions, Some(50.0)).unwrap();
    let options = ClusterOptions { regions, policies: set, tenant: TENANT.parse().unwrap(), noise, seed };
    let cluster = Cluster::start(options).await.unwrap();
    let sizes = Synthetic { items: 40, visits: 900, decisions_per_visit: 4, candidates_per_decision: 8, seed: 3 };
    let (catalogue, audience): (String, Audience) = sizes.generate();
    cluster.upload_catalogue(&catalogue).await.unwrap();
    let course = Course { audience: Arc::new(audience), windows: WINDOWS, connections: 1, uniform_sessions: 100 };
    let outcome = course.run(&cluster, &ProgressBar::hidden()).await.unwrap();
    let models = cluster.nodes.iter().map(|node| node.model_version(&cluster.tenant)).collect();
    cluster.stop().await;
    (outcome, models)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_loop_turns_over_sockets() {
    let (outcome, models) = course(2, NoiseMode::Calibrated, None).await;
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
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seeded_course_repeats_and_is_not_private() {
    let rewards = |outcome: &Outcome| -> BTreeMap<(usize, u64), Tally> { outcome.drive.by_model.clone() };
    let seeded = NoiseMode::Seeded([9; 32]);
    let (first, _) = course(1, seeded, Some(5)).await;
    let (again, _) = course(1, seeded, Some(5)).await;
    let (other, _) = course(1, seeded, Some(6)).await;
    assert_eq!(rewards(&first), rewards(&again));
    assert_ne!(rewards(&first), rewards(&other));
    assert_eq!(
        first.regions.iter().map(|region| (region.private, region.epsilon_total)).collect::<Vec<_>>(),
        [(false, None)]
    );
}
