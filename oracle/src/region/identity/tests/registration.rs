//! Who may make an account, and that nobody learns from trying who has one.

use super::*;

const OPEN: &str = "registration = \"open\"";

fn by(way: &str) -> String {
    format!("registration = \"{way}\"")
}

#[tokio::test]
async fn where_registration_is_closed_nobody_gets_in() {
    let service = Service::new().await;
    let upload = service.upload(TENANT, "ann", b"password").await.unwrap_or_else(|_| panic!("it is open"));
    let service = service.restart(&[("regions/us-east.toml", OPEN, &by("closed"))]).await;
    let started = service.upload(TENANT, "ann", b"password").await.unwrap_err();
    assert_eq!(started.problem(), (403, "registration-closed".to_owned()));
    let invited = service.post("/v1/identity/invites", Some(&service.bearer()), &json!({})).await.text("invite");
    let finished = service.finish_registration(TENANT, "ann", &upload, None, &json!({"invite": invited})).await;
    assert_eq!(finished.problem(), (403, "registration-closed".to_owned()));
    assert!(service.login("ann", b"password").await.is_none());
}

#[tokio::test]
async fn an_invite_is_its_tenants_in_time_and_once() {
    let service = Service::with(&[("regions/us-east.toml", OPEN, &by("invite"))]).await;
    let invite = async |bearer: String, body: Value| {
        let created = service.post("/v1/identity/invites", Some(&bearer), &body).await;
        assert_eq!(created.status, StatusCode::CREATED, "{}", created.json());
        json!({"invite": created.text("invite")})
    };
    let not_invited = (403, "not-invited".to_owned());
    for none in [json!({}), json!({"invite": ""}), json!({"invite": "AAAAAAAAAAAAAAAAAAAAAA"})] {
        assert_eq!(service.register("ann", b"password", &none).await.problem(), not_invited);
    }
    // Of another tenant: it opens nothing here, and stays good there.
    let others = invite(format!("Bearer {}", service.other_key.expose()), json!({})).await;
    assert_eq!(service.register("ann", b"password", &others).await.problem(), not_invited);
    assert_eq!(service.register_at(OTHER, "ann", b"password", &others).await.status, StatusCode::ACCEPTED);
    // In time, to the second.
    let minute = json!({"seconds": 60});
    let (used, late) = (invite(service.bearer(), minute.clone()).await, invite(service.bearer(), minute).await);
    service.clock.advance(59_000);
    assert_eq!(service.register("ann", b"password", &used).await.status, StatusCode::ACCEPTED);
    service.clock.advance(1000);
    assert_eq!(service.register("ben", b"password", &late).await.problem(), not_invited);
    // Once, also where the account existed and nothing was made.
    assert_eq!(service.register("ben", b"password", &used).await.problem(), not_invited);
    let spent_on_an_account = invite(service.bearer(), json!({})).await;
    assert_eq!(service.register("ann", b"other", &spent_on_an_account).await.status, StatusCode::ACCEPTED);
    assert_eq!(service.register("ben", b"password", &spent_on_an_account).await.problem(), not_invited);
    assert!(service.login("ben", b"password").await.is_none());
    assert_eq!(service.login("ann", b"password").await.unwrap().status, StatusCode::OK);
}

#[tokio::test]
async fn invites_are_for_platforms_that_may_ask_for_accounts() {
    let service = Service::new().await;
    let create = async |bearer: Option<&str>, body: Value| service.post("/v1/identity/invites", bearer, &body).await;
    let access = format!("Bearer {}", service.minted(TENANT, 1, Check::Account));
    for none in [None, Some(access.as_str()), Some("Bearer "), Some("Basic x")] {
        assert_eq!(create(none, json!({})).await.problem(), (401, "unauthorized".to_owned()), "{none:?}");
    }
    let bearer = service.bearer();
    for (field, body) in [
        ("claims", json!({"claims": {"subscriber_tier": ""}})),
        ("claims", json!({"claims": {"region": "r".repeat(65)}})),
        ("seconds", json!({"seconds": 0})),
        ("seconds", json!({"seconds": 90 * 86_400 + 1})),
    ] {
        let refused = create(Some(&bearer), body).await;
        assert_eq!((refused.problem(), refused.text("detail")), ((422, "text-form".to_owned()), field.to_owned()));
    }
    for body in [json!({"claims": {"name": "Ann"}}), json!({"claims": {"age_over_18": "yes"}}), json!({"more": 1})] {
        assert_eq!(create(Some(&bearer), body).await.problem(), (422, "json-shape".to_owned()));
    }
}

#[tokio::test]
async fn what_the_policy_does_not_grant_and_who_is_no_tenant_is_refused() {
    let no_account = [
        ("access.toml", "checks = [\"account\", ", "checks = ["),
        ("access.toml", "tokens_for = [\"account\", ", "tokens_for = ["),
    ];
    let service = Service::with(&no_account).await;
    let (ke1, reg) = (ClientLogin::start(b"p", &mut OsRng.unwrap_err()), [0; 192]);
    let granted = (403, "check-not-granted".to_owned());
    assert_eq!(service.upload(TENANT, "ann", b"password").await.unwrap_err().problem(), granted);
    assert_eq!(service.finish_registration(TENANT, "ann", &reg, None, &json!({})).await.problem(), granted);
    assert_eq!(service.opaque_start("login", TENANT, "ann", &ke1.unwrap().1).await.problem(), granted);
    let invited = service.post("/v1/identity/invites", Some(&service.bearer()), &json!({})).await;
    assert_eq!(invited.problem(), granted);

    for nobody in ["nobody", "", "Demo-Platform", "nordlys-clips", "demo-platform\0"] {
        let unknown = (422, "tenant-unknown".to_owned());
        for what in ["registration", "login"] {
            assert_eq!(service.opaque_start(what, nobody, "ann", &[0; 96]).await.problem(), unknown);
        }
        assert_eq!(service.finish_registration(nobody, "ann", &reg, None, &json!({})).await.problem(), unknown);
        let challenge = service.post("/v1/identity/challenges", None, &json!({"tenant": nobody})).await;
        assert_eq!(challenge.problem(), unknown);
        let query = nobody.replace('\0', "%00");
        assert_eq!(service.get(&format!("/v1/identity/tokens/challenge?tenant={query}")).await.problem(), unknown);
        let check = json!({"tenant": nobody, "check": "age_over_18", "nonce": "n", "presentation": "p"});
        assert_eq!(service.post("/v1/identity/credentials/check", None, &check).await.problem(), unknown);
    }
}

#[tokio::test]
async fn an_account_for_a_token_costs_one_token_of_this_tenant() {
    let by_token = ("regions/us-east.toml", OPEN, &*by("token"));
    // An account must not admit to tokens where a token makes an account.
    let both = ("access.toml", "tokens_for = [\"account\", \"age_over_18\"]", "tokens_for = [\"age_over_18\"]");
    let one = ("access.toml", "tokens_for = [\"account\"]", "tokens_for = [\"age_over_18\"]");
    let service = Service::with(&[by_token, both, one]).await;
    let upload = service.upload(TENANT, "ann", b"password").await.unwrap_or_else(|_| panic!("a token opens it"));
    let finish = async |user: &str, authorization: Option<&str>| {
        service.finish_registration(TENANT, user, &upload, authorization, &json!({})).await
    };
    let refused = |answered: &Answered, why: &str| {
        assert_eq!(answered.problem(), (401, "token-refused".to_owned()));
        assert_eq!(answered.text("detail"), why);
        let offered = header::parse_www_authenticate(answered.headers["www-authenticate"].to_str().unwrap()).unwrap();
        assert_eq!(offered.len(), 2, "what would be taken");
    };
    let not_ours = "it is not one of this service's for this tenant";
    let bearer = service.bearer();
    for none in [None, Some("PrivateToken"), Some("PrivateToken token=\"AA==\""), Some(bearer.as_str())] {
        refused(&finish("ann", none).await, "there is none");
    }
    for token_type in [TokenType::BlindRsa2048, TokenType::VoprfP384] {
        let others = service.any_token(OTHER, token_type).await;
        refused(&finish("ann", Some(&authorization(&others.to_bytes()))).await, not_ours);
        let token = service.any_token(TENANT, token_type).await;
        let mut forged = token.to_bytes().to_vec();
        *forged.last_mut().unwrap() ^= 1;
        refused(&finish("ann", Some(&authorization(&forged))).await, not_ours);
        assert!(service.login("ann", b"password").await.is_none_or(|_| token_type == TokenType::VoprfP384));
        // The first makes the account, the second is spent on it all the same.
        let shown = authorization(&token.to_bytes());
        assert_eq!(finish("ann", Some(&shown)).await.status, StatusCode::ACCEPTED);
        refused(&finish("ben", Some(&shown)).await, "it was spent before");
        let (status, slug) = service.redeem(&token).await.problem();
        assert_eq!((status, slug.as_str()), (401, "token-refused"));
        // One that was redeemed makes no account.
        let redeemed = service.any_token(TENANT, token_type).await;
        assert_eq!(service.redeem(&redeemed).await.status, StatusCode::OK);
        refused(&finish("ben", Some(&authorization(&redeemed.to_bytes()))).await, "it was spent before");
    }
    assert_eq!(service.login("ann", b"password").await.unwrap().status, StatusCode::OK);
    assert!(service.login("ben", b"password").await.is_none());
}

/// Registering a name that is taken looks like registering one that is not, byte by byte, and changes nothing.
#[tokio::test]
async fn an_existing_account_is_never_overwritten_and_nobody_is_told_that_it_exists() {
    let service = Service::new().await;
    let fresh = service.register("ann", b"first", &json!({})).await;
    let taken = service.register("ann", b"second", &json!({})).await;
    let other = service.register("ben", b"second", &json!({})).await;
    for answered in [&taken, &other] {
        assert_eq!((answered.status, &answered.headers, &answered.body), (fresh.status, &fresh.headers, &fresh.body));
    }
    assert_eq!((fresh.status, fresh.body.len()), (StatusCode::ACCEPTED, 0));
    assert!(service.login("ann", b"second").await.is_none());
    assert_eq!(service.login("ann", b"first").await.unwrap().status, StatusCode::OK);

    let start = async |user: &str| {
        let (_, message) = ClientRegistration::start(b"password", &mut OsRng.unwrap_err()).unwrap();
        let started = service.opaque_start("registration", TENANT, user, &message).await;
        let answer = bytes(&started.text("message"));
        // Only the evaluated element differs: the server's public key stands behind it.
        (started.status, started.headers.clone(), started.body.len(), answer[32..].to_vec())
    };
    assert_eq!(start("ann").await, start("nobody").await);
    // And one blinded element is answered alike whenever it comes, before the account and after.
    let (_, message) = ClientRegistration::start(b"password", &mut OsRng.unwrap_err()).unwrap();
    let before = service.opaque_start("registration", TENANT, "cem", &message).await;
    assert_eq!(service.register("cem", b"password", &json!({})).await.status, StatusCode::ACCEPTED);
    assert_eq!(service.opaque_start("registration", TENANT, "cem", &message).await.body, before.body);
}

/// Where anyone may register, a tenant's accounts are limited, taken names counted alike, and another's are not.
#[tokio::test]
async fn open_registrations_are_limited_by_tenant() {
    let service = Service::new().await;
    let tenant: TenantId = TENANT.parse().unwrap();
    let upload = service.upload(TENANT, "ann", b"password").await.unwrap_or_else(|_| panic!("it is open"));
    let finish = async |tenant, user| service.finish_registration(tenant, user, &upload, None, &json!({})).await;
    assert_eq!(finish(TENANT, "ann").await.status, StatusCode::ACCEPTED);
    assert_eq!(finish(TENANT, "ann").await.status, StatusCode::ACCEPTED);
    // Half of 36,000 an hour may come at once.
    let at_once = (0..).take_while(|_| {
        let taken = service.identity().registrations.take(tenant.as_str().as_bytes(), service.clock.now_ms());
        taken.is_ok()
    });
    assert_eq!(at_once.count(), 18_000 - 2);
    for user in ["ann", "ben"] {
        let refused = finish(TENANT, user).await;
        assert_eq!(refused.problem(), (429, "too-many-requests".to_owned()));
        assert_eq!(refused.headers["retry-after"], "1");
    }
    assert_eq!(finish(OTHER, "ann").await.status, StatusCode::ACCEPTED);
    service.clock.advance(1000);
    assert_eq!(finish(TENANT, "ben").await.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn messages_of_registration_are_whole_or_refused() {
    let service = Service::new().await;
    let invalid = (422, "message-invalid".to_owned());
    let (_, request) = ClientRegistration::start(b"password", &mut OsRng.unwrap_err()).unwrap();
    let users = |kind: &'static str| (0..).map(move |number| format!("{kind}-{number}"));
    for (message, user) in of_other_lengths(&request).zip(users("start")) {
        assert_eq!(service.opaque_start("registration", TENANT, &user, &message).await.problem(), invalid);
    }
    for (message, user) in flipped(&request).zip(users("flip")) {
        // Half of all texts are no element; the others are another password's.
        let answered = service.opaque_start("registration", TENANT, &user, &message).await;
        match answered.status {
            StatusCode::OK => assert_eq!(bytes(&answered.text("message")).len(), 64),
            _ => assert_eq!(answered.problem(), invalid),
        }
    }
    let upload = service.upload(TENANT, "ann", b"password").await.unwrap_or_else(|_| panic!("it is open"));
    for message in of_other_lengths(&upload) {
        assert_eq!(service.finish_registration(TENANT, "ann", &message, None, &json!({})).await.problem(), invalid);
    }
    for text_form in [json!({"message": "="}), json!({"message": "ä"}), json!({"user": ""})] {
        let answered = service.finish_registration(TENANT, "ann", &upload, None, &text_form).await;
        assert_eq!(answered.problem(), (422, "text-form".to_owned()));
    }
    let long = json!({"user": "u".repeat(129)});
    let answered = service.finish_registration(TENANT, "ann", &upload, None, &long).await;
    assert_eq!((answered.problem(), answered.text("detail")), ((422, "text-form".to_owned()), "user".to_owned()));
    assert!(service.login("ann", b"password").await.is_none(), "nothing was kept");
}

/// A bit of each byte of the upload: what is stored then opens with no password.
#[tokio::test]
async fn a_changed_upload_makes_an_account_that_nobody_opens() {
    let service = Service::new().await;
    let mut stored = 0;
    for byte in 0..192 {
        let user = format!("user-{byte}");
        let mut upload = service.upload(TENANT, &user, b"password").await.unwrap_or_else(|_| panic!("it is open"));
        upload[byte] ^= 1 << (byte % 8);
        let answered = service.finish_registration(TENANT, &user, &upload, None, &json!({})).await;
        match answered.status {
            StatusCode::ACCEPTED => stored += 1,
            _ => assert_eq!(answered.problem(), (422, "message-invalid".to_owned())),
        }
        let opened = match service.login(&user, b"password").await {
            None => false,
            Some(answered) => answered.status == StatusCode::OK,
        };
        assert!(!opened, "byte {byte}");
    }
    assert!(stored >= 160, "all but what is no element: {stored}");
}

#[tokio::test]
async fn bodies_of_another_type_or_size_are_refused() {
    let service = Service::new().await;
    let paths = ["registration/start", "registration/finish", "login/start", "login/finish"];
    for path in paths.map(|path| format!("/v1/identity/accounts/{path}")) {
        let send = async |media_type: &str, body: Vec<u8>| {
            let request = Request::post(&path).header("content-type", media_type).body(Body::from(body)).unwrap();
            service.call(request).await.problem()
        };
        assert_eq!(send("text/plain", b"{}".to_vec()).await, (415, "unsupported-media-type".to_owned()));
        assert_eq!(send("application/json", b"{".to_vec()).await, (422, "json-syntax".to_owned()));
        assert_eq!(send("application/json", b"{}".to_vec()).await, (422, "json-shape".to_owned()));
        assert_eq!(send("application/json", vec![b' '; 256 * 1024 + 1]).await, (413, "body-too-large".to_owned()));
        assert_eq!(service.get(&path).await.problem(), (405, "method-not-allowed".to_owned()));
    }
}
