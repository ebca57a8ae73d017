//! Presentations that are not this holder's, not for this node, not now, not whole, or shown before.

use attest::sd_jwt::{IssueRequest, PublicJwk, present};
use ring::hmac;

use super::*;

const TYPE: &str = "urn:siwa:credential:viewer:1";
const DAY: u64 = 86_400;

/// A credential of this service for `holder`, made as the service makes them.
fn request(claims: Value, holder: &SigningKey, now_s: u64) -> IssueRequest {
    IssueRequest {
        issuer: ISSUER.to_owned(),
        vct: TYPE.to_owned(),
        issued_s: now_s / DAY * DAY,
        expires_s: now_s / DAY * DAY + 30 * DAY,
        holder: PublicJwk::from(holder.verifying_key()),
        always: serde_json::Map::new(),
        disclosable: claims.as_object().unwrap().clone(),
        status: None,
    }
}

pub(super) fn key(seed: u64) -> SigningKey {
    use rand_core::SeedableRng as _;
    SigningKey::generate(&mut rand_chacha::ChaCha20Rng::seed_from_u64(seed))
}

impl Service {
    /// A credential signed with this service's key.
    pub(super) fn issued(&self, claims: Value, holder: &SigningKey, change: impl FnOnce(&mut IssueRequest)) -> String {
        let ring = self.identity().ring.load();
        self.issued_by(&ring.credential_key(self.clock.now_s()).unwrap().1, claims, holder, change)
    }

    /// A credential signed with any key.
    pub(super) fn issued_by(
        &self,
        issuer: &SigningKey,
        claims: Value,
        holder: &SigningKey,
        change: impl FnOnce(&mut IssueRequest),
    ) -> String {
        let mut request = request(claims, holder, self.clock.now_s());
        let (tenant, rng) = (TENANT.parse().unwrap(), &mut OsRng.unwrap_err());
        request.always = self.identity().name_account(&tenant, SUBJECT, rng);
        change(&mut request);
        request.issue(issuer, &mut OsRng.unwrap_err()).unwrap()
    }

    /// `credential` shown to this service for `nonce`.
    pub(super) fn shown(&self, credential: &str, disclose: &[&str], holder: &SigningKey, nonce: &str) -> String {
        present(credential, disclose, holder, ISSUER, nonce, self.clock.now_s()).unwrap()
    }

    pub(super) async fn check(
        &self,
        tenant: &str,
        check: &str,
        value: Option<&str>,
        nonce: &str,
        presentation: &str,
    ) -> Answered {
        let mut body = json!({"tenant": tenant, "check": check, "nonce": nonce, "presentation": presentation});
        if let Some(value) = value {
            body["value"] = json!(value);
        }
        self.post("/v1/identity/credentials/check", None, &body).await
    }

    /// Checks the age with a presentation for a fresh nonce.
    pub(super) async fn check_age(&self, make: impl FnOnce(&str) -> String) -> Answered {
        let nonce = self.nonce(TENANT).await;
        self.check(TENANT, "age_over_18", None, &nonce, &make(&nonce)).await
    }
}

fn refused_because(answered: &Answered, why: &str) {
    assert_eq!((answered.problem(), answered.text("detail")), ((422, "credential-refused".to_owned()), why.to_owned()));
}

#[tokio::test]
async fn who_may_vouch_for_what_and_who_may_ask() {
    let service = Service::new().await;
    let holder = key(1);
    let all = json!({"age_over_18": true, "subscriber_tier": "gold", "region": "north"});
    let own = service.issued(all.clone(), &holder, |_| {});
    let of = |issuer: &str| service.issued(all.clone(), &holder, |request| request.issuer = issuer.to_owned());
    // An issuer that the policy does not name, or does not name for this.
    let not_trusted = (422, "issuer-not-trusted".to_owned());
    let near_misses = ["https://evil.example", "https://us-east.example/", "HTTPS://us-east.example", ""];
    for stranger in near_misses.map(of) {
        let answered = service.check_age(|nonce| service.shown(&stranger, &["age_over_18"], &holder, nonce)).await;
        assert_eq!(answered.problem(), not_trusted);
    }
    let nordlys = of("https://id.nordlys.example");
    let nonce = service.nonce(TENANT).await;
    let shown = service.shown(&nordlys, &["subscriber_tier"], &holder, &nonce);
    let answered = service.check(TENANT, "subscriber_tier", Some("gold"), &nonce, &shown).await;
    assert_eq!(answered.problem(), not_trusted, "it vouches for the age alone");
    let shown = service.shown(&nordlys, &["age_over_18"], &holder, &nonce);
    let answered = service.check(TENANT, "age_over_18", None, &nonce, &shown).await;
    refused_because(&answered, "the issuer's token was refused: no trusted key is named");

    // What the policy does not let this tenant ask.
    let granted = (403, "check-not-granted".to_owned());
    let shown = service.shown(&own, &["region"], &holder, &nonce);
    assert_eq!(service.check(TENANT, "region", Some("north"), &nonce, &shown).await.problem(), granted);
    let nonce = service.nonce(OTHER).await;
    let shown = service.shown(&own, &["subscriber_tier"], &holder, &nonce);
    assert_eq!(service.check(OTHER, "subscriber_tier", Some("gold"), &nonce, &shown).await.problem(), granted);

    // Questions that are none.
    for (check, value, field) in [
        ("account", None, "check"),
        ("account", Some("x"), "check"),
        ("age_over_18", Some("true"), "value"),
        ("subscriber_tier", None, "value"),
    ] {
        let answered = service.check(TENANT, check, value, &nonce, &shown).await;
        assert_eq!((answered.problem(), answered.text("detail")), ((422, "text-form".into()), field.to_owned()));
    }
    assert_eq!(service.check(TENANT, "name", None, &nonce, &shown).await.problem(), (422, "json-shape".to_owned()));
}

#[tokio::test]
async fn a_nonce_is_of_this_node_for_this_tenant_in_time_and_once() {
    let service = Service::new().await;
    let holder = key(1);
    let credential = service.issued(json!({"age_over_18": true}), &holder, |_| {});
    let check = async |service: &Service, tenant: &str, nonce: &str| {
        let shown = service.shown(&credential, &["age_over_18"], &holder, nonce);
        service.check(tenant, "age_over_18", None, nonce, &shown).await
    };
    let refused = (422, "challenge-refused".to_owned());
    let nonce = service.nonce(TENANT).await;
    assert_eq!(check(&service, OTHER, &nonce).await.problem(), refused, "of another tenant");
    assert_eq!(check(&service, TENANT, &nonce).await.status, StatusCode::OK);
    assert_eq!(check(&service, TENANT, &nonce).await.problem(), refused, "used, by a fresh presentation");
    for none in ["", "nonce", &"A".repeat(54), &"A".repeat(1000)] {
        assert_eq!(check(&service, TENANT, none).await.problem(), refused);
    }
    let nonce = service.nonce(TENANT).await;
    for changed in flipped(&bytes(&nonce)) {
        assert_eq!(check(&service, TENANT, &text(&changed)).await.problem(), refused);
    }
    // Five minutes, to the millisecond.
    let late = service.nonce(TENANT).await;
    service.clock.advance(299_999);
    assert_eq!(check(&service, TENANT, &nonce).await.status, StatusCode::OK);
    service.clock.advance(1);
    assert_eq!(check(&service, TENANT, &late).await.problem(), refused);
    // A restart ends them all, also those that were used: the key is another.
    let nonce = service.nonce(TENANT).await;
    let service = service.restart(&[]).await;
    assert_eq!(check(&service, TENANT, &nonce).await.problem(), refused);
}

/// The same nonce from 64 tasks: one presentation is taken.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_64_presentations_at_once_for_one_nonce_one_is_taken() {
    let service = Arc::new(Service::new().await);
    let holder = key(1);
    let credential = service.issued(json!({"age_over_18": true}), &holder, |_| {});
    let nonce = service.nonce(TENANT).await;
    let shown = service.shown(&credential, &["age_over_18"], &holder, &nonce);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let (service, nonce, shown) = (Arc::clone(&service), nonce.clone(), shown.clone());
        calls.spawn(async move { service.check(TENANT, "age_over_18", None, &nonce, &shown).await.status.as_u16() });
    }
    let mut statuses = calls.join_all().await;
    statuses.sort_unstable();
    assert_eq!((statuses[0], &statuses[1..]), (200, [422; 63].as_slice()));
}

#[tokio::test]
async fn a_presentation_is_its_holders_for_this_node_and_request() {
    let service = Service::new().await;
    let (holder, thief, now_s) = (key(1), key(2), service.clock.now_s());
    let credential = service.issued(json!({"age_over_18": true, "subscriber_tier": "gold"}), &holder, |_| {});
    let disclose = ["age_over_18"];
    let by =
        |audience: &str, nonce: &str, now_s| present(&credential, &disclose, &holder, audience, nonce, now_s).unwrap();
    let other_node = service.check_age(|nonce| by("https://eu-west.example", nonce, now_s)).await;
    refused_because(&other_node, "the presentation is for someone else");
    let second = service.nonce(TENANT).await;
    refused_because(
        &service.check_age(|_| by(ISSUER, &second, now_s)).await,
        "the presentation answers another request",
    );
    let old = service.check_age(|nonce| by(ISSUER, nonce, now_s - 301)).await;
    refused_because(&old, "the key binding is too old");
    let early = service.check_age(|nonce| by(ISSUER, nonce, now_s + 31)).await;
    refused_because(&early, "the key binding is not yet valid");
    // Without the holder, and with another one.
    refused_because(&service.check_age(|_| credential.clone()).await, "the presentation has no key binding");
    let thiefs = service.issued(json!({"age_over_18": false}), &thief, |_| {});
    let spliced = |nonce: &str| {
        let (own, stolen) = (service.shown(&thiefs, &disclose, &thief, nonce), by(ISSUER, nonce, now_s));
        format!("{}~{}", stolen.rsplit_once('~').unwrap().0, own.rsplit_once('~').unwrap().1)
    };
    let answered = service.check_age(spliced).await;
    refused_because(&answered, "the key binding was refused: the token's signature does not verify");
    // The holder's word for one set of disclosures is none for another.
    let widened = |nonce: &str| {
        let (less, more) = (by(ISSUER, nonce, now_s), service.shown(&credential, &["subscriber_tier"], &holder, nonce));
        format!("{}~{}", more.rsplit_once('~').unwrap().0, less.rsplit_once('~').unwrap().1)
    };
    refused_because(&service.check_age(widened).await, "the key binding belongs to another presentation");
    // What was not disclosed, or not as what it is asked as, is not answered; nor is it denied.
    let missing = (422, "claim-missing".to_owned());
    let nothing = service.check_age(|nonce| service.shown(&credential, &[], &holder, nonce)).await;
    let another = service.check_age(|nonce| service.shown(&credential, &["subscriber_tier"], &holder, nonce)).await;
    let odd = service.issued(json!({"age_over_18": "true"}), &holder, |_| {});
    let odd = service.check_age(|nonce| service.shown(&odd, &disclose, &holder, nonce)).await;
    assert_eq!([nothing, another, odd].map(|answered| answered.problem()), [missing.clone(), missing.clone(), missing]);
}

#[tokio::test]
async fn a_credential_is_the_issuers_of_the_type_and_in_force() {
    let service = Service::new().await;
    let holder = key(1);
    let age = || json!({"age_over_18": true});
    let check = async |credential: String| {
        service.check_age(|nonce| service.shown(&credential, &["age_over_18"], &holder, nonce)).await
    };
    let own = |change: fn(&mut IssueRequest)| service.issued(age(), &holder, change);
    let signature = "the issuer's token was refused: no trusted key is named";
    refused_because(&check(service.issued_by(&key(9), age(), &holder, |_| {})).await, signature);
    let typed = check(own(|request| request.vct = "urn:eudi:pid:1".to_owned())).await;
    refused_because(&typed, "credentials of this type are not expected");
    let now_s = START_MS / 1000;
    let just = check(own(|request| request.expires_s = START_MS / 1000 - 29)).await;
    assert_eq!(just.status, StatusCode::OK, "clocks may differ by half a minute");
    let expired = check(own(|request| request.expires_s = START_MS / 1000 - 30)).await;
    refused_because(&expired, "the credential has expired");
    let future = service.issued(age(), &holder, |request| request.issued_s = now_s + 31);
    refused_because(&check(future).await, "the credential is not yet valid");
    let suspended = own(|request| {
        let uri = "https://us-east.example/status".to_owned();
        request.status = Some(attest::sd_jwt::StatusReference { index: 0, uri });
    });
    let answered = check(suspended).await;
    assert_eq!(answered.problem(), (503, "issuer-unreachable".to_owned()), "own ones have no list to ask");

    // A key that was erased vouches for nothing any more, and is no issuer's.
    let credential = own(|_| {});
    assert_eq!(check(credential.clone()).await.status, StatusCode::OK);
    let published = async || service.get("/.well-known/jwt-vc-issuer").await.json()["jwks"]["keys"].clone();
    let before = published().await;
    let number = service.identity().ring.load().credentials[0].0.number;
    assert!(service.folder().erase(number as usize).unwrap());
    service.clock.advance(10_000);
    service.node.maintain_identity().await;
    refused_because(&check(credential).await, signature);
    let after = published().await;
    assert_eq!((after.as_array().map(Vec::len), after == before), (Some(1), false), "another has taken its place");
}

/// What one tenant vouched for is nothing to another. And holder keys are free, so that tokens are counted by account.
#[tokio::test]
async fn a_credential_is_its_tenants_and_its_accounts() {
    let service = Service::new().await;
    let checked = async |tenant: &str, holder: &SigningKey| {
        let credential = service.issued(json!({"age_over_18": true}), holder, |_| {});
        let nonce = service.nonce(tenant).await;
        let shown = service.shown(&credential, &["age_over_18"], holder, &nonce);
        service.check(tenant, "age_over_18", None, &nonce, &shown).await
    };
    assert_eq!(checked(OTHER, &key(1)).await.problem(), (422, "issuer-not-trusted".to_owned()));
    let mut subjects = Vec::new();
    for seed in [1, 2] {
        let answered = checked(TENANT, &key(seed)).await;
        let access = service.identity().verify_access(&answered.text("access"), START_MS).unwrap();
        assert!(access.sub == SUBJECT, "one account, whatever the holder's key");
        let public = answer_key().verifying_key();
        let answer = attest::Answer::<Value>::verify_own(&answered.text("answer"), &public, "node-1", TENANT, START_MS);
        subjects.push(answer.unwrap().sub);
    }
    assert_ne!(subjects[0], subjects[1], "the platform sees two holders");
    assert_eq!(service.identity().store.erase_account(TENANT.parse().unwrap(), SUBJECT).await, Ok(true));
    assert_eq!(checked(TENANT, &key(1)).await.problem(), (404, "account-gone".to_owned()));
    let nameless = service.issued(json!({"age_over_18": true}), &key(1), |request| {
        request.always.remove("account_handle");
    });
    let answered = service.check_age(|nonce| service.shown(&nameless, &["age_over_18"], &key(1), nonce)).await;
    refused_because(&answered, "it names no account");
}

/// An answer and an access end with the credential at the latest.
#[tokio::test]
async fn nothing_outlives_the_credential_it_rests_on() {
    let service = Service::new().await;
    let credential = service.issued(json!({"age_over_18": true}), &key(1), |request| {
        request.expires_s = START_MS / 1000 + 60;
    });
    let answered = service.check_age(|nonce| service.shown(&credential, &["age_over_18"], &key(1), nonce)).await;
    assert_eq!(answered.json()["expires_s"], START_MS / 1000 + 60);
}

/// `alg: none`, and MACs under the public key, of the credential and of the key binding.
#[tokio::test]
async fn the_presentation_does_not_choose_how_it_is_verified() {
    let service = Service::new().await;
    let holder = key(1);
    let credential = service.issued(json!({"age_over_18": true}), &holder, |_| {});
    let issuer = service.identity().ring.load().credentials[0].1.verifying_key();
    let forge = |token: &str, algorithm: &str, public: &attest::VerifyingKey, function| {
        let (header, rest) = token.split_once('.').unwrap();
        let mut header: Value = serde_json::from_slice(&bytes(header)).unwrap();
        header["alg"] = json!(algorithm);
        let input = format!("{}.{}", text(header.to_string().as_bytes()), rest.split_once('.').unwrap().0);
        let mac = match function {
            None => text(&[0; 64]),
            Some(function) => text(hmac::sign(&hmac::Key::new(function, public.as_bytes()), input.as_bytes()).as_ref()),
        };
        format!("{input}.{mac}")
    };
    let algorithm = "the token's algorithm is not that of the key";
    let encoding = "a part of the token is not base64url";
    for (name, function, why) in [
        ("none", None, algorithm),
        ("HS256", Some(hmac::HMAC_SHA256), encoding),
        ("HS512", Some(hmac::HMAC_SHA512), algorithm),
        ("ES256", None, algorithm),
    ] {
        let answered = service
            .check_age(|nonce| {
                let (token, rest) = credential.split_once('~').unwrap();
                let forged = format!("{}~{rest}", forge(token, name, &issuer, function));
                let shown = present(&forged, &["age_over_18"], &holder, ISSUER, nonce, service.clock.now_s());
                // What is shorter than a signature the holder's own software does not take: any key binding stands for it.
                shown.unwrap_or_else(|_| {
                    forged + service.shown(&credential, &[], &holder, nonce).rsplit_once('~').unwrap().1
                })
            })
            .await;
        refused_because(&answered, &format!("the issuer's token was refused: {why}"));
        let answered = service
            .check_age(|nonce| {
                let shown = service.shown(&credential, &["age_over_18"], &holder, nonce);
                let (bound, token) = shown.rsplit_once('~').unwrap();
                format!("{bound}~{}", forge(token, name, &holder.verifying_key(), function))
            })
            .await;
        refused_because(&answered, &format!("the key binding was refused: {why}"));
    }
}

#[tokio::test]
async fn every_bit_of_a_presentation_counts_and_so_does_its_length() {
    let service = Service::new().await;
    let holder = key(1);
    let credential = service.issued(json!({"age_over_18": true}), &holder, |_| {});
    let nonce = service.nonce(TENANT).await;
    let shown = service.shown(&credential, &["age_over_18"], &holder, &nonce);
    let check = async |presentation: &str| service.check(TENANT, "age_over_18", None, &nonce, presentation).await;
    for changed in flipped(shown.as_bytes()).chain(of_other_lengths(shown.as_bytes())) {
        // A text that is no UTF-8 is no JSON either.
        let Ok(changed) = String::from_utf8(changed) else { continue };
        let answered = check(&changed).await;
        // A change of the issuer's name makes it a stranger's.
        let (status, slug) = answered.problem();
        assert!(status == 422 && ["credential-refused", "issuer-not-trusted"].contains(&slug.as_str()), "{slug}");
    }
    refused_because(&check(&"~".repeat(64 * 1024 + 1)).await, "the presentation is too long");
    assert_eq!(check(&"~".repeat(256 * 1024)).await.problem(), (413, "body-too-large".to_owned()));
    // None of them used up the nonce; the good one does.
    assert_eq!(check(&shown).await.status, StatusCode::OK);
    assert_eq!(check(&shown).await.problem(), (422, "challenge-refused".to_owned()));
}

#[tokio::test]
async fn a_credential_is_issued_to_a_key_that_was_proven_for_a_nonce_of_ours() {
    let service = Service::new().await;
    let access = service.access("ann").await;
    let (holder, now_s) = (key(1), service.clock.now_s());
    let issue = async |proof: &str| service.credential_for(&access, proof).await;
    let proof = |audience: &str, nonce: &str, now_s| HolderProof::sign(&holder, audience, nonce, now_s).unwrap();
    let nonce = service.nonce(TENANT).await;
    refused_because(
        &issue(&proof("https://eu-west.example", &nonce, now_s)).await,
        "the presentation is for someone else",
    );
    refused_because(&issue(&proof(ISSUER, &nonce, now_s - 301)).await, "the key binding is too old");
    refused_because(&issue(&proof(ISSUER, &nonce, now_s + 31)).await, "the key binding is not yet valid");
    let challenge = (422, "challenge-refused".to_owned());
    assert_eq!(issue(&proof(ISSUER, "nonce", now_s)).await.problem(), challenge);
    let others = service.nonce(OTHER).await;
    assert_eq!(issue(&proof(ISSUER, &others, now_s)).await.problem(), challenge, "of another tenant");
    let good = proof(ISSUER, &nonce, now_s);
    for changed in flipped(good.as_bytes()).chain(of_other_lengths(good.as_bytes())) {
        let Ok(changed) = String::from_utf8(changed) else { continue };
        assert_eq!(issue(&changed).await.problem(), (422, "credential-refused".to_owned()));
    }
    refused_because(&issue(&"a".repeat(4097)).await, "the presentation is too long");
    assert_eq!(issue(&good).await.status, StatusCode::OK, "none of them used up the nonce");
    assert_eq!(issue(&good).await.problem(), challenge, "and the good one did");
    let nonce = service.nonce(TENANT).await;
    service.clock.advance(300_000);
    let late = HolderProof::sign(&holder, ISSUER, &nonce, service.clock.now_s()).unwrap();
    assert_eq!(issue(&late).await.problem(), challenge);
    // Without a rule for own credentials none are issued.
    let foreign = "[[issuers]]\nissuer = \"https://a.example\"\nkeys_file = \"issuers/nordlys-id.jwks.json\"\n\
         types = [\"t\"]\nchecks = [\"age_over_18\", \"subscriber_tier\"]\nstatus = \"if-present\"\n";
    let service = service.restart(&[("issuers.toml", "", foreign)]).await;
    let answered = service.credential(&access, &holder).await;
    assert_eq!(answered.problem(), (422, "issuer-not-trusted".to_owned()));
}
