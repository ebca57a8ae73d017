//! The firmware's and boot loader's log of what they measured (TCG PC Client Platform Firmware Profile §10,
//! `TCG_PCR_EVENT2`), replayed to the registers.

use std::collections::BTreeMap;

use policies::Digest;

use super::public::ALG_SHA256;
use super::quote::REGISTERS;
use super::wire::{Malformed, Reader};

/// Bytes of a log at most: real ones have 30 to 100 KiB.
pub const BOOT_LOG_BYTES_MAX: usize = 192 * 1024;
/// Firmware and boot loader extend registers up to here. What extends later ones while the system runs writes no log that
/// the kernel hands out here.
pub const BOOT_REGISTER_MAX: u8 = 9;
/// Banks in a log at most.
const BANKS_MAX: u32 = 8;
/// Bytes of a digest at most: SHA-512.
const DIGEST_BYTES_MAX: u16 = 64;
const SIGNATURE: &[u8; 16] = b"Spec ID Event03\0";
/// `EV_NO_ACTION`: for the reader; extends nothing (§10.4.1).
const NO_ACTION: u32 = 3;
/// The locality from which the TPM was started is the first value of register 0 (§10.4.5.3).
const STARTUP_LOCALITY: &[u8; 16] = b"StartupLocality\0";

/// The registers up to [`BOOT_REGISTER_MAX`] that the log has entries for, as it says that they are.
pub(super) fn replay(log: &[u8]) -> Result<BTreeMap<u8, Digest>, Malformed> {
    if log.len() > BOOT_LOG_BYTES_MAX {
        return Err(Malformed);
    }
    let mut reader = Reader::new(log);
    let banks = header(&mut reader)?;
    let mut registers = BTreeMap::new();
    let mut first = [0; 32];
    while !reader.is_empty() {
        let event = Event::parse(&mut reader, &banks)?;
        if event.kind == NO_ACTION {
            if let Some(locality) = event.data.strip_prefix(STARTUP_LOCALITY) {
                // Once, and before register 0 is extended.
                let [locality @ (0 | 3 | 4)] = *locality else { return Err(Malformed) };
                if first[31] != 0 || registers.contains_key(&0) {
                    return Err(Malformed);
                }
                first[31] = locality;
            }
            continue;
        }
        let register = u8::try_from(event.register).ok().filter(|register| *register < REGISTERS).ok_or(Malformed)?;
        if register <= BOOT_REGISTER_MAX {
            let start = Digest::from_bytes(if register == 0 { first } else { [0; 32] });
            let value = registers.entry(register).or_insert(start);
            *value = Digest::of_parts(&[value.as_bytes(), event.digest]);
        }
    }
    Ok(registers)
}

/// The first event, in the old form: which banks the log has (§10.4.5.1). Algorithm and bytes of each digest.
fn header(reader: &mut Reader<'_>) -> Result<Vec<(u16, u16)>, Malformed> {
    let (register, kind) = (reader.u32_le()?, reader.u32_le()?);
    let _sha1: [u8; 20] = reader.array()?;
    let mut data = Reader::new(reader.sized_le(BOOT_LOG_BYTES_MAX)?);
    if (register, kind) != (0, NO_ACTION) || data.array::<16>()? != *SIGNATURE {
        return Err(Malformed);
    }
    let _class_versions_and_width: [u8; 8] = data.array()?;
    let count = data.u32_le()?;
    if count > BANKS_MAX {
        return Err(Malformed);
    }
    let mut banks = Vec::new();
    for _ in 0..count {
        let (algorithm, bytes) = (data.u16_le()?, data.u16_le()?);
        let twice = banks.iter().any(|(other, _)| *other == algorithm);
        if twice || bytes > DIGEST_BYTES_MAX || (algorithm == ALG_SHA256 && bytes != 32) {
            return Err(Malformed);
        }
        banks.push((algorithm, bytes));
    }
    let vendor = data.u8()?;
    data.take(usize::from(vendor))?;
    data.finish()?;
    if banks.iter().any(|(algorithm, _)| *algorithm == ALG_SHA256) { Ok(banks) } else { Err(Malformed) }
}

struct Event<'a> {
    register: u32,
    kind: u32,
    /// In the SHA-256 bank.
    digest: &'a [u8],
    data: &'a [u8],
}

impl<'a> Event<'a> {
    fn parse(reader: &mut Reader<'a>, banks: &[(u16, u16)]) -> Result<Self, Malformed> {
        let (register, kind, count) = (reader.u32_le()?, reader.u32_le()?, reader.u32_le()?);
        if usize::try_from(count) != Ok(banks.len()) {
            return Err(Malformed);
        }
        let mut digest = None;
        for _ in 0..count {
            let algorithm = reader.u16_le()?;
            let (_, bytes) = banks.iter().find(|(known, _)| *known == algorithm).ok_or(Malformed)?;
            let value = reader.take(usize::from(*bytes))?;
            if algorithm == ALG_SHA256 && digest.replace(value).is_some() {
                return Err(Malformed);
            }
        }
        let data = reader.sized_le(BOOT_LOG_BYTES_MAX)?;
        Ok(Self { register, kind, digest: digest.ok_or(Malformed)?, data })
    }
}
