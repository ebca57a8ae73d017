//! What is no access token of this service, or not now, opens nothing.

use attest::access::{Access, AccessKey};
use attest::sd_jwt::present;
use attest::{Typ, jws};
use ring::hmac;

use super::*;

impl Service {
    /// What each of the endpoints that take an access token says to this one.
    async fn shown_everywhere(&self, authorization: Option<&str>) -> [Answered; 3] {
        let request = |method: &str, path: &str, media_type: &str| {
            let mut request = Request::builder().method(method).uri(path).header("content-type", media_type);
            if let Some(value) = authorization {
                request = request.header("authorization", value);
            }
            request.body(Body::from("{}")).unwrap()
        };
        let token = request("POST", "/v1/identity/tokens", "application/private-token-request");
        let credential = request("POST", "/v1/identity/credentials", "application/json");
        let erase = request("DELETE", "/v1/identity/account", "application/json");
        [self.call(token).await, self.call(credential).await, self.call(erase).await]
    }

    async fn assert_refused(&self, authorization: Option<&str>, what: &str) {
        for answered in self.shown_everywhere(authorization).await {
            assert_eq!(answered.problem(), (401, "access-refused".to_owned()), "{what}");
            assert_eq!(answered.headers["www-authenticate"], "Bearer", "{what}");
        }
    }

    fn own_access(&self) -> Access {
        let (tenant, subject) = (TENANT.parse().unwrap(), Pseudonym::from_bytes([1; 32]));
        self.identity().access(&tenant, subject, Check::Account, self.clock.now_s(), 600)
    }

    fn signed(&self, access: &Access) -> String {
        access.seal(self.identity().access_key()).unwrap()
    }
}

fn unsecured(header: &Value, claims: &impl serde::Serialize) -> String {
    format!("{}.{}", text(header.to_string().as_bytes()), text(&serde_json::to_vec(claims).unwrap()))
}

#[tokio::test]
async fn only_this_services_own_word_in_its_time_opens_anything() {
    let service = Service::new().await;
    let access = service.signed(&service.own_access());
    let bearer = |token: &str| format!("Bearer {token}");
    // The good one gets as far as what was asked for.
    let good = service.shown_everywhere(Some(&bearer(&access))).await.map(|answered| answered.problem());
    let [token, credential, erase] = ["token-request-refused", "json-shape", "account-gone"].map(str::to_owned);
    assert_eq!(good, [(422, token), (422, credential), (404, erase)]);

    service.assert_refused(None, "nothing").await;
    for form in ["", "Bearer", "Bearer ", "bearer x", "Basic YTpi", &access, &format!("Bearer  {access}")] {
        service.assert_refused(Some(form), form).await;
    }
    let own = service.own_access();
    let stranger = own.seal(&AccessKey::generate(&mut OsRng.unwrap_err())).unwrap();
    let answers = jws::sign(Typ::Answer, &own, &answer_key()).unwrap();
    let elsewhere = service.signed(&Access { aud: "https://eu-west.example".to_owned(), ..own.clone() });
    let nobodys = service.signed(&Access { tenant: "nordlys-clips".parse().unwrap(), ..own.clone() });
    let future = service.signed(&Access { iat: own.iat + 31, exp: own.exp + 31, ..own.clone() });
    let eternal = service.signed(&Access { exp: own.iat + 86_401, ..own.clone() });
    let backwards = service.signed(&Access { exp: own.iat, ..own.clone() });
    let of_type = jws::sign(Typ::KeyEpoch, &own, &service.identity().setup.log_key).unwrap();
    let bad = [stranger, answers, elsewhere, nobodys, future, eternal, backwards, of_type];
    for (number, token) in bad.iter().enumerate() {
        service.assert_refused(Some(&bearer(token)), &format!("token {number}")).await;
    }
    service.clock.advance(629_000);
    let [token, ..] = service.shown_everywhere(Some(&bearer(&access))).await;
    assert_eq!(token.problem().0, 422, "in force, with what clocks may differ by");
    service.clock.advance(1000);
    service.assert_refused(Some(&bearer(&access)), "expired").await;
}

/// No JWS is one, whatever its `alg` says: `none`, or a MAC under what everyone knows, a public key.
#[tokio::test]
async fn the_token_does_not_choose_how_it_is_verified() {
    let service = Service::new().await;
    let (own, public) = (service.own_access(), service.identity().setup.log_key.verifying_key());
    let kid = public.key_id().to_string();
    for algorithm in ["none", "None", "NONE", "HS256", "HS384", "HS512", "ES256", "eddsa", ""] {
        let header = json!({"alg": algorithm, "typ": "siwa-access+jwt", "kid": kid});
        let input = unsecured(&header, &own);
        let jwk = serde_json::to_vec(&public.to_jwk()).unwrap();
        for secret in [public.as_bytes().to_vec(), public.to_string().into_bytes(), jwk, Vec::new()] {
            for function in [hmac::HMAC_SHA256, hmac::HMAC_SHA512] {
                let mac = hmac::sign(&hmac::Key::new(function, &secret), input.as_bytes());
                let token = format!("Bearer {input}.{}", text(mac.as_ref()));
                service.assert_refused(Some(&token), algorithm).await;
            }
        }
        for signature in ["", &text(&[0; 64])] {
            service.assert_refused(Some(&format!("Bearer {input}.{signature}")), algorithm).await;
        }
    }
    // A key that the token brings is not looked at.
    let key = SigningKey::generate(&mut OsRng.unwrap_err());
    let jwk = serde_json::to_value(key.verifying_key().to_jwk()).unwrap();
    let input = unsecured(&json!({"alg": "EdDSA", "typ": "siwa-access+jwt", "kid": kid, "jwk": jwk}), &own);
    let signed = jws::sign(Typ::Answer, &own, &key).unwrap();
    let (_, signature) = signed.rsplit_once('.').unwrap();
    service.assert_refused(Some(&format!("Bearer {input}.{signature}")), "its own key").await;
}

#[tokio::test]
async fn every_bit_and_every_byte_of_an_access_token_counts() {
    let service = Service::new().await;
    let access = service.signed(&service.own_access());
    let mut refused = 0;
    let changed = flipped(access.as_bytes()).chain(of_other_lengths(access.as_bytes()));
    for changed in changed {
        let value = [b"Bearer ", changed.as_slice()].concat();
        // What can't stand in a header at all never comes this far.
        let Ok(value) = axum::http::HeaderValue::from_bytes(&value) else { continue };
        let request = Request::delete("/v1/identity/account").header("authorization", value);
        let answered = service.call(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answered.problem(), (401, "access-refused".to_owned()), "{changed:?}");
        refused += 1;
    }
    assert!(refused > access.len() * 6, "{refused}");
    let long = format!("Bearer {access}{}", "A".repeat(16 * 1024));
    service.assert_refused(Some(&long), "oversized").await;
}

/// The device's token, the platform's answers and the platform's key: each for its own place alone.
#[tokio::test]
async fn no_secret_opens_anothers_place() {
    let service = Service::new().await;
    assert_eq!(service.register("ann", b"password", &json!({})).await.status, StatusCode::ACCEPTED);
    let logged_in = service.login("ann", b"password").await.unwrap();
    let (assertion, access) = (logged_in.text("assertion"), logged_in.text("access"));
    let holder = SigningKey::generate(&mut OsRng.unwrap_err());
    let credential = service.issued(json!({"age_over_18": true}), &holder, |_| {});
    let nonce = service.nonce(TENANT).await;
    let shown = present(&credential, &["age_over_18"], &holder, ISSUER, &nonce, service.clock.now_s()).unwrap();
    let checked = service.check(TENANT, "age_over_18", None, &nonce, &shown).await;
    let answer = checked.text("answer");
    let token = service.any_token(TENANT, TokenType::BlindRsa2048).await;
    let redeemed = service.redeem(&token).await.text("answer");
    let session = service.post("/v1/sessions", Some(&service.bearer()), &json!({})).await.text("session");
    let key = service.api_key.expose().to_owned();
    let token = authorization(&service.any_token(TENANT, TokenType::BlindRsa2048).await.to_bytes());
    for (what, secret) in [
        ("assertion", &assertion),
        ("answer", &answer),
        ("redemption", &redeemed),
        ("session", &session),
        ("api key", &key),
        ("credential", &credential),
        ("presentation", &shown),
    ] {
        service.assert_refused(Some(&format!("Bearer {secret}")), what).await;
    }
    service.assert_refused(Some(&token), "anonymous token").await;
    // The other way round: what the device holds is neither the platform's key nor its proof.
    for device in [&access, &checked.text("access")] {
        let as_key = service.post("/v1/sessions", Some(&format!("Bearer {device}")), &json!({})).await;
        assert_eq!(as_key.problem(), (401, "unauthorized".to_owned()));
        let as_proof = json!({"proof": {"assertion": device}});
        let proven = service.post("/v1/sessions", Some(&service.bearer()), &as_proof).await;
        assert_eq!(proven.problem(), (401, "proof-refused".to_owned()));
    }
}

/// What was proven opens what the policy says, no more.
#[tokio::test]
async fn a_proof_that_admits_to_no_tokens_gets_none() {
    let service = Service::new().await;
    let insufficient = (403, "access-insufficient".to_owned());
    for (tenant, check, admitted) in [
        (TENANT, Check::Account, true),
        (TENANT, Check::AgeOver18, true),
        (TENANT, Check::SubscriberTier, false),
        (TENANT, Check::Region, false),
        (OTHER, Check::Account, true),
        (OTHER, Check::AgeOver18, false),
    ] {
        let (challenge, key) = service.offer(tenant, TokenType::VoprfP384).await;
        let (request, _) = PendingToken::new(&challenge, &key, &mut OsRng.unwrap_err()).unwrap();
        let answered = service.ask_for_token(&service.minted(tenant, 1, check), request.to_bytes()).await;
        match admitted {
            true => assert_eq!(answered.status, StatusCode::OK, "{tenant} {check}"),
            false => assert_eq!(answered.problem(), insufficient, "{tenant} {check}"),
        }
        if check != Check::Account {
            let holder = SigningKey::generate(&mut OsRng.unwrap_err());
            let answered = service.credential(&service.minted(tenant, 1, check), &holder).await;
            assert_eq!(answered.problem(), insufficient, "{tenant} {check}");
        }
    }
}
