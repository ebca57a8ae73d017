//! What can happen in a simulated installation.

use proptest::prelude::*;

use crate::environment::StopPoint;
use crate::store::probe::fault::{Deed, Moment, Planted};

/// One thing that happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Operation {
    /// A session begins, likes something that nobody else likes, and ends; of one of few viewers, or of a viewer of its own.
    Visit { viewer: Option<u8>, refuses: bool },
    /// A session that lives on.
    Begin,
    /// The n-th live session ends.
    End(u8),
    /// The n-th live session is erased.
    Erase(u8),
    /// Time passes until the open window is over; it is closed and released.
    Turn,
    /// The node has its ledger countersigned.
    Settle,
    /// The node sends what waits.
    Send,
    /// The node takes what is new at the centre.
    Pull,
    /// The centre trains.
    Train,
    /// A clock is set to another time.
    Jump { side: Side, hours: i16 },
    /// What becomes of the next request of a kind.
    Mishap(Target, Mishap),
    /// A request that was held back or seen earlier arrives, by another connection.
    Replay(u8),
    /// A commit to come fails, or is the last.
    Plant { side: Side, planted: Planted },
    /// The node dies at a point of a release to come.
    StopAt(StopPoint, u8),
    /// The process is killed, and started again.
    Kill(Side),
    /// The node ends in an orderly way, and is started again.
    Drain,
    /// The centre is away from now on.
    Away,
    /// The centre is there again.
    Back,
    /// Somebody copies the node's file.
    Copy,
    /// The node is killed, the copy put in the place of its file, and the node started.
    PutBack,
    /// The node gets a new key, which the centre is told of.
    NodeKey,
    /// The other policy comes into force, first at the centre, then at the node.
    Policy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Node,
    Centre,
}

/// Which requests a mishap waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Ledger,
    Releases,
    Reads,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mishap {
    /// It never arrives.
    LoseRequest,
    /// It arrives; its answer does not.
    LoseAnswer,
    /// It arrives later, with what [`Operation::Replay`] delivers.
    Delay,
    /// It arrives twice; the second answer is taken.
    Twice,
    /// One bit of its body is another.
    CorruptRequest(u16),
    /// One bit of the answer's body is another.
    CorruptAnswer(u16),
}

fn side() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Node), Just(Side::Centre)]
}

fn mishap() -> impl Strategy<Value = Mishap> {
    prop_oneof![
        Just(Mishap::LoseRequest),
        Just(Mishap::LoseAnswer),
        Just(Mishap::Delay),
        Just(Mishap::Twice),
        any::<u16>().prop_map(Mishap::CorruptRequest),
        any::<u16>().prop_map(Mishap::CorruptAnswer),
    ]
}

fn planted() -> impl Strategy<Value = Planted> {
    let moment = prop_oneof![Just(Moment::Before), Just(Moment::After)];
    let deed = prop_oneof![2 => Just(Deed::Crash), 1 => Just(Deed::Error)];
    (0u8..12, moment, deed).prop_map(|(commits, moment, deed)| Planted { commits, moment, deed })
}

fn operation() -> impl Strategy<Value = Operation> {
    let target = prop_oneof![4 => Just(Target::Ledger), 4 => Just(Target::Releases), 1 => Just(Target::Reads)];
    let viewer = prop_oneof![2 => Just(None), 1 => (0u8..3).prop_map(Some)];
    let jump = prop_oneof![-12i16..12, -2400i16..2400];
    let point = proptest::sample::select(StopPoint::ALL.to_vec());
    prop_oneof![
        10 => (viewer, prop::bool::weighted(0.1)).prop_map(|(viewer, refuses)| Operation::Visit { viewer, refuses }),
        3 => Just(Operation::Begin),
        2 => any::<u8>().prop_map(Operation::End),
        1 => any::<u8>().prop_map(Operation::Erase),
        10 => Just(Operation::Turn),
        3 => Just(Operation::Settle),
        6 => Just(Operation::Send),
        2 => Just(Operation::Pull),
        1 => Just(Operation::Train),
        1 => (side(), jump).prop_map(|(side, hours)| Operation::Jump { side, hours }),
        5 => (target, mishap()).prop_map(|(target, mishap)| Operation::Mishap(target, mishap)),
        3 => any::<u8>().prop_map(Operation::Replay),
        4 => (side(), planted()).prop_map(|(side, planted)| Operation::Plant { side, planted }),
        3 => (point, 0u8..3).prop_map(|(point, passes)| Operation::StopAt(point, passes)),
        1 => side().prop_map(Operation::Kill),
        1 => Just(Operation::Drain),
        1 => Just(Operation::Away),
        2 => Just(Operation::Back),
        1 => Just(Operation::NodeKey),
        1 => Just(Operation::Policy),
    ]
}

/// Sequences of operations; in one of four the node's file is put back.
pub(super) fn sequences() -> impl Strategy<Value = Vec<Operation>> {
    let copies = prop_oneof![12 => operation(), 1 => Just(Operation::Copy), 1 => Just(Operation::PutBack)];
    prop_oneof![
        3 => proptest::collection::vec(operation(), 8..40),
        1 => proptest::collection::vec(copies, 8..40),
    ]
}
