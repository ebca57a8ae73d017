use std::collections::BTreeMap;

use super::*;
use crate::release::tests::fixture::{open, outcome, plan, rules, session, unit};
use proptest::prelude::*;

fn window(kind: PrivacyUnit, quota: u32) -> WindowAccumulator {
    open(&Arc::new(plan(&rules(), unit(kind, quota), 5)))
}

proptest! {
    /// Whatever the order, each viewer counts exactly min(sessions, quota) times.
    #[test]
    fn each_viewer_counts_up_to_its_quota(viewers in proptest::collection::vec(0u8..6, 0..60), quota in 1u32..5) {
        let mut window = window(PrivacyUnit::ViewerWindow, quota);
        let mut counted = BTreeMap::<u8, u32>::new();
        for viewer in viewers {
            let before = counted.entry(viewer).or_default();
            let expected = if *before < quota { Contributed::Counted } else { Contributed::OverQuota };
            prop_assert_eq!(window.contribute(Some(&[viewer]), &session(vec![outcome(0, 1.0)])), expected);
            *before += u32::from(expected == Contributed::Counted);
        }
        // Impressions of item 0, second segment: one a counted session.
        prop_assert_eq!(window.sums[1].to_vec()[0], i64::from(counted.values().sum::<u32>()) << 16);
    }
}

#[test]
fn a_refused_session_uses_no_quota() {
    let mut window = window(PrivacyUnit::ViewerWindow, 1);
    let refused = session(vec![outcome(0, f32::NAN)]);
    assert_eq!(window.contribute(Some(b"v"), &refused), Contributed::Refused);
    assert_eq!(window.contribute(Some(b"v"), &session(vec![])), Contributed::Empty);
    assert_eq!(window.contribute(Some(b"v"), &session(vec![outcome(0, 1.0)])), Contributed::Counted);
    assert_eq!(window.contribute(Some(b"v"), &session(vec![outcome(0, 1.0)])), Contributed::OverQuota);
}

#[test]
fn a_session_unit_needs_no_pseudonym_and_has_no_memory() {
    let mut window = window(PrivacyUnit::Session, 1);
    for viewer in [None, Some(b"v".as_slice()), Some(b"v")] {
        assert_eq!(window.contribute(viewer, &session(vec![outcome(0, 1.0)])), Contributed::Counted);
    }
    assert!(window.quota.is_empty());
}

/// Tags hide viewers: another key, tenant or viewer gives another tag, and nothing is kept but the tag.
#[test]
fn tags_depend_on_key_tenant_and_viewer() {
    let rules = rules();
    let inputs = |tenant: &str| crate::release::PlanInputs {
        tenant: tenant.parse().unwrap(),
        ..crate::release::tests::fixture::inputs(&rules, unit(PrivacyUnit::ViewerWindow, 1), 5)
    };
    let tag = |tenant: &str, key: u8, viewer: &[u8]| {
        let plan = Arc::new(WindowPlan::freeze(inputs(tenant)).unwrap());
        WindowAccumulator::open(plan, Zeroizing::new([key; 32])).tag(viewer)
    };
    let tags = [tag("demo", 7, b"v"), tag("demo", 8, b"v"), tag("dem", 7, b"ov"), tag("demo", 7, b"w")];
    let distinct: std::collections::BTreeSet<_> = tags.iter().collect();
    assert_eq!(distinct.len(), tags.len());
    assert_eq!(tag("demo", 7, b"v"), tags[0]);
}

#[test]
fn a_full_window_takes_known_units_only() {
    let mut window = window(PrivacyUnit::ViewerWindow, 2);
    let record = session(vec![outcome(0, 1.0)]);
    assert_eq!(window.contribute(Some(b"v"), &record), Contributed::Counted);
    window.units = UNITS_MAX;
    assert_eq!(window.contribute(Some(b"w"), &record), Contributed::AtCapacity);
    assert_eq!(window.contribute(Some(b"v"), &record), Contributed::Counted);
}

/// The largest sums there can be do not overflow: UNITS_MAX units that all send Δ into one cell.
#[test]
fn the_largest_sum_fits() {
    let largest = i128::from(UNITS_MAX) * i128::from(super::super::plan::SENSITIVITY_MAX);
    assert_eq!(largest, 1 << 62);
}
