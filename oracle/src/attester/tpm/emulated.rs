//! What firmware and kernel do to a TPM, done to an emulator: for demos.

use std::io;

use policies::Digest;

use super::command::Tpm;
use super::{CommandError, Tcti, TpmAttester, TpmAttesterError, registers};

impl TpmAttester {
    /// The registers 0 to 15 of the SHA-256 bank.
    ///
    /// # Errors
    /// The TPM refuses, or has no such bank.
    pub async fn registers(&self) -> Result<Vec<Digest>, TpmAttesterError> {
        self.run(|tpm, _| registers(tpm)).await
    }

    /// Extends a register of an emulator (`TPM2_PCR_Extend`). A device's are for its firmware and its kernel.
    ///
    /// # Errors
    /// The TPM is no emulator, or refuses.
    pub async fn extend(&self, register: u8, digest: Digest) -> Result<(), TpmAttesterError> {
        self.run(move |tpm: &mut Tpm, options| match options.tcti {
            Tcti::Device(_) => Err(CommandError::from(io::Error::from(io::ErrorKind::Unsupported)).into()),
            Tcti::Swtpm(_) => Ok(tpm.extend(register, digest)?),
        })
        .await
    }
}
