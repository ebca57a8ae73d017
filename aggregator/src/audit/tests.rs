use std::collections::BTreeMap;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use policies::{Delta, Digest, PolicySet, PrivacyUnit, Rho, TaskKind, WindowId, sample};
use proptest::prelude::*;

use super::sample::SampleLog;
use super::*;
use crate::log::{KeyEpochLogged, LogEntry, ModelLogged, PolicyLogged};
use crate::release::chain::Opening;
use crate::release::{Head, LedgerEntry, ReleaseId};

fn set() -> PolicySet {
    static SET: LazyLock<PolicySet> = LazyLock::new(|| PolicySet::parse(&sample::files()).unwrap());
    SET.clone()
}

/// The sample policies with this text of a file replaced, everywhere in it.
fn other(file: &str, from: &str, to: &str) -> PolicySet {
    let mut files = sample::files();
    let text = String::from_utf8(files.remove(file).unwrap()).unwrap();
    assert!(text.contains(from), "{from}");
    files.insert(file.to_owned(), text.replace(from, to).into_bytes());
    PolicySet::parse(&files).unwrap()
}

/// The log of three windows of every node.
fn log() -> Vec<LogEntry> {
    log_of(3)
}

fn log_of(windows: u64) -> Vec<LogEntry> {
    let set = set();
    let whole = SampleLog::new(&set);
    let mut ledgers = 0;
    let within = |entry: &LogEntry| {
        ledgers += u64::from(is_ledger(entry));
        ledgers <= windows * nodes()
    };
    whole.take_while(within).collect()
}

/// Regions with a grant.
fn nodes() -> u64 {
    let set = set();
    set.regions().keys().filter(|region| set.grants().iter().any(|grant| grant.regions.contains(*region))).count()
        as u64
}

fn report_of(log: &[LogEntry], sets: &[PolicySet]) -> AuditReport {
    let source: BTreeMap<_, _> = sets.iter().map(|set| (set.digest(), set.clone())).collect();
    let mut audit = Audit::new(AuditOptions::default(), source);
    for (index, entry) in (0..).zip(log) {
        audit.take(index, &entry.encode());
    }
    audit.finish()
}

/// The kinds of what is found, each once.
fn found(log: &[LogEntry]) -> Vec<FindingKind> {
    report_of(log, &[set()]).findings_by_kind.into_keys().collect()
}

/// The place of the `n`-th leaf of a sort.
fn place(log: &[LogEntry], n: usize, wanted: impl Fn(&LogEntry) -> bool) -> usize {
    log.iter().enumerate().filter(|(_, entry)| wanted(entry)).nth(n).expect("there are as many").0
}

fn is_ledger(entry: &LogEntry) -> bool {
    matches!(entry, LogEntry::Ledger(_))
}

fn is_release(entry: &LogEntry) -> bool {
    matches!(entry, LogEntry::Release(_))
}

fn with_ledger(change: impl FnOnce(&mut LedgerLogged)) -> Vec<LogEntry> {
    let mut log = log();
    let at = place(&log, 0, is_ledger);
    let LogEntry::Ledger(logged) = &mut log[at] else { unreachable!() };
    change(logged);
    log
}

/// A log with the `n`-th release changed.
fn with_release(n: usize, change: impl FnOnce(&mut ReleaseLogged)) -> Vec<LogEntry> {
    let mut log = log();
    let at = place(&log, n, is_release);
    let LogEntry::Release(logged) = &mut log[at] else { unreachable!() };
    change(logged);
    log
}

/// A log with the first charge of a kind of task changed, and its release alike, under heads that follow.
fn with_charge(
    task: TaskKind,
    change: impl FnOnce(&mut ChargeRecord),
    change_release: impl FnOnce(&mut ReleaseLogged),
) -> Vec<LogEntry> {
    let mut log = log();
    let mut changes = Some((change, change_release));
    for at in 0..log.len() {
        let LogEntry::Ledger(logged) = &mut log[at] else { continue };
        let (ledger, first) = (logged.ledger, logged.first);
        for (number, text) in (first..).zip(&mut logged.entries) {
            let mut entry = LedgerEntry::decode(&STANDARD.decode(&*text).unwrap()).unwrap();
            let LedgerEntry::Charge(record) = &mut entry else { continue };
            if record.id.task != task {
                continue;
            }
            let Some((change, change_release)) = changes.take() else { break };
            change(record);
            *text = STANDARD.encode(entry.encode());
            let paid = |entry: &LogEntry| matches!(entry, LogEntry::Release(logged) if logged.ledger == ledger && logged.sequence == number);
            let at = place(&log, 0, paid);
            let LogEntry::Release(release) = &mut log[at] else { unreachable!() };
            change_release(release);
            break;
        }
    }
    assert!(changes.is_none(), "no charge of {task}");
    rechained(log)
}

/// The same with the heads that follow from the entries.
fn rechained(mut log: Vec<LogEntry>) -> Vec<LogEntry> {
    let mut heads: BTreeMap<LedgerId, Head> = BTreeMap::new();
    for entry in &mut log {
        let LogEntry::Ledger(logged) = entry else { continue };
        let head = heads.entry(logged.ledger).or_insert_with(|| Head::empty(logged.ledger));
        logged.first = head.entries + 1;
        for text in &logged.entries {
            *head = head.after(&STANDARD.decode(text).unwrap());
        }
        logged.head = head.digest;
    }
    log
}

#[test]
fn a_sound_log_holds() {
    let log = log();
    let report = report_of(&log, &[set()]);
    assert_eq!((report.verdict, &report.findings), (Verdict::Holds, &Vec::new()));
    let releases = log.iter().filter(|entry| is_release(entry)).count() as u64;
    let Counts { leaves, charges, burns, pending, .. } = report.counts;
    assert_eq!((leaves, charges, burns, pending), (log.len() as u64, releases, 0, 0));
    assert_eq!(report.counts.releases, releases);
    assert_eq!(report.ledgers.iter().map(|ledger| ledger.released).sum::<u64>(), releases);
    let LogEntry::Ledger(last) = log.iter().rev().find(|entry| is_ledger(entry)).unwrap() else { unreachable!() };
    assert!(report.ledgers.iter().any(|ledger| (ledger.ledger, ledger.head) == (last.ledger, last.head)));
    assert_eq!(report.policies.len(), 1);
    assert_eq!(
        (report.policies[0].version, report.policies[0].files, report.policies[0].releases),
        (1, true, releases)
    );
    assert_eq!(report.activity.iter().map(|step| step.releases).sum::<u64>(), releases);
}

/// The sums of a share, by hand: a window's tasks add up to the policy's ρ, three windows to three of them.
#[test]
fn sums_are_those_of_the_policy() {
    let set = set();
    let report = report_of(&log(), std::slice::from_ref(&set));
    assert!(report.shares.len() >= 3);
    for share in &report.shares {
        let policy = set.region(&share.region).unwrap();
        let rules = set.tasks_for(&share.region, &share.tenant);
        let rho = rules.iter().map(|rule| rule.rho.picos()).sum::<u64>();
        assert_eq!(share.rho_window, Rho::from_picos(rho).unwrap().as_f64(), "{share:?}");
        assert_eq!(share.epsilon_window, Some(policies::zcdp::epsilon(share.rho_window, policy.budget.delta)));
        let (tight, pld) = (share.epsilon_window.unwrap(), share.epsilon_window_pld.unwrap());
        assert!((0.5 * tight..tight).contains(&pld), "{tight} {pld}");
        assert_eq!((share.windows, share.charges, share.releases), (3, 3 * rules.len() as u64, 3 * rules.len() as u64));
        let year: f64 = share.years.iter().map(|year| year.rho).sum();
        assert!((year - 3.0 * share.rho_window).abs() < 1e-9, "{share:?}");
        match policy.unit.unit {
            PrivacyUnit::ViewerWindow => {
                assert_eq!(share.years[0].limit, Some(policy.budget.rho_per_year.as_f64()));
                assert_eq!((share.caution, share.years[0].epsilon.is_some()), (None, true));
            }
            PrivacyUnit::Session => {
                assert_eq!(share.caution, Some("no per-viewer or yearly bound"));
                assert_eq!((share.years[0].limit, share.years[0].epsilon), (None, None));
            }
        }
    }
}

#[test]
fn a_release_that_was_not_charged_as_it_says_is_found() {
    use FindingKind as K;
    assert_eq!(found(&with_release(0, |release| release.sequence = 10_000)), [K::Gap, K::NotCharged]);
    assert_eq!(found(&with_release(0, |release| release.sequence = 0)), [K::Gap, K::NotCharged]);
    assert_eq!(found(&with_release(0, |release| release.ledger = LedgerId([99; 16]))), [K::Gap, K::NotCharged]);
    assert_eq!(found(&with_release(0, |release| release.window.0 += 1000)), [K::Gap, K::ChargeDiffers]);
    assert_eq!(found(&with_release(0, |release| release.node = "other".parse().unwrap())), [K::Gap, K::ChargeDiffers]);
    assert_eq!(found(&with_release(0, |release| release.rho_picos += 1)), [K::Rho, K::ChargeDiffers]);
    assert_eq!(found(&with_release(0, |release| release.delta_attos += 1)), [K::Delta, K::ChargeDiffers]);
    let purpose = |release: &mut ReleaseLogged| release.purpose = "another".parse().unwrap();
    assert_eq!(found(&with_release(0, purpose)), [K::Purpose, K::ChargeDiffers]);
    assert_eq!(
        found(&with_release(0, |release| release.unit.kind = PrivacyUnit::Session)),
        [K::Unit, K::ChargeDiffers]
    );
    assert_eq!(found(&with_release(0, |release| release.private = false)), [K::NotPrivate]);
    assert_eq!(
        found(&with_release(0, |release| release.policy = Digest::of(b"x"))),
        [K::PolicyMissing, K::ChargeDiffers]
    );
}

#[test]
fn a_release_that_is_not_what_its_policy_gives_is_found() {
    use FindingKind as K;
    type Change = fn(&mut ReleaseLogged);
    let changes: [(Change, FindingKind); 12] = [
        (|release| release.unit.quota += 1, K::Unit),
        (|release| release.unit.region_factor += 1, K::Unit),
        (|release| release.unit.nodes += 1, K::Unit),
        (|release| release.unit.window_seconds += 1, K::Unit),
        (|release| release.stated_delta *= 2.0, K::Delta),
        (|release| release.segments[0].sensitivity -= 1, K::Sensitivity),
        (|release| release.segments[0].rho_picos -= 1, K::Rho),
        (|release| release.segments[1].scale += 1, K::Segments),
        (|release| release.segments[1].cells += 1, K::Segments),
        (|release| release.segments[0].kind = "gram".to_owned(), K::Segments),
        (|release| release.segments.truncate(1), K::Segments),
        (|release| release.segments.clear(), K::Segments),
    ];
    for (number, (change, kind)) in changes.into_iter().enumerate() {
        assert_eq!(found(&with_release(0, change)), [kind], "{number}");
    }
    // Cells of one catalogue are of one number.
    let fewer = |release: &mut ReleaseLogged| release.segments.iter_mut().for_each(|segment| segment.cells -= 1);
    assert_eq!(found(&with_release(0, fewer)), [K::Segments]);
    // A Gram is a triangle, of a frame that the policy allows, and of one size for one frame.
    let gram = place(
        &log().into_iter().filter(is_release).collect::<Vec<_>>(),
        0,
        |entry| matches!(entry, LogEntry::Release(release) if release.task == TaskKind::CoEngagement),
    );
    for cells in [0, 1, 5049, 601 * 602 / 2, u64::MAX] {
        assert_eq!(found(&with_release(gram, |release| release.segments[0].cells = cells)), [K::Segments], "{cells}");
    }
}

#[test]
fn a_charge_that_its_policy_does_not_give_is_found() {
    use FindingKind as K;
    let first = TaskKind::ItemCounts;
    let rho = |charge: &mut ChargeRecord| charge.rho = Rho::from_picos(charge.rho.picos() - 1).unwrap();
    assert_eq!(found(&with_charge(first, rho, |release| release.rho_picos -= 1)), [K::Rho]);
    let more = |charge: &mut ChargeRecord| charge.rho = Rho::from_picos(charge.rho.picos() + 1).unwrap();
    assert_eq!(found(&with_charge(first, more, |release| release.rho_picos += 1)), [K::Rho, K::WindowBudget]);
    let delta = |charge: &mut ChargeRecord| charge.delta = Delta::from_attos(1).unwrap();
    assert_eq!(found(&with_charge(first, delta, |release| release.delta_attos = 1)), [K::Delta]);
    let delta = |charge: &mut ChargeRecord| charge.delta = Delta::ONE;
    let all = with_charge(first, delta, |release| release.delta_attos = Delta::ONE.attos());
    assert_eq!(found(&all), [K::Delta, K::DeltaBudget]);
    let purpose = |charge: &mut ChargeRecord| charge.purpose = "experiments".parse().unwrap();
    let purposes = with_charge(first, purpose, |release| release.purpose = "experiments".parse().unwrap());
    assert_eq!(found(&purposes), [K::Purpose]);
    let unit = |charge: &mut ChargeRecord| charge.unit = PrivacyUnit::Session;
    let units = with_charge(first, unit, |release| release.unit.kind = PrivacyUnit::Session);
    assert_eq!(found(&units), [K::Unit]);
    assert_eq!(found(&with_charge(first, |charge| charge.span.from_s += 1, |_| ())), [K::Unit]);
    let tenant = |charge: &mut ChargeRecord| charge.id.tenant = "stranger".parse().unwrap();
    let tenants = with_charge(first, tenant, |release| release.tenant = "stranger".parse().unwrap());
    assert_eq!(found(&tenants), [K::NotGranted]);
    // A task that eu-north does not have.
    let task = |charge: &mut ChargeRecord| charge.id.task = TaskKind::ArmReward;
    let tasks = with_charge(first, task, |release| release.task = TaskKind::ArmReward);
    assert!(found(&tasks).contains(&K::NotGranted), "{:?}", found(&tasks));
    // A region that the policies do not have.
    let region = |charge: &mut ChargeRecord| charge.id.region = "mars".parse().unwrap();
    let regions = with_charge(first, region, |release| release.region = "mars".parse().unwrap());
    assert_eq!(found(&regions), [K::LedgerForeign, K::NotGranted]);
    let node = |charge: &mut ChargeRecord| charge.id.node = "node-99".parse().unwrap();
    let nodes = with_charge(first, node, |release| release.node = "node-99".parse().unwrap());
    assert_eq!(found(&nodes), [K::LedgerForeign]);
}

/// Every entry of a ledger again under other names: no name brings a fresh budget.
#[test]
fn budgets_are_held_against_the_time_whatever_the_names() {
    use FindingKind as K;
    let mut log = log();
    let at = place(&log, 0, is_ledger);
    let LogEntry::Ledger(logged) = &mut log[at] else { unreachable!() };
    for number in 0..logged.entries.len() {
        let LedgerEntry::Charge(record) =
            LedgerEntry::decode(&STANDARD.decode(&logged.entries[number]).unwrap()).unwrap()
        else {
            unreachable!()
        };
        let moved = ChargeRecord { id: ReleaseId { window: WindowId(record.id.window.0 + 9), ..record.id }, ..record };
        logged.entries.push(STANDARD.encode(LedgerEntry::Charge(moved).encode()));
    }
    let found = report_of(&rechained(log), &[set()]).findings_by_kind;
    assert!(found.contains_key(&K::WindowBudget) && found.contains_key(&K::Unit), "{found:?}");
}

#[test]
fn a_year_and_a_purpose_that_are_overspent_are_found() {
    use FindingKind as K;
    // 54 windows of a week begin in no more than 53 weeks of a year.
    let log = log_of(54);
    assert_eq!(found(&log), []);
    let mut spending = Spending::default();
    let LogEntry::Ledger(logged) = &log[place(&log, 0, is_ledger)] else { unreachable!() };
    let LedgerEntry::Charge(record) = LedgerEntry::decode(&STANDARD.decode(&logged.entries[0]).unwrap()).unwrap()
    else {
        unreachable!()
    };
    let limit = |picos: u64| Rho::from_picos(picos).unwrap();
    let picos = record.rho.picos();
    let limits = crate::release::store::ChargeLimits {
        window: limit(picos),
        year: limit(2 * picos),
        delta_window: Delta::ZERO,
        purpose_window: Some(limit(picos)),
        purpose_year: Some(limit(2 * picos)),
    };
    let later = |weeks: u64| {
        let by = weeks * 604_800;
        Span { from_s: record.span.from_s + by, until_s: record.span.until_s + by }
    };
    let mut kinds = |record: &ChargeRecord| {
        spending.add(record).1.beyond(&limits).into_iter().map(|(kind, _)| kind).collect::<Vec<_>>()
    };
    assert_eq!(kinds(&record), []);
    assert_eq!(kinds(&ChargeRecord { span: later(1), ..record.clone() }), []);
    assert_eq!(kinds(&ChargeRecord { span: later(2), ..record.clone() }), [K::YearBudget, K::PurposeBudget]);
    let purpose = "another".parse().unwrap();
    assert_eq!(kinds(&ChargeRecord { span: later(60), purpose, ..record.clone() }), []);
    // One second in common is a window in common.
    let half = Span { from_s: later(60).until_s - 1, until_s: later(60).until_s + 9 };
    assert_eq!(kinds(&ChargeRecord { span: half, ..record.clone() }), [K::WindowBudget]);
    let next = Span { from_s: half.until_s, until_s: half.until_s + 604_800 };
    assert_eq!(kinds(&ChargeRecord { span: next, ..record }), [K::YearBudget]);
}

#[test]
fn a_ledger_that_does_not_follow_is_found() {
    use FindingKind as K;
    let head = |logged: &mut LedgerLogged| logged.head = Digest::of(b"x");
    // The next leaf of the same ledger is followed from the head that stands there.
    let found_heads = report_of(&with_ledger(head), &[set()]);
    assert_eq!(found_heads.findings_by_kind.keys().collect::<Vec<_>>(), [&K::LedgerHead]);
    // An entry that is changed in its place.
    let altered = with_ledger(|logged| {
        let mut bytes = STANDARD.decode(&logged.entries[0]).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        logged.entries[0] = STANDARD.encode(bytes);
    });
    assert_eq!(found(&altered), [K::LedgerHead]);
    for text in ["", "%", "AAAA"] {
        let broken = with_ledger(|logged| text.clone_into(&mut logged.entries[0]));
        assert_eq!(found(&broken), [K::LedgerHead, K::LedgerEntry, K::NotCharged], "{text}");
    }
    assert!(found(&with_ledger(|logged| logged.entries.clear())).contains(&K::LedgerEntry));
    assert_eq!(found(&with_ledger(|logged| logged.first = 0)).first(), Some(&K::LedgerGap));
    // A leaf that is missing: its releases were not charged.
    let mut log = log();
    log.remove(place(&log, 0, is_ledger));
    assert_eq!(found(&log), [K::LedgerGap, K::NotCharged]);
    // A leaf that stands there twice.
    let mut log = self::log();
    let at = place(&log, 0, is_ledger);
    log.push(log[at].clone());
    assert_eq!(found(&log), [K::LedgerFork]);
    // Numbers beyond all bounds.
    let far = with_ledger(|logged| logged.first = u64::MAX);
    assert_eq!(found(&far), [K::LedgerGap, K::NotCharged]);
}

#[test]
fn a_ledger_that_is_exchanged_is_found() {
    use FindingKind as K;
    // Another ledger of the node, with the charges of the first.
    let mut log = log();
    let at = place(&log, 0, is_ledger);
    let LogEntry::Ledger(first) = log[at].clone() else { unreachable!() };
    let fresh = LedgerId([77; 16]);
    for entry in &mut log[at + 1..] {
        match entry {
            LogEntry::Ledger(logged) if logged.ledger == first.ledger => logged.ledger = fresh,
            LogEntry::Release(logged)
                if logged.ledger == first.ledger && logged.sequence > first.entries.len() as u64 =>
            {
                logged.ledger = fresh;
                logged.sequence -= first.entries.len() as u64;
            }
            _ => {}
        }
    }
    assert_eq!(found(&rechained(log)), [K::LedgerChanged]);
    // A ledger that another node brings, too.
    let mut log = self::log();
    let second = place(&log, 0, |entry| matches!(entry, LogEntry::Ledger(logged) if logged.ledger != first.ledger));
    let LogEntry::Ledger(logged) = &mut log[second] else { unreachable!() };
    logged.ledger = first.ledger;
    let kinds = found(&log);
    assert!(kinds.contains(&K::LedgerShared) && kinds.contains(&K::LedgerFork), "{kinds:?}");
}

#[test]
fn an_opening_that_had_ended_is_found() {
    let opening = |n| move |charge: &mut ChargeRecord| charge.opening = Opening([n; 16]);
    // The first charge alone is of another opening than those before and after.
    let log = with_charge(TaskKind::CoEngagement, opening(2), |_| ());
    assert_eq!(found(&log), [FindingKind::LedgerOpening]);
    let log = with_charge(TaskKind::ItemCounts, opening(2), |_| ());
    assert_eq!(found(&log), [], "a restart");
}

#[test]
fn charges_without_releases_are_gaps_pending_or_burned() {
    use FindingKind as K;
    let mut log = log();
    log.remove(place(&log, 0, is_release));
    let report = report_of(&log, &[set()]);
    assert_eq!(report.findings_by_kind, BTreeMap::from([(K::Gap, 1)]));
    assert_eq!(report.ledgers.iter().map(|ledger| ledger.open).sum::<u64>(), 1);
    // Burned, it is accounted for; its ρ stays spent.
    let LogEntry::Ledger(first) = log[place(&log, 0, is_ledger)].clone() else { unreachable!() };
    let burn = LedgerLogged {
        first: 0,
        entries: vec![STANDARD.encode(LedgerEntry::Burn(1).encode())],
        head: Digest::of(b""),
        ..first.clone()
    };
    let mut burned = log.clone();
    burned.push(LogEntry::Ledger(burn.clone()));
    let burned = rechained(burned);
    let report = report_of(&burned, &[set()]);
    assert_eq!((report.verdict, report.counts.burns), (Verdict::Holds, 1));
    assert_eq!(report.shares.iter().map(|share| share.charges - share.releases).sum::<u64>(), 1);
    // A burn of what was released, of a burn, of nothing, and of what was burned.
    let mut odd = self::log();
    for sequence in [1, 0, 10_000] {
        let entries = vec![STANDARD.encode(LedgerEntry::Burn(sequence).encode())];
        odd.push(LogEntry::Ledger(LedgerLogged { entries, ..burn.clone() }));
    }
    assert_eq!(report_of(&rechained(odd), &[set()]).findings_by_kind, BTreeMap::from([(K::LedgerBurn, 3)]));
    let mut twice = burned.clone();
    twice.push(LogEntry::Ledger(burn));
    assert_eq!(found(&rechained(twice)), [K::LedgerBurn]);
    // A release after its burn.
    let mut late = burned;
    let at = place(&self::log(), 0, is_release);
    late.push(self::log()[at].clone());
    assert_eq!(found(&late), [K::ReleasedBurned]);
    // The last release of all is still to come.
    let mut open = self::log();
    let newest = open.iter().enumerate().filter_map(|(at, entry)| match entry {
        LogEntry::Release(release) => Some((release.accepted_ms, at)),
        _ => None,
    });
    let at = newest.max().unwrap().1;
    open.remove(at);
    let report = report_of(&open, &[set()]);
    assert_eq!((report.verdict, report.counts.pending), (Verdict::Holds, 1));
}

#[test]
fn a_release_that_stands_twice_is_found() {
    use FindingKind as K;
    let sound = log();
    let at = place(&sound, 0, is_release);
    let LogEntry::Release(release) = sound[at].clone() else { unreachable!() };
    let with = |release: ReleaseLogged| {
        let mut log = sound.clone();
        log.push(LogEntry::Release(Box::new(release)));
        found(&log)
    };
    assert_eq!(with((*release).clone()), [K::Repeated]);
    assert_eq!(with(ReleaseLogged { digest: Digest::of(b"x"), ..(*release).clone() }), [K::Replaced]);
    assert_eq!(with(ReleaseLogged { window: WindowId(1), ..(*release).clone() }), [K::SequenceReused]);
    // Two charges of one release.
    let log = with_charge(TaskKind::ItemCounts, |_| (), |_| ());
    let LogEntry::Ledger(mut again) = log[place(&log, 0, is_ledger)].clone() else { unreachable!() };
    again.entries.truncate(1);
    let mut log = log;
    log.push(LogEntry::Ledger(again));
    let found = report_of(&rechained(log), &[set()]).findings_by_kind;
    assert_eq!(found.get(&K::ChargedTwice), Some(&1), "{found:?}");
}

#[test]
fn policies_are_in_force_from_their_leaf_to_the_next() {
    use FindingKind as K;
    let sound = log();
    let next = |version, digest, logged_ms| {
        LogEntry::Policy(PolicyLogged { version, digest, bundle: Digest::of(b"b"), logged_ms })
    };
    let newer = other("regions/eu-west.toml", "title = \"Western Europe\"", "title = \"The West\"");
    let with = |at: usize, entry: LogEntry, sets: &[PolicySet]| {
        let mut log = sound.clone();
        log.insert(at, entry);
        report_of(&log, sets)
    };
    let kinds = |report: AuditReport| report.findings_by_kind.into_keys().collect::<Vec<_>>();
    let both = [set(), newer.clone()];
    let LogEntry::Ledger(first) = &sound[place(&sound, 0, is_ledger)] else { unreachable!() };
    let begin_ms = 2800 * 604_800_000;
    // Superseded while the first windows were open, and before they opened.
    let second = place(&sound, usize::try_from(nodes()).unwrap(), is_ledger);
    assert_eq!(kinds(with(second, next(2, newer.digest(), first.logged_ms), &both)), [K::PolicySuperseded]);
    let last = sound.len();
    assert_eq!(kinds(with(last, next(2, newer.digest(), first.logged_ms), &both)), []);
    assert_eq!(kinds(with(1, next(2, newer.digest(), begin_ms - POLICY_GRACE_MS - 1), &both)), [K::PolicySuperseded]);
    // The same files signed again are the same policy.
    assert_eq!(kinds(with(1, next(2, set().digest(), begin_ms), &both)), []);
    // Versions rise.
    for version in [0, 1] {
        assert_eq!(kinds(with(last, next(version, newer.digest(), first.logged_ms), &both)), [K::PolicyVersion]);
    }
    // Files that are not at hand leave the verdict open.
    let report = with(last, next(2, newer.digest(), first.logged_ms), &both[..1]);
    assert_eq!((report.verdict, kinds(report)), (Verdict::Incomplete, vec![K::PolicyMissing]));
    let report = report_of(&sound, &[]);
    assert_eq!((report.verdict, kinds(report)), (Verdict::Incomplete, vec![K::PolicyMissing]));
    // Never logged, and logged only after it was used.
    assert_eq!(found(&sound[1..]), [K::PolicyUnlogged]);
    let mut late = sound.clone();
    let policy = late.remove(0);
    late.push(policy);
    assert_eq!(found(&late), [K::PolicyLate]);
}

#[test]
fn more_nodes_than_the_policy_declares_are_found() {
    // A second node of the first region, with a ledger of its own.
    let mut log = log();
    let at = place(&log, 0, is_ledger);
    let LogEntry::Ledger(mut second) = log[at].clone() else { unreachable!() };
    (second.node, second.ledger) = ("second".parse().unwrap(), LedgerId([50; 16]));
    for text in &mut second.entries {
        let LedgerEntry::Charge(mut record) = LedgerEntry::decode(&STANDARD.decode(&*text).unwrap()).unwrap() else {
            unreachable!()
        };
        record.id.node = second.node.clone();
        *text = STANDARD.encode(LedgerEntry::Charge(record).encode());
    }
    let releases: Vec<LogEntry> = log[at + 1..].iter().take(second.entries.len()).cloned().collect();
    let (node, ledger) = (second.node.clone(), second.ledger);
    log.push(LogEntry::Ledger(second));
    for release in releases {
        let LogEntry::Release(mut release) = release else { unreachable!() };
        (release.node, release.ledger) = (node.clone(), ledger);
        log.push(LogEntry::Release(release));
    }
    let report = report_of(&rechained(log), &[set()]);
    assert_eq!(report.findings_by_kind.keys().collect::<Vec<_>>(), [&FindingKind::Nodes]);
    let share = report.shares.iter().find(|share| share.nodes == 2).unwrap();
    // What each window cost a viewer is what it cost at one node: Δ is made for all.
    let one = report_of(&self::log(), &[set()]);
    let before = one.shares.iter().find(|one| (&one.tenant, &one.region) == (&share.tenant, &share.region)).unwrap();
    assert_eq!((share.rho_window, &share.years), (before.rho_window, &before.years));
}

#[test]
fn a_charge_before_its_window_ended_is_found() {
    let early = with_ledger(|logged| logged.logged_ms -= CLOCK_SKEW_MS + 2000);
    assert_eq!(found(&early), []);
    let early = with_ledger(|logged| logged.logged_ms -= CLOCK_SKEW_MS + 2001);
    assert_eq!(found(&early), [FindingKind::WindowOpen]);
}

#[test]
fn models_and_keys_have_one_value_and_rise() {
    use FindingKind as K;
    let model = |version, digest: &[u8], serial| {
        LogEntry::Model(ModelLogged {
            tenant: "demo".parse().unwrap(),
            version,
            digest: Digest::of(digest),
            serial,
            logged_ms: 1,
        })
    };
    assert_eq!(found(&[model(1, b"a", 1), model(2, b"b", 2), model(1, b"a", 3)]), [], "a roll-back");
    assert_eq!(found(&[model(1, b"a", 1), model(2, b"b", 1)]), [K::ModelSerial]);
    assert_eq!(found(&[model(1, b"a", 1), model(1, b"b", 2)]), [K::ModelDigest]);
    let key = |issuer: &str, number, statement: &[u8]| {
        LogEntry::KeyEpoch(KeyEpochLogged {
            region: "eu-west".parse().unwrap(),
            node: "node-1".parse().unwrap(),
            issuer: issuer.to_owned(),
            number,
            statement: Digest::of(statement),
            logged_ms: 1,
        })
    };
    assert_eq!(found(&[key("i", 0, b"a"), key("i", 1, b"b"), key("j", 0, b"c"), key("i", 0, b"a")]), []);
    let report = report_of(&[key("i\n\u{1b}[31m", 0, b"a"), key("i\n\u{1b}[31m", 0, b"b")], &[]);
    assert_eq!(report.findings_by_kind.keys().collect::<Vec<_>>(), [&K::KeyFork]);
    assert!(!report.findings[0].sentence.contains(['\n', '\u{1b}']), "{}", report.findings[0].sentence);
}

#[test]
fn leaves_in_other_forms_and_unreadable_logs_are_found() {
    let mut audit = Audit::new(AuditOptions::default(), BTreeMap::from([(set().digest(), set())]));
    for (index, entry) in (0..).zip(log()) {
        audit.take(index, &entry.encode());
    }
    audit.take(99, b"{}");
    let report = audit.finish();
    assert_eq!(report.findings_by_kind, BTreeMap::from([(FindingKind::Malformed, 1)]));
    assert_eq!(report.findings[0].leaf, Some(99));
    let mut audit = Audit::new(AuditOptions::default(), BTreeMap::new());
    audit.unreadable("the tree's root is another");
    assert_eq!(audit.finish().verdict, Verdict::Broken);
}

#[test]
fn a_release_comes_back_with_what_was_found() {
    let set = set();
    let mut audit = Audit::new(AuditOptions::default(), BTreeMap::from([(set.digest(), set)]));
    let mut log = with_release(0, |release| release.private = false);
    log.truncate(place(&log, 0, is_release) + 2);
    let taken: Vec<_> = (0..).zip(&log).filter_map(|(index, entry)| audit.take(index, &entry.encode())).collect();
    let shown: Vec<_> = taken.iter().map(|release| (release.policy_version, release.findings)).collect();
    assert_eq!(shown, [(Some(1), 1), (Some(1), 0)]);
    assert_eq!(taken[0].span.map(|span| span.until_s - span.from_s), Some(604_800));
}

#[test]
fn findings_are_bounded_and_counted() {
    let mut findings = Findings::default();
    for number in 0..1000 {
        findings.add(FindingKind::Gap, number, String::new(), "x");
    }
    let (shown, counts) = findings.into_parts();
    assert_eq!((shown.len(), counts), (FINDINGS_SHOWN_MAX, BTreeMap::from([(FindingKind::Gap, 1000)])));
    let names: std::collections::BTreeSet<&str> = FindingKind::ALL.iter().map(|kind| kind.as_str()).collect();
    assert_eq!(names.len(), FindingKind::ALL.len());
    for kind in FindingKind::ALL {
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn arbitrary_leaves_end_in_a_report(data in prop::collection::vec(any::<u8>(), 0..300)) {
        fuzz::audit(&data);
    }

    /// Any leaf that is left out, doubled or moved to the end shows, but for a policy's or the very last release.
    #[test]
    fn no_leaf_can_be_left_out_or_doubled(at in 1_usize..40, double: bool) {
        let mut log = log();
        let at = at % (log.len() - 1).max(2);
        prop_assume!(at > 0);
        if double { log.push(log[at].clone()) } else { drop(log.remove(at)) }
        let report = report_of(&log, &[set()]);
        prop_assert!(report.verdict == Verdict::Broken || (!double && report.counts.pending > 0), "{}", at);
    }

    /// Any one bit of a leaf that is changed shows.
    #[test]
    fn no_bit_of_a_ledger_or_release_can_be_changed(at in 1_usize..20, byte: usize, bit in 0_u8..8) {
        let log = log();
        let mut audit = Audit::new(AuditOptions::default(), BTreeMap::from([(set().digest(), set())]));
        let mut changed = false;
        for (index, entry) in (0..).zip(&log) {
            let mut leaf = entry.encode();
            if usize::try_from(index) == Ok(at) {
                let place = byte % leaf.len();
                // The digests of catalogue, frame and bytes, and the times of logging, are compared with nothing here.
                let text = String::from_utf8(leaf.clone()).unwrap();
                let free = ["\"catalogue\":", "\"frame\":", "\"digest\":", "\"accepted_ms\":", "\"logged_ms\":"];
                let within = |name: &&str| text.find(*name).is_some_and(|from| (from..from + name.len() + 67).contains(&place));
                if !free.iter().any(within) {
                    leaf[place] ^= 1 << bit;
                    changed = true;
                }
            }
            audit.take(index, &leaf);
        }
        prop_assert_eq!(audit.finish().verdict == Verdict::Broken, changed);
    }
}
