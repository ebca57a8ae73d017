//! An issuer's secret: it answers blinded requests, and verifies the tokens that only it can.

use rand_core::CryptoRng;
use voprf::{BlindedElement, Group as _, VoprfServer};
use zeroize::{Zeroize as _, Zeroizing};

use super::wire::{Token, TokenRequest, TokenResponse};
use super::{
    BatchedTokenRequest, BatchedTokenResponse, MODULUS_BYTES, PublicKey, RsaSecretKey, SCALAR_BYTES, Suite, TokenType,
    is_compressed,
};
use crate::randomness::{Rng06, Rng10};

/// `info` of DeriveKeyPair (RFC 9578 §5.5).
const KEY_INFO: &[u8] = b"PrivacyPass";
/// A 2048-bit key in PKCS#8 has about 1,220 bytes; more is not read as one.
const SECRET_BYTES_MAX: usize = 2048;

/// Why a request is not answered. Status 422 in each case (RFC 9578 §5.2, §6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IssueError {
    /// The request is for another type than the key's.
    #[error("the request is for another type of token")]
    TokenType,
    /// The request names another key.
    #[error("the request is for another key")]
    KeyId,
    /// The blinded message is not a point of the curve, or not below the modulus.
    #[error("the blinded message is not an element")]
    Element,
}

/// The bytes are not a secret key of this type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are not an issuer's secret key of this type")]
pub struct InvalidIssuerKey;

enum Secret {
    Voprf(Box<VoprfServer<Suite>>),
    Rsa(Box<RsaSecretKey>),
}

/// An issuer's key pair. No `Debug`, no `Clone`; the secret is erased when it is dropped. What can be computed once
/// (the public point, the CRT values) is; threads share one key by reference.
pub struct IssuerKey {
    secret: Secret,
    public: PublicKey,
}

impl IssuerKey {
    /// A new key. For 0x0002 this looks for two primes of 1024 bits and takes up to seconds.
    ///
    /// # Panics
    /// Never: both libraries make keys of the kind that is asked for.
    #[must_use]
    pub fn generate(token_type: TokenType, rng: &mut impl CryptoRng) -> Self {
        match token_type {
            TokenType::VoprfP384 => {
                let mut seed = Zeroizing::new([0; SCALAR_BYTES]);
                rng.fill_bytes(seed.as_mut());
                let server = VoprfServer::new_from_seed(seed.as_ref(), KEY_INFO)
                    .expect("256 hashes in a row are not all the scalar zero");
                Self::of_server(server)
            }
            TokenType::BlindRsa2048 => {
                let pair = blind_rsa_signatures::KeyPair::generate(&mut Rng10(rng), MODULUS_BYTES * 8)
                    .expect("2048 bits are a length that the library makes");
                Self::of_rsa(pair.sk).expect("a generated key has 2048 bits and the exponent 65537")
            }
        }
    }

    /// Reads what [`Self::to_secret_bytes`] wrote.
    ///
    /// # Errors
    /// Another length or form, a scalar out of range, or an RSA key that is inconsistent, of another size or with
    /// another exponent than 65537.
    pub fn from_secret_bytes(token_type: TokenType, bytes: &[u8]) -> Result<Self, InvalidIssuerKey> {
        if bytes.len() > SECRET_BYTES_MAX {
            return Err(InvalidIssuerKey);
        }
        match token_type {
            TokenType::VoprfP384 if bytes.len() == SCALAR_BYTES => {
                VoprfServer::new_with_key(bytes).map(Self::of_server).map_err(|_| InvalidIssuerKey)
            }
            TokenType::VoprfP384 => Err(InvalidIssuerKey),
            TokenType::BlindRsa2048 => Self::of_rsa(RsaSecretKey::from_der(bytes).map_err(|_| InvalidIssuerKey)?),
        }
    }

    /// The secret for a key file: the scalar (48 bytes), or PKCS#8 in DER.
    ///
    /// # Panics
    /// Never: a key that exists can be encoded.
    #[must_use]
    pub fn to_secret_bytes(&self) -> Zeroizing<Vec<u8>> {
        match &self.secret {
            Secret::Voprf(server) => {
                let mut both = server.serialize();
                let scalar = Zeroizing::new(both[..SCALAR_BYTES].to_vec());
                both.as_mut_slice().zeroize();
                scalar
            }
            Secret::Rsa(key) => Zeroizing::new(
                key.to_der().expect("the library reads and makes keys of two primes alone, which have a PKCS#8 form"),
            ),
        }
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Answers one request (RFC 9578 §5.2, §6.2). Costs one evaluation with its proof, or one RSA signature.
    ///
    /// # Errors
    /// Each of [`IssueError`], in the order of its variants.
    pub fn issue(&self, request: &TokenRequest, rng: &mut impl CryptoRng) -> Result<TokenResponse, IssueError> {
        // 1. The request is for this key.
        let token_type = request.token_type();
        if token_type != self.public.token_type() {
            return Err(IssueError::TokenType);
        }
        if request.truncated_key_id() != self.public.id().truncated() {
            return Err(IssueError::KeyId);
        }
        // 2. The blinded message is an element in its one encoding, 3. which the secret is applied to.
        let response = match &self.secret {
            Secret::Voprf(server) => evaluate(server, request.blinded(), rng)?,
            // The library multiplies by a random factor of its own before the private operation, so that its time
            // does not depend on what the client chose (RUSTSEC-2023-0071), and checks the result before it leaves.
            Secret::Rsa(key) => {
                let signed = key.blind_sign_with_rng(&mut Rng10(rng), request.blinded());
                signed.map_err(|_| IssueError::Element)?.0
            }
        };
        Ok(TokenResponse::new(token_type, response))
    }

    /// Whether the token's authenticator was made with this key. Says nothing of its challenge: see
    /// [`redeem()`](super::redeem()).
    #[must_use]
    pub fn verifies(&self, token: &Token) -> bool {
        match &self.secret {
            Secret::Voprf(server) => {
                token.token_type == TokenType::VoprfP384
                    && server.evaluate(&token.input).is_ok_and(|own| is_equal(&own, &token.authenticator))
            }
            Secret::Rsa(_) => self.public.verifies(token),
        }
    }

    fn of_server(server: VoprfServer<Suite>) -> Self {
        let point = Suite::serialize_elem(server.get_public_key());
        let public = PublicKey::parse(TokenType::VoprfP384, &point).expect("a public key encodes as a point");
        Self { secret: Secret::Voprf(Box::new(server)), public }
    }

    fn of_rsa(key: RsaSecretKey) -> Result<Self, InvalidIssuerKey> {
        let components = key.components();
        // The library pads the exponent with zeros to the width of a limb.
        if !components.e().iter().skip_while(|&&byte| byte == 0).eq(&[1, 0, 1]) {
            return Err(InvalidIssuerKey);
        }
        let public = PublicKey::of_modulus(&components.n()).map_err(|_| InvalidIssuerKey)?;
        Ok(Self { secret: Secret::Rsa(Box::new(key)), public })
    }
}

/// BlindEvaluate (RFC 9497 §3.3.2): the evaluated point and the proof that the public key's secret was used.
fn evaluate(server: &VoprfServer<Suite>, blinded: &[u8], rng: &mut impl CryptoRng) -> Result<Vec<u8>, IssueError> {
    if !is_compressed(blinded) {
        return Err(IssueError::Element);
    }
    let element = BlindedElement::<Suite>::deserialize(blinded).map_err(|_| IssueError::Element)?;
    let evaluated = server.blind_evaluate(&mut Rng06(rng), &element);
    Ok([evaluated.message.serialize().as_slice(), evaluated.proof.serialize().as_slice()].concat())
}

/// Compares in the same time wherever the two differ.
fn is_equal(one: &[u8], other: &[u8]) -> bool {
    let difference = one.iter().zip(other).fold(0, |sum, (a, b)| sum | (a ^ b));
    one.len() == other.len() && std::hint::black_box(difference) == 0
}

/// Answers a batch: each request by the key that `key_of` finds for its type and truncated id, in order. A request
/// without a key or without an element is answered as absent, as the draft asks, and does not spoil the others.
///
/// # Panics
/// Never: a batch has a count that is allowed.
#[must_use]
pub fn issue_batch<'k>(
    batch: &BatchedTokenRequest,
    key_of: impl Fn(TokenType, u8) -> Option<&'k IssuerKey>,
    rng: &mut impl CryptoRng,
) -> BatchedTokenResponse {
    let mut answer = |request: &TokenRequest| {
        let key = key_of(request.token_type(), request.truncated_key_id())?;
        key.issue(request, rng).ok()
    };
    let responses = batch.requests().iter().map(&mut answer).collect();
    BatchedTokenResponse::new(responses).expect("as many responses as a batch has requests")
}
