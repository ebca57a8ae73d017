//! Policies for measurements: regions that protect a session, with one ε for all tasks together.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use policies::{PolicySet, PrivacyUnit, PurposeId, RegionId, Rho, TaskRule, TaskSpec, UnitRule};

/// The tenant of measurements.
pub(crate) const TENANT: &str = "replay-platform";
/// δ of measurements.
pub(crate) const DELTA: f64 = 1e-6;
/// ρ of a window when noise is switched off: the largest that a policy may state.
const RHO_WITHOUT_NOISE: f64 = 1000.0;
/// How a window's ρ is split: item counts, co-engagement, moments, in percent. The counts and the Gram carry the
/// ranking; the moments of a dozen features need little.
const SPLIT_PERCENT: [f64; 3] = [65.0, 30.0, 5.0];

/// The regions' names, and their policies by file.
pub(crate) struct MeasurementPolicies {
    pub(crate) regions: Vec<RegionId>,
    pub(crate) set: PolicySet,
}

/// Policies of `regions` regions whose windows cost each session `epsilon`; `None` for as good as no noise.
///
/// # Errors
/// Findings, for an ε that no policy can state.
pub(crate) fn measurement_policies(regions: usize, epsilon: Option<f64>) -> anyhow::Result<MeasurementPolicies> {
    let rho = match epsilon {
        None => RHO_WITHOUT_NOISE,
        Some(epsilon) => policies::zcdp::rho_for_epsilon(epsilon, DELTA).as_f64(),
    };
    let regions =
        (1..=regions).map(|number| format!("replay-{number}").parse()).collect::<Result<Vec<RegionId>, _>>()?;
    let mut files = BTreeMap::new();
    for region in &regions {
        files.insert(format!("regions/{region}.toml"), region_file(region, rho)?.into_bytes());
    }
    files.insert("attestation.toml".to_owned(), PROFILE.as_bytes().to_vec());
    files.insert("purposes/measurement.toml".to_owned(), PURPOSE.as_bytes().to_vec());
    let grant = format!(
        "[[grants]]\ntenant = \"{TENANT}\"\nregions = {}\npurposes = [\"measurement\"]\n",
        serde_json::to_string(&regions)?
    );
    files.insert("access.toml".to_owned(), grant.into_bytes());
    let set = PolicySet::parse(&files).map_err(|findings| {
        let sentences: Vec<String> = findings.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("no policy can state this: {}", sentences.join("; "))
    })?;
    Ok(MeasurementPolicies { regions, set })
}

const PURPOSE: &str = r#"purpose = "measurement"
title = "Measuring the service on a log"
description = "A log is replayed to see what privacy costs in quality. No viewer is served."
legal_basis = "No personal data of viewers of a running service"
signals = ["watch", "skip", "like"]
tasks = ["item-counts", "co-engagement", "ranker-moments"]
"#;

/// The nodes are this very program.
const PROFILE: &str =
    concat!("[[software]]\nname = \"node-software\"\nversions = [\"", env!("CARGO_PKG_VERSION"), "\"]\n");

/// What the nodes of every region prove.
const ATTESTATION: &str = "\n[attestation]\nprofiles = [\"node-software\"]\ntier_min = \"software\"\n\
                           status_min = \"warning\"\nresult_seconds = 3600\n";

fn region_file(region: &RegionId, rho: f64) -> anyhow::Result<String> {
    let unit = UnitRule { unit: PrivacyUnit::Session, window_seconds: 3600, quota: 1, region_factor: 1, nodes: 1 };
    let [counts, gram, moments] = SPLIT_PERCENT.map(|percent| floor_picos(rho * percent / 100.0));
    let window = floor_picos(rho);
    let mut text = format!(
        "region = \"{region}\"\ntitle = \"Replay\"\njurisdiction = \"replay\"\nfailover = []\nsignals = [\"watch\", \"skip\", \"like\"]\n\n\
         [retention]\nsession_idle_seconds = 86400\nsession_absolute_seconds = 86400\nsession_events_max = 48\n\n\
         [unit]\nkind = \"session\"\nwindow_seconds = {}\nquota = 1\nregion_factor = 1\nnodes = 1\n\n\
         [budget]\ndelta = {DELTA:e}\nrho_per_window = {window}\nepsilon_per_window = {}\n",
        unit.window_seconds,
        policies::zcdp::epsilon(window, DELTA),
    );
    let specs = [
        (counts, TaskSpec::ItemCounts { clip: 2.6, impressions_clip: 4.4721, rewards_percent: 80, base_rate: 0.1 }),
        (gram, TaskSpec::CoEngagement { items_max: 600 }),
        (moments, TaskSpec::RankerMoments { norm: 2.0 }),
    ];
    for (rho, spec) in specs {
        let rule = TaskRule { purpose: "measurement".parse::<PurposeId>()?, rho: Rho::from_f64_up(rho)?, spec };
        let sigmas: Vec<f64> = rule.noised(&unit).iter().map(policies::rules::Noised::sigma).collect();
        write!(text, "\n[tasks.{}]\npurpose = \"measurement\"\nrho = {rho}\n", rule.spec.kind())?;
        match rule.spec {
            TaskSpec::ItemCounts { clip, impressions_clip, rewards_percent, base_rate } => write!(
                text,
                "clip = {clip}\nimpressions_clip = {impressions_clip}\nrewards_percent = {rewards_percent}\n\
                 base_rate = {base_rate}\nsigma_rewards = {}\nsigma_impressions = {}\n",
                sigmas[0], sigmas[1]
            )?,
            TaskSpec::CoEngagement { items_max } => write!(text, "items_max = {items_max}\nsigma = {}\n", sigmas[0])?,
            TaskSpec::RankerMoments { norm } => write!(text, "norm = {norm:?}\nsigma = {}\n", sigmas[0])?,
            TaskSpec::ArmReward { .. } | TaskSpec::Transitions { .. } | TaskSpec::RunningTotals { .. } => {}
        }
    }
    text.push_str(ATTESTATION);
    Ok(text)
}

/// Rounded down to whole picos, so that parts never sum to more than the whole.
fn floor_picos(rho: f64) -> f64 {
    (rho * 1e12).floor() / 1e12
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_loses_what_was_asked_for() {
        for epsilon in [0.5, 1.0, 2.0, 8.0] {
            let MeasurementPolicies { regions, set, .. } = measurement_policies(2, Some(epsilon)).unwrap();
            assert_eq!(regions.iter().map(RegionId::as_str).collect::<Vec<_>>(), ["replay-1", "replay-2"]);
            let region = set.region(&regions[1]).unwrap();
            let stated = policies::zcdp::epsilon(region.budget.rho_per_window.as_f64(), DELTA);
            assert!(stated <= epsilon && stated > 0.999 * epsilon, "{stated} for {epsilon}");
            assert_eq!(set.tasks_for(&region.region, &TENANT.parse().unwrap()).len(), 3);
        }
        let MeasurementPolicies { regions, set } = measurement_policies(1, None).unwrap();
        assert_eq!(set.region(&regions[0]).unwrap().budget.rho_per_window.to_string(), "1000");
    }
}
