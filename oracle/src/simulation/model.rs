//! What ought to be counted: each contribution is of an item of its own, so that one that is counted twice shows as a 2.

use std::collections::BTreeMap;

use aggregator::release::ReleaseId;
use policies::{TaskKind, WindowId};

use super::rules::{ABSOLUTE_MS, IDLE_MS, QUOTA};

/// Items of the catalogue, and contributions of a sequence at most.
pub(super) const ITEMS: u32 = 256;

/// A session that lives.
pub(super) struct Living {
    pub(super) name: String,
    item: u32,
    used_ms: u64,
    absolute_ms: u64,
}

impl Living {
    fn deadline(&self) -> u64 {
        self.absolute_ms.min(self.used_ms.saturating_add(IDLE_MS))
    }
}

/// The node's memory as it should be, and what its releases should hold.
#[derive(Default)]
pub(super) struct Model {
    next_item: u32,
    pub(super) living: Vec<Living>,
    /// Items counted in the open window.
    open: Vec<u32>,
    quota: BTreeMap<u8, u32>,
    /// Items of the windows that this life of the node has closed.
    closed: BTreeMap<WindowId, Vec<u32>>,
    /// What a release of item counts must hold.
    expected: BTreeMap<ReleaseId, Vec<u32>>,
    /// Sessions counted in this life.
    pub(super) counted: u64,
}

impl Model {
    /// An item that nobody has liked yet, while there is one.
    pub(super) fn item(&mut self) -> Option<u32> {
        let item = self.next_item;
        self.next_item += 1;
        (item < ITEMS).then_some(item)
    }

    /// What is in memory is gone.
    pub(super) fn restarts(&mut self) {
        self.living.clear();
        self.open.clear();
        self.quota.clear();
        self.closed.clear();
        self.counted = 0;
    }

    /// A session of a viewer with a quota, or of one with no other session, ended while a window was open.
    pub(super) fn ends(&mut self, viewer: Option<u8>, item: u32) {
        if let Some(viewer) = viewer {
            let used = self.quota.entry(viewer).or_default();
            if *used == QUOTA {
                return;
            }
            *used += 1;
        }
        self.open.push(item);
        self.counted += 1;
    }

    pub(super) fn begins(&mut self, name: String, item: u32, now_ms: u64) {
        self.living.push(Living { name, item, used_ms: now_ms, absolute_ms: now_ms.saturating_add(ABSOLUTE_MS) });
    }

    /// A call names a living session: whether it is found.
    pub(super) fn is_found(&self, place: usize, now_ms: u64) -> bool {
        self.living[place].deadline() > now_ms
    }

    /// A session leaves the node's memory; `counts`: into an open window.
    pub(super) fn leaves(&mut self, place: usize, counts: bool) {
        let gone = self.living.remove(place);
        if counts {
            self.ends(None, gone.item);
        }
    }

    /// Sessions whose time is over are counted.
    pub(super) fn sweeps(&mut self, now_ms: u64, counts: bool) {
        while let Some(place) = self.living.iter().position(|session| session.deadline() <= now_ms) {
            self.leaves(place, counts);
        }
    }

    /// The window is closed.
    pub(super) fn closes(&mut self, window: WindowId) {
        self.quota.clear();
        self.closed.insert(window, std::mem::take(&mut self.open));
    }

    /// Noise was drawn for a release: what it holds is settled.
    pub(super) fn draws(&mut self, id: &ReleaseId) {
        if id.task == TaskKind::ItemCounts {
            let items =
                self.closed.get(&id.window).expect("no noise is drawn for a window that this life did not close");
            self.expected.insert(id.clone(), items.clone());
        }
    }

    /// How often each item is counted in these releases.
    pub(super) fn counts<'a>(&self, accepted: impl Iterator<Item = &'a ReleaseId>) -> Vec<i64> {
        let mut counts = vec![0; ITEMS as usize];
        for item in accepted.filter_map(|id| self.expected.get(id)).flatten() {
            counts[*item as usize] += 1;
        }
        counts
    }
}
