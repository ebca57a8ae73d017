use attest::{Admission, KnownNode, KnownNodes, NodeToken, SigningKey};
use personalize::Frame;
use policies::{Budget, Digest, PrivacyUnit, Rho, TaskKind, TaskRule, UnitRule, WindowId};

use crate::centre::{Expectations, OpenedRelease, Refusal, VerifiedRelease};
use crate::release::tests::fixture::{ITEMS, budget, frame, key, rho, rng, rules, unit};
use crate::release::tests::wire::{envelopes, owned};
use crate::release::wire::{CborError, seal};
use crate::release::{Envelope, Noise, PlanError, ReleaseBody, SegmentKind};

type Body = ReleaseBody<Vec<i64>>;

/// What the centre knows.
pub(super) struct Centre {
    pub(super) unit: UnitRule,
    budget: Budget,
    rules: Vec<TaskRule>,
    frame: Frame,
    pub(super) measurement: bool,
}

impl Centre {
    pub(super) fn new() -> Self {
        let unit = unit(PrivacyUnit::ViewerWindow, 2);
        Self { unit, budget: budget(2.0, 20.0), rules: rules(), frame: frame(), measurement: false }
    }

    pub(super) fn verify(&self, envelope: &[u8]) -> Result<VerifiedRelease, Refusal> {
        OpenedRelease::open(envelope, &admission("node-1", "eu-west"))?.verify(&Expectations {
            policy: Digest::of(b"policy"),
            unit: &self.unit,
            budget: &self.budget,
            rules: &self.rules,
            catalogue_items: ITEMS,
            frame: &self.frame,
            latest_window: WindowId(6),
            measurement: self.measurement,
        })
    }

    fn refusal(&self, envelope: &[u8]) -> Option<Refusal> {
        self.verify(envelope).err()
    }
}

pub(in crate::centre) fn admission(node: &str, region: &str) -> Admission {
    let (node, region) = (node.parse().unwrap(), region.parse().unwrap());
    let token = NodeToken::new(&node, "centre", 1_000_000).sign(&key()).unwrap();
    let pinned = KnownNode { node, region, key: Some(key().verifying_key()) };
    Admission::by_pinned_key(&token, &KnownNodes::new([pinned]).unwrap(), "centre", 1_000_000).unwrap()
}

/// A private release of a task, changed and signed again by the node's own key.
pub(super) fn signed(task: usize, change: impl FnOnce(&mut Body)) -> Vec<u8> {
    let (_, envelope) = envelopes(&mut Noise::from_os().unwrap()).remove(task);
    let mut body = owned(&ReleaseBody::decode(Envelope::decode(&envelope).unwrap().body()).unwrap());
    change(&mut body);
    seal(&body.encode(), &key())
}

#[test]
fn a_sound_release_of_each_task_passes() {
    let centre = Centre::new();
    for (kind, envelope) in envelopes(&mut Noise::from_os().unwrap()) {
        let release = centre.verify(&envelope).unwrap_or_else(|refusal| panic!("{kind}: {refusal}"));
        assert_eq!((release.id().task, release.rho(), release.delta()), (kind, rho(0.5), 1e-6));
        assert_eq!((release.envelope(), release.is_private()), (envelope.as_slice(), true));
        assert_eq!(release.frame(), frame().digest());
    }
    let counts = centre.verify(&signed(0, |_| ())).unwrap();
    let [rewards, impressions] = counts.segments() else { panic!("two segments") };
    assert_eq!((rewards.kind, impressions.kind), (SegmentKind::Rewards, SegmentKind::Impressions));
    // Δ = 2 sessions × clip, and σ² = Δ²/(2 · .8 · ½) as it was recomputed here.
    assert_eq!(rewards.sensitivity, 2 * 170_393);
    let variance = rewards.variance.as_f64();
    assert!((variance / (340_786f64.powi(2) / 0.8) - 1.0).abs() < 1e-9, "{variance}");
}

#[test]
fn each_lie_has_its_refusal() {
    type Lie = (usize, fn(&mut Body), Refusal);
    let lies: [Lie; 20] = [
        (0, |b| b.id.node = "node-2".parse().unwrap(), Refusal::Node),
        (0, |b| b.id.region = "us-east".parse().unwrap(), Refusal::Region),
        (0, |b| b.policy = Digest::of(b"other"), Refusal::Policy),
        (0, |b| b.catalogue = Digest::of(b"other"), Refusal::Catalogue),
        (0, |b| b.frame = Digest::of(b"other"), Refusal::Frame),
        (0, |b| b.id.window = WindowId(7), Refusal::FutureWindow),
        (0, |b| b.unit.quota = 1, Refusal::Unit),
        (0, |b| b.unit.unit = PrivacyUnit::Session, Refusal::Unit),
        (0, |b| b.sequence = 0, Refusal::Sequence),
        (0, |b| b.private = false, Refusal::NotPrivate),
        (0, |b| b.purpose = "advertising".parse().unwrap(), Refusal::Purpose),
        (0, |b| b.rho = Rho::ZERO, Refusal::Rho),
        (0, |b| b.segments[1].rho = rho(0.5), Refusal::Rho),
        (0, |b| b.segments[0].sensitivity -= 1, Refusal::Sensitivity),
        (1, |b| b.segments[0].scale += 1, Refusal::Scale),
        (0, |b| b.segments.truncate(1), Refusal::Cells),
        (0, |b| b.segments.swap(0, 1), Refusal::Cells),
        (3, |b| b.segments[0].values.push(0), Refusal::Cells),
        (2, |b| b.segments[0].values[9] = i64::MIN, Refusal::Value),
        (0, |b| b.id.task = TaskKind::ArmReward, Refusal::Cells),
    ];
    let centre = Centre::new();
    for (index, (task, lie, refusal)) in lies.into_iter().enumerate() {
        assert_eq!(centre.refusal(&signed(task, lie)), Some(refusal), "lie {index}");
    }
}

#[test]
fn form_and_signature_come_first() {
    let centre = Centre::new();
    let mut bytes = signed(0, |_| ());
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    assert_eq!(centre.refusal(&bytes), Some(Refusal::Signature));
    assert_eq!(centre.refusal(&bytes[..last]), Some(Refusal::Malformed(CborError::Truncated)));
    let body = Envelope::decode(&bytes).unwrap().body().to_vec();
    let other = SigningKey::generate(&mut rng(9));
    assert_eq!(centre.refusal(&seal(&body, &other)), Some(Refusal::Signature));
    assert_eq!(centre.refusal(&seal(&body[1..], &key())), Some(Refusal::Malformed(CborError::Unexpected)));
}

/// What the policy does not grant, or cannot grant, is refused whatever the release says of itself.
#[test]
fn the_policy_decides() {
    let envelope = signed(3, |_| ());
    let mut centre = Centre::new();
    centre.rules.pop();
    assert_eq!(centre.refusal(&envelope), Some(Refusal::Task));
    let mut centre = Centre::new();
    centre.budget = budget(1.0, 20.0);
    assert_eq!(centre.refusal(&envelope), Some(Refusal::Plan(PlanError::OverBudget)));
    let mut centre = Centre::new();
    centre.rules[3].rho = rho(0.4);
    assert_eq!(centre.refusal(&envelope), Some(Refusal::Rho));
}

/// An empty frame has no Gram: a node that sends one has charged for what nobody asked.
#[test]
fn no_gram_without_a_frame() {
    let mut centre = Centre::new();
    centre.frame = Frame::initial(frame().catalogue, 100_000);
    let digest = centre.frame.digest();
    assert_eq!(centre.refusal(&signed(1, |body| body.frame = digest)), Some(Refusal::Task));
}

#[test]
fn measured_releases_pass_only_where_all_is_measurement() {
    let mut centre = Centre::new();
    let (_, envelope) = envelopes(&mut Noise::off()).remove(0);
    assert_eq!(centre.refusal(&envelope), Some(Refusal::NotPrivate));
    centre.measurement = true;
    assert_eq!(centre.verify(&envelope).map(|release| release.is_private()), Ok(false));
}
