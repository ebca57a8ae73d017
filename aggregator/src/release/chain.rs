//! A ledger as a chain of entries: each head names all before it, so that who holds a head can tell whether a copy of
//! the ledger was shortened or changed.
//!
//! ```text
//! head₀  = SHA-256("siwa ledger v1" ‖ 0 ‖ ledger id)
//! headₙ  = SHA-256("siwa ledger entry v1" ‖ 0 ‖ headₙ₋₁ ‖ entryₙ)
//! charge = [ 1, 0, tenant, task, region, node, window, from, until, purpose, unit, policy,
//!            rho in 10⁻¹², delta in 10⁻¹⁸, opening ]
//! burn   = [ 1, 1, sequence of the charge ]
//! ```
//! Entries are deterministic CBOR (RFC 8949 §4.2.1), numbered from 1 without gaps. Charges say what the budgets are held
//! against: whose viewers, and from when until when (Unix seconds), whatever the window is numbered and the task is called.

pub mod fuzz;

use policies::{Delta, Digest, PrivacyUnit, PurposeId, Rho, UnitRule, WindowId};

use super::cbor::{CborError, Reader, Writer};
use super::wire::{name, rho, unit_kind, unit_name};
use super::{LedgerId, ReleaseId};

const VERSION: u64 = 1;
const CHARGE: u64 = 0;
const BURN: u64 = 1;
const CHARGE_ITEMS: usize = 15;
const BURN_ITEMS: usize = 3;
/// An entry is never longer: names are labels of at most 63 bytes.
pub const ENTRY_BYTES_MAX: usize = 640;
/// No span ends later: what signed 64 bits hold, as stores do.
const SECOND_MAX: u64 = i64::MAX.unsigned_abs();

/// When the data of a charge was contributed: Unix seconds, the end excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The window's first second.
    pub from_s: u64,
    /// The first second after it.
    pub until_s: u64,
}

impl Span {
    /// What a window of the rule's length covers; nothing where the number is no second of a clock.
    #[must_use]
    pub fn of(unit: &UnitRule, window: WindowId) -> Option<Self> {
        let length = u64::from(unit.window_seconds);
        let from_s = window.0.checked_mul(length)?;
        let until_s = from_s.checked_add(length)?;
        (from_s < until_s && until_s <= SECOND_MAX).then_some(Self { from_s, until_s })
    }

    /// The budget year that it counts in: years are 366 days each, from the beginning of Unix time.
    #[must_use]
    pub fn year(&self) -> u64 {
        UnitRule::year_at(self.from_s)
    }

    /// Whether some second lies in both.
    #[must_use]
    pub const fn overlaps(&self, other: &Self) -> bool {
        self.from_s < other.until_s && other.from_s < self.until_s
    }
}

/// What a charge says for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChargeRecord {
    /// The release that it pays for.
    pub id: ReleaseId,
    /// When its data was contributed.
    pub span: Span,
    /// What the release is for.
    pub purpose: PurposeId,
    /// Whose contribution is bounded.
    pub unit: PrivacyUnit,
    /// The policy set that allowed it.
    pub policy: Digest,
    /// The price.
    pub rho: Rho,
    /// The probability with which the bound by ρ may fail altogether: 0 but for sparse keysets.
    pub delta: Delta,
    /// Which opening of the ledger wrote it.
    pub opening: Opening,
}

/// Names one opening of a ledger: 16 random bytes, drawn when a process opens it.
///
/// A ledger that was put back to an earlier state is opened anew, so that what it writes can never be, byte for byte,
/// what was written from that state before: whoever has seen the first tells it from the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Opening(pub [u8; 16]);

/// One entry of a ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LedgerEntry {
    /// A release was paid for.
    Charge(ChargeRecord),
    /// The charge with this number has no release and never will; its price stays spent.
    Burn(u64),
}

/// Where a ledger stands: after so many entries, and which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Entries so far.
    pub entries: u64,
    /// What names them all.
    pub digest: Digest,
}

impl Head {
    /// Where an empty ledger stands.
    #[must_use]
    pub fn empty(ledger: LedgerId) -> Self {
        Self { entries: 0, digest: Digest::of_parts(&[b"siwa ledger v1\0", &ledger.0]) }
    }

    /// Where it stands after one more entry.
    #[must_use]
    pub fn after(&self, entry: &[u8]) -> Self {
        let digest = Digest::of_parts(&[b"siwa ledger entry v1\0", self.digest.as_bytes(), entry]);
        Self { entries: self.entries + 1, digest }
    }
}

impl LedgerEntry {
    /// The entry's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(256);
        match self {
            Self::Charge(charge) => {
                writer.array(CHARGE_ITEMS);
                writer.unsigned(VERSION);
                writer.unsigned(CHARGE);
                writer.text(charge.id.tenant.as_str());
                writer.text(charge.id.task.as_str());
                writer.text(charge.id.region.as_str());
                writer.text(charge.id.node.as_str());
                writer.unsigned(charge.id.window.0);
                writer.unsigned(charge.span.from_s);
                writer.unsigned(charge.span.until_s);
                writer.text(charge.purpose.as_str());
                writer.text(unit_name(charge.unit));
                writer.bytes(charge.policy.as_bytes());
                writer.unsigned(charge.rho.picos());
                writer.unsigned(charge.delta.attos());
                writer.bytes(&charge.opening.0);
            }
            Self::Burn(sequence) => {
                writer.array(BURN_ITEMS);
                writer.unsigned(VERSION);
                writer.unsigned(BURN);
                writer.unsigned(*sequence);
            }
        }
        writer.finish()
    }

    /// Reads an entry.
    ///
    /// # Errors
    /// Not in the one form, or outside of its bounds.
    pub fn decode(bytes: &[u8]) -> Result<Self, CborError> {
        if bytes.len() > ENTRY_BYTES_MAX {
            return Err(CborError::OutOfBounds);
        }
        let mut reader = Reader::new(bytes);
        let items = reader.array(CHARGE_ITEMS)?;
        if reader.unsigned()? != VERSION {
            return Err(CborError::OutOfBounds);
        }
        let entry = match (reader.unsigned()?, items) {
            (CHARGE, CHARGE_ITEMS) => Self::Charge(read_charge(&mut reader)?),
            (BURN, BURN_ITEMS) => Self::Burn(reader.unsigned()?),
            _ => return Err(CborError::Unexpected),
        };
        reader.finish()?;
        Ok(entry)
    }
}

fn read_charge(reader: &mut Reader<'_>) -> Result<ChargeRecord, CborError> {
    let id = ReleaseId {
        tenant: name(reader)?,
        task: name(reader)?,
        region: name(reader)?,
        node: name(reader)?,
        window: WindowId(reader.unsigned()?),
    };
    let span = Span { from_s: reader.unsigned()?, until_s: reader.unsigned()? };
    if span.from_s >= span.until_s || span.until_s > SECOND_MAX {
        return Err(CborError::OutOfBounds);
    }
    Ok(ChargeRecord {
        id,
        span,
        purpose: name(reader)?,
        unit: unit_kind(reader)?,
        policy: Digest::from_bytes(reader.fixed()?),
        rho: rho(reader)?,
        delta: Delta::from_attos(reader.unsigned()?).map_err(|_| CborError::OutOfBounds)?,
        opening: Opening(reader.fixed()?),
    })
}

#[cfg(test)]
mod tests;
