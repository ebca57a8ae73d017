//! SEV-SNP reports and TDX quotes from the Linux kernel's one interface to both (Documentation/ABI/testing/configfs-tsm-report,
//! from kernel 6.7): a folder made for each request, whose files are the question and the answer.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use attest::evidence::dcap::COLLATERAL_BYTES_MAX;
use attest::evidence::dcap::tdx::TdxEvidence;
use attest::evidence::sev_snp::SevSnpEvidence;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

/// Where the kernel shows the interface.
pub const ROOT: &str = "/sys/kernel/config/tsm/report";
/// Bytes of an answer of the kernel at most.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;
/// Entries of a table of certificates at most.
const ENTRIES_MAX: usize = 16;
/// Bytes of an entry: a GUID, an offset, a length (AMD publication 56421, GHCB §4.1.8.1).
const ENTRY_BYTES: usize = 24;
/// The chip's certificate, 63da758d-e664-4564-adc5-f4b93be8accd.
const VCEK: [u8; 16] = [0x63, 0xDA, 0x75, 0x8D, 0xE6, 0x64, 0x45, 0x64, 0xAD, 0xC5, 0xF4, 0xB9, 0x3B, 0xE8, 0xAC, 0xCD];
/// The certificate that issued it, 4ab7b379-bbac-4fe4-a02f-05aef327c782.
const ASK: [u8; 16] = [0x4A, 0xB7, 0xB3, 0x79, 0xBB, 0xAC, 0x4F, 0xE4, 0xA0, 0x2F, 0x05, 0xAE, 0xF3, 0x27, 0xC7, 0x82];

/// Who answers behind the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// AMD's secure processor, about an SEV-SNP guest.
    SevGuest,
    /// Intel's TDX module, about a trust domain.
    TdxGuest,
}

/// The kernel's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Who gave it.
    pub provider: Provider,
    /// The report or quote.
    pub report: Vec<u8>,
    /// What the host gave along: for SEV-SNP a table of certificates, or nothing.
    pub beside: Vec<u8>,
}

/// Why the kernel gave no evidence.
#[derive(Debug, thiserror::Error)]
pub enum ConfigfsError {
    /// A file of the interface.
    #[error("the kernel's {0} cannot be used")]
    File(&'static str, #[source] io::Error),
    /// An answer longer than any.
    #[error("the kernel's {0} is too long")]
    TooLong(&'static str),
    /// A provider that is not known here.
    #[error("the kernel's provider of reports is not one that is known")]
    Provider,
    /// Another process wrote to the same request.
    #[error("another process changed the request while it was answered")]
    Changed,
    /// The table of certificates.
    #[error("the host's table of certificates is malformed")]
    Table,
    /// Neither the host nor a file gave the certificates.
    #[error("neither the host nor a file gives the chip's certificate and its issuer's")]
    Certificates,
    /// The file with certificates or collateral.
    #[error("the file with {0} cannot be read")]
    Beside(&'static str, #[source] io::Error),
}

/// Whether the kernel has the interface.
#[must_use]
pub fn is_present() -> bool {
    Path::new(ROOT).is_dir()
}

/// Who answers behind the interface at `root`.
///
/// # Errors
/// The interface, or a provider that is not known.
pub fn provider(root: &Path) -> Result<Provider, ConfigfsError> {
    read_provider(&Entry::new(root)?.0)
}

/// Asks for a report or quote over 64 bytes, at `root` ([`ROOT`] but in tests). It blocks for as long as the machine takes.
///
/// # Errors
/// The interface, or an answer that is not to this question.
pub fn report(bound: &[u8; 64], root: &Path) -> Result<Answer, ConfigfsError> {
    ask(&Entry::new(root)?.0, bound)
}

/// A request's folder; it is removed with the value.
struct Entry(PathBuf);

impl Entry {
    fn new(root: &Path) -> Result<Self, ConfigfsError> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let entry = root.join(format!("siwa-{}-{number}", std::process::id()));
        std::fs::create_dir(&entry).map_err(|error| ConfigfsError::File("folder", error))?;
        Ok(Self(entry))
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir(&self.0) {
            tracing::warn!(%error, "a request for evidence stays in the kernel");
        }
    }
}

/// Writes the question into a request's folder and reads the answer.
fn ask(entry: &Path, bound: &[u8; 64]) -> Result<Answer, ConfigfsError> {
    // 1. Who will answer, and the number of writes so far.
    let provider = read_provider(entry)?;
    let before = generation(entry)?;
    // 2. The question, in one write.
    let mut question =
        File::options().write(true).open(entry.join("inblob")).map_err(|error| ConfigfsError::File("inblob", error))?;
    question.write_all(bound).map_err(|error| ConfigfsError::File("inblob", error))?;
    drop(question);
    // 3. The answer, and what the host gives along where the provider has that.
    let report = read(entry, "outblob")?;
    let beside = match read(entry, "auxblob") {
        Err(ConfigfsError::File(_, error)) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        other => other?,
    };
    // 4. Exactly this question was written meanwhile.
    if before.checked_add(1) != Some(generation(entry)?) {
        return Err(ConfigfsError::Changed);
    }
    Ok(Answer { provider, report, beside })
}

fn read(entry: &Path, file: &'static str) -> Result<Vec<u8>, ConfigfsError> {
    let mut bytes = Vec::new();
    let opened = File::open(entry.join(file)).map_err(|error| ConfigfsError::File(file, error))?;
    opened.take(ANSWER_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| ConfigfsError::File(file, error))?;
    match u64::try_from(bytes.len()) {
        Ok(length) if length <= ANSWER_BYTES_MAX => Ok(bytes),
        _ => Err(ConfigfsError::TooLong(file)),
    }
}

fn read_provider(entry: &Path) -> Result<Provider, ConfigfsError> {
    match read(entry, "provider")?.trim_ascii() {
        b"sev_guest" => Ok(Provider::SevGuest),
        b"tdx_guest" => Ok(Provider::TdxGuest),
        _ => Err(ConfigfsError::Provider),
    }
}

/// How often the request was written to.
fn generation(entry: &Path) -> Result<u64, ConfigfsError> {
    let text = read(entry, "generation")?;
    let number = std::str::from_utf8(text.trim_ascii()).ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| ConfigfsError::File("generation", io::ErrorKind::InvalidData.into()))
}

/// A report with the certificates that the host gave along; where it gave none, with those of a PEM text: the chip's,
/// then its issuer's.
///
/// # Errors
/// The table, or no certificates in either place.
pub fn sev_snp(answer: Answer, certificates: Option<&[u8]>) -> Result<SevSnpEvidence, ConfigfsError> {
    let (vcek, ask) = match (of_table(&answer.beside)?, certificates) {
        (Some(pair), _) => pair,
        (None, Some(text)) => {
            let mut chain = CertificateDer::pem_slice_iter(text);
            let mut next = || chain.next().and_then(Result::ok).ok_or(ConfigfsError::Certificates);
            (next()?.to_vec(), next()?.to_vec())
        }
        (None, None) => return Err(ConfigfsError::Certificates),
    };
    Ok(SevSnpEvidence { report: answer.report.into(), vcek: vcek.into(), ask: ask.into() })
}

/// A quote with its collateral, which the operator's file holds: the kernel gives none, and it is renewed each month.
///
/// # Errors
/// More bytes than collateral has.
pub fn tdx(answer: Answer, collateral: Vec<u8>) -> Result<TdxEvidence, ConfigfsError> {
    if collateral.len() > COLLATERAL_BYTES_MAX {
        return Err(ConfigfsError::TooLong("collateral"));
    }
    Ok(TdxEvidence { quote: answer.report.into(), collateral: collateral.into() })
}

/// A chip's certificate and its issuer's, as DER.
type Pair = (Vec<u8>, Vec<u8>);

/// The chip's certificate and its issuer's from a table; none where the table lacks one.
fn of_table(table: &[u8]) -> Result<Option<Pair>, ConfigfsError> {
    let (mut vcek, mut ask) = (None, None);
    let mut rest = table;
    for _ in 0..=ENTRIES_MAX {
        // A table ends with an entry of zeros; an empty one need not have that.
        let Some((entry, following)) = rest.split_first_chunk::<ENTRY_BYTES>() else {
            return if table.is_empty() { Ok(None) } else { Err(ConfigfsError::Table) };
        };
        if *entry == [0; ENTRY_BYTES] {
            return Ok(vcek.zip(ask));
        }
        let (guid, place) = entry.split_at(16);
        let (offset, length) = place.split_at(4);
        let certificate = index(offset)
            .zip(index(length))
            .and_then(|(offset, length)| table.get(offset..offset.checked_add(length)?))
            .ok_or(ConfigfsError::Table)?;
        match guid {
            _ if guid == VCEK => vcek = Some(der(certificate)?),
            _ if guid == ASK => ask = Some(der(certificate)?),
            // Roots are the policy's; other keys sign no report that is accepted.
            _ => {}
        }
        rest = following;
    }
    Err(ConfigfsError::Table)
}

fn index(bytes: &[u8]) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(bytes.try_into().ok()?)).ok()
}

/// Hosts put certificates into tables in either form.
fn der(certificate: &[u8]) -> Result<Vec<u8>, ConfigfsError> {
    if !certificate.starts_with(b"-----BEGIN") {
        return Ok(certificate.to_vec());
    }
    CertificateDer::from_pem_slice(certificate).map(|der| der.to_vec()).map_err(|_| ConfigfsError::Table)
}

#[cfg(test)]
mod tests;
