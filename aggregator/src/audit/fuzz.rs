//! What a fuzzer calls: arbitrary leaves, audited without a policy.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use policies::PolicySet;

use super::{Audit, AuditOptions, PolicySource};

/// The body of the fuzz target `audit`: leaves of a log, one a line. Whatever they are, an audit ends in a report.
pub fn audit(data: &[u8]) {
    let mut audit = Audit::new(AuditOptions::default(), policies_at_hand());
    for (index, leaf) in (0..).zip(data.split(|byte| *byte == b'\n')) {
        audit.take(index, leaf);
    }
    let _ = audit.finish();
}

fn policies_at_hand() -> impl PolicySource {
    static SET: LazyLock<Option<PolicySet>> = LazyLock::new(|| PolicySet::parse(&policies::sample::files()).ok());
    SET.iter().map(|set| (set.digest(), set.clone())).collect::<BTreeMap<_, _>>()
}
