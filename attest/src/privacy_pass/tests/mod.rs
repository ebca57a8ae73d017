//! Tests of the whole exchange; what is shared by the files beside this one.

use std::sync::LazyLock;

use serde::Deserialize;

use super::client::PendingToken;
use super::fuzz::FixedGenerator;
use super::*;

mod exchange;
mod forms;
mod fuzzing;
mod headers;
mod known_answers;

/// One issuance of a vector file. All texts but `source` are hexadecimal.
#[derive(Deserialize)]
struct Vector {
    token_type: u16,
    secret: String,
    public: String,
    challenge: String,
    nonce: String,
    salt: String,
    blind: String,
    token: String,
    #[serde(default)]
    request: String,
    #[serde(default)]
    response: String,
}

#[derive(Deserialize)]
struct Batch {
    issuance: Vec<Vector>,
    request: String,
    response: String,
}

#[derive(Deserialize)]
struct File<V> {
    #[expect(dead_code, reason = "tells readers of the file where its content is from")]
    source: String,
    vectors: Vec<V>,
}

fn vectors() -> Vec<Vector> {
    let voprf: File<Vector> = serde_json::from_str(include_str!("../vectors/voprf.json")).unwrap();
    let rsa: File<Vector> = serde_json::from_str(include_str!("../vectors/rsa.json")).unwrap();
    voprf.vectors.into_iter().chain(rsa.vectors).collect()
}

fn batches() -> Vec<Batch> {
    let file: File<Batch> = serde_json::from_str(include_str!("../vectors/generic.json")).unwrap();
    file.vectors
}

fn unhex(text: &str) -> Vec<u8> {
    assert_eq!(text.len() % 2, 0);
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// Hands out these bytes, and panics when more are asked for: a vector's randomness in the order of its use.
struct Script(std::vec::IntoIter<u8>);

impl rand_core::RngCore for Script {
    fn next_u32(&mut self) -> u32 {
        rand_core::impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        rand_core::impls::next_u64_via_fill(self)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            *byte = self.0.next().expect("the script is long enough");
        }
    }
}

impl rand_core::CryptoRng for Script {}

impl Vector {
    fn token_type(&self) -> TokenType {
        TokenType::from_code(self.token_type).unwrap()
    }

    fn key(&self) -> IssuerKey {
        IssuerKey::from_secret_bytes(self.token_type(), &unhex(&self.secret)).unwrap()
    }

    fn challenge(&self) -> TokenChallenge {
        TokenChallenge::parse(&unhex(&self.challenge)).unwrap()
    }

    /// Nonce, salt and blind as the client draws them: the curve's scalar is big-endian, RSA's factor little-endian.
    fn script(&self) -> Script {
        let mut blind = unhex(&self.blind);
        if self.token_type() == TokenType::BlindRsa2048 {
            blind.reverse();
        }
        Script([unhex(&self.nonce), unhex(&self.salt), blind].concat().into_iter())
    }
}

/// One issuer of each type, with the vectors' first keys: making an RSA key takes seconds.
static ISSUERS: LazyLock<[IssuerKey; 2]> = LazyLock::new(|| {
    let vectors = vectors();
    [TokenType::VoprfP384, TokenType::BlindRsa2048]
        .map(|token_type| vectors.iter().find(|vector| vector.token_type() == token_type).unwrap().key())
});

fn challenge_for(token_type: TokenType) -> TokenChallenge {
    TokenChallenge::new(token_type, "issuer.example", None, &["origin.example", "other.example:443"]).unwrap()
}

/// A request and its client, the issuer's response, all from one seed.
fn issuance(issuer: &IssuerKey, seed: u64) -> (TokenRequest, PendingToken, TokenResponse) {
    let mut rng = FixedGenerator::new(seed);
    let challenge = challenge_for(issuer.public().token_type());
    let (request, pending) = PendingToken::new(&challenge, issuer.public(), &mut rng).unwrap();
    let response = issuer.issue(&request, &mut rng).unwrap();
    (request, pending, response)
}

fn issued(issuer: &IssuerKey, seed: u64) -> Token {
    let (_, pending, response) = issuance(issuer, seed);
    pending.finalize(response.as_bytes()).map_err(|error| error.to_string()).unwrap_or_else(|error| panic!("{error}"))
}

/// What a function that returns something without `Debug` failed with.
fn error_of<T, E: PartialEq>(result: Result<T, E>) -> Option<E> {
    result.err()
}
