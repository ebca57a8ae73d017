//! The commands that attestation takes (TPM 2.0 Library, Part 3), over an open way to a TPM.
//!
//! Whatever is loaded is flushed again, also after an error: an emulator has no resource manager, and little room.

use std::time::Duration;

use attest::evidence::tpm::wire::{Malformed, Reader, put_sized};
use attest::evidence::tpm::{ALG_NULL, ALG_SHA256};
use policies::Digest;
use zeroize::Zeroizing;

use super::refusal::{Command, CommandError, INITIALIZE};
use super::tcti::{HEADER_BYTES, Transport};

/// Structures (Part 2 §6.9) and permanent handles (Part 2 §7.4).
const NO_SESSIONS: u16 = 0x8001;
const SESSIONS: u16 = 0x8002;
const ENDORSEMENT: u32 = 0x4000_000b;
const NULL: u32 = 0x4000_0007;
const PASSWORD: u32 = 0x4000_0009;
/// Response codes (Part 2 §6.6).
const SUCCESS: u32 = 0;
const RETRY: u32 = 0x922;
/// How often a command is sent again that the TPM could not take at once, and when.
const RETRIES: u32 = 5;
const RETRY_AFTER: Duration = Duration::from_millis(20);
/// Bytes that `TPM2_NV_Read` is asked for at once: every TPM gives so many.
const NV_READ_BYTES: usize = 512;
/// Digests that `TPM2_PCR_Read` gives at once (Part 2 §10.9.3, `TPML_DIGEST`).
const DIGESTS_MAX: u32 = 8;

const STARTUP: Command = Command("TPM2_Startup", 0x144);
const CREATE_PRIMARY: Command = Command("TPM2_CreatePrimary", 0x131);
const FLUSH_CONTEXT: Command = Command("TPM2_FlushContext", 0x165);
const NV_READ_PUBLIC: Command = Command("TPM2_NV_ReadPublic", 0x169);
const NV_READ: Command = Command("TPM2_NV_Read", 0x14e);
const PCR_READ: Command = Command("TPM2_PCR_Read", 0x17e);
const PCR_EXTEND: Command = Command("TPM2_PCR_Extend", 0x182);
const QUOTE: Command = Command("TPM2_Quote", 0x158);
const START_AUTH_SESSION: Command = Command("TPM2_StartAuthSession", 0x176);
const POLICY_SECRET: Command = Command("TPM2_PolicySecret", 0x151);
const ACTIVATE_CREDENTIAL: Command = Command("TPM2_ActivateCredential", 0x147);

/// A key that is loaded.
#[derive(Debug, Clone)]
pub(super) struct Object {
    handle: u32,
    /// `TPMT_PUBLIC`.
    pub(super) public: Vec<u8>,
}

/// A quote as the TPM gave it.
pub(super) struct Quoted {
    pub(super) attest: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

/// A TPM that commands can be sent to.
pub(super) struct Tpm(Transport);

impl Tpm {
    pub(super) const fn new(transport: Transport) -> Self {
        Self(transport)
    }

    /// Starts an emulator; one that was started says so.
    pub(super) fn startup(&mut self) -> Result<(), CommandError> {
        match self.run(STARTUP, &[], &[], &0_u16.to_be_bytes()) {
            Ok(_) | Err(CommandError::Refused(_, INITIALIZE)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Makes a primary key of the endorsement hierarchy, lends it, and flushes it.
    pub(super) fn with_primary<T, E: From<CommandError>>(
        &mut self,
        template: &[u8],
        use_it: impl FnOnce(&mut Self, &Object) -> Result<T, E>,
    ) -> Result<T, E> {
        // No authorization and no data for the key; outside information and registers at its making: none.
        let mut parameters = vec![0, 4, 0, 0, 0, 0];
        put_sized(&mut parameters, template);
        parameters.extend([0; 6]);
        let response = self.run(CREATE_PRIMARY, &[ENDORSEMENT], &[PASSWORD], &parameters)?;
        let handle = response.handle(CREATE_PRIMARY)?;
        let used = match response.parameters(CREATE_PRIMARY, |reader| reader.sized().map(<[u8]>::to_vec)) {
            Ok(public) => use_it(self, &Object { handle, public }),
            Err(error) => Err(error.into()),
        };
        let flushed = self.flush(handle);
        let value = used?;
        flushed?;
        Ok(value)
    }

    fn flush(&mut self, handle: u32) -> Result<(), CommandError> {
        self.run(FLUSH_CONTEXT, &[handle], &[], &[]).map(drop)
    }

    /// What an NV index holds that anyone may read.
    pub(super) fn nv_read(&mut self, index: u32) -> Result<Vec<u8>, CommandError> {
        let response = self.run(NV_READ_PUBLIC, &[index], &[], &[])?;
        let size = response.parameters(NV_READ_PUBLIC, |reader| {
            let mut area = Reader::new(reader.sized()?);
            let (_index, _name, _attributes, _policy) = (area.u32()?, area.u16()?, area.u32()?, area.sized()?);
            area.u16()
        })?;
        let mut data = Vec::with_capacity(usize::from(size));
        while data.len() < usize::from(size) {
            let offset = u16::try_from(data.len()).map_err(|_| CommandError::Response(NV_READ))?;
            let count = u16::try_from(NV_READ_BYTES).map_or(size - offset, |most| most.min(size - offset));
            let parameters = [count.to_be_bytes(), offset.to_be_bytes()].concat();
            let response = self.run(NV_READ, &[index, index], &[PASSWORD], &parameters)?;
            let part = response.parameters(NV_READ, |reader| reader.sized().map(<[u8]>::to_vec))?;
            if part.len() != usize::from(count) {
                return Err(CommandError::Response(NV_READ));
            }
            data.extend(part);
        }
        Ok(data)
    }

    /// The registers 0 up to `count`, at most 32, of the SHA-256 bank; fewer where the TPM has fewer.
    pub(super) fn registers(&mut self, count: u8) -> Result<Vec<Digest>, CommandError> {
        let mut values = Vec::new();
        while values.len() < usize::from(count) {
            let from = u32::try_from(values.len()).unwrap_or(u32::MAX);
            let wanted = mask(from, u32::from(count).min(from + DIGESTS_MAX));
            let response = self.run(PCR_READ, &[], &[], &selection(wanted))?;
            let read = response.parameters(PCR_READ, |reader| {
                let _updates = reader.u32()?;
                let banks = reader.u32()?;
                for _ in 0..banks.min(DIGESTS_MAX) {
                    let (_hash, octets) = (reader.u16()?, reader.u8()?);
                    reader.take(usize::from(octets))?;
                }
                let digests = reader.u32()?.min(DIGESTS_MAX);
                let digest = |reader: &mut Reader<'_>| reader.sized()?.try_into().map_err(|_| Malformed);
                (0..digests).map(|_| digest(reader).map(Digest::from_bytes)).collect::<Result<Vec<_>, _>>()
            })?;
            if read.is_empty() {
                break;
            }
            values.extend(read);
        }
        Ok(values)
    }

    /// Extends a register of the SHA-256 bank.
    pub(super) fn extend(&mut self, register: u8, digest: Digest) -> Result<(), CommandError> {
        let (count, hash) = (1_u32.to_be_bytes(), ALG_SHA256.to_be_bytes());
        let parameters = [&count[..], &hash, digest.as_bytes()].concat();
        self.run(PCR_EXTEND, &[u32::from(register)], &[PASSWORD], &parameters).map(drop)
    }

    /// A quote of the registers 0 up to `count` by `key`.
    pub(super) fn quote(&mut self, key: &Object, extra: &[u8], count: u8) -> Result<Quoted, CommandError> {
        let mut parameters = Vec::new();
        put_sized(&mut parameters, extra);
        parameters.extend(ALG_NULL.to_be_bytes());
        parameters.extend(selection(mask(0, u32::from(count))));
        let response = self.run(QUOTE, &[key.handle], &[PASSWORD], &parameters)?;
        response.parameters(QUOTE, |reader| {
            let attest = reader.sized()?.to_vec();
            Ok(Quoted { attest, signature: reader.rest().to_vec() })
        })
    }

    /// The secret of a credential for `ak` and `ek`.
    pub(super) fn activate(
        &mut self,
        ak: &Object,
        ek: &Object,
        id_object: &[u8],
        encrypted_seed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, CommandError> {
        // A policy session without salt or binding: nothing is authenticated by its nonces.
        let mut parameters = Vec::new();
        put_sized(&mut parameters, &[0; 16]);
        put_sized(&mut parameters, &[]);
        parameters.push(1);
        parameters.extend([ALG_NULL, ALG_SHA256].map(u16::to_be_bytes).as_flattened());
        let response = self.run(START_AUTH_SESSION, &[NULL, NULL], &[], &parameters)?;
        let session = response.handle(START_AUTH_SESSION)?;
        let secret = self.activate_in(session, ak, ek, id_object, encrypted_seed);
        let flushed = self.flush(session);
        let secret = secret?;
        flushed?;
        Ok(secret)
    }

    fn activate_in(
        &mut self,
        session: u32,
        ak: &Object,
        ek: &Object,
        id_object: &[u8],
        encrypted_seed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, CommandError> {
        // The standard endorsement key's policy: no nonce, no command, no reference, no end.
        self.run(POLICY_SECRET, &[ENDORSEMENT, session], &[PASSWORD], &[0; 10])?;
        let mut parameters = Vec::new();
        put_sized(&mut parameters, id_object);
        put_sized(&mut parameters, encrypted_seed);
        let response = self.run(ACTIVATE_CREDENTIAL, &[ak.handle, ek.handle], &[PASSWORD, session], &parameters)?;
        response.parameters(ACTIVATE_CREDENTIAL, |reader| Ok(Zeroizing::new(reader.sized()?.to_vec())))
    }

    /// Sends a command, again where the TPM asks for that.
    fn run(
        &mut self,
        command: Command,
        handles: &[u32],
        sessions: &[u32],
        parameters: &[u8],
    ) -> Result<Response, CommandError> {
        let bytes = encode(command, handles, sessions, parameters);
        for left in (0..=RETRIES).rev() {
            let bytes = Zeroizing::new(self.0.transmit(&bytes)?);
            let mut reader = Reader::new(&bytes);
            let header = (reader.u16(), reader.u32(), reader.u32());
            match header {
                (Ok(_), Ok(_), Ok(SUCCESS)) => return Ok(Response { bytes, sessions: !sessions.is_empty() }),
                (Ok(_), Ok(_), Ok(RETRY)) if left > 0 => std::thread::sleep(RETRY_AFTER),
                (Ok(_), Ok(_), Ok(code)) => return Err(CommandError::Refused(command, code)),
                _ => return Err(CommandError::Response(command)),
            }
        }
        Err(CommandError::Refused(command, RETRY))
    }
}

/// A command's bytes (Part 1 §18). Each session is a password's of no bytes, or a policy's that goes on.
fn encode(command: Command, handles: &[u32], sessions: &[u32], parameters: &[u8]) -> Vec<u8> {
    let mut body: Vec<u8> = handles.iter().flat_map(|handle| handle.to_be_bytes()).collect();
    if !sessions.is_empty() {
        let area: Vec<u8> = sessions
            .iter()
            .flat_map(|session| session.to_be_bytes().into_iter().chain([0, 0, u8::from(*session != PASSWORD), 0, 0]))
            .collect();
        body.extend(u32::try_from(area.len()).unwrap_or(u32::MAX).to_be_bytes());
        body.extend(area);
    }
    body.extend_from_slice(parameters);
    let tag = if sessions.is_empty() { NO_SESSIONS } else { SESSIONS };
    // Parameters are far shorter than a size can count.
    let size = u32::try_from(HEADER_BYTES + body.len()).unwrap_or(u32::MAX);
    [&tag.to_be_bytes()[..], &size.to_be_bytes(), &command.1.to_be_bytes(), &body].concat()
}

/// The bits from `from` up to `to`, 32 at most.
fn mask(from: u32, to: u32) -> u32 {
    (from..to.min(32)).fold(0, |bits, at| bits | 1 << at)
}

/// A `TPML_PCR_SELECTION` of these registers of the SHA-256 bank, 24 at most.
fn selection(registers: u32) -> Vec<u8> {
    let [first, second, third, _] = registers.to_le_bytes();
    [&1_u32.to_be_bytes()[..], &ALG_SHA256.to_be_bytes(), &[3, first, second, third]].concat()
}

/// A response to a command that succeeded.
struct Response {
    bytes: Zeroizing<Vec<u8>>,
    sessions: bool,
}

impl Response {
    /// The one handle that the command gives.
    fn handle(&self, command: Command) -> Result<u32, CommandError> {
        Reader::new(&self.bytes[HEADER_BYTES..]).u32().map_err(|Malformed| CommandError::Response(command))
    }

    /// Reads the parameters; what follows those that are asked for is left.
    fn parameters<T>(
        &self,
        command: Command,
        read: impl FnOnce(&mut Reader<'_>) -> Result<T, Malformed>,
    ) -> Result<T, CommandError> {
        let parameters = || -> Result<T, Malformed> {
            let mut reader = Reader::new(&self.bytes[HEADER_BYTES..]);
            if matches!(command, CREATE_PRIMARY | START_AUTH_SESSION) {
                reader.u32()?;
            }
            if !self.sessions {
                return read(&mut reader);
            }
            let size = usize::try_from(reader.u32()?).map_err(|_| Malformed)?;
            read(&mut Reader::new(reader.take(size)?))
        };
        parameters().map_err(|Malformed| CommandError::Response(command))
    }
}

#[cfg(test)]
mod tests;
