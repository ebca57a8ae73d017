//! Random operations, faults and restarts against the ledger: what a crash may cost, and what it must not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use policies::{PrivacyUnit, Rho, UnitRule, WindowId};
use proptest::prelude::*;
use zeroize::Zeroizing;

use super::fixture::{budget, checkpoint, inputs, key, outcome, rng, rules, seen, session, unit};
use super::memory::{Bytes, Disk, Fault, Memory, now};
use crate::release::{
    Charge, ClosedTask, CommitError, Contributed, CountersignError, Head, Ledger, LedgerStore as _, Noise,
    PersistError, PlanInputs, Release, ReleaseId, SeenCharge, Span, StoreError, WindowAccumulator, WindowPlan,
};

#[derive(Debug, Clone)]
enum Step {
    /// Close a window of a node and charge its n-th task.
    Charge { node: u8, window: u64, task: usize },
    /// Draw the noise of a charge in flight.
    Noise,
    /// Persist a noised release, perhaps again.
    Persist { drop: bool },
    /// Send what is unsent; perhaps the mark gets lost.
    Send { limit: usize, mark: bool },
    /// The centre follows the ledger and signs where it stands; perhaps its answer gets lost.
    Countersign { lose: bool },
    /// `kill -9`, and a new start.
    Restart,
    /// Somebody copies the file.
    Copy,
    /// `kill -9`, the copy is put back, and a new start.
    PutBack,
    /// What the next write does.
    Fault(Option<Fault>),
}

fn step() -> impl Strategy<Value = Step> {
    let fault = prop_oneof![Just(Some(Fault::Before)), Just(Some(Fault::After)), Just(None)];
    prop_oneof![
        6 => (0u8..2, 8782u64..8787, 0usize..4).prop_map(|(node, window, task)| Step::Charge { node, window, task }),
        5 => Just(Step::Noise),
        5 => any::<bool>().prop_map(|drop| Step::Persist { drop }),
        3 => (1usize..4, any::<bool>()).prop_map(|(limit, mark)| Step::Send { limit, mark }),
        6 => prop::bool::weighted(0.2).prop_map(|lose| Step::Countersign { lose }),
        1 => Just(Step::Restart),
        2 => fault.prop_map(Step::Fault),
    ]
}

/// The process, which a restart forgets, the centre, and the observer, who do not.
struct World {
    store: Memory,
    ledger: Ledger<Memory>,
    starts: u8,
    centre: Vec<Vec<u8>>,
    copy: Disk,
    /// Once an older file was put back, what was promised of the newer one is void; what leaves is not.
    put_back: bool,
    drawn: BTreeSet<ReleaseId>,
    waiting: Vec<(Charge, ClosedTask)>,
    noise: Noise,
    charged: Vec<(SeenCharge, ClosedTask)>,
    noised: Vec<Release>,
    acknowledged: Vec<(ReleaseId, u64, Rho)>,
    seen: BTreeMap<ReleaseId, Vec<u8>>,
    spent_before: u128,
}

impl World {
    fn new() -> Self {
        let store = Memory::default();
        now(Ledger::initialise(&store, &mut rng(2))).unwrap().unwrap();
        let ledger = now(Ledger::open(store.clone(), &mut rng(1))).unwrap();
        let copy = store.disk().clone();
        Self {
            store,
            ledger,
            starts: 1,
            centre: vec![],
            copy,
            put_back: false,
            drawn: BTreeSet::new(),
            waiting: vec![],
            noise: Noise::seeded([5; 32]),
            charged: vec![],
            noised: vec![],
            acknowledged: vec![],
            seen: BTreeMap::new(),
            spent_before: 0,
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Charge { node, window, task } => self.charge(node, window, task),
            Step::Noise => {
                if let Some((charge, task)) = self.charged.pop() {
                    assert!(self.drawn.insert(task.id()), "noise was drawn twice for one id");
                    self.noised.push(Release::new(charge, task, &mut self.noise, &key()).unwrap());
                }
            }
            Step::Persist { drop } => self.persist(drop),
            Step::Send { limit, mark } => self.send(limit, mark),
            Step::Countersign { lose } => self.countersign(lose),
            Step::Restart => self.restart(),
            Step::Fault(fault) => self.store.disk().faults.push_back(fault),
            Step::Copy => self.copy = self.store.disk().clone(),
            Step::PutBack => {
                *self.store.disk() = self.copy.clone();
                self.put_back = true;
                self.restart();
            }
        }
        if !self.put_back {
            self.check();
        }
    }

    fn charge(&mut self, node: u8, window: u64, task: usize) {
        let task = close(node, window).remove(task);
        let known = self.store.disk().charges.values().any(|(charge, _)| charge.id == task.id());
        match now(self.ledger.charge(&task)) {
            Ok(charge) => {
                assert!(!known, "an id was charged twice");
                self.acknowledged.push((task.id(), charge.sequence(), charge.rho()));
                self.waiting.push((charge, task));
            }
            Err(CommitError::AlreadyCharged) => assert!(known),
            Err(CommitError::OverWindowBudget | CommitError::OverYearBudget | CommitError::Store(_)) => (),
            Err(error) => panic!("{error}"),
        }
    }

    /// The centre keeps entries that go on from what it has, and signs for nothing else.
    fn countersign(&mut self, lose: bool) {
        let entries = now(self.ledger.store().entries(0, usize::MAX)).unwrap();
        if !entries.starts_with(&self.centre) {
            assert!(self.put_back, "the centre and an honest ledger differ");
            return;
        }
        self.centre = entries;
        if lose {
            return;
        }
        let head = now(self.ledger.store().head_at(self.centre.len() as u64)).unwrap().unwrap();
        let (checkpoint, token) = checkpoint(&self.ledger, "node-1", head);
        let Ok(countersigned) = now(self.ledger.countersign(&checkpoint, token)) else { return };
        for (charge, task) in self.waiting.drain(..) {
            let Ok(seen) = charge.seen(&countersigned) else { panic!("the centre has every entry") };
            self.charged.push((seen, task));
        }
    }

    fn persist(&mut self, drop: bool) {
        let Some(release) = self.noised.last() else { return };
        match now(self.ledger.persist(release)) {
            Ok(stored) => assert_eq!(stored.id, *release.id()),
            Err(PersistError::Store(_)) => return,
            Err(error) => panic!("a charged release was not taken: {error}"),
        }
        if drop {
            self.noised.pop();
        }
    }

    fn send(&mut self, limit: usize, mark: bool) {
        let mut last = 0;
        for stored in now(self.ledger.unsent(0, limit)).unwrap() {
            assert!(stored.sequence > last, "not in the ledger's order");
            last = stored.sequence;
            let first = self.seen.entry(stored.id.clone()).or_insert_with(|| stored.bytes.clone());
            assert_eq!(*first, stored.bytes, "two noised values of one id");
            if mark {
                now(self.ledger.mark_sent(&stored.id)).unwrap_or_default();
            }
        }
    }

    fn restart(&mut self) {
        self.waiting.clear();
        self.charged.clear();
        self.noised.clear();
        self.starts = self.starts.wrapping_add(1);
        self.ledger = loop {
            match now(Ledger::open(self.store.clone(), &mut rng(self.starts))) {
                Ok(ledger) => break ledger,
                Err(error) => assert_ne!(error, StoreError::MissingLedger),
            }
        };
        let open = self.store.disk().charges.values().filter(|(_, bytes)| *bytes == Bytes::Open).count();
        assert_eq!(open, 0, "a charge without bytes outlived a restart");
    }

    fn check(&mut self) {
        let disk = self.store.disk();
        let (mut windows, mut years) = (BTreeMap::<_, u64>::new(), BTreeMap::<_, u64>::new());
        for (charge, _) in disk.charges.values() {
            *windows.entry(charge.span).or_default() += charge.rho.picos();
            *years.entry(charge.span.year()).or_default() += charge.rho.picos();
        }
        let limits = limits();
        assert!(windows.values().all(|spent| *spent <= limits.rho_per_window.picos()), "a window's budget was passed");
        assert!(years.values().all(|spent| *spent <= limits.rho_per_year.picos()), "a year's budget was passed");
        let spent = years.values().map(|spent| u128::from(*spent)).sum();
        assert!(spent >= self.spent_before, "a charge was refunded");
        self.spent_before = spent;
        for (id, sequence, rho) in &self.acknowledged {
            let (charge, _) = &disk.charges[sequence];
            assert_eq!((&charge.id, charge.rho), (id, *rho), "an acknowledged charge was lost");
        }
        for id in self.seen.keys() {
            let charge = disk.charges.values().find(|(charge, _)| charge.id == *id);
            assert!(charge.is_some_and(|(_, bytes)| !matches!(bytes, Bytes::Open | Bytes::Burned)), "unpaid bytes");
        }
        let closed = disk.closed.values().max().copied().unwrap_or_default();
        let all_closed = disk.charges.values().all(|(charge, _)| charge.span.until_s <= closed);
        assert!(all_closed, "a charged window is still open");
    }
}

fn limits() -> policies::Budget {
    budget(2.0, 4.9)
}

fn close(node: u8, window: u64) -> Vec<ClosedTask> {
    let rules = rules();
    let inputs = inputs(&rules, unit(PrivacyUnit::ViewerWindow, 1), window);
    let node = format!("node-{node}").parse().unwrap();
    let plan = WindowPlan::freeze(PlanInputs { node, budget: limits(), ..inputs }).unwrap();
    let mut window = WindowAccumulator::open(Arc::new(plan), Zeroizing::new([9; 32]));
    assert_eq!(window.contribute(Some(b"v"), &session(vec![outcome(0, 1.0)])), Contributed::Counted);
    window.close().into_tasks()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn crashes_cost_budget_and_nothing_else(steps in proptest::collection::vec(step(), 1..120)) {
        let mut world = World::new();
        steps.into_iter().for_each(|step| world.step(step));
    }

    /// Whoever copies the file and puts it back, at whatever moment, gets no second noise for any id.
    #[test]
    fn a_copy_that_is_put_back_draws_nothing_twice(
        steps in proptest::collection::vec(prop_oneof![
            12 => step(),
            1 => Just(Step::Copy),
            1 => Just(Step::PutBack),
        ], 1..150)
    ) {
        let mut world = World::new();
        steps.into_iter().for_each(|step| world.step(step));
    }
}

#[test]
fn a_missing_ledger_is_no_fresh_budget() {
    assert_eq!(
        now(Ledger::open(Memory::default(), &mut rng(1))).map(|ledger| ledger.id()),
        Err(StoreError::MissingLedger)
    );
    let store = Memory::default();
    let id = now(Ledger::initialise(&store, &mut rng(2))).unwrap().unwrap();
    assert_eq!(now(Ledger::initialise(&store, &mut rng(3))), Ok(None));
    assert_eq!(now(Ledger::open(store, &mut rng(1))).map(|ledger| ledger.id()), Ok(id));
}

#[test]
fn each_budget_refuses_its_own_way() {
    let world = World::new();
    let charge = |node, window, task: usize| now(world.ledger.charge(&close(node, window)[task])).map(|c| c.sequence());
    assert_eq!([0, 1, 2, 3].map(|task| charge(0, 1, task)), [Ok(1), Ok(2), Ok(3), Ok(4)]);
    assert_eq!(charge(0, 1, 3), Err(CommitError::AlreadyCharged));
    assert_eq!(charge(1, 1, 0), Err(CommitError::OverWindowBudget));
    assert_eq!([0, 1, 2, 3].map(|task| charge(0, 2, task)), [Ok(5), Ok(6), Ok(7), Ok(8)]);
    assert_eq!([0, 1].map(|task| charge(0, 3, task)), [Ok(9), Err(CommitError::OverYearBudget)]);
    // Another year.
    assert_eq!(charge(0, 9000, 0), Ok(10));
    let span = Span { from_s: 3600, until_s: 7200 };
    let spent = now(world.store.spent(&"demo".parse().unwrap(), None, span)).unwrap();
    assert_eq!((spent.window.to_string(), spent.year.to_string()), ("2".to_owned(), "4.5".to_owned()));
}

#[test]
fn windows_only_rise() {
    let world = World::new();
    let tenant = "demo".parse().unwrap();
    let hour = unit(PrivacyUnit::ViewerWindow, 1);
    let open = |clock| now(world.ledger.open_window(&tenant, &hour, WindowId(clock))).unwrap().0;
    assert_eq!(open(7), 7);
    now(world.ledger.close_window(&tenant, &hour, WindowId(7))).unwrap();
    assert_eq!([open(6), open(7), open(8), open(9)], [8, 8, 8, 9]);
    now(world.ledger.close_window(&tenant, &hour, WindowId(3))).unwrap();
    assert_eq!(open(1), 8);
    // A charge closes its window too.
    now(world.ledger.charge(&close(0, 20)[0])).unwrap();
    assert_eq!(open(20), 21);
    // Windows of another length begin where no second was closed: 21 h are 75,600 s.
    for (seconds, first) in [(1, 75_600), (7, 10_800), (3600, 21), (50_000, 2), (86_400, 1)] {
        let unit = UnitRule { window_seconds: seconds, ..hour.clone() };
        assert_eq!(now(world.ledger.open_window(&tenant, &unit, WindowId(0))).map(|window| window.0), Ok(first));
    }
    let none = now(world.ledger.open_window(&tenant, &hour, WindowId(u64::MAX / 3600)));
    assert_eq!(none, Err(StoreError::Corrupt), "no such second");
}

#[test]
fn a_charge_pays_for_its_own_release_only() {
    let world = World::new();
    let (mut one, mut two) = (close(1, 1), close(1, 2));
    let charge = now(world.ledger.charge(&one[0])).unwrap();
    let refused = Release::new(seen(&world.ledger, charge), two.remove(0), &mut Noise::off(), &key());
    assert_eq!(refused.map(|release| release.id().clone()), Err(crate::release::WrongCharge));
    let charge = now(world.ledger.charge(&one[1])).unwrap();
    let refused = Release::new(seen(&world.ledger, charge), one.remove(2), &mut Noise::off(), &key());
    assert_eq!(refused.map(|release| release.id().clone()), Err(crate::release::WrongCharge));
}

#[test]
fn only_what_the_centre_has_seen_of_this_very_chain_is_noised() {
    let world = World::new();
    let tasks = close(1, 1);
    let first = now(world.ledger.charge(&tasks[0])).unwrap();
    let head = world.ledger.head();
    let second = now(world.ledger.charge(&tasks[1])).unwrap();
    let take = |ledger: &Ledger<Memory>, head| {
        let (checkpoint, token) = checkpoint(ledger, "node-1", head);
        now(world.ledger.countersign(&checkpoint, token))
    };
    // A checkpoint of one entry covers one charge.
    let countersigned = take(&world.ledger, head).unwrap();
    assert_eq!((countersigned.head(), world.ledger.countersigned()), (head, Some(countersigned)));
    assert_eq!(first.seen(&countersigned).map(|seen| seen.charge().sequence()).ok(), Some(1));
    let second = second.seen(&countersigned).map(|_| ()).map_err(|charge| charge.sequence());
    assert_eq!(second, Err(2), "not yet");
    // Of an entry that is not there, of another chain, of another ledger.
    let beyond = Head { entries: 3, ..head };
    assert_eq!(take(&world.ledger, beyond), Err(CountersignError::RolledBack));
    let other = Head { digest: policies::Digest::of(b"other"), ..head };
    assert_eq!(take(&world.ledger, other), Err(CountersignError::Forked));
    let store = Memory::default();
    now(Ledger::initialise(&store, &mut rng(9))).unwrap();
    let stranger = now(Ledger::open(store, &mut rng(1))).unwrap();
    assert_eq!(take(&stranger, stranger.head()), Err(CountersignError::Ledger));
    // Another ledger's checkpoint covers nothing here.
    let (checkpoint, token) = checkpoint(&stranger, "node-1", stranger.head());
    let foreign = now(stranger.countersign(&checkpoint, token)).unwrap();
    let third = now(world.ledger.charge(&tasks[2])).unwrap();
    assert_eq!(third.seen(&foreign).map(|_| ()).map_err(|charge| charge.sequence()), Err(3));
}

#[test]
fn a_file_that_is_exchanged_under_a_running_process_is_noticed_at_the_next_charge() {
    let world = World::new();
    let copy = world.store.disk().clone();
    now(world.ledger.charge(&close(0, 1)[0])).unwrap();
    *world.store.disk() = copy;
    let refused = now(world.ledger.charge(&close(0, 2)[0])).map(|charge| charge.sequence());
    assert_eq!(refused, Err(CommitError::Replaced));
    assert_eq!(world.store.disk().entries.len(), 0, "nothing was written on it");
}

/// What was put back and charged again is another entry, though everything that it says is the same.
#[test]
fn each_opening_writes_charges_of_its_own() {
    let mut world = World::new();
    let copy = world.store.disk().clone();
    now(world.ledger.charge(&close(0, 1)[0])).unwrap();
    let before = world.store.disk().entries.clone();
    *world.store.disk() = copy;
    world.restart();
    now(world.ledger.charge(&close(0, 1)[0])).unwrap();
    assert_ne!(world.store.disk().entries, before);
}
