//! Public areas (Part 2 §12.2.4, `TPMT_PUBLIC`) of the two keys that matter: the endorsement key, which decrypts and whose
//! certificate the maker of the TPM issued, and the attestation key, which signs nothing but what the TPM itself says.

use policies::Digest;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey,
};

use super::wire::{Malformed, Reader, put_sized};

/// Bytes of a public area at most: one of an RSA key has some 320.
pub const PUBLIC_BYTES_MAX: usize = 512;
/// Bytes of a signature at most.
pub const SIGNATURE_BYTES_MAX: usize = 512;
/// Bytes of an RSA modulus.
pub const MODULUS_BYTES: usize = 256;

/// Algorithms (Part 2 §6.3, `TPM_ALG_ID`).
pub const ALG_RSA: u16 = 0x0001;
/// AES.
pub const ALG_AES: u16 = 0x0006;
/// SHA-256.
pub const ALG_SHA256: u16 = 0x000b;
/// No algorithm.
pub const ALG_NULL: u16 = 0x0010;
/// RSASSA-PKCS1-v1_5.
pub const ALG_RSASSA: u16 = 0x0014;
/// RSASSA-PSS.
pub const ALG_RSAPSS: u16 = 0x0016;
/// ECDSA.
pub const ALG_ECDSA: u16 = 0x0018;
/// Elliptic curves.
pub const ALG_ECC: u16 = 0x0023;
/// Cipher feedback.
pub const ALG_CFB: u16 = 0x0043;
/// NIST P-256 (Part 2 §6.4, `TPM_ECC_CURVE`).
pub const CURVE_P256: u16 = 0x0003;

/// Attributes of objects (Part 2 §8.3, `TPMA_OBJECT`): it can never leave the TPM.
const FIXED_TPM: u32 = 1 << 1;
/// It can never leave its parent.
const FIXED_PARENT: u32 = 1 << 4;
/// The TPM made it.
const SENSITIVE_DATA_ORIGIN: u32 = 1 << 5;
/// It signs nothing that looks like the TPM's own word but is not.
const RESTRICTED: u32 = 1 << 16;
const DECRYPT: u32 = 1 << 17;
const SIGN: u32 = 1 << 18;
/// What an attestation key must be, and what it must not.
const AK_ATTRIBUTES: u32 = FIXED_TPM | FIXED_PARENT | SENSITIVE_DATA_ORIGIN | RESTRICTED | SIGN;
const AK_ATTRIBUTES_NOT: u32 = DECRYPT;

/// The attributes of our own attestation key: as above, and used with its (empty) authorization.
const AK_TEMPLATE_ATTRIBUTES: u32 = AK_ATTRIBUTES | 1 << 6;
/// Those of both standard endorsement keys, and their policy: `TPM2_PolicySecret` of the endorsement hierarchy (TCG EK
/// Credential Profile, templates L-1 and L-2).
const EK_TEMPLATE_ATTRIBUTES: u32 = 0x0003_00b2;
const EK_POLICY: [u8; 32] = [
    0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24, 0xfd, 0x52, 0xd7,
    0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa,
];

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublicKey {
    /// RSA with 2048 bits and the exponent 65537.
    Rsa([u8; MODULUS_BYTES]),
    /// A point of P-256.
    Ecc {
        /// Its x coordinate.
        x: [u8; 32],
        /// Its y coordinate.
        y: [u8; 32],
    },
}

impl PublicKey {
    /// The public area of the standard endorsement key that this is (templates L-1 and L-2). Of zeros: the template
    /// itself.
    #[must_use]
    pub fn endorsement_area(&self) -> Vec<u8> {
        let symmetric: &[u16] = &[ALG_AES, 128, ALG_CFB];
        self.area(EK_TEMPLATE_ATTRIBUTES, &EK_POLICY, symmetric, &[ALG_NULL])
    }

    fn area(&self, attributes: u32, policy: &[u8], symmetric: &[u16], scheme: &[u16]) -> Vec<u8> {
        let mut out = Vec::with_capacity(PUBLIC_BYTES_MAX);
        let put = |out: &mut Vec<u8>, words: &[u16]| words.iter().for_each(|word| out.extend(word.to_be_bytes()));
        let kind = if matches!(self, Self::Rsa(_)) { ALG_RSA } else { ALG_ECC };
        put(&mut out, &[kind, ALG_SHA256]);
        out.extend(attributes.to_be_bytes());
        put_sized(&mut out, policy);
        put(&mut out, symmetric);
        put(&mut out, scheme);
        match self {
            Self::Rsa(modulus) => {
                // 2048 bits, and an exponent of zero, which means 65537 (Part 2 §12.2.3.5).
                put(&mut out, &[2048, 0, 0]);
                put_sized(&mut out, modulus);
            }
            Self::Ecc { x, y } => {
                put(&mut out, &[CURVE_P256, ALG_NULL]);
                put_sized(&mut out, x);
                put_sized(&mut out, y);
            }
        }
        out
    }
}

/// The public area of our own attestation key at this point of P-256: a restricted key that signs by ECDSA with SHA-256.
#[must_use]
pub fn attestation_area(x: [u8; 32], y: [u8; 32]) -> Vec<u8> {
    PublicKey::Ecc { x, y }.area(AK_TEMPLATE_ATTRIBUTES, &[], &[ALG_NULL], &[ALG_ECDSA, ALG_SHA256])
}

/// The template of that key. As a primary key of the endorsement hierarchy it is the same after each start.
#[must_use]
pub fn attestation_template() -> Vec<u8> {
    attestation_area([0; 32], [0; 32])
}

/// Why a public area is not that of an attestation key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not a public area, or one of another algorithm or size.
    #[error("the attestation key is not a P-256 or RSA 2048 key with SHA-256")]
    Form,
    /// It may leave the TPM, was made elsewhere, or signs what it is given.
    #[error("the attestation key is not one that signs only what its TPM says")]
    Attributes,
}

impl From<Malformed> for KeyError {
    fn from(_: Malformed) -> Self {
        Self::Form
    }
}

/// An attestation key's public area, with the attributes that make it one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttestationKey {
    key: PublicKey,
    scheme: u16,
    name: Digest,
}

/// A signature was not made by the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotSigned;

impl AttestationKey {
    /// Reads a `TPMT_PUBLIC`.
    ///
    /// # Errors
    /// [`KeyError`], the form first.
    pub fn parse(area: &[u8]) -> Result<Self, KeyError> {
        if area.len() > PUBLIC_BYTES_MAX {
            return Err(KeyError::Form);
        }
        let mut reader = Reader::new(area);
        let kind = reader.u16()?;
        if reader.u16()? != ALG_SHA256 {
            return Err(KeyError::Form);
        }
        let attributes = reader.u32()?;
        let _policy = reader.sized()?;
        // A key that signs has no symmetric algorithm, and a restricted one has a scheme of its own.
        let (symmetric, scheme, hash) = (reader.u16()?, reader.u16()?, reader.u16()?);
        if symmetric != ALG_NULL || hash != ALG_SHA256 {
            return Err(KeyError::Form);
        }
        let key = match (kind, scheme) {
            (ALG_RSA, ALG_RSASSA | ALG_RSAPSS) => rsa_parameters(&mut reader)?,
            (ALG_ECC, ALG_ECDSA) => ecc_parameters(&mut reader)?,
            _ => return Err(KeyError::Form),
        };
        reader.finish()?;
        if attributes & AK_ATTRIBUTES != AK_ATTRIBUTES || attributes & AK_ATTRIBUTES_NOT != 0 {
            return Err(KeyError::Attributes);
        }
        Ok(Self { key, scheme, name: Digest::of(area) })
    }

    /// SHA-256 of the public area: the key's name (Part 1 §16) without the algorithm's number before it.
    #[must_use]
    pub const fn name(&self) -> Digest {
        self.name
    }

    /// Whether a `TPMT_SIGNATURE` (Part 2 §11.3.4) is this key's over `message`.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> Result<(), NotSigned> {
        let signature = self.signature(signature).map_err(|Malformed| NotSigned)?;
        match &self.key {
            PublicKey::Rsa(modulus) => {
                let key = RsaPublicKeyComponents { n: modulus.as_slice(), e: [1, 0, 1].as_slice() };
                let algorithm =
                    if self.scheme == ALG_RSASSA { &RSA_PKCS1_2048_8192_SHA256 } else { &RSA_PSS_2048_8192_SHA256 };
                key.verify(algorithm, message, &signature).map_err(|_| NotSigned)
            }
            PublicKey::Ecc { x, y } => {
                let point = [&[4], x.as_slice(), y].concat();
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
                    .verify(message, &signature)
                    .map_err(|_| NotSigned)
            }
        }
    }

    /// The signature's numbers, one after the other.
    fn signature(&self, bytes: &[u8]) -> Result<Vec<u8>, Malformed> {
        if bytes.len() > SIGNATURE_BYTES_MAX {
            return Err(Malformed);
        }
        let mut reader = Reader::new(bytes);
        if reader.u16()? != self.scheme || reader.u16()? != ALG_SHA256 {
            return Err(Malformed);
        }
        let signature = match self.key {
            PublicKey::Rsa(_) => reader.sized()?.to_vec(),
            PublicKey::Ecc { .. } => [padded(reader.sized()?)?, padded(reader.sized()?)?].concat(),
        };
        reader.finish()?;
        Ok(signature)
    }
}

fn rsa_parameters(reader: &mut Reader<'_>) -> Result<PublicKey, Malformed> {
    let (bits, exponent) = (reader.u16()?, reader.u32()?);
    let modulus = reader.sized()?.try_into().map_err(|_| Malformed)?;
    if bits == 2048 && matches!(exponent, 0 | 65537) { Ok(PublicKey::Rsa(modulus)) } else { Err(Malformed) }
}

fn ecc_parameters(reader: &mut Reader<'_>) -> Result<PublicKey, Malformed> {
    if reader.u16()? != CURVE_P256 || reader.u16()? != ALG_NULL {
        return Err(Malformed);
    }
    Ok(PublicKey::Ecc { x: padded(reader.sized()?)?, y: padded(reader.sized()?)? })
}

/// Some TPMs leave leading zeros of a coordinate away.
pub(crate) fn padded(number: &[u8]) -> Result<[u8; 32], Malformed> {
    let mut bytes = [0; 32];
    let start = bytes.len().checked_sub(number.len()).ok_or(Malformed)?;
    bytes[start..].copy_from_slice(number);
    Ok(bytes)
}
