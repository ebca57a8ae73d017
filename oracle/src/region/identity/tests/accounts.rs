//! Logins that are reordered, replayed, late, changed or too many; and accounts that are erased.

use attest::Answer;

use super::*;

fn failed() -> (u16, String) {
    (401, "login-failed".to_owned())
}

async fn with_ann() -> Service {
    let service = Service::new().await;
    assert_eq!(service.register("ann", b"password", &json!({})).await.status, StatusCode::ACCEPTED);
    service
}

impl Service {
    async fn begun(&self, user: &str) -> BegunLogin {
        self.begin_login(TENANT, user, b"password").await.unwrap()
    }
}

#[tokio::test]
async fn steps_out_of_order_are_refused() {
    let service = with_ann().await;
    // The last step without the first.
    let (stray, stray_ke3) = (text(&[7; 16]), [7; 64]);
    assert_eq!(service.finish_login(&stray, &stray_ke3).await.problem(), failed());
    // A name that is none.
    for bad in ["", "AAAA", &text(&[7; 17]), "="] {
        let answered = service.finish_login(bad, &stray_ke3).await;
        assert_eq!((answered.problem(), answered.text("detail")), ((422, "text-form".into()), "login".into()));
    }
    // Once: the same again is refused.
    let begun = service.begun("ann").await;
    assert_eq!(service.finish_login(&begun.login, &begun.ke3).await.status, StatusCode::OK);
    assert_eq!(service.finish_login(&begun.login, &begun.ke3).await.problem(), failed());
    // One login's last message finishes no other's, and both have had their try.
    let (one, two) = (service.begun("ann").await, service.begun("ann").await);
    assert_eq!(service.finish_login(&one.login, &two.ke3).await.problem(), failed());
    assert_eq!(service.finish_login(&one.login, &one.ke3).await.problem(), failed());
    assert_eq!(service.finish_login(&two.login, &two.ke3).await.status, StatusCode::OK);
    // Another account's last message finishes none.
    assert_eq!(service.register("ben", b"password", &json!({})).await.status, StatusCode::ACCEPTED);
    let (anns, bens) = (service.begun("ann").await, service.begun("ben").await);
    assert_eq!(service.finish_login(&anns.login, &bens.ke3).await.problem(), failed());
    // A restart ends what was under way.
    let begun = service.begun("ann").await;
    let service = service.restart(&[]).await;
    assert_eq!(service.finish_login(&begun.login, &begun.ke3).await.problem(), failed());
    assert_eq!(service.login("ann", b"password").await.unwrap().status, StatusCode::OK);
}

#[tokio::test]
async fn an_account_is_one_tenants() {
    let service = with_ann().await;
    assert!(service.login_at(OTHER, "ann", b"password").await.is_none(), "nobody of that name there");
    assert_eq!(service.register_at(OTHER, "ann", b"password", &json!({})).await.status, StatusCode::ACCEPTED);
    let subject = async |tenant: &str| {
        let assertion = service.login_at(tenant, "ann", b"password").await.unwrap().text("assertion");
        let answer = Answer::<Value>::verify_own(&assertion, &answer_key().verifying_key(), "node-1", tenant, START_MS);
        answer.unwrap().sub.unwrap()
    };
    assert_ne!(subject(TENANT).await, subject(OTHER).await, "two viewers, for all that anyone can tell");
}

#[tokio::test]
async fn a_login_has_a_minute() {
    let service = with_ann().await;
    let (in_time, late) = (service.begun("ann").await, service.begun("ann").await);
    service.clock.advance(59_999);
    assert_eq!(service.finish_login(&in_time.login, &in_time.ke3).await.status, StatusCode::OK);
    service.clock.advance(1);
    assert_eq!(service.finish_login(&late.login, &late.ke3).await.problem(), failed());
}

#[tokio::test]
async fn the_first_message_is_whole_or_refused_and_changed_it_opens_nothing() {
    let service = with_ann().await;
    let (client, ke1) = ClientLogin::start(b"password", &mut OsRng.unwrap_err()).unwrap();
    drop(client);
    let invalid = (422, "message-invalid".to_owned());
    for (number, message) in of_other_lengths(&ke1).enumerate() {
        let user = format!("user-{number}");
        assert_eq!(service.opaque_start("login", TENANT, &user, &message).await.problem(), invalid);
    }
    for bad in ["=", "A", "ä"] {
        let body = json!({"tenant": TENANT, "user": "ann", "message": bad});
        let answered = service.post("/v1/identity/accounts/login/start", None, &body).await;
        assert_eq!((answered.problem(), answered.text("detail")), ((422, "text-form".into()), "message".into()));
    }
    let mut begun = 0;
    for bit in 0..96 * 8 {
        // As many tries as the limit lets through.
        service.clock.advance(360_000);
        let mut rng = OsRng.unwrap_err();
        let (client, mut ke1) = ClientLogin::start(b"password", &mut rng).unwrap();
        ke1[bit / 8] ^= 1 << (bit % 8);
        let answered = service.opaque_start("login", TENANT, "ann", &ke1).await;
        if answered.status != StatusCode::OK {
            assert_eq!(answered.problem(), invalid);
            continue;
        }
        begun += 1;
        // Who began with another message does not come to a last one: the server's MAC covers the first.
        let ke2 = bytes(&answered.text("message"));
        assert!(client.finish(b"password", &ke2, &mut rng, &Stretching::fast_for_tests()).is_err(), "bit {bit}");
    }
    assert!(begun >= 256, "any nonce is one: {begun}");
}

#[tokio::test]
async fn the_last_message_is_whole_or_refused() {
    let service = with_ann().await;
    let begun = async || {
        service.clock.advance(360_000);
        service.begun("ann").await
    };
    let BegunLogin { ke3, .. } = begun().await;
    for bit in 0..ke3.len() * 8 {
        let BegunLogin { login, mut ke3 } = begun().await;
        ke3[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(service.finish_login(&login, &ke3).await.problem(), failed(), "bit {bit}");
    }
    for length in (0..=ke3.len() + 1).filter(|length| *length != ke3.len()) {
        let BegunLogin { login, mut ke3 } = begun().await;
        ke3.resize(length, 0);
        assert_eq!(service.finish_login(&login, &ke3).await.problem(), failed(), "{length} bytes");
    }
    let BegunLogin { login, ke3 } = begun().await;
    for nonce in [String::new(), "n".repeat(129)] {
        let body = json!({"login": login, "message": text(&ke3), "nonce": nonce});
        let answered = service.post("/v1/identity/accounts/login/finish", None, &body).await;
        assert_eq!((answered.problem(), answered.text("detail")), ((422, "text-form".into()), "nonce".into()));
    }
    assert_eq!(service.finish_login(&login, &ke3).await.status, StatusCode::OK, "a text's form costs no try");
}

/// Twenty an hour, ten of them at once; counted alike for a name that exists and one that does not.
#[tokio::test]
async fn tries_of_one_name_are_limited_whatever_begins_with_them() {
    let service = with_ann().await;
    service.clock.advance(3_600_000);
    let (_, ke1) = ClientLogin::start(b"guess", &mut OsRng.unwrap_err()).unwrap();
    let (_, request) = ClientRegistration::start(b"guess", &mut OsRng.unwrap_err()).unwrap();
    let login = async |tenant, user| service.opaque_start("login", tenant, user, &ke1).await;
    let register = async |user| service.opaque_start("registration", TENANT, user, &request).await;
    for user in ["ann", "nobody"] {
        for number in 0..10 {
            let answered = if number % 2 == 0 { login(TENANT, user).await } else { register(user).await };
            assert_eq!(answered.status, StatusCode::OK);
        }
        for answered in [login(TENANT, user).await, register(user).await] {
            assert_eq!(answered.problem(), (429, "too-many-requests".to_owned()));
            assert_eq!(answered.headers["retry-after"], "360");
        }
    }
    assert_eq!(login(OTHER, "ann").await.status, StatusCode::OK, "another tenant's name is another");
    assert_eq!(login(TENANT, "ben").await.status, StatusCode::OK);
    service.clock.advance(359_999);
    let early = login(TENANT, "ann").await;
    assert_eq!(
        (early.problem(), &early.headers["retry-after"]),
        ((429, "too-many-requests".into()), &"1".parse().unwrap())
    );
    service.clock.advance(1);
    assert_eq!(login(TENANT, "ann").await.status, StatusCode::OK, "whoever waits as told is let in");
    assert_eq!(login(TENANT, "ann").await.status, StatusCode::TOO_MANY_REQUESTS);
}

/// A tenant whose logins are all under way is told to come back; another is not, and the first is let in as they end.
#[tokio::test]
async fn one_tenants_logins_take_no_place_of_anothers() {
    // Three for each of the two tenants.
    let limits = IdentityLimits { logins_max: 6, ..IdentityLimits::default() };
    let service = Service::made(&[], Vec::new(), limits).await;
    assert_eq!(service.register("ann", b"password", &json!({})).await.status, StatusCode::ACCEPTED);
    let (_, ke1) = ClientLogin::start(b"guess", &mut OsRng.unwrap_err()).unwrap();
    let start = async |tenant, user| service.opaque_start("login", tenant, user, &ke1).await;
    let begun = service.begun("ann").await;
    for user in ["ann", "nobody"] {
        assert_eq!(start(TENANT, user).await.status, StatusCode::OK);
    }
    for user in ["ann", "nobody", "ben"] {
        let full = start(TENANT, user).await;
        assert_eq!(
            (full.problem(), &full.headers["retry-after"]),
            ((503, "logins-full".into()), &"1".parse().unwrap())
        );
    }
    assert_eq!(start(OTHER, "ann").await.status, StatusCode::OK);
    assert_eq!(service.finish_login(&begun.login, &begun.ke3).await.status, StatusCode::OK, "what was begun ends");
    assert_eq!(start(TENANT, "ann").await.status, StatusCode::OK, "its place is free");
    assert_eq!(start(TENANT, "ann").await.problem().0, 503);
    service.clock.advance(59_999);
    assert_eq!(start(TENANT, "ann").await.problem().0, 503);
    service.clock.advance(1);
    assert_eq!(service.login("ann", b"password").await.unwrap().status, StatusCode::OK);
}

#[tokio::test]
async fn erasing_takes_the_accounts_own_access_and_leaves_nothing() {
    let service = with_ann().await;
    let erase = async |access: Option<&str>| {
        let mut request = Request::delete("/v1/identity/account");
        if let Some(access) = access {
            request = request.header("authorization", format!("Bearer {access}"));
        }
        service.call(request.body(Body::empty()).unwrap()).await
    };
    let subject = |logged_in: &Answered| {
        let assertion = logged_in.text("assertion");
        let answer = Answer::<Value>::verify_own(&assertion, &answer_key().verifying_key(), "node-1", TENANT, START_MS);
        answer.unwrap().sub
    };
    let logged_in = service.login("ann", b"password").await.unwrap();
    let access = logged_in.text("access");
    assert_eq!(erase(None).await.problem(), (401, "access-refused".to_owned()));
    assert_eq!(erase(Some(service.api_key.expose())).await.problem(), (401, "access-refused".to_owned()));
    assert_eq!(erase(Some(&logged_in.text("assertion"))).await.problem(), (401, "access-refused".to_owned()));
    let by_age = service.minted(TENANT, 1, Check::AgeOver18);
    assert_eq!(erase(Some(&by_age)).await.problem(), (403, "access-insufficient".to_owned()));
    let of_nobody = service.minted(TENANT, 1, Check::Account);
    assert_eq!(erase(Some(&of_nobody)).await.problem(), (404, "account-gone".to_owned()));
    assert_eq!(service.login("ann", b"password").await.unwrap().status, StatusCode::OK, "it is still there");

    assert_eq!(erase(Some(&access)).await.status, StatusCode::NO_CONTENT);
    assert_eq!(erase(Some(&access)).await.problem(), (404, "account-gone".to_owned()));
    assert!(service.login("ann", b"password").await.is_none());
    let holder = SigningKey::generate(&mut OsRng.unwrap_err());
    assert_eq!(service.credential(&access, &holder).await.problem(), (404, "account-gone".to_owned()));
    // Whoever registers the name anew is somebody else.
    assert_eq!(service.register("ann", b"password", &json!({})).await.status, StatusCode::ACCEPTED);
    let anew = service.login("ann", b"password").await.unwrap();
    assert_ne!(subject(&anew), subject(&logged_in));
    assert_eq!(erase(Some(&access)).await.problem(), (404, "account-gone".to_owned()), "old access is of the old one");
}
