//! The certificate extension in which a device describes a key (Android key and ID attestation, "Certificate extension
//! data schema", versions 3 to 400).

use std::collections::BTreeSet;

use policies::Digest;
use policies::rules::KeySecurity;
use x509_cert::der::Tag;

use crate::device::asn1::{Fields, Malformed, explicit_number};

/// Bytes of the extension at most.
pub const DESCRIPTION_BYTES_MAX: usize = 8 * 1024;
/// Packages, signers or purposes at most.
pub const ELEMENTS_MAX: usize = 32;
/// Bytes of a package's name at most.
pub const PACKAGE_BYTES_MAX: usize = 256;

/// Versions of the schema that are read: Keymaster 4.0 and 4.1, `KeyMint` 1.0 to 4.0. Older ones do not say how the
/// device's boot was verified.
const VERSIONS: [u64; 6] = [3, 4, 100, 200, 300, 400];

/// Tags of `AuthorizationList` that are read.
mod tag {
    pub(super) const PURPOSE: u32 = 1;
    pub(super) const ORIGIN: u32 = 702;
    pub(super) const ROOT_OF_TRUST: u32 = 704;
    pub(super) const OS_VERSION: u32 = 705;
    pub(super) const OS_PATCH_LEVEL: u32 = 706;
    pub(super) const APPLICATION: u32 = 709;
    pub(super) const VENDOR_PATCH_LEVEL: u32 = 718;
    pub(super) const BOOT_PATCH_LEVEL: u32 = 719;
}

/// Why a description was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DescriptionError {
    /// More bytes than [`DESCRIPTION_BYTES_MAX`].
    #[error("the description of the key is too long")]
    TooLong,
    /// Not DER, or not of the schema.
    #[error("the description of the key cannot be read")]
    Malformed,
    /// Of a version that is not read.
    #[error("the description of the key is of an unknown version")]
    Version,
}

impl From<Malformed> for DescriptionError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// How the boot of the device was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BootState {
    /// By the manufacturer's key.
    Verified,
    /// By a key of the owner.
    SelfSigned,
    /// Not.
    Unverified,
    /// It failed.
    Failed,
}

/// `RootOfTrust`: what the bootloader handed to the secure hardware.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootOfTrust {
    /// The key that verified the boot, or its digest.
    pub boot_key: Vec<u8>,
    /// Whether the bootloader refuses to start other systems.
    pub locked: bool,
    /// How the boot was verified.
    pub state: BootState,
    /// Digest of everything that verified boot protects.
    pub boot_hash: Vec<u8>,
}

/// `AttestationApplicationId`: the apps that may use the key, by the word of the operating system.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Application {
    /// Names and version codes.
    pub packages: Vec<(String, u64)>,
    /// SHA-256 of the certificates that sign them.
    pub signers: BTreeSet<Digest>,
}

/// What is read of an `AuthorizationList`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Authorizations {
    /// What the key may be used for: 2 signs, 7 attests other keys.
    pub purposes: Option<BTreeSet<u64>>,
    /// Where the key came from: 0 generated, 2 imported.
    pub origin: Option<u64>,
    /// How the device booted.
    pub root_of_trust: Option<RootOfTrust>,
    /// The system's version, as MMmmss.
    pub os_version: Option<u64>,
    /// The system's patch level, as YYYYMM.
    pub os_patch_level: Option<u64>,
    /// The apps.
    pub application: Option<Application>,
    /// The vendor's patch level, as YYYYMMDD.
    pub vendor_patch_level: Option<u64>,
    /// The kernel's patch level, as YYYYMMDD.
    pub boot_patch_level: Option<u64>,
}

/// `KeyDescription`. The unique identifier of the device is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyDescription {
    /// Where the statement was made.
    pub attested_in: KeySecurity,
    /// Where the key is kept.
    pub kept_in: KeySecurity,
    /// The challenge.
    pub challenge: Vec<u8>,
    /// What the operating system enforces.
    pub software: Authorizations,
    /// What the secure hardware enforces.
    pub hardware: Authorizations,
}

impl KeyDescription {
    /// Reads the extension's content.
    ///
    /// # Errors
    /// The first rule of the schema that is broken.
    pub fn read(bytes: &[u8]) -> Result<Self, DescriptionError> {
        if bytes.len() > DESCRIPTION_BYTES_MAX {
            return Err(DescriptionError::TooLong);
        }
        let mut fields = Fields::of(bytes, Tag::Sequence)?;
        if !VERSIONS.contains(&fields.integer()?) {
            return Err(DescriptionError::Version);
        }
        let attested_in = security(fields.enumerated()?)?;
        let _version_of_the_keystore = fields.integer()?;
        let kept_in = security(fields.enumerated()?)?;
        let challenge = fields.octets()?.to_vec();
        let _unique_id = fields.octets()?;
        let software = authorizations(fields.sequence()?)?;
        let hardware = authorizations(fields.sequence()?)?;
        fields.end()?;
        Ok(Self { attested_in, kept_in, challenge, software, hardware })
    }
}

const fn security(number: u8) -> Result<KeySecurity, Malformed> {
    match number {
        0 => Ok(KeySecurity::Software),
        1 => Ok(KeySecurity::TrustedEnvironment),
        2 => Ok(KeySecurity::StrongBox),
        _ => Err(Malformed),
    }
}

fn authorizations(mut list: Fields<'_>) -> Result<Authorizations, Malformed> {
    let mut found = Authorizations::default();
    while let Some(field) = list.next()? {
        // Only EXPLICIT fields are in the schema.
        let number = explicit_number(field).ok_or(Malformed)?;
        let mut inner = Fields::new(field.value())?;
        match number {
            tag::PURPOSE => once(&mut found.purposes, purposes(inner.set()?)?)?,
            tag::ORIGIN => once(&mut found.origin, inner.integer()?)?,
            tag::ROOT_OF_TRUST => once(&mut found.root_of_trust, root_of_trust(inner.sequence()?)?)?,
            tag::OS_VERSION => once(&mut found.os_version, inner.integer()?)?,
            tag::OS_PATCH_LEVEL => once(&mut found.os_patch_level, inner.integer()?)?,
            tag::APPLICATION => once(&mut found.application, application(inner.octets()?)?)?,
            tag::VENDOR_PATCH_LEVEL => once(&mut found.vendor_patch_level, inner.integer()?)?,
            tag::BOOT_PATCH_LEVEL => once(&mut found.boot_patch_level, inner.integer()?)?,
            // The schema has two dozen others, and newer versions more.
            _ => continue,
        }
        inner.end()?;
    }
    Ok(found)
}

/// A tag that stands twice is refused: readers would differ in which one counts.
fn once<T>(place: &mut Option<T>, value: T) -> Result<(), Malformed> {
    if place.replace(value).is_some() { Err(Malformed) } else { Ok(()) }
}

fn purposes(mut set: Fields<'_>) -> Result<BTreeSet<u64>, Malformed> {
    let mut found = BTreeSet::new();
    for _ in 0..ELEMENTS_MAX {
        if set.end().is_ok() {
            break;
        }
        found.insert(set.integer()?);
    }
    set.end()?;
    Ok(found)
}

fn root_of_trust(mut fields: Fields<'_>) -> Result<RootOfTrust, Malformed> {
    let boot_key = fields.octets()?.to_vec();
    let locked = fields.boolean()?;
    let state = match fields.enumerated()? {
        0 => BootState::Verified,
        1 => BootState::SelfSigned,
        2 => BootState::Unverified,
        3 => BootState::Failed,
        _ => return Err(Malformed),
    };
    let boot_hash = fields.octets()?.to_vec();
    fields.end()?;
    Ok(RootOfTrust { boot_key, locked, state, boot_hash })
}

fn application(bytes: &[u8]) -> Result<Application, Malformed> {
    let mut fields = Fields::of(bytes, Tag::Sequence)?;
    let (mut packages, mut signers) = (fields.set()?, fields.set()?);
    fields.end()?;
    let mut found = Application::default();
    while packages.end().is_err() {
        let mut package = packages.sequence()?;
        let (name, version) = (package.octets()?, package.integer()?);
        package.end()?;
        if name.len() > PACKAGE_BYTES_MAX || found.packages.len() == ELEMENTS_MAX {
            return Err(Malformed);
        }
        let name = std::str::from_utf8(name).map_err(|_| Malformed)?;
        found.packages.push((name.to_owned(), version));
    }
    while signers.end().is_err() {
        let digest: [u8; 32] = signers.octets()?.try_into().map_err(|_| Malformed)?;
        if found.signers.len() == ELEMENTS_MAX || !found.signers.insert(Digest::from_bytes(digest)) {
            return Err(Malformed);
        }
    }
    Ok(found)
}
