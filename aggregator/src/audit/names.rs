//! What is said over and over, held once: a charge's names become a number.

use std::collections::{HashMap, HashSet};

use policies::{Digest, PrivacyUnit, PurposeId, WindowId};

use crate::release::{ChargeRecord, ReleaseId};

/// A release's name without its window.
type Stem = u32;

/// Everything that a charge says in words.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Detail {
    stem: Stem,
    pub(super) purpose: PurposeId,
    pub(super) unit: PrivacyUnit,
    pub(super) policy: Digest,
}

/// Names by number, numbers by name.
#[derive(Default)]
pub(super) struct Names {
    stems: HashMap<ReleaseId, Stem>,
    ids: Vec<ReleaseId>,
    details: HashMap<Detail, u32>,
    by_number: Vec<Detail>,
    charged: HashSet<(Stem, u64)>,
}

impl Names {
    /// The number of what a charge says.
    pub(super) fn detail(&mut self, record: &ChargeRecord) -> u32 {
        let stem = self.stem(&record.id);
        let detail = Detail { stem, purpose: record.purpose.clone(), unit: record.unit, policy: record.policy };
        if let Some(number) = self.details.get(&detail) {
            return *number;
        }
        let number = u32::try_from(self.by_number.len()).expect("there are no more than entries");
        self.by_number.push(detail.clone());
        self.details.insert(detail, number);
        number
    }

    fn stem(&mut self, id: &ReleaseId) -> Stem {
        let id = ReleaseId { window: WindowId(0), ..id.clone() };
        let next = u32::try_from(self.ids.len()).expect("there are no more than entries");
        *self.stems.entry(id).or_insert_with_key(|id| {
            self.ids.push(id.clone());
            next
        })
    }

    /// Notes a charge of a release; false where there was one.
    pub(super) fn charged(&mut self, detail: u32, window: WindowId) -> bool {
        self.charged.insert((self.said(detail).stem, window.0))
    }

    /// What a charge said.
    pub(super) fn said(&self, detail: u32) -> &Detail {
        &self.by_number[detail as usize]
    }

    /// The release that a charge paid for.
    pub(super) fn id(&self, detail: u32, window: WindowId) -> ReleaseId {
        ReleaseId { window, ..self.ids[self.said(detail).stem as usize].clone() }
    }

    /// Whether the charge pays for this release.
    pub(super) fn is(&self, detail: u32, window: WindowId, id: &ReleaseId) -> bool {
        let named = &self.ids[self.said(detail).stem as usize];
        window == id.window
            && (&named.tenant, named.task, &named.region, &named.node) == (&id.tenant, id.task, &id.region, &id.node)
    }
}
