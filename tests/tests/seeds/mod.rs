//! Seeds of the fuzz corpora: real messages, made with the keys that the targets' bodies hold.

#![expect(clippy::unwrap_used, reason = "a seed that cannot be made is a failed test")]

mod content;
mod evidence;

use std::collections::BTreeMap;

use aggregator::release::{LedgerId, ReleaseBody, ReleaseId, SegmentBody, SegmentKind, SparseBody, StreamBody};
use attest::access::{Access, AccessKey};
use attest::jws::{self, Typ};
use attest::key_epoch::{EpochLog, KeyKind, KeyUse, Period};
use attest::oblivious::{ClientContext, InnerRequest};
use attest::opaque::{ClientLogin, ClientRegistration, Stretching};
use attest::privacy_pass::client::pending_batch;
use attest::privacy_pass::header::{format_authorization, format_www_authenticate};
use attest::privacy_pass::{
    DirectoryKey, IssuerDirectory, IssuerKey, OfferedChallenge, PendingToken, TokenChallenge, TokenType, issue_batch,
};
use attest::sd_jwt::{IssueRequest, PublicJwk, StatusListRequest, StatusReference, present};
use attest::{Context, Gateway, GatewayKey, OpaqueServer, OperatorKey, Pseudonym, SigningKey};
use personalize::Model;
use policies::{Check, Digest, PrivacyUnit, Rho, UnitRule, WindowId};
use rand_core::{CryptoRng, RngCore};
use serde_json::json;

use crate::bodies::fixed_catalogue;

/// Seeds of one target by file name.
type Seeds = Vec<(&'static str, Vec<u8>)>;
/// Seeds by target.
type All = BTreeMap<&'static str, Seeds>;

const ISSUER: &str = "https://siwa.example";
const NOW_S: u64 = 1_760_000_000;

/// Blocks of SHA-256 over a prefix and a counter: with the prefix that a body uses, its key.
struct Blocks {
    prefix: Vec<u8>,
    counter: u64,
}

impl RngCore for Blocks {
    fn next_u32(&mut self) -> u32 {
        rand_core::impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        rand_core::impls::next_u64_via_fill(self)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            let block = Digest::of_parts(&[&self.prefix, &self.counter.to_be_bytes()]);
            chunk.copy_from_slice(&block.as_bytes()[..chunk.len()]);
            self.counter += 1;
        }
    }
}

impl CryptoRng for Blocks {}

/// As the bodies of OPAQUE have it.
fn opaque_rng() -> Blocks {
    Blocks { prefix: Vec::new(), counter: 0 }
}

/// As the bodies of Privacy Pass have it.
fn token_rng(seed: u64) -> Blocks {
    Blocks { prefix: seed.to_be_bytes().to_vec(), counter: 1 }
}

/// The seeds of every target.
pub(crate) fn all() -> All {
    let mut seeds = BTreeMap::new();
    opaque(&mut seeds);
    privacy_pass(&mut seeds);
    sd_jwt(&mut seeds);
    oblivious(&mut seeds);
    tokens(&mut seeds);
    files(&mut seeds);
    evidence::seeds(&mut seeds);
    content::seeds(&mut seeds);
    seeds
}

fn opaque(seeds: &mut All) {
    let server = OpaqueServer::generate(&mut opaque_rng());
    let id = server.credential_id(&"fuzz-tenant".parse().unwrap(), "fuzz").unwrap();
    let (rng, stretching) = (&mut token_rng(9), Stretching::fast_for_tests());
    let (client, request) = ClientRegistration::start(b"password", rng).unwrap();
    let response = server.registration_start(&id, &request).unwrap();
    let (upload, _) = client.finish(b"password", &response, rng, &stretching).unwrap();
    let record = OpaqueServer::registration_finish(&upload).unwrap();
    let (client, ke1) = ClientLogin::start(b"password", rng).unwrap();
    let (ke2, _) = server.login_start(&id, Some(&record), &ke1, rng).unwrap();
    let (ke3, _) = client.finish(b"password", &ke2, rng, &stretching).unwrap();
    seeds.insert("opaque_registration_request", vec![("request", request), ("identity", vec![0; 32])]);
    let secret = server.to_secret_bytes().to_vec();
    seeds.insert("opaque_upload", vec![("upload", upload), ("record", record.to_bytes().to_vec()), ("secret", secret)]);
    seeds.insert("opaque_ke1", vec![("ke1", ke1)]);
    seeds.insert("opaque_ke3", vec![("ke3", ke3)]);
}

fn privacy_pass(seeds: &mut All) {
    let voprf = IssuerKey::generate(TokenType::VoprfP384, &mut token_rng(0));
    let rsa = IssuerKey::generate(TokenType::BlindRsa2048, &mut token_rng(8));
    let short = TokenChallenge::new(TokenType::VoprfP384, "issuer.example", None, &[]).unwrap();
    let long =
        TokenChallenge::new(TokenType::BlindRsa2048, "issuer.example", Some([7; 32]), &["a.example", "b.example"]);
    let long = long.unwrap();
    // The request that the body waits for the answer of.
    let (request, pending) = PendingToken::new(&short, voprf.public(), &mut token_rng(2)).unwrap();
    let response = voprf.issue(&request, &mut token_rng(1)).unwrap().into_bytes();
    let token = pending.finalize(&response).unwrap();
    let (rsa_request, rsa_pending) = PendingToken::new(&long, rsa.public(), &mut token_rng(3)).unwrap();
    let rsa_token = rsa_pending.finalize(rsa.issue(&rsa_request, &mut token_rng(1)).unwrap().as_bytes()).unwrap();
    let wanted = [(&short, voprf.public()), (&long, rsa.public())];
    let (batch, _) = pending_batch(wanted, &mut token_rng(4)).unwrap();
    let answer = issue_batch(&batch, |of, _| (of == TokenType::VoprfP384).then_some(&voprf), &mut token_rng(1));
    let offer = |challenge: &TokenChallenge, key: &IssuerKey, max_age_seconds| OfferedChallenge {
        challenge: challenge.clone(),
        key: key.public().clone(),
        max_age_seconds,
    };
    let offers = format_www_authenticate(&[offer(&long, &rsa, Some(60)), offer(&short, &voprf, None)]);
    let keys = [(&rsa, Some(NOW_S)), (&voprf, None)];
    let keys = keys.map(|(key, not_before_seconds)| DirectoryKey { key: key.public().clone(), not_before_seconds });
    let directory = IssuerDirectory::new("/tokens", keys.to_vec()).unwrap();
    let requests = vec![("voprf", request.to_bytes()), ("blind-rsa", rsa_request.to_bytes())];
    seeds.insert("privacy_pass_token_request", requests);
    seeds.insert("privacy_pass_batched_request", vec![("two", batch.to_bytes())]);
    seeds.insert("privacy_pass_response", vec![("voprf", response), ("batch", answer.to_bytes())]);
    let tokens = vec![("voprf", token.to_bytes().to_vec()), ("blind-rsa", rsa_token.to_bytes().to_vec())];
    seeds.insert("privacy_pass_token", tokens);
    seeds.insert("privacy_pass_challenge", vec![("short", short.to_bytes()), ("long", long.to_bytes())]);
    seeds.insert("privacy_pass_www_authenticate", vec![("two", offers.into_bytes())]);
    seeds.insert("privacy_pass_authorization", vec![("voprf", format_authorization(&token).as_bytes().to_vec())]);
    seeds.insert("privacy_pass_directory", vec![("two", directory.to_json().into_bytes())]);
    let publics = vec![("voprf", voprf.public().as_bytes().to_vec()), ("blind-rsa", rsa.public().as_bytes().to_vec())];
    seeds.insert("privacy_pass_public_key", publics);
}

fn sd_jwt(seeds: &mut All) {
    let (issuer, holder) = (jws::fuzz::fixed_key(), SigningKey::generate(&mut token_rng(5)));
    let uri = format!("{ISSUER}/status/1");
    let request = IssueRequest {
        issuer: ISSUER.to_owned(),
        vct: "urn:siwa:test:1".to_owned(),
        issued_s: NOW_S,
        expires_s: NOW_S + 86_400,
        holder: PublicJwk::from(holder.verifying_key()),
        always: json!({"kind": "a"}).as_object().unwrap().clone(),
        disclosable: json!({"age_over_18": true, "region": "eu"}).as_object().unwrap().clone(),
        status: Some(StatusReference { index: 1, uri: uri.clone() }),
    };
    let credential = request.issue(&issuer, &mut token_rng(6)).unwrap();
    let shown = present(&credential, &["region"], &holder, ISSUER, "n", NOW_S).unwrap();
    // The digest is that of the line below it.
    let claims = "{\"a\":[{\"...\":\"x\"}],\"_sd\":[\"P39ZdtdH0JW6UtIIAEQyRMF9lGsB6ap9UxWXijKZ6Ic\"]}\n[\"salt\",\"region\",\"eu\"]";
    let presentations =
        vec![("shown", shown.into_bytes()), ("credential", credential.into_bytes()), ("claims", claims.into())];
    seeds.insert("sd_jwt_presentation", presentations);
    let list = StatusListRequest {
        issuer: ISSUER,
        uri: &uri,
        issued_s: NOW_S,
        expires_s: NOW_S + 86_400,
        ttl_s: 3600,
        bits: 2,
        statuses: &[0, 1, 2, 3, 0, 0, 1],
    };
    let list = list.issue(&issuer).unwrap().into_bytes();
    // The second is the list of one bit an entry that the specification shows.
    seeds.insert("sd_jwt_status_list", vec![("token", list), ("list", b"eNrbuRgAAhcBXQ".to_vec())]);
    let keys = json!({"keys": [
        PublicJwk::from(issuer.verifying_key()).to_json(),
        {"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "1",
         "x": "3PdJluydTo9SqcLIKVYFTFGFyhXpCKuni5G7pVhSo4Y", "y": "-qp-goqbgmCf7NjguNQKptEACquF1XZALlBU_LY4U2I"},
        {"kty": "RSA", "n": "AQ", "e": "AQAB"},
    ]});
    seeds.insert("sd_jwt_jwk_set", vec![("three", keys.to_string().into_bytes())]);
}

fn oblivious(seeds: &mut All) {
    let key = GatewayKey::from_secret_bytes(&[&[1, 1], [7; 32].as_slice()].concat()).unwrap();
    let gateway = Gateway::new(vec![key]).unwrap();
    let request = InnerRequest {
        method: "POST".to_owned(),
        path: "/v1/rank".to_owned(),
        headers: vec![("content-type".to_owned(), b"application/json".to_vec())],
        body: b"{}".to_vec(),
    };
    let (message, _) = ClientContext::encapsulate(gateway.configs(), &request, "a.example").unwrap();
    seeds.insert("oblivious_message", vec![("request", message)]);
    seeds.insert("oblivious_configs", vec![("one", gateway.configs().to_vec())]);
    // Known length (RFC 9292 §3.1): a field, two bytes of content, no trailer, padding. Then of indeterminate length.
    let known =
        [b"\x00\x03GET\x05https\x09a.example\x01/\x09\x06accept\x01b".as_slice(), b"\x02{}\x00\x00\x00"].concat();
    let open = b"\x02\x04POST\x05https\x00\x02/a\x06accept\x01b\x00\x02{}\x00\x00".to_vec();
    seeds.insert("oblivious_request", vec![("known-length", known), ("indeterminate-length", open)]);
    let known = b"\x01\x40\xc8\x09\x06accept\x01b\x02{}\x00".to_vec();
    let open = b"\x03\x40\x66\x00\x41\x94\x06accept\x01b\x00\x02{}\x00\x00".to_vec();
    seeds.insert("oblivious_response", vec![("known-length", known), ("after-an-informational-one", open)]);
}

fn tokens(seeds: &mut All) {
    let key = jws::fuzz::fixed_key();
    let operator = OperatorKey::parse("BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc").unwrap();
    let sealed = operator.seal("fuzz", b"a secret", &mut token_rng(7)).unwrap();
    seeds.insert("sealed", vec![("opens", sealed)]);
    let claims = json!({"iss": "node-1", "aud": ["centre"], "iat": NOW_S, "none": null});
    let token = jws::sign(Typ::Answer, &claims, &key).unwrap();
    seeds.insert("jws_token", vec![("answer", token.into_bytes()), ("claims", claims.to_string().into_bytes())]);
    let access = Access {
        aud: ISSUER.to_owned(),
        tenant: "fuzz-tenant".parse().unwrap(),
        sub: Pseudonym::from_bytes([7; 32]),
        check: Check::Account,
        iat: NOW_S,
        exp: NOW_S + 600,
    };
    let claims = serde_json::to_vec(&access).unwrap();
    // The key of the target: 32 bytes of one.
    let access_key = AccessKey::parse("AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE").unwrap();
    seeds.insert("access_token", vec![("token", access.seal(&access_key).unwrap().into_bytes()), ("claims", claims)]);
    let (mut log, week) = (EpochLog::default(), Period { issues_s: 604_800, overlap_s: 86_400 });
    for (kind, begins_s) in
        [(KeyKind::TokenVoprf, NOW_S), (KeyKind::Oblivious, NOW_S), (KeyKind::TokenVoprf, NOW_S + 604_800)]
    {
        let tenant = kind.is_of_tenants().then(|| "fuzz-tenant".parse().unwrap());
        log.append(ISSUER, &KeyUse { kind, tenant }, b"public", EpochLog::span(begins_s, week), &key).unwrap();
    }
    let statements: Vec<_> = log.epochs().iter().map(|epoch| serde_json::to_string(epoch).unwrap()).collect();
    let lines = vec![("log", log.texts().join("\n").into_bytes()), ("statements", statements.join("\n").into_bytes())];
    seeds.insert("key_epoch_log", lines);
    let texts = vec![
        ("pem", key.to_pem().as_bytes().to_vec()),
        ("public", key.verifying_key().to_string().into_bytes()),
        ("api-key", attest::ApiKey::generate(&mut token_rng(7)).expose().as_bytes().to_vec()),
        ("operator", operator.to_text().as_bytes().to_vec()),
    ];
    seeds.insert("key_text", texts);
}

fn files(seeds: &mut All) {
    let samples = policies::sample::files();
    let file = |path: &str| {
        let at = samples.keys().position(|name| name == path).expect("a file of the sample");
        [&[u8::try_from(at).unwrap()], samples[path].as_slice()].concat()
    };
    let chosen = vec![
        ("access", file("access.toml")),
        ("anchors", file("anchors/aws-nitro.pem")),
        ("attestation", file("attestation.toml")),
        ("content", file("content.toml")),
        ("issuers", file("issuers.toml")),
        ("keys", file("issuers/nordlys-id.jwks.json")),
        ("purpose", file("purposes/experiments.toml")),
        ("region", file("regions/us-east.toml")),
    ];
    seeds.insert("policy_file", chosen);
    let items = "{\"id\":\"a\",\"title\":\"Ä\",\"kind\":\"film\",\"tags\":[\"x\",\"y\"],\"year\":1999}\n\
         {\"id\":\"b\",\"title\":\"t\",\"kind\":\"clip\",\"tags\":[],\"year\":null}";
    seeds.insert("catalogue", vec![("two", items.into())]);
    seeds.insert("model", vec![("prior", Model::prior(fixed_catalogue(), 100_000).encode())]);
    let body = release().encode();
    let signature = jws::fuzz::fixed_key().sign(Context::RELEASE, &body).0;
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    let envelope = [&[0x82, 0x59], length.as_slice(), &body, &[0x58, 0x40], &signature].concat();
    seeds.insert("release", vec![("body", body), ("envelope", envelope)]);
}

fn release() -> ReleaseBody<Vec<i64>> {
    let segment = SegmentBody {
        kind: SegmentKind::Rewards,
        sensitivity: 2_600_000,
        rho: Rho::from_picos(1_000_000).unwrap(),
        scale: 1_000_000,
        values: vec![0, -1, 23, 24, -1_000_000, i64::MAX],
        sparse: None,
        stream: None,
    };
    let keys = SparseBody { threshold: 23, keys: vec![1, 24, 1 << 40] };
    let sparse = SegmentBody {
        kind: SegmentKind::Transitions,
        values: vec![23, 24, i64::MAX],
        sparse: Some(keys),
        ..segment.clone()
    };
    let row = SegmentBody {
        kind: SegmentKind::Totals,
        values: vec![-24, 0, 1, i64::MIN],
        stream: Some(StreamBody { first: 3, step: 2 }),
        ..segment.clone()
    };
    ReleaseBody {
        id: ReleaseId {
            tenant: "fuzz-tenant".parse().unwrap(),
            task: "item-counts".parse().unwrap(),
            region: "us-east".parse().unwrap(),
            node: "node-1".parse().unwrap(),
            window: WindowId(7),
        },
        unit: UnitRule { unit: PrivacyUnit::Session, window_seconds: 21_600, quota: 1, region_factor: 1, nodes: 1 },
        policy: Digest::of(b"policy"),
        catalogue: fixed_catalogue().digest(),
        frame: Digest::of(b"frame"),
        model_version: 3,
        ledger: LedgerId([7; 16]),
        sequence: 1,
        purpose: "recommendations".parse().unwrap(),
        rho: Rho::from_picos(1_000_000).unwrap(),
        delta: policies::Delta::ZERO,
        private: true,
        segments: vec![segment, sparse, row],
    }
}
