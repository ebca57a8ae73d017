//! From raw sessions to private sums, and from private sums to models.
//!
//! # Actors
//! The **node** of a region runs [`release`]: it sees raw sessions, in memory only. The **centre** runs [`centre`]: it sees releases,
//! and nothing else of a region. The **network** between them is hostile.
//!
//! # Data flow
//! ```text
//! SessionRecord ─▶ WindowAccumulator ─▶ ClosedTask ─▶ Ledger::charge ─▶ Release::new ─▶ Ledger::persist ─▶ StoredRelease
//!  (personalize)    quota, clip, sums                  durable: Charge   noise, sign     durable             sent
//!                                                                                                              │
//! model ◀─ learner ◀─ TaskSum ◀─ CentreStore::accept ◀─ VerifiedRelease ◀─ OpenedRelease::verify ◀─ ::open ◀───┘
//! ```
//! A [`release::WindowPlan`] fixes, before the first contribution, what a window measures, bounds, spends and how much noise it
//! gets; node and centre derive it by the same pure function from the policy and from public inputs.
//!
//! # Trust boundary
//! It runs through [`release::Release::new`]. On this side of it are raw integers, which no public function shows; beyond it are
//! noised bytes, which nobody sees before they are paid for and persisted. Types carry the proof: a [`release::Charge`]
//! exists only after a durable commit and is consumed by one release; a [`centre::VerifiedRelease`] exists only after every
//! check of intake. `release` imports nothing of `centre` (a test).
//!
//! # Specification
//! `docs/privacy.md`: unit, neighbours, sensitivities, mechanism, composition, order of events, and what is not promised.
//! The sampler is that of Canonne, Kamath and Steinke, "The Discrete Gaussian for Differential Privacy" (2020); the wire form is
//! deterministic CBOR (RFC 8949 §4.2.1) under Ed25519 (RFC 8032).
//!
//! The crate opens no socket and no file and reads no clock. What must be durable it states as verbs,
//! [`release::LedgerStore`] and [`centre::CentreStore`]. The one source of randomness that it opens itself is
//! [`release::Noise::from_os`]: noise is private only if nobody could have handed in its seed.

pub mod audit;
pub mod centre;
pub mod log;
pub mod release;
