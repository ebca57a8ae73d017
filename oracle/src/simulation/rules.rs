//! The policies of the simulation: two of them, with windows of other lengths and other budgets.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use policies::{PolicySet, PrivacyUnit, Rho, TaskRule, TaskSpec, UnitRule};

pub(super) const TENANT: &str = "platform";
pub(super) const REGION: &str = "region-1";
/// Sessions that count of a viewer and window.
pub(super) const QUOTA: u32 = 2;
const DAY_SECONDS: u32 = 86_400;
/// Seconds of a window, ρ of its releases, and of a year's. The second allows half of what the first does: a year that
/// began under the first has soon nothing left.
const BUDGETS: [(u32, f64, f64); 2] = [(61 * DAY_SECONDS, 0.1, 0.6), (61 * DAY_SECONDS / 2, 0.025, 0.3)];
const DELTA: f64 = 1e-6;

pub(super) const IDLE_MS: u64 = 1_800_000;
pub(super) const ABSOLUTE_MS: u64 = 7_200_000;

const PURPOSE: &str = "purpose = \"measurement\"\ntitle = \"Simulation\"\ndescription = \"Nobody is served.\"\n\
    legal_basis = \"No personal data\"\nsignals = [\"watch\", \"skip\", \"like\"]\ntasks = [\"item-counts\", \"ranker-moments\"]\n";

/// The first is in force at the beginning.
pub(super) fn policies() -> [PolicySet; 2] {
    BUDGETS.map(|budget| {
        let grant =
            format!("[[grants]]\ntenant = \"{TENANT}\"\nregions = [\"{REGION}\"]\npurposes = [\"measurement\"]\n");
        let files = BTreeMap::from([
            (format!("regions/{REGION}.toml"), region(budget).into_bytes()),
            ("purposes/measurement.toml".to_owned(), PURPOSE.as_bytes().to_vec()),
            ("access.toml".to_owned(), grant.into_bytes()),
        ]);
        PolicySet::parse(&files).unwrap()
    })
}

fn region((window_seconds, window, year): (u32, f64, f64)) -> String {
    let unit = UnitRule { unit: PrivacyUnit::ViewerWindow, window_seconds, quota: QUOTA, region_factor: 1, nodes: 1 };
    let [of_window, of_year] = [window, year].map(|rho| policies::zcdp::epsilon(rho, DELTA));
    let mut text = format!(
        "region = \"{REGION}\"\ntitle = \"Simulation\"\njurisdiction = \"eu\"\nfailover = []\nsignals = [\"watch\", \"skip\", \"like\"]\n\
         [retention]\nsession_idle_seconds = {}\nsession_absolute_seconds = {}\nsession_events_max = 48\n\
         [unit]\nkind = \"viewer-window\"\nwindow_seconds = {window_seconds}\nquota = {QUOTA}\nregion_factor = 1\nnodes = 1\n\
         [budget]\ndelta = {DELTA:e}\nrho_per_window = {window}\nepsilon_per_window = {of_window}\n\
         rho_per_year = {year}\nepsilon_per_year = {of_year}\n",
        IDLE_MS / 1000,
        ABSOLUTE_MS / 1000,
    );
    let counts = TaskSpec::ItemCounts { clip: 2.6, impressions_clip: 4.4721, rewards_percent: 80, base_rate: 0.1 };
    let rule =
        |rho, spec| TaskRule { purpose: "measurement".parse().unwrap(), rho: Rho::from_f64_up(rho).unwrap(), spec };
    let (counts, moments) = (rule(window * 0.75, counts), rule(window * 0.2, TaskSpec::RankerMoments { norm: 2.0 }));
    let sigmas =
        |rule: &TaskRule| -> Vec<f64> { rule.noised(&unit).iter().map(policies::rules::Noised::sigma).collect() };
    let (of_counts, of_moments) = (sigmas(&counts), sigmas(&moments));
    write!(
        text,
        "[tasks.item-counts]\npurpose = \"measurement\"\nrho = {}\nclip = 2.6\nimpressions_clip = 4.4721\n\
         rewards_percent = 80\nbase_rate = 0.1\nsigma_rewards = {}\nsigma_impressions = {}\n\
         [tasks.ranker-moments]\npurpose = \"measurement\"\nrho = {}\nnorm = 2.0\nsigma = {}\n",
        counts.rho, of_counts[0], of_counts[1], moments.rho, of_moments[0],
    )
    .unwrap();
    text
}
