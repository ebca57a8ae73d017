//! One node's ledger, followed from its first entry.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use policies::{Delta, Rho, WindowId};

use super::Place;
use super::finding::{FindingKind, Findings};
use super::names::Names;
use crate::log::{LedgerLogged, ReleaseLogged};
use crate::release::chain::Opening;
use crate::release::{ChargeRecord, Head, LedgerEntry, LedgerId, Span};

/// How far a gap in the numbers is bridged, so that one missing leaf is one finding; beyond it the ledger is lost.
const GAP_MAX: u64 = 1 << 12;

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// A number whose entry the log does not hold.
    Missing,
    /// No charge.
    Burn,
    /// A charge, paid for something that is yet to come.
    Open,
    /// A charge that was burned.
    Burned,
    /// A charge with its release, by the first half of its digest.
    Released([u8; 16]),
}

/// One entry, as far as it is held.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    pub(super) window: WindowId,
    pub(super) span: Span,
    pub(super) rho: Rho,
    pub(super) delta: Delta,
    pub(super) detail: u32,
    pub(super) state: State,
}

impl Slot {
    const fn empty(state: State) -> Self {
        let span = Span { from_s: 0, until_s: 0 };
        Self { window: WindowId(0), span, rho: Rho::ZERO, delta: Delta::ZERO, detail: 0, state }
    }

    pub(super) const fn charge(record: &ChargeRecord, detail: u32) -> Self {
        let ChargeRecord { span, rho, delta, .. } = *record;
        Self { window: record.id.window, span, rho, delta, detail, state: State::Open }
    }

    /// In what a release says other than its charge.
    pub(super) fn differences(&self, logged: &ReleaseLogged, names: &Names) -> Vec<(FindingKind, String)> {
        let said = names.said(self.detail);
        let kind = FindingKind::ChargeDiffers;
        let mut found = Vec::new();
        if logged.rho_picos != self.rho.picos() {
            found.push((
                kind,
                format!("{} · 10⁻¹² of ρ are released, {} were charged", logged.rho_picos, self.rho.picos()),
            ));
        }
        if logged.delta_attos != self.delta.attos() {
            let charged = self.delta.attos();
            found.push((kind, format!("{} · 10⁻¹⁸ of δ are released, {charged} were charged", logged.delta_attos)));
        }
        if logged.purpose != said.purpose {
            found.push((kind, format!("it is for {}, its charge for {}", logged.purpose, said.purpose)));
        }
        if logged.policy != said.policy {
            found.push((kind, format!("it is under policy {}, its charge under {}", logged.policy, said.policy)));
        }
        if logged.unit.kind != said.unit {
            found.push((kind, "it protects another unit than its charge".to_owned()));
        }
        found
    }
}

/// How a release and its charge met.
pub(super) enum Settled {
    /// There is no such charge.
    NotCharged,
    /// The number is another release's charge.
    Another,
    /// The charge was burned.
    Burned(Slot),
    /// The charge was open and is now this release's.
    Paid(Slot),
    /// The very release was settled before.
    Repeated(Slot),
    /// A release with this name and other bytes was settled before.
    Replaced(Slot),
    /// A release of another name was settled by this charge before.
    Reused,
}

impl Settled {
    /// The release's own charge, whatever became of it.
    pub(super) const fn slot(&self) -> Option<Slot> {
        match self {
            Self::Burned(slot) | Self::Paid(slot) | Self::Repeated(slot) | Self::Replaced(slot) => Some(*slot),
            Self::NotCharged | Self::Another | Self::Reused => None,
        }
    }

    pub(super) fn finding(&self, logged: &ReleaseLogged) -> Option<(FindingKind, String)> {
        let (number, ledger) = (logged.sequence, logged.ledger);
        match self {
            Self::Paid(_) => None,
            Self::NotCharged => Some((FindingKind::NotCharged, format!("ledger {ledger} has no charge {number}"))),
            Self::Another => {
                Some((FindingKind::ChargeDiffers, format!("charge {number} of ledger {ledger} is another release's")))
            }
            Self::Burned(_) => {
                Some((FindingKind::ReleasedBurned, format!("charge {number} of ledger {ledger} was burned before")))
            }
            Self::Repeated(_) => Some((FindingKind::Repeated, "it stands in the log twice".to_owned())),
            Self::Replaced(_) => {
                Some((FindingKind::Replaced, "a release of this name with other bytes was logged before".to_owned()))
            }
            Self::Reused => Some((
                FindingKind::SequenceReused,
                format!("charge {number} of ledger {ledger} paid for another release"),
            )),
        }
    }
}

/// A ledger under way.
pub(super) struct Chain {
    id: LedgerId,
    place: Place,
    head: Head,
    slots: Vec<Slot>,
    lost: bool,
    /// The opening that wrote last, and those before it.
    opening: Option<Opening>,
    ended: HashSet<Opening>,
}

impl Chain {
    pub(super) fn new(id: LedgerId, place: Place) -> Self {
        Self { id, place, head: Head::empty(id), slots: Vec::new(), lost: false, opening: None, ended: HashSet::new() }
    }

    pub(super) const fn id(&self) -> LedgerId {
        self.id
    }

    pub(super) const fn place(&self) -> &Place {
        &self.place
    }

    pub(super) const fn head(&self) -> Head {
        self.head
    }

    /// Entries that are held, missing ones too.
    pub(super) const fn held(&self) -> u64 {
        self.slots.len() as u64
    }

    /// Every entry, with its number.
    pub(super) fn slots(&self) -> impl Iterator<Item = (u64, &Slot)> {
        (1..).zip(&self.slots)
    }

    /// Follows a leaf of up to `room` entries: its numbers and its head. Gives its entries back with their numbers, to be
    /// filled in; nothing where the leaf cannot be followed.
    pub(super) fn follow(
        &mut self,
        index: u64,
        logged: &LedgerLogged,
        room: u64,
        findings: &mut Findings,
    ) -> Option<Vec<(u64, LedgerEntry)>> {
        let id = self.id;
        let mut add = |kind, sentence: String| findings.add(kind, index, id.to_string(), sentence);
        let next = self.head.entries + 1;
        let count = logged.entries.len() as u64;
        if count == 0 || logged.first == 0 {
            add(FindingKind::LedgerEntry, "the leaf has no entries, or numbers them from 0".to_owned());
            return None;
        }
        if logged.first < next {
            add(FindingKind::LedgerFork, format!("entry {} is given again; entry {next} comes next", logged.first));
            return None;
        }
        let gap = logged.first - next;
        if gap > 0 && !self.lost {
            add(FindingKind::LedgerGap, format!("entries {next} to {} are missing", logged.first - 1));
            self.lost = gap > GAP_MAX;
        }
        if gap > 0 && self.lost {
            return None;
        }
        if gap.saturating_add(count) > room {
            add(FindingKind::TooMany, "the log holds more ledger entries than an audit can".to_owned());
            self.lost = true;
            return None;
        }
        let (entries, head) = self.decode(gap, logged, &mut add);
        if gap == 0 && head.digest != logged.head {
            add(FindingKind::LedgerHead, format!("the head after entry {} is another one", head.entries));
        }
        // Whatever was found, it goes on from what the log says, so that one fault is one finding.
        self.head = Head { entries: head.entries, digest: logged.head };
        Some(entries)
    }

    fn decode(
        &mut self,
        gap: u64,
        logged: &LedgerLogged,
        add: &mut impl FnMut(FindingKind, String),
    ) -> (Vec<(u64, LedgerEntry)>, Head) {
        self.slots.extend((0..gap).map(|_| Slot::empty(State::Missing)));
        let mut head = Head { entries: self.head.entries + gap, digest: self.head.digest };
        let mut entries = Vec::with_capacity(logged.entries.len());
        for text in &logged.entries {
            let number = head.entries + 1;
            let bytes = STANDARD.decode(text);
            head = head.after(bytes.as_deref().unwrap_or_default());
            match bytes.ok().and_then(|bytes| LedgerEntry::decode(&bytes).ok()) {
                Some(entry) => {
                    self.slots.push(Slot::empty(State::Burn));
                    entries.push((number, entry));
                }
                None => {
                    self.slots.push(Slot::empty(State::Missing));
                    add(FindingKind::LedgerEntry, format!("entry {number} is not in its one form"));
                }
            }
        }
        (entries, head)
    }

    fn slot(&mut self, number: u64) -> Option<&mut Slot> {
        self.slots.get_mut(usize::try_from(number.checked_sub(1)?).ok()?)
    }

    /// Notes which opening wrote a charge; false for one that had ended.
    pub(super) fn opened(&mut self, opening: Opening) -> bool {
        if self.opening == Some(opening) {
            return true;
        }
        self.ended.extend(self.opening.replace(opening));
        !self.ended.contains(&opening)
    }

    /// Fills in a charge.
    pub(super) fn set(&mut self, number: u64, charge: Slot) {
        if let Some(slot) = self.slot(number) {
            *slot = charge;
        }
    }

    pub(super) fn burn(&mut self, index: u64, sequence: u64, findings: &mut Findings) {
        let subject = self.id.to_string();
        match self.slot(sequence) {
            Some(slot) if slot.state == State::Open => slot.state = State::Burned,
            // Its charge was not followed, which was found there.
            Some(Slot { state: State::Missing, .. }) => {}
            Some(Slot { state: State::Released(_), .. }) => {
                findings.add(
                    FindingKind::LedgerBurn,
                    index,
                    subject,
                    format!("charge {sequence} is burned after its release"),
                );
            }
            Some(Slot { state: State::Burn | State::Burned, .. }) | None => {
                findings.add(
                    FindingKind::LedgerBurn,
                    index,
                    subject,
                    format!("{sequence} is no open charge, and is burned"),
                );
            }
            Some(_) => {}
        }
    }

    /// Finds a release's charge, and takes it.
    pub(super) fn settle(&mut self, logged: &ReleaseLogged, names: &Names) -> Settled {
        let id = logged.id();
        let mut half = [0; 16];
        half.copy_from_slice(&logged.digest.as_bytes()[..16]);
        let Some(slot) = self.slot(logged.sequence) else { return Settled::NotCharged };
        let own = !matches!(slot.state, State::Missing | State::Burn) && names.is(slot.detail, slot.window, &id);
        match slot.state {
            State::Missing | State::Burn => Settled::NotCharged,
            State::Released(_) if !own => Settled::Reused,
            State::Open | State::Burned if !own => Settled::Another,
            State::Burned => Settled::Burned(*slot),
            State::Released(before) if before == half => Settled::Repeated(*slot),
            State::Released(_) => Settled::Replaced(*slot),
            State::Open => {
                slot.state = State::Released(half);
                Settled::Paid(*slot)
            }
        }
    }
}
