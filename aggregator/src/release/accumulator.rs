//! The open window: sums, and the quota of each unit, which live and die together.

use std::collections::BTreeMap;
use std::sync::Arc;

use personalize::SessionRecord;
use policies::PrivacyUnit;
use ring::hmac;
use zeroize::Zeroizing;

use super::ReleaseId;
use super::encoding::{FramePlaces, Sparse, encode};
use super::plan::{Segment, TaskPlan, UNITS_MAX, WindowPlan};
use super::threshold::Keyset;

/// Bytes of a viewer's tag: two of 2²² viewers share one with probability below 2⁻⁸⁴.
const TAG_BYTES: usize = 16;

/// What became of a session's contribution. Never shown outside of the region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contributed {
    /// It was added to every task's sum.
    Counted,
    /// Its unit's quota is used up.
    OverQuota,
    /// The unit is a viewer, and the session has no pseudonym.
    NoPseudonym,
    /// It has no outcomes.
    Empty,
    /// It holds a number that is not finite or out of bounds, or its items are of another catalogue.
    Refused,
    /// The window counts [`UNITS_MAX`] units already, and this would be another.
    AtCapacity,
}

/// An open window. In memory only; raw sums and pseudonyms' tags are erased with it.
pub struct WindowAccumulator {
    plan: Arc<WindowPlan>,
    places: FramePlaces,
    sums: Sums,
    key: Zeroizing<[u8; 32]>,
    quota: BTreeMap<[u8; TAG_BYTES], u32>,
    units: u64,
}

/// One a segment, in the plan's order.
pub(super) type Sums = Vec<SegmentSum>;

/// One segment's raw sum.
pub(super) enum SegmentSum {
    /// One number a cell.
    Dense(Zeroizing<Vec<i64>>),
    /// The keys that there are.
    Sparse(Keyset),
}

impl SegmentSum {
    fn new(segment: &Segment) -> Self {
        match segment.sparse {
            None => Self::Dense(Zeroizing::new(vec![0; segment.cells])),
            Some(sparse) => Self::Sparse(Keyset::new(sparse)),
        }
    }

    /// Every cell, or each key's sum.
    #[cfg(test)]
    pub(super) fn to_vec(&self) -> Vec<i64> {
        match self {
            Self::Dense(sum) => sum.to_vec(),
            Self::Sparse(keyset) => keyset.sums().into_values().collect(),
        }
    }

    fn add(&mut self, vector: Sparse) {
        match self {
            Self::Dense(sum) => {
                for (cell, value) in vector {
                    let added = sum[cell].checked_add(value);
                    sum[cell] = added.expect("UNITS_MAX units of SENSITIVITY_MAX are below 2^63");
                }
            }
            Self::Sparse(keyset) => keyset.add(&vector),
        }
    }
}

impl WindowAccumulator {
    /// Opens a window. `key` is fresh and random for each window; with it gone, tags say nothing of viewers.
    #[must_use]
    pub fn open(plan: Arc<WindowPlan>, key: Zeroizing<[u8; 32]>) -> Self {
        let segments = plan.tasks().iter().flat_map(|task| &task.segments);
        let sums = segments.map(SegmentSum::new).collect();
        let places = FramePlaces::of(plan.frame());
        Self { plan, places, sums, key, quota: BTreeMap::new(), units: 0 }
    }

    /// What the window follows.
    #[must_use]
    pub const fn plan(&self) -> &Arc<WindowPlan> {
        &self.plan
    }

    /// Adds an ended session, all of it or nothing. `viewer` is the platform's stable pseudonym for its viewer.
    pub fn contribute(&mut self, viewer: Option<&[u8]>, record: &SessionRecord) -> Contributed {
        let tag = match (self.plan.unit().unit, viewer) {
            (PrivacyUnit::Session, _) => None,
            (PrivacyUnit::ViewerWindow, None) => return Contributed::NoPseudonym,
            (PrivacyUnit::ViewerWindow, Some(viewer)) => Some(self.tag(viewer)),
        };
        if record.outcomes.is_empty() {
            return Contributed::Empty;
        }
        // Encoding comes before the quota: what becomes of one session never depends on another's unless they share a unit.
        let Ok(vectors) = encode(&self.plan, &self.places, record) else { return Contributed::Refused };
        if let Err(refusal) = self.use_quota(tag) {
            return refusal;
        }
        for (sum, vector) in self.sums.iter_mut().zip(vectors) {
            sum.add(vector);
        }
        Contributed::Counted
    }

    /// HMAC-SHA-256(window key, tenant ‖ 0 ‖ viewer), shortened. A tenant's name holds no zero byte.
    fn tag(&self, viewer: &[u8]) -> [u8; TAG_BYTES] {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, self.key.as_ref()));
        context.update(self.plan.tenant().as_str().as_bytes());
        context.update(&[0]);
        context.update(viewer);
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(&context.sign().as_ref()[..TAG_BYTES]);
        tag
    }

    fn use_quota(&mut self, tag: Option<[u8; TAG_BYTES]>) -> Result<(), Contributed> {
        if let Some(used) = tag.and_then(|tag| self.quota.get_mut(&tag)) {
            if *used >= self.plan.unit().quota {
                return Err(Contributed::OverQuota);
            }
            *used += 1;
            return Ok(());
        }
        if self.units >= UNITS_MAX {
            return Err(Contributed::AtCapacity);
        }
        self.units += 1;
        if let Some(tag) = tag {
            self.quota.insert(tag, 1);
        }
        Ok(())
    }

    /// Ends the window: quota and key are dropped, the sums can only be released.
    #[must_use]
    pub fn close(self) -> ClosedWindow {
        ClosedWindow { plan: self.plan, sums: self.sums }
    }
}

/// A window that takes no contribution any more, with its raw sums inside.
pub struct ClosedWindow {
    plan: Arc<WindowPlan>,
    sums: Sums,
}

impl ClosedWindow {
    /// What the window follows.
    #[must_use]
    pub const fn plan(&self) -> &Arc<WindowPlan> {
        &self.plan
    }

    /// One task a release, in the order in which they are charged. An empty window's are no different.
    #[must_use]
    pub fn into_tasks(self) -> Vec<ClosedTask> {
        let mut sums = self.sums.into_iter();
        let tasks = self.plan.tasks().iter().enumerate();
        let close = |(index, task): (usize, &TaskPlan)| ClosedTask {
            plan: Arc::clone(&self.plan),
            index,
            sums: sums.by_ref().take(task.segments.len()).collect(),
        };
        tasks.map(close).collect()
    }
}

/// One task's raw sums. They can be looked at by [`super::Release::new`] alone, for which a charge is the price.
pub struct ClosedTask {
    plan: Arc<WindowPlan>,
    index: usize,
    sums: Sums,
}

impl ClosedTask {
    /// The window's plan.
    #[must_use]
    pub const fn window(&self) -> &Arc<WindowPlan> {
        &self.plan
    }

    /// The task's plan.
    #[must_use]
    pub fn plan(&self) -> &TaskPlan {
        &self.plan.tasks()[self.index]
    }

    /// The id that it is released under.
    #[must_use]
    pub fn id(&self) -> ReleaseId {
        self.plan.release_id(self.plan().kind)
    }

    pub(super) fn into_sums(self) -> Sums {
        self.sums
    }
}

#[cfg(test)]
mod tests;
