//! A quote (Part 2 §10.12.12, `TPMS_ATTEST` with `TPMS_QUOTE_INFO`).

use super::public::ALG_SHA256;
use super::wire::{Malformed, Reader};

/// Bytes of a quote at most.
pub const QUOTE_BYTES_MAX: usize = 1024;
/// Registers of a bank (PC Client Platform TPM Profile §4.6).
pub const REGISTERS: u8 = 24;

/// `TPM_GENERATED_VALUE`: the TPM itself speaks.
const GENERATED: u32 = 0xff54_4347;
/// `TPM_ST_ATTEST_QUOTE`.
const QUOTE: u16 = 0x8018;
/// Banks in a selection at most.
const BANKS_MAX: u32 = 8;

/// The TPM's clock (Part 2 §10.11.1). It says how often the TPM began anew, and is no time of day: what makes a quote
/// fresh is the nonce under its extra data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockInfo {
    /// Milliseconds that the TPM was powered, over its life.
    pub clock_ms: u64,
    /// How often it was reset: with the machine.
    pub reset_count: u32,
    /// How often it was restarted or resumed since.
    pub restart_count: u32,
    /// Whether the clock certainly never said more before.
    pub safe: bool,
}

/// Why bytes are not a quote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum QuoteError {
    Malformed,
    Magic,
    Type,
    Selection,
}

impl From<Malformed> for QuoteError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// What a quote says. Nothing of it counts before its signature was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Quote<'a> {
    /// What the caller of `TPM2_Quote` gave.
    pub(super) extra_data: &'a [u8],
    pub(super) clock: ClockInfo,
    pub(super) firmware_version: u64,
    /// A bit for each register of the SHA-256 bank; none of another bank is selected.
    pub(super) selection: Result<u32, QuoteError>,
    pub(super) digest: &'a [u8],
}

impl<'a> Quote<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, QuoteError> {
        if bytes.len() > QUOTE_BYTES_MAX {
            return Err(QuoteError::Malformed);
        }
        let mut reader = Reader::new(bytes);
        if reader.u32()? != GENERATED {
            return Err(QuoteError::Magic);
        }
        if reader.u16()? != QUOTE {
            return Err(QuoteError::Type);
        }
        // The signer's qualified name is of no use here: the key's name is compared with the enrolment's instead.
        let _qualified_signer = reader.sized()?;
        let extra_data = reader.sized()?;
        let (clock_ms, reset_count, restart_count) = (reader.u64()?, reader.u32()?, reader.u32()?);
        let safe = match reader.u8()? {
            0 => false,
            1 => true,
            _ => return Err(QuoteError::Malformed),
        };
        let firmware_version = reader.u64()?;
        let selection = selection(&mut reader)?;
        let digest = reader.sized()?;
        reader.finish()?;
        let clock = ClockInfo { clock_ms, reset_count, restart_count, safe };
        Ok(Self { extra_data, clock, firmware_version, selection, digest })
    }
}

/// A `TPML_PCR_SELECTION` (Part 2 §10.9.7). The outer error is one of form.
fn selection(reader: &mut Reader<'_>) -> Result<Result<u32, QuoteError>, Malformed> {
    let banks = reader.u32()?;
    if banks > BANKS_MAX {
        return Err(Malformed);
    }
    let mut selected = None;
    let mut refused = false;
    for _ in 0..banks {
        let hash = reader.u16()?;
        let octets = reader.u8()?;
        let octets = reader.take(usize::from(octets))?;
        let mut bits = 0;
        for (at, octet) in octets.iter().enumerate() {
            match u32::try_from(at).ok().filter(|at| *at < u32::from(REGISTERS) / 8) {
                Some(at) => bits |= u32::from(*octet) << (8 * at),
                None => refused |= *octet != 0,
            }
        }
        if hash == ALG_SHA256 {
            refused |= selected.replace(bits).is_some();
        } else {
            refused |= bits != 0;
        }
    }
    Ok(match selected {
        Some(bits) if !refused => Ok(bits),
        _ => Err(QuoteError::Selection),
    })
}
