//! What holds after every operation, and what holds once nothing goes wrong any more.

use std::collections::{BTreeMap, BTreeSet};

use aggregator::log::LogEntry;
use aggregator::release::{ChargeRecord, Head, LedgerEntry, LedgerId, ReleaseId, SegmentKind};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use policies::Digest;
use rusqlite::Row;

use super::rules::TENANT;
use super::world::World;
use crate::environment::NoiseMode;

/// What was there after the last operation.
#[derive(Default)]
pub(super) struct Seen {
    /// The node's ledger.
    entries: Vec<Vec<u8>>,
    /// What the centre has of it.
    followed: Vec<Vec<u8>>,
    /// The log's leaves.
    leaves: Vec<Vec<u8>>,
    /// Until when the node's time was closed.
    closed_s: u64,
    /// The node's ledger does not go on from what the centre has seen.
    pub(super) diverged: bool,
}

/// A chain of entries, read.
struct Chain {
    charges: BTreeMap<u64, ChargeRecord>,
    burned: BTreeSet<u64>,
    heads: Vec<Head>,
}

impl Chain {
    fn read(ledger: LedgerId, entries: &[Vec<u8>]) -> Self {
        let (mut charges, mut burned, mut head) = (BTreeMap::new(), BTreeSet::new(), Head::empty(ledger));
        let mut heads = vec![head];
        for bytes in entries {
            head = head.after(bytes);
            heads.push(head);
            match LedgerEntry::decode(bytes).unwrap() {
                LedgerEntry::Charge(charge) => {
                    charges.insert(head.entries, charge);
                }
                LedgerEntry::Burn(sequence) => {
                    assert!(charges.contains_key(&sequence), "a burn of no charge");
                    assert!(burned.insert(sequence), "a charge is burned twice");
                }
            }
        }
        Self { charges, burned, heads }
    }

    fn ids(&self) -> BTreeSet<&ReleaseId> {
        self.charges.values().map(|charge| &charge.id).collect()
    }
}

/// A release that the centre has accepted.
struct Accepted {
    id: ReleaseId,
    rho_picos: u64,
    digest: Digest,
}

fn bytes(row: &Row<'_>) -> rusqlite::Result<Vec<u8>> {
    row.get(0)
}

fn id(row: &Row<'_>) -> rusqlite::Result<ReleaseId> {
    let text = |name| row.get::<_, String>(name);
    Ok(ReleaseId {
        tenant: text("tenant")?.parse().unwrap(),
        task: text("task")?.parse().unwrap(),
        region: text("region")?.parse().unwrap(),
        node: text("node")?.parse().unwrap(),
        window: policies::WindowId(row.get("window_id")?),
    })
}

fn accepted(row: &Row<'_>) -> rusqlite::Result<Accepted> {
    let digest: [u8; 32] = row.get("digest")?;
    Ok(Accepted { id: id(row)?, rho_picos: row.get("rho_picos")?, digest: Digest::from_bytes(digest) })
}

impl World {
    /// Checks everything that holds at every time.
    pub(super) async fn check(&mut self) {
        self.check_node().await;
        self.check_centre().await;
        for (release, bytes) in self.wire.left() {
            assert_eq!(bytes.len(), 1, "two sets of bytes left for {release}");
        }
    }

    /// The node's ledger, if it can be read.
    async fn entries(&self) -> Option<Vec<Vec<u8>>> {
        let life = self.node.as_ref()?;
        life.node.ledger.as_ref()?;
        Some(life.store.rows("SELECT bytes FROM ledger_entries ORDER BY number", bytes).await)
    }

    async fn ledger_id(&self) -> LedgerId {
        let life = self.node.as_ref().unwrap();
        let ids = life.store.rows("SELECT id FROM ledger", |row| Ok(LedgerId(row.get(0)?))).await;
        ids[0]
    }

    async fn check_node(&mut self) {
        let Some(entries) = self.entries().await else { return };
        let put_back = std::mem::take(&mut self.just_put_back);
        assert!(put_back || entries.starts_with(&self.seen.entries), "the ledger lost an entry");
        let chain = Chain::read(self.ledger_id().await, &entries);
        assert_eq!(chain.ids().len(), chain.charges.len(), "a release is charged twice");
        self.check_budgets(chain.charges.values().map(|charge| (charge, charge.rho.picos())));
        let life = self.node.as_ref().unwrap();
        let closed = life.store.rows("SELECT until_s FROM closed_times", |row| row.get::<_, u64>(0)).await;
        let closed_s = closed.first().copied().unwrap_or(0);
        assert!(put_back || closed_s >= self.seen.closed_s, "closed time was opened again");
        if let Some(open) = self.open_window().await {
            let from_s = open.0 * u64::from(life.node.in_force().rule.unit.window_seconds);
            assert!(from_s >= closed_s, "window {open} is open and closed");
        }
        let counted = life.node.metrics.contributions.with_label_values(&[TENANT, "counted"]).get();
        assert_eq!(counted, self.model.counted, "sessions were counted that should not, or not that should");
        (self.seen.entries, self.seen.closed_s) = (entries, closed_s);
    }

    /// No charge, given in the order of the ledger, passed what its policy allows for its time and its year.
    fn check_budgets<'a>(&self, charges: impl Iterator<Item = (&'a ChargeRecord, u64)>) {
        let mut before: Vec<(&ChargeRecord, u64)> = Vec::new();
        for (charge, rho) in charges {
            before.push((charge, rho));
            let set = self.policies.iter().find(|set| set.digest() == charge.policy).unwrap();
            let budget = &set.region(&charge.id.region).unwrap().budget;
            let sum = |alike: &dyn Fn(&ChargeRecord) -> bool| -> u64 {
                before.iter().filter(|(other, _)| alike(other)).map(|(_, rho)| rho).sum()
            };
            let window = sum(&|other| other.span.overlaps(&charge.span));
            assert!(window <= budget.rho_per_window.picos(), "a window's budget was passed");
            let year = sum(&|other| other.span.year() == charge.span.year());
            assert!(year <= budget.rho_per_year.picos(), "a year's budget was passed");
        }
    }

    async fn accepted(&self) -> Option<Vec<Accepted>> {
        let life = self.centre.as_ref()?;
        Some(life.store.rows("SELECT * FROM releases ORDER BY ordinal", accepted).await)
    }

    async fn check_centre(&mut self) {
        let Some(accepted) = self.accepted().await else { return };
        let store = self.centre.as_ref().unwrap().store.clone();
        let followed = store.rows("SELECT bytes FROM followed_entries ORDER BY number", bytes).await;
        let leaves = store.rows("SELECT bytes FROM log_entries ORDER BY ordinal", bytes).await;
        assert!(followed.starts_with(&self.seen.followed), "the centre lost an entry");
        assert!(leaves.starts_with(&self.seen.leaves), "the log lost a leaf");
        if let Some(entries) = self.entries().await {
            self.seen.diverged = !entries.starts_with(&followed);
            assert!(self.put_back || !self.seen.diverged, "node and centre have other entries");
        }
        let chain = Chain::read(self.ledger_id().await, &followed);
        let charged = chain.ids();
        for release in &self.drawn {
            assert!(charged.contains(release), "noise was drawn for {release}, of which the centre does not know");
        }
        self.check_accepted(&accepted, &chain);
        check_log(&leaves, &accepted, &followed, &chain);
        if self.noise == NoiseMode::Off {
            let sums = store.sums_of(&self.tenant).await;
            let counts = sums.iter().flat_map(|sum| &sum.segments).filter(|sum| sum.kind == SegmentKind::Impressions);
            let mut all = self.model.counts(std::iter::empty());
            for sum in counts {
                let scale = i64::try_from(sum.scale).unwrap();
                all.iter_mut().zip(&sum.values).for_each(|(all, value)| *all += value / scale);
            }
            assert!(all.iter().all(|count| *count <= 1), "a contribution is counted twice");
            let expected = self.model.counts(accepted.iter().map(|release| &release.id));
            assert_eq!(all, expected, "the sums are not those of the accepted releases");
        }
        (self.seen.followed, self.seen.leaves) = (followed, leaves);
    }

    /// Each accepted release was drawn, charged in the followed ledger at its price, and is what left the node.
    fn check_accepted(&self, accepted: &[Accepted], chain: &Chain) {
        let left = self.wire.left();
        let charge_of = |id: &ReleaseId| chain.charges.iter().find(|(_, charge)| charge.id == *id);
        let mut charges = Vec::new();
        for release in accepted {
            let id = &release.id;
            assert!(self.drawn.contains(id), "{id} was accepted, and its noise never drawn");
            let (sequence, charge) = charge_of(id).unwrap_or_else(|| panic!("nothing pays for {id}"));
            assert!(!chain.burned.contains(sequence), "the charge of {id} was burned");
            assert_eq!(charge.rho.picos(), release.rho_picos, "{id} was accepted at another price");
            let bytes = left[id].first().unwrap();
            assert_eq!(release.digest, Digest::of(bytes), "other bytes were accepted than left");
            charges.push((charge, release.rho_picos));
        }
        self.check_budgets(charges.into_iter());
    }

    /// Everything that was persisted has arrived, and the centre has the whole ledger; or, where an older file was put
    /// back that the centre does not know, nothing is released and the node says so.
    pub(super) async fn check_arrival(&mut self) {
        if self.seen.diverged {
            let conditions = self.node.as_ref().unwrap().node.conditions();
            let told = ["ledger-rolled-back", "ledger-forked", "ledger-refused"];
            assert!(conditions.iter().any(|condition| told.contains(&condition.name)), "{conditions:?}");
            return;
        }
        if self.put_back {
            return;
        }
        assert_eq!(self.seen.entries, self.seen.followed, "the centre does not have the whole ledger");
        let refused = self.wire.refused();
        assert!(self.excused || refused.is_empty(), "{refused:?}");
        let accepted = self.accepted().await.unwrap();
        let accepted: BTreeSet<&ReleaseId> = accepted.iter().map(|release| &release.id).collect();
        let state = |row: &Row<'_>| Ok((id(row)?, row.get::<_, String>("state")?));
        let charges = self.node.as_ref().unwrap().store.rows("SELECT * FROM charges", state).await;
        for (id, state) in &charges {
            match state.as_str() {
                "sent" => assert!(accepted.contains(id) || refused.contains_key(id), "{id} did not arrive"),
                "burned" => assert!(!accepted.contains(id), "{id} was burned and accepted"),
                state => panic!("{id} is {state} at the end"),
            }
        }
    }
}

/// The log's leaves are the followed entries in their order, and every accepted release once, after its charge.
fn check_log(leaves: &[Vec<u8>], accepted: &[Accepted], followed: &[Vec<u8>], chain: &Chain) {
    let (mut entries, mut releases) = (Vec::new(), Vec::new());
    for leaf in leaves {
        match LogEntry::decode(leaf).unwrap() {
            LogEntry::Ledger(ledger) => {
                assert_eq!(ledger.first, entries.len() as u64 + 1, "entries are missing in the log, or there twice");
                entries.extend(ledger.entries.iter().map(|text| STANDARD.decode(text).unwrap()));
                assert_eq!(ledger.head, chain.heads[entries.len()].digest, "the log names another head");
            }
            LogEntry::Release(release) => {
                assert!(release.sequence <= entries.len() as u64, "a release is logged before its charge");
                releases.push((release.sequence, release.digest));
            }
            LogEntry::Policy(_) | LogEntry::Model(_) | LogEntry::KeyEpoch(_) => {}
        }
    }
    assert_eq!(entries, followed, "the log's ledger is not the followed one");
    let sequence =
        |id: &ReleaseId| chain.charges.iter().find(|(_, charge)| charge.id == *id).map(|(number, _)| *number);
    let expected: Vec<_> = accepted.iter().map(|release| (sequence(&release.id).unwrap(), release.digest)).collect();
    assert_eq!(releases, expected, "the log's releases are not the accepted ones");
}
