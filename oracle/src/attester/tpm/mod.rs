//! A node's TPM 2.0, or an emulator: enrols its attestation key and makes quotes.
//!
//! Each operation opens the TPM anew on a thread that may block, and leaves nothing loaded behind. The attestation key is
//! a primary key of the endorsement hierarchy: the TPM derives the same one each time, so that nothing of it is stored.

mod command;
mod emulated;
mod refusal;
mod statement;
mod tcti;

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use attest::enrolment::{Credential, EnrolmentRequest};
use attest::evidence::tpm::{
    BOOT_LOG_BYTES_MAX, IMA_LOG_BYTES_MAX, IMA_REGISTER, MODULUS_BYTES, PublicKey, Register, TpmEvidence,
    attestation_template, ima_log_until,
};
use policies::Digest;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use command::{Quoted, Tpm};
use refusal::is_absent;
pub use refusal::{Command, CommandError};
use statement::Statement;
use tcti::Transport;
pub use tcti::{InvalidTcti, Tcti};

/// Registers that are quoted: those that software cannot set back, 0 to 15.
const QUOTED: u8 = 16;
/// How often a quote is made again because a register changed since it was read.
const QUOTES_MAX: usize = 8;
/// How long an operation may take, with its wait for the one before it.
const TIMEOUT: Duration = Duration::from_secs(60);
/// NV indices of certificates of the standard endorsement keys (TCG EK Credential Profile §2.2.1.4): P-256, RSA 2048.
const CERTIFICATES: [(u32, PublicKey); 2] =
    [(0x01c0_000a, PublicKey::Ecc { x: [0; 32], y: [0; 32] }), (0x01c0_0002, PublicKey::Rsa([0; MODULUS_BYTES]))];
const BOOT_LOG: &str = "/sys/kernel/security/tpm0/binary_bios_measurements";
const IMA_LOG: &str = "/sys/kernel/security/ima/binary_runtime_measurements";

/// Which TPM, and what is shown with it: keys of the config's `[region.attestation]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TpmOptions {
    /// Where it is.
    pub tcti: Tcti,
    /// The file that the enrolment's statement is kept in.
    pub enrolment: Option<PathBuf>,
    /// A PEM file of the certificates between the endorsement key's and an anchor.
    pub intermediates: Option<PathBuf>,
    /// The firmware's log: of a device, the kernel's unless another is named; of an emulator, none.
    pub boot_log: Option<PathBuf>,
    /// The kernel's log of programs, likewise.
    pub ima_log: Option<PathBuf>,
}

/// Why a TPM gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum TpmAttesterError {
    /// A command.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// It has no SHA-256 bank with all registers.
    #[error("the TPM has no bank of SHA-256 registers")]
    Bank,
    /// It holds no certificate of a standard endorsement key.
    #[error("the TPM holds no certificate of an RSA 2048 or P-256 endorsement key")]
    Certificate,
    /// The file of certificates, or that of the enrolment.
    #[error("a file of the TPM's options cannot be read: {0}")]
    File(PathBuf, #[source] io::Error),
    /// The registers changed with each quote.
    #[error("the TPM's registers change faster than they can be quoted")]
    Unsteady,
    /// No statement says that the key lives in this TPM.
    #[error("the TPM's attestation key is not enrolled")]
    NotEnrolled,
    /// The operation took too long, or one before it did.
    #[error("the TPM is busy for too long")]
    Busy,
}

/// Talks to a node's TPM, one operation at a time.
pub struct TpmAttester {
    options: TpmOptions,
    statement: ArcSwapOption<Statement>,
    turn: Semaphore,
}

impl TpmAttester {
    /// The TPM of these options, after it answered once.
    ///
    /// # Errors
    /// It cannot be reached, has no SHA-256 bank, or the enrolment's file cannot be read.
    pub async fn open(options: TpmOptions) -> Result<Self, TpmAttesterError> {
        let kept = options.enrolment.as_deref().map(Self::kept).transpose()?.flatten();
        let statement = ArcSwapOption::new(kept.map(Into::into));
        let attester = Self { options, statement, turn: Semaphore::new(1) };
        attester.run(|tpm, _| registers(tpm).map(drop)).await?;
        Ok(attester)
    }

    /// What a verifier must know to enrol the attestation key: [`attest::enrolment::Challenge::make`].
    ///
    /// # Errors
    /// The TPM holds no certificate of an endorsement key, or refuses a command.
    pub async fn enrolment_request(&self) -> Result<EnrolmentRequest, TpmAttesterError> {
        self.run(|tpm, options| {
            let (certificate, template) = endorsement(tpm)?;
            let mut ek_certificates = vec![certificate.into()];
            if let Some(path) = &options.intermediates {
                let unreadable = |error| TpmAttesterError::File(path.clone(), error);
                let pem = read(path, IMA_LOG_BYTES_MAX).map_err(unreadable)?;
                for certificate in CertificateDer::pem_slice_iter(&pem) {
                    let certificate = certificate.map_err(|_| unreadable(io::ErrorKind::InvalidData.into()))?;
                    ek_certificates.push(certificate.to_vec().into());
                }
            }
            let ek_public = tpm.with_primary(&template, |_, ek| Ok::<_, TpmAttesterError>(ek.public.clone()))?;
            let ak_public =
                tpm.with_primary(&attestation_template(), |_, ak| Ok::<_, TpmAttesterError>(ak.public.clone()))?;
            Ok(EnrolmentRequest { ek_certificates, ek_public: ek_public.into(), ak_public: ak_public.into() })
        })
        .await
    }

    /// The secret of a credential that was made for this TPM and its attestation key: [`attest::enrolment::Challenge::finish`].
    ///
    /// # Errors
    /// The credential is for another, or the TPM refuses a command.
    pub async fn activate(&self, credential: Credential) -> Result<Zeroizing<Vec<u8>>, TpmAttesterError> {
        self.run(move |tpm, _| {
            let (_, template) = endorsement(tpm)?;
            tpm.with_primary(&template, |tpm, ek| {
                tpm.with_primary(&attestation_template(), |tpm, ak| {
                    let (id_object, seed) = (&credential.id_object, &credential.encrypted_seed);
                    tpm.activate(ak, ek, id_object, seed).map_err(TpmAttesterError::from)
                })
            })
        })
        .await
    }

    /// A quote with `bound` as its extra data, and the logs that can be read.
    ///
    /// # Errors
    /// Nobody has enrolled the key, or the TPM refuses a command.
    pub async fn evidence(&self, bound: Digest) -> Result<TpmEvidence, TpmAttesterError> {
        let statement = self.statement.load_full().ok_or(TpmAttesterError::NotEnrolled)?;
        self.run(move |tpm, options| {
            let (ak_public, values, quoted) = tpm.with_primary(&attestation_template(), |tpm, ak| {
                quote(tpm, ak, bound).map(|(values, quoted)| (ak.public.clone(), values, quoted))
            })?;
            let (boot_log, ima_log) = logs(options, values[usize::from(IMA_REGISTER)]);
            let pcrs = (0..QUOTED).zip(values).map(|(number, value)| Register { number, value }).collect();
            Ok(TpmEvidence {
                attest: quoted.attest.into(),
                signature: quoted.signature.into(),
                ak_public: ak_public.into(),
                pcrs,
                boot_log: boot_log.map(Into::into),
                ima_log: ima_log.map(Into::into),
                enrolment: statement.token.clone(),
            })
        })
        .await
    }

    /// Runs an operation on a thread that may block, after the one before it.
    async fn run<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut Tpm, &TpmOptions) -> Result<T, TpmAttesterError> + Send + 'static,
    ) -> Result<T, TpmAttesterError> {
        let options = self.options.clone();
        let turn = tokio::time::timeout(TIMEOUT, self.turn.acquire()).await.map_err(|_| TpmAttesterError::Busy)?;
        let _turn = turn.map_err(|_| TpmAttesterError::Busy)?;
        let task = tokio::task::spawn_blocking(move || {
            let mut tpm = Tpm::new(Transport::open(&options.tcti).map_err(CommandError::from)?);
            // The kernel starts a device itself.
            if matches!(options.tcti, Tcti::Swtpm(_)) {
                tpm.startup()?;
            }
            operation(&mut tpm, &options)
        });
        match tokio::time::timeout(TIMEOUT, task).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) | Err(_) => Err(TpmAttesterError::Busy),
        }
    }
}

/// Every register below [`QUOTED`].
fn registers(tpm: &mut Tpm) -> Result<Vec<Digest>, TpmAttesterError> {
    let values = tpm.registers(QUOTED)?;
    if values.len() == usize::from(QUOTED) { Ok(values) } else { Err(TpmAttesterError::Bank) }
}

/// Registers and a quote that is about exactly these values.
fn quote(tpm: &mut Tpm, ak: &command::Object, bound: Digest) -> Result<(Vec<Digest>, Quoted), TpmAttesterError> {
    for _ in 0..QUOTES_MAX {
        let values = registers(tpm)?;
        let quoted = tpm.quote(ak, bound.as_bytes(), QUOTED)?;
        let all: Vec<u8> = values.iter().flat_map(|value| *value.as_bytes()).collect();
        // The digest over the registers is what a quote ends in.
        if quoted.attest.ends_with(Digest::of(&all).as_bytes()) {
            return Ok((values, quoted));
        }
    }
    Err(TpmAttesterError::Unsteady)
}

/// The certificate of the first standard endorsement key that the TPM holds one of, and that key's template.
fn endorsement(tpm: &mut Tpm) -> Result<(Vec<u8>, Vec<u8>), TpmAttesterError> {
    for (index, template) in CERTIFICATES {
        match tpm.nv_read(index) {
            Ok(certificate) => return Ok((without_padding(certificate), template.endorsement_area())),
            Err(error) if is_absent(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(TpmAttesterError::Certificate)
}

/// Some makers reserve more room than the certificate takes. Its length stands in its third and fourth byte.
fn without_padding(mut certificate: Vec<u8>) -> Vec<u8> {
    if let [0x30, 0x82, high, low, ..] = certificate[..] {
        certificate.truncate(4 + usize::from(u16::from_be_bytes([high, low])));
    }
    certificate
}

/// The logs that can be read, the kernel's up to the quote. What is missing here is missing to the verifier, who says so.
fn logs(options: &TpmOptions, ima_register: Digest) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
    let of_device = |path: &str| matches!(options.tcti, Tcti::Device(_)).then(|| PathBuf::from(path));
    let log = |path: Option<PathBuf>, bytes_max: usize| {
        let path = path?;
        match read(&path, bytes_max) {
            Ok(log) => Some(log),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "a log of what was measured is not shown");
                None
            }
        }
    };
    let boot = log(options.boot_log.clone().or_else(|| of_device(BOOT_LOG)), BOOT_LOG_BYTES_MAX);
    // The kernel may have gone on since the quote, over the limit too: the cut comes first.
    let ima = log(options.ima_log.clone().or_else(|| of_device(IMA_LOG)), 2 * IMA_LOG_BYTES_MAX);
    let ima = ima.and_then(|log| match ima_log_until(&log, ima_register) {
        Ok(part) if part.len() <= IMA_LOG_BYTES_MAX => Some(part.to_vec()),
        _ => {
            tracing::warn!(
                "the kernel's log of programs is too long, or does not lead to register 10: it is not shown"
            );
            None
        }
    });
    (boot, ima)
}

/// A file's bytes, if they are not more than that. The kernel's files do not tell their length.
fn read(path: &Path, bytes_max: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX);
    File::open(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() > bytes_max { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests;
