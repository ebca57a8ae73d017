//! Random operations, faults and restarts against the ledger: what a crash may cost, and what it must not.

use std::collections::BTreeMap;
use std::sync::Arc;

use policies::{PrivacyUnit, Rho, WindowId};
use proptest::prelude::*;
use zeroize::Zeroizing;

use super::fixture::{budget, inputs, key, outcome, rng, rules, session, unit};
use super::memory::{Bytes, Fault, Memory, now};
use crate::release::{
    Charge, ClosedTask, CommitError, Contributed, Ledger, LedgerStore as _, Noise, PersistError, PlanInputs, Release,
    ReleaseId, StoreError, WindowAccumulator, WindowPlan,
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
    /// `kill -9`, and a new start.
    Restart,
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
        1 => Just(Step::Restart),
        2 => fault.prop_map(Step::Fault),
    ]
}

/// The process, which a restart forgets, and the observer, who does not.
struct World {
    store: Memory,
    ledger: Ledger<Memory>,
    noise: Noise,
    charged: Vec<(Charge, ClosedTask)>,
    noised: Vec<Release>,
    acknowledged: Vec<(ReleaseId, u64, Rho)>,
    seen: BTreeMap<ReleaseId, Vec<u8>>,
    spent_before: u128,
}

impl World {
    fn new() -> Self {
        let store = Memory::default();
        now(Ledger::initialise(&store, &mut rng(2))).unwrap().unwrap();
        let ledger = now(Ledger::open(store.clone())).unwrap();
        let (noise, charged, noised, acknowledged) = (Noise::seeded([5; 32]), vec![], vec![], vec![]);
        Self { store, ledger, noise, charged, noised, acknowledged, seen: BTreeMap::new(), spent_before: 0 }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Charge { node, window, task } => self.charge(node, window, task),
            Step::Noise => {
                if let Some((charge, task)) = self.charged.pop() {
                    self.noised.push(Release::new(charge, task, &mut self.noise, &key()).unwrap());
                }
            }
            Step::Persist { drop } => self.persist(drop),
            Step::Send { limit, mark } => self.send(limit, mark),
            Step::Restart => self.restart(),
            Step::Fault(fault) => self.store.disk().faults.push_back(fault),
        }
        self.check();
    }

    fn charge(&mut self, node: u8, window: u64, task: usize) {
        let task = close(node, window).remove(task);
        let known = self.store.disk().charges.iter().any(|(entry, _)| entry.id == task.id());
        match now(self.ledger.charge(&task)) {
            Ok(charge) => {
                assert!(!known, "an id was charged twice");
                self.acknowledged.push((task.id(), charge.sequence(), charge.rho()));
                self.charged.push((charge, task));
            }
            Err(CommitError::AlreadyCharged) => assert!(known),
            Err(CommitError::OverWindowBudget | CommitError::OverYearBudget | CommitError::Store(_)) => (),
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
        self.charged.clear();
        self.noised.clear();
        self.ledger = loop {
            match now(Ledger::open(self.store.clone())) {
                Ok(ledger) => break ledger,
                Err(error) => assert_ne!(error, StoreError::MissingLedger),
            }
        };
        let open = self.store.disk().charges.iter().filter(|(_, bytes)| *bytes == Bytes::Open).count();
        assert_eq!(open, 0, "a charge without bytes outlived a restart");
    }

    fn check(&mut self) {
        let disk = self.store.disk();
        let (mut windows, mut years) = (BTreeMap::<_, u64>::new(), BTreeMap::<_, u64>::new());
        for (entry, _) in &disk.charges {
            *windows.entry(entry.id.window).or_default() += entry.rho.picos();
            *years.entry(entry.year).or_default() += entry.rho.picos();
        }
        let limits = limits();
        assert!(windows.values().all(|spent| *spent <= limits.rho_per_window.picos()), "a window's budget was passed");
        assert!(years.values().all(|spent| *spent <= limits.rho_per_year.picos()), "a year's budget was passed");
        let spent = years.values().map(|spent| u128::from(*spent)).sum();
        assert!(spent >= self.spent_before, "a charge was refunded");
        self.spent_before = spent;
        for (id, sequence, rho) in &self.acknowledged {
            let (entry, _) = &disk.charges[usize::try_from(*sequence).unwrap() - 1];
            assert_eq!((&entry.id, entry.rho), (id, *rho), "an acknowledged charge was lost");
        }
        for id in self.seen.keys() {
            let charge = disk.charges.iter().find(|(entry, _)| entry.id == *id);
            assert!(charge.is_some_and(|(_, bytes)| !matches!(bytes, Bytes::Open | Bytes::Burned)), "unpaid bytes");
        }
        let closed = disk.closed.values().max().map_or(0, |window| window.0);
        assert!(disk.charges.iter().all(|(entry, _)| entry.id.window.0 <= closed), "a charged window is still open");
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
}

#[test]
fn a_missing_ledger_is_no_fresh_budget() {
    assert_eq!(now(Ledger::open(Memory::default())).map(|ledger| ledger.id()), Err(StoreError::MissingLedger));
    let store = Memory::default();
    let id = now(Ledger::initialise(&store, &mut rng(2))).unwrap().unwrap();
    assert_eq!(now(Ledger::initialise(&store, &mut rng(3))), Ok(None));
    assert_eq!(now(Ledger::open(store)).map(|ledger| ledger.id()), Ok(id));
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
    let spent = now(world.store.spent(&"demo".parse().unwrap(), WindowId(1), 0)).unwrap();
    assert_eq!((spent.window.to_string(), spent.year.to_string()), ("2".to_owned(), "4.5".to_owned()));
}

#[test]
fn windows_only_rise() {
    let world = World::new();
    let tenant = "demo".parse().unwrap();
    let open = |clock| now(world.ledger.open_window(&tenant, WindowId(clock))).unwrap().0;
    assert_eq!(open(7), 7);
    now(world.ledger.close_window(&tenant, WindowId(7))).unwrap();
    assert_eq!([open(6), open(7), open(8), open(9)], [8, 8, 8, 9]);
    now(world.ledger.close_window(&tenant, WindowId(3))).unwrap();
    assert_eq!(open(1), 8);
    // A charge closes its window too.
    now(world.ledger.charge(&close(0, 20)[0])).unwrap();
    assert_eq!(open(20), 21);
}

#[test]
fn a_charge_pays_for_its_own_release_only() {
    let world = World::new();
    let (mut one, mut two) = (close(0, 1), close(0, 2));
    let charge = now(world.ledger.charge(&one[0])).unwrap();
    let refused = Release::new(charge, two.remove(0), &mut Noise::off(), &key());
    assert_eq!(refused.map(|release| release.id().clone()), Err(crate::release::WrongCharge));
    let charge = now(world.ledger.charge(&one[1])).unwrap();
    let refused = Release::new(charge, one.remove(2), &mut Noise::off(), &key());
    assert_eq!(refused.map(|release| release.id().clone()), Err(crate::release::WrongCharge));
}
