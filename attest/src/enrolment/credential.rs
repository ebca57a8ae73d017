//! `TPM2_MakeCredential` in software (Part 1 §24, Annex B.10.4 for RSA and C.6.4 for ECC; Part 3 §12.6).

#![expect(deprecated, reason = "ring's generator of given bytes is the one way to take the ephemeral key from ours")]

use aes::Aes128;
use cfb_mode::Encryptor;
use cfb_mode::cipher::KeyIvInit as _;
use policies::Digest;
use rand_core::CryptoRng;
use ring::agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral};
use ring::hmac;
use ring::test::rand::FixedSliceRandom;
use rsa::BoxedUint;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::EnrolmentError;
use crate::evidence::encoded::Encoded;
use crate::evidence::tpm::wire::put_sized;
use crate::evidence::tpm::{ALG_SHA256, MODULUS_BYTES, PublicKey};

/// Bytes of the secret in a credential: a digest's, the most that `TPM2_ActivateCredential` gives back.
pub const SECRET_BYTES: usize = 32;
/// Bytes of either part of a credential at most.
pub const CREDENTIAL_BYTES_MAX: usize = 512;
const HASH_BYTES: usize = 32;
/// Labels with the zero that ends them (Part 1 §11.4.10.2).
const IDENTITY: &[u8] = b"IDENTITY\0";
const STORAGE: &[u8] = b"STORAGE\0";
const INTEGRITY: &[u8] = b"INTEGRITY\0";
/// How often an ephemeral key is drawn: one in 2^32 draws is none.
const DRAWS: usize = 4;

/// A secret for a TPM with a certain endorsement key and attestation key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credential {
    /// The secret and its tag: what a `TPM2B_ID_OBJECT` holds.
    pub id_object: Encoded<CREDENTIAL_BYTES_MAX>,
    /// The seed of the keys that protect it: what a `TPM2B_ENCRYPTED_SECRET` holds.
    pub encrypted_seed: Encoded<CREDENTIAL_BYTES_MAX>,
}

/// A credential for the endorsement key `ek` and the attestation key whose public area has the digest `ak_name`.
pub(super) fn make(
    ek: &PublicKey,
    ak_name: Digest,
    secret: &[u8],
    rng: &mut impl CryptoRng,
) -> Result<Credential, EnrolmentError> {
    let (seed, encrypted_seed) = match ek {
        PublicKey::Rsa(modulus) => seed_for_rsa(modulus, rng)?,
        PublicKey::Ecc { x, y } => seed_for_ecc(x, y, rng)?,
    };
    Ok(Credential { id_object: protect(&seed, ak_name, secret).into(), encrypted_seed: encrypted_seed.into() })
}

type Seed = Zeroizing<[u8; HASH_BYTES]>;

/// The secret, encrypted and tagged by keys from `seed` (Part 1 §24.4, §24.5).
pub(super) fn protect(seed: &Seed, ak_name: Digest, secret: &[u8]) -> Vec<u8> {
    let name = [ALG_SHA256.to_be_bytes().as_slice(), ak_name.as_bytes()].concat();
    let key = key_derivation(seed.as_ref(), STORAGE, &name);
    let mut identity = Vec::with_capacity(2 + secret.len());
    put_sized(&mut identity, secret);
    let (key, _) = key.split_first_chunk::<16>().expect("a digest has 16 bytes and more");
    Encryptor::<Aes128>::new(key.into(), &[0; 16].into()).encrypt(&mut identity);
    let key = hmac::Key::new(hmac::HMAC_SHA256, key_derivation(seed.as_ref(), INTEGRITY, &[]).as_ref());
    let mut tagged = hmac::Context::with_key(&key);
    tagged.update(&identity);
    tagged.update(&name);
    let mut out = Vec::with_capacity(2 + HASH_BYTES + identity.len());
    put_sized(&mut out, tagged.sign().as_ref());
    out.extend_from_slice(&identity);
    out
}

/// KDFa with SHA-256 (Part 1 §11.4.10.2), one block: of 128 bits for the one key, of 256 for the other.
fn key_derivation(key: &[u8], label: &[u8], context: &[u8]) -> Seed {
    let bits: u32 = if label == STORAGE { 128 } else { 256 };
    let mut block = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    for part in [&1_u32.to_be_bytes(), label, context, &bits.to_be_bytes()] {
        block.update(part);
    }
    let mut out = Zeroizing::new([0; HASH_BYTES]);
    out.copy_from_slice(block.sign().as_ref());
    out
}

/// KDFe with SHA-256 (Part 1 §11.4.10.3), one block of 256 bits.
pub(super) fn seed_from_shared(shared: &[u8], ephemeral_x: &[u8], ek_x: &[u8]) -> Seed {
    let digest = Digest::of_parts(&[&1_u32.to_be_bytes(), shared, IDENTITY, ephemeral_x, ek_x]);
    Zeroizing::new(*digest.as_bytes())
}

/// A seed by one-pass Diffie-Hellman, and the ephemeral point as TPMS_ECC_POINT (Annex C.6.4).
fn seed_for_ecc(x: &[u8; 32], y: &[u8; 32], rng: &mut impl CryptoRng) -> Result<(Seed, Vec<u8>), EnrolmentError> {
    let ek = UnparsedPublicKey::new(&ECDH_P256, [&[4], x.as_slice(), y].concat());
    for _ in 0..DRAWS {
        let mut scalar = Zeroizing::new([0; 32]);
        rng.fill_bytes(scalar.as_mut());
        let Ok(ephemeral) = EphemeralPrivateKey::generate(&ECDH_P256, &FixedSliceRandom { bytes: scalar.as_ref() })
        else {
            continue;
        };
        let public = ephemeral.compute_public_key().map_err(|_| EnrolmentError::Randomness)?;
        let [_, point @ ..] = public.as_ref() else { return Err(EnrolmentError::Randomness) };
        let (own_x, own_y) = point.split_at_checked(32).ok_or(EnrolmentError::Randomness)?;
        // A point that is not on the curve is refused here.
        let seed = agree_ephemeral(ephemeral, &ek, |shared| seed_from_shared(shared, own_x, x))
            .map_err(|_| EnrolmentError::EndorsementKey)?;
        let mut out = Vec::with_capacity(68);
        put_sized(&mut out, own_x);
        put_sized(&mut out, own_y);
        return Ok((seed, out));
    }
    Err(EnrolmentError::Randomness)
}

/// A random seed, encrypted by RSAES-OAEP with SHA-256 and the label (RFC 8017 §7.1.1; Annex B.4).
fn seed_for_rsa(modulus: &[u8; MODULUS_BYTES], rng: &mut impl CryptoRng) -> Result<(Seed, Vec<u8>), EnrolmentError> {
    let number = BoxedUint::from_be_slice(modulus, 2048).map_err(|_| EnrolmentError::EndorsementKey)?;
    let key =
        rsa::RsaPublicKey::new(number, BoxedUint::from(65_537_u32)).map_err(|_| EnrolmentError::EndorsementKey)?;
    let mut seed = Zeroizing::new([0; HASH_BYTES]);
    rng.fill_bytes(seed.as_mut());
    let encoded = padded(&seed, rng);
    let message = BoxedUint::from_be_slice(encoded.as_ref(), 2048).map_err(|_| EnrolmentError::EndorsementKey)?;
    let encrypted = rsa::hazmat::rsa_encrypt(&key, &message).map_err(|_| EnrolmentError::EndorsementKey)?;
    Ok((seed, encrypted.to_be_bytes().to_vec()))
}

/// EME-OAEP encoding of a seed. The crate `rsa` has it for hashes of another generation than ours.
fn padded(seed: &Seed, rng: &mut impl CryptoRng) -> Zeroizing<[u8; MODULUS_BYTES]> {
    let mut encoded = Zeroizing::new([0; MODULUS_BYTES]);
    let (mask_seed, block) = encoded[1..].split_at_mut(HASH_BYTES);
    let end = block.len();
    block[..HASH_BYTES].copy_from_slice(Digest::of(IDENTITY).as_bytes());
    block[end - HASH_BYTES - 1] = 1;
    block[end - HASH_BYTES..].copy_from_slice(seed.as_ref());
    rng.fill_bytes(mask_seed);
    mask(block, mask_seed);
    mask(mask_seed, block);
    encoded
}

/// Masks by MGF1 with SHA-256 (RFC 8017 appendix B.2.1).
pub(super) fn mask(out: &mut [u8], seed: &[u8]) {
    for (counter, chunk) in (0_u32..).zip(out.chunks_mut(HASH_BYTES)) {
        let block = Digest::of_parts(&[seed, &counter.to_be_bytes()]);
        chunk.iter_mut().zip(block.as_bytes()).for_each(|(byte, mask)| *byte ^= mask);
    }
}
