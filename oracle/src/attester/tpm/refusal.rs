//! What a TPM answers instead of doing what it was asked (TPM 2.0 Library, Part 2 §6.6), in words.

use std::io;

/// The TPM was not started, or was already.
pub(super) const INITIALIZE: u32 = 0x100;
const HANDLE: u32 = 0x08b;
/// The bits of a code that name the error, without which handle, parameter or session it is about.
const FORMAT_ONE: u32 = 0x080;
const FORMAT_ONE_MASK: u32 = 0x0bf;

/// A command's name and number (Part 2 §6.5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Command(pub(super) &'static str, pub(super) u32);

/// Why a TPM did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It cannot be reached, or not talked with.
    #[error("the TPM cannot be reached")]
    Transport(#[from] io::Error),
    /// It refused.
    #[error("the TPM refused {name} with {code:#05x}: {meaning}", name = .0.0, code = .1, meaning = meaning(*.1))]
    Refused(Command, u32),
    /// Its response has another form than the command's.
    #[error("the TPM's response to {name} cannot be read", name = .0.0)]
    Response(Command),
}

/// What a response code means to who runs the machine.
fn meaning(code: u32) -> &'static str {
    match if code & FORMAT_ONE == 0 { code } else { code & FORMAT_ONE_MASK } {
        INITIALIZE => "it was not started",
        0x101 => "it failed its self-test and stays out of order",
        0x08e | 0x0a2 => "the endorsement hierarchy has an authorization that is not known here",
        HANDLE => "there is nothing of this number",
        0x084 => "a value is not allowed",
        0x083 | 0x092 | 0x0a6 => "it does not have this algorithm or scheme",
        0x085 => "the hierarchy is disabled",
        0x09f => "the credential is not for this TPM and this key",
        0x09d => "the policy of the key is not satisfied",
        0x902..=0x904 => "it has no room for another key or session",
        0x921 => "it is locked for a while after wrong authorizations",
        _ => "see TPM 2.0 Library, Part 2, 6.6",
    }
}

/// Whether the TPM says that there is nothing of a handle's number.
pub(super) fn is_absent(error: &CommandError) -> bool {
    matches!(error, CommandError::Refused(_, code) if code & FORMAT_ONE != 0 && code & FORMAT_ONE_MASK == HANDLE)
}
