//! Body of the fuzz target of this module.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::PolicySet;

static SAMPLE: LazyLock<Option<PolicySet>> = LazyLock::new(|| PolicySet::parse(&crate::sample::files()).ok());

/// Body of the fuzz target `policy_cases`: any file of cases against the sample policies.
pub fn cases(data: &[u8]) {
    let Some(policies) = &*SAMPLE else { return };
    let report = super::check(policies, &BTreeMap::from([("cases/fuzz.toml".to_owned(), data.to_vec())]));
    assert!(report.percent() <= 100, "no more is covered than there is");
}
