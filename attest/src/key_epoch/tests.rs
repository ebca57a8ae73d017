use super::*;
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

const ISSUER: &str = "https://eu-west.example";
const WEEK: Period = Period { issues_s: 604_800, overlap_s: 172_800 };

fn key(seed: u64) -> SigningKey {
    SigningKey::generate(&mut ChaCha20Rng::seed_from_u64(seed))
}

fn of(kind: KeyKind) -> KeyUse {
    let tenant = kind.is_of_tenants().then(|| "demo-platform".parse().unwrap());
    KeyUse { kind, tenant }
}

/// Three statements: two token keys that follow each other, and one of another kind.
fn log() -> EpochLog {
    let mut log = EpochLog::default();
    for (kind, begins_s) in
        [(KeyKind::TokenVoprf, 1000_u64), (KeyKind::Oblivious, 1000), (KeyKind::TokenVoprf, 605_800)]
    {
        log.append(ISSUER, &of(kind), &begins_s.to_be_bytes(), EpochLog::span(begins_s, WEEK), &key(1)).unwrap();
    }
    log
}

fn read(lines: &[String]) -> Result<EpochLog, EpochLogError> {
    EpochLog::verify(&lines.join("\n"), ISSUER, &key(1).verifying_key())
}

#[test]
fn a_log_reads_as_it_was_written() {
    let log = log();
    assert_eq!(read(log.texts()), Ok(log.clone()));
    assert_eq!(read(&[]), Ok(EpochLog::default()));
    assert_eq!(log.epochs()[2].public_bytes(), 605_800_u64.to_be_bytes());
}

#[test]
fn what_does_not_follow_is_refused() {
    let texts = log().texts().to_vec();
    let jws = |number, source| Err(EpochLogError::Jws { number, source });
    assert_eq!(read(&texts[1..]), Err(EpochLogError::Chain { number: 0 }), "the first is missing");
    assert_eq!(read(&[texts[0].clone(), texts[2].clone()]), Err(EpochLogError::Chain { number: 1 }), "a gap");
    assert_eq!(read(&[texts[0].clone(), texts[0].clone()]), Err(EpochLogError::Chain { number: 1 }), "twice");
    let other = EpochLog::verify(&texts.join("\n"), "https://us-east.example", &key(1).verifying_key());
    assert_eq!(other, Err(EpochLogError::Chain { number: 0 }), "another issuer's");
    let other = EpochLog::verify(&texts.join("\n"), ISSUER, &key(2).verifying_key());
    assert_eq!(other, jws(0, JwsError::Key), "another key");
    let mut fork = EpochLog::default();
    fork.append(ISSUER, &of(KeyKind::Credential), b"x", EpochLog::span(1, WEEK), &key(1)).unwrap();
    let spliced = [fork.texts()[0].clone(), texts[1].clone()];
    assert_eq!(read(&spliced), Err(EpochLogError::Chain { number: 1 }), "a fork");
    let backwards = Span { begins_s: 5, issues_until_s: 5, accepted_until_s: 9 };
    assert_eq!(
        fork.append(ISSUER, &of(KeyKind::Credential), b"x", backwards, &key(1)).cloned(),
        Err(EpochLogError::Chain { number: 1 })
    );
}

#[test]
fn a_key_is_its_tenants_alone() {
    let (kind, span) = (KeyKind::TokenBlindRsa, EpochLog::span(1000, WEEK));
    let tenants: Vec<TenantId> = ["one", "two"].map(|name| name.parse().unwrap()).to_vec();
    assert_eq!(KeyUse::all(&tenants).len(), 6, "two kinds for each, and two for all");
    let mut log = EpochLog::default();
    let one = KeyUse { kind, tenant: Some(tenants[0].clone()) };
    log.append(ISSUER, &one, b"k", span, &key(1)).unwrap();
    let two = KeyUse { kind, tenant: Some(tenants[1].clone()) };
    assert_eq!((log.issuing(&one, 1000).is_some(), log.issuing(&two, 1000).is_some()), (true, false));
    assert_eq!((log.due(&one, WEEK, 1000), log.due(&two, WEEK, 1000)), (None, Some(span)));
    // A token key of nobody, and another's of somebody, are not stated.
    for unsound in
        [KeyUse { kind, tenant: None }, KeyUse { kind: KeyKind::Oblivious, tenant: Some(tenants[0].clone()) }]
    {
        let refused = log.append(ISSUER, &unsound, b"k", span, &key(1)).cloned();
        assert_eq!(refused, Err(EpochLogError::Chain { number: 1 }));
    }
}

#[test]
fn one_key_issues_at_a_time_and_two_are_accepted_in_between() {
    let log = log();
    let issuing = |now_s| log.issuing(&of(KeyKind::TokenVoprf), now_s).map(|epoch| epoch.number);
    assert_eq!([999, 1000, 605_799, 605_800].map(issuing), [None, Some(0), Some(0), Some(2)]);
    assert_eq!(issuing(605_800 + 604_800), None, "the last has ended and nobody made another");
    let live = |now_s| log.live(KeyKind::TokenVoprf, now_s).map(|epoch| epoch.number).collect::<Vec<_>>();
    assert_eq!(live(605_800 + 172_799), [0, 2]);
    assert_eq!(live(605_800 + 172_800), [2], "the first is retired");
}

#[test]
fn a_successor_is_made_ahead_of_time() {
    let log = log();
    let due = |now_s| log.due(&of(KeyKind::TokenVoprf), WEEK, now_s).map(|span| span.begins_s);
    let end = 605_800 + 604_800;
    assert_eq!(due(end - 86_401), None);
    assert_eq!(due(end - 86_400), Some(end), "a day ahead, and it begins where the last ends");
    assert_eq!(due(end + 77), Some(end + 77), "after a gap it begins at once");
    assert_eq!(log.due(&of(KeyKind::Credential), WEEK, 9).map(|span| span.begins_s), Some(9), "the first of its kind");
}

proptest! {
    /// Any bit of any statement counts.
    #[test]
    fn a_flipped_bit_is_refused(at in any::<prop::sample::Index>(), bit in 0_u8..7) {
        let mut bytes = log().texts().join("\n").into_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(text) = String::from_utf8(bytes) {
            prop_assert!(EpochLog::verify(&text, ISSUER, &key(1).verifying_key()).is_err());
        }
    }

    /// However rarely it is looked at, at most one key issues, and following the schedule leaves no gap.
    #[test]
    fn the_schedule_leaves_no_gap(steps in prop::collection::vec(1_u64..80_000, 1..60)) {
        let (mut log, mut now_s) = (EpochLog::default(), 1_000);
        for step in steps {
            if let Some(span) = log.due(&of(KeyKind::TokenVoprf), WEEK, now_s) {
                log.append(ISSUER, &of(KeyKind::TokenVoprf), b"k", span, &key(1)).unwrap();
            }
            prop_assert!(log.issuing(&of(KeyKind::TokenVoprf), now_s).is_some());
            now_s += step;
        }
    }

    #[test]
    fn no_bytes_are_a_log_by_chance(data: Vec<u8>, text in "[a-z0-9{}:,\".\n]{0,200}") {
        fuzz::log(&data);
        fuzz::log(text.as_bytes());
    }
}

#[test]
fn the_fuzz_target_takes_what_is_a_log() {
    fuzz::log(log().texts().join("\n").as_bytes());
    let log = log();
    let statements = log.epochs().iter().map(|epoch| {
        serde_json::to_string(&Epoch { iss: "https://siwa.example".to_owned(), ..epoch.clone() }).unwrap()
    });
    fuzz::log(statements.collect::<Vec<_>>().join("\n").as_bytes());
}
