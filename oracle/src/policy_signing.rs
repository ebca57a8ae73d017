//! Policies that an installation of one process signs itself: whoever starts it is who would be asked.

use attest::SigningKey;
use attest::note::NoteSigner;
use policies::bundle::{InvalidSigners, Statement, Trust};
use policies::log::{InvalidVerifierKey, MalformedNote};
use policies::{Bundle, BundleError, PolicySet, Signers};

/// The name of its key.
const NAME: &str = "this-installation";

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SigningError {
    /// The key's name.
    #[error(transparent)]
    Name(#[from] InvalidVerifierKey),
    /// Keys and threshold.
    #[error(transparent)]
    Signers(#[from] InvalidSigners),
    /// The text.
    #[error(transparent)]
    Note(#[from] MalformedNote),
    /// What was signed does not verify.
    #[error(transparent)]
    Bundle(#[from] BundleError),
}

/// Signs policies with one key, which alone may sign the next version.
///
/// # Errors
/// None that could happen for a version from 1.
pub(crate) fn self_signed(policies: &PolicySet, version: u64, key: SigningKey) -> Result<Bundle, SigningError> {
    let signer = NoteSigner::of_notes(NAME, key)?;
    let signers = Signers::new(vec![signer.verifier_key().clone()], 1)?;
    let statement = Statement { version, manifest: policies.digest(), next: signers.clone() };
    let note = signer.note(statement.to_string(), 0)?;
    Ok(Bundle::open(note.to_string().as_bytes(), policies.files(), Trust::First(&signers))?)
}
