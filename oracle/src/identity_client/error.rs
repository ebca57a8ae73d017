//! Why the service's client stops. Safe to log: holds nothing of a secret, and of the peer's a problem's type at most.

use attest::ObliviousError;
use attest::content::list::{BucketError, CheckError, ManifestError};
use attest::key_epoch::EpochLogError;
use attest::opaque::OpaqueError;
use attest::privacy_pass;
use attest::privacy_pass::directory::DirectoryError;
use attest::privacy_pass::header::HeaderError;
use attest::sd_jwt::SdJwtError;

use crate::client::ClientError;
use crate::environment::EntropyError;

/// Why a call came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IdentityClientError {
    /// No answer, or one that refuses.
    #[error(transparent)]
    Call(#[from] ClientError),
    /// The operating system gave no randomness.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// A step of registration or login. A login that is refused here has a wrong name or password.
    #[error("the account's protocol stopped")]
    Opaque(#[from] OpaqueError),
    /// A credential that is not what its issuer may issue, or does not belong to the holder's key.
    #[error("the credential was refused")]
    Credential(#[from] SdJwtError),
    /// A token's response that does not verify.
    #[error("the issuer's response was refused")]
    Token(#[from] privacy_pass::ClientError),
    /// A challenge's header.
    #[error("the challenge cannot be read")]
    Header(#[from] HeaderError),
    /// The issuer's directory.
    #[error("the issuer's directory cannot be read")]
    Directory(#[from] DirectoryError),
    /// The log of keys.
    #[error("the log of keys was refused")]
    KeyLog(#[from] EpochLogError),
    /// A capsule.
    #[error("the capsule was refused")]
    Oblivious(#[from] ObliviousError),
    /// A list's manifest.
    #[error("the list's manifest was refused")]
    ListManifest(#[from] ManifestError),
    /// A list's bucket.
    #[error("the list's bucket was refused")]
    ListBucket(#[from] BucketError),
    /// An evaluation.
    #[error("the evaluation was refused")]
    ListCheck(#[from] CheckError),
    /// The service's name is not `https://host[:port]`.
    #[error("the service's name is not of the form https://host[:port]")]
    ServiceName,
    /// The log is signed by another key than the one that was pinned.
    #[error("the log of keys is signed by another key than the pinned one")]
    LogKey,
    /// The log does not continue the one that was seen before.
    #[error("the log of keys does not continue the one seen before: it was rewritten, or made for somebody")]
    Forked,
    /// A key that is in use does not stand in the log, or not as what it is used for now.
    #[error("a key in use does not stand in the log of keys")]
    KeyNotLogged,
    /// The challenge names another key than the issuer's directory.
    #[error("the challenge's key does not stand in the issuer's directory")]
    KeyNotListed,
    /// Nothing is offered for tokens of this type.
    #[error("no token of this type is asked for here")]
    NotOffered,
    /// The challenge is another issuer's or origin's, or binds the token to one occasion.
    #[error("the challenge is not the one that every viewer of this tenant gets")]
    Challenge,
    /// A nonce's audience is not the service.
    #[error("the nonce is for another audience than the service")]
    Audience,
}
