use super::vectors::{keys_of, value};
use super::*;
use StatusError as E;

fn list_request(statuses: &[u8]) -> StatusListRequest<'_> {
    StatusListRequest {
        issuer: ISSUER,
        uri: LIST,
        issued_s: NOW_S,
        expires_s: NOW_S + 600,
        ttl_s: 60,
        bits: 2,
        statuses,
    }
}

fn read(token: &str) -> Result<Vec<Status>, E> {
    read_at(token, NOW_S)
}

fn read_at(token: &str, now_s: u64) -> Result<Vec<Status>, E> {
    let list = StatusList::verify(token, &trusted(), LIST, now_s * 1000)?;
    Ok((0..).map_while(|index| list.status(index).ok()).collect())
}

/// A list token with exactly these claims.
fn token(change: impl FnOnce(&mut Value)) -> String {
    let lst = status::encode(&[0b1110_0100]).unwrap();
    let mut claims = json!({"sub": LIST, "iat": NOW_S, "exp": NOW_S + 600, "status_list": {"bits": 2, "lst": lst}});
    change(&mut claims);
    jws(&json!({"alg": "EdDSA", "typ": "statuslist+jwt"}), &claims, &issuer())
}

#[test]
fn four_statuses() {
    use Status::{Invalid, Other, Suspended, Valid};
    let token = list_request(&[0, 1, 2, 3, 1]).issue(&issuer()).unwrap();
    assert_eq!(read(&token), Ok(vec![Valid, Invalid, Suspended, Other(3), Invalid, Valid, Valid, Valid]));
    let list = StatusList::verify(&token, &trusted(), LIST, NOW_MS).ok().unwrap();
    for beyond in [8, 9, u64::from(u32::MAX), u64::MAX] {
        assert_eq!(list.status(beyond), Err(E::Index));
    }
    assert_eq!(list.fresh_until_s(), NOW_S + 60);
}

/// draft-ietf-oauth-status-list §4.1 and §4.2: the bytes of the examples of 1 and of 2 bits.
#[test]
fn drafts_examples() {
    assert_eq!(status::decode(1, "eNrbuRgAAhcBXQ"), Ok(vec![0xb9, 0xa3]));
    assert_eq!(status::decode(2, "eNo76fITAAPfAgc"), Ok(vec![0xc9, 0x44, 0xf9]));
    let list =
        |bits, lst: &str| read(&token(|claims| claims["status_list"] = json!({"bits": bits, "lst": lst}))).unwrap();
    let one = [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1].map(Status::from);
    assert_eq!(list(1, "eNrbuRgAAhcBXQ"), one);
    assert_eq!(list(2, "eNo76fITAAPfAgc"), [1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3].map(Status::from));
}

#[test]
fn peers_lists() {
    let file = include_str!("../vectors/npm.txt");
    let keys = keys_of(file, "status.issuer", ISSUER);
    for bits in [1u8, 2, 4, 8] {
        let list = StatusList::verify(value(file, &format!("status.{bits}")), &keys, LIST, NOW_MS).ok().unwrap();
        let entries = 1000 * 8 / u64::from(bits);
        for index in 0..entries {
            let stated = u8::try_from((index * 7 + index / 8) % (1 << bits)).unwrap();
            assert_eq!(list.status(index), Ok(stated.into()), "{bits} bits, entry {index}");
        }
        assert_eq!(list.status(entries), Err(E::Index));
        assert_eq!(list.fresh_until_s(), NOW_S + 3600);
    }
}

#[test]
fn every_check_refuses() {
    let cases: [(Change<Value>, Result<(), E>); 22] = [
        (|c| c["iss"] = json!(ISSUER), Ok(())),
        (|c| c["iss"] = json!("https://other.example"), Err(E::Issuer)),
        (|c| c["sub"] = json!("https://issuer.example/status/2"), Err(E::Subject)),
        (|c| c["sub"] = json!(null), Err(E::Claims)),
        (|c| c["iat"] = json!(null), Err(E::Claims)),
        (|c| c["iat"] = json!(NOW_S + 31), Err(E::NotYetValid)),
        (|c| c["exp"] = json!(NOW_S - 30), Err(E::Expired)),
        (|c| c["exp"] = json!(NOW_S - 29), Ok(())),
        (|c| c["exp"] = json!(null), Ok(())),
        (|c| *c = json!({"sub": LIST, "iat": NOW_S - 86_430, "status_list": c["status_list"]}), Err(E::Expired)),
        (|c| *c = json!({"sub": LIST, "iat": NOW_S - 86_429, "status_list": c["status_list"]}), Ok(())),
        (|c| c["ttl"] = json!(0), Err(E::Claims)),
        (|c| c["ttl"] = json!(-1), Err(E::Claims)),
        (|c| c["status_list"]["bits"] = json!(3), Err(E::Bits)),
        (|c| c["status_list"]["bits"] = json!(0), Err(E::Bits)),
        (|c| c["status_list"]["bits"] = json!(256), Err(E::Claims)),
        (|c| c["status_list"]["lst"] = json!("e+"), Err(E::List)),
        (|c| c["status_list"]["lst"] = json!(""), Err(E::List)),
        (|c| c["status_list"]["lst"] = json!("eNrbuRgAAhcBXQAA"), Err(E::List)),
        (|c| c["status_list"]["lst"] = json!("eNrbuRgAAhcBXA"), Err(E::List)),
        (|c| c["status_list"]["lst"] = json!("eNrbuRgAAhcB"), Err(E::List)),
        (|c| c["status_list"] = json!(null), Err(E::Claims)),
    ];
    for (at, (change, result)) in cases.into_iter().enumerate() {
        assert_eq!(read(&token(change)).map(drop), result, "case {at}");
    }
    assert_eq!(read(&"x".repeat(STATUS_TOKEN_BYTES_MAX + 1)), Err(E::TooLong));
    assert_eq!(read("a.b"), Err(E::Token(JoseError::Parts)));
    let good = list_request(&[0]).issue(&issuer()).unwrap();
    assert_eq!(read_at(&good, NOW_S + 630).map(drop), Err(E::Expired));
    // A list by another key, and a credential in a list's place.
    assert_eq!(read(&list_request(&[0]).issue(&key(7)).unwrap()), Err(E::Token(JoseError::Key)));
    let credential = credential();
    assert_eq!(read(credential.split('~').next().unwrap()), Err(E::Token(JoseError::Type)));
}

#[test]
fn what_no_verifier_would_accept_is_not_published() {
    let statuses = vec![0; STATUS_LIST_BYTES_MAX + 1];
    let request = list_request(&[3]);
    let cases = [
        (StatusListRequest { expires_s: NOW_S, ..request }, E::Expired),
        (StatusListRequest { ttl_s: 0, ..request }, E::Claims),
        (StatusListRequest { bits: 5, ..request }, E::Bits),
        (StatusListRequest { bits: 1, ..request }, E::List),
        (StatusListRequest { bits: 8, statuses: &statuses, ..request }, E::TooLarge),
    ];
    for (request, error) in cases {
        assert_eq!(request.issue(&issuer()), Err(error));
    }
}

/// 64 MiB of zeros are 64 KiB compressed: what unpacks beyond the limit is given up at the limit.
#[test]
fn bombs_are_given_up() {
    let bomb = status::encode(&vec![0; 64 << 20]).unwrap();
    assert!(bomb.len() < 100_000);
    assert_eq!(status::decode(1, &bomb), Err(E::TooLarge));
    let largest = vec![0xa5; STATUS_LIST_BYTES_MAX];
    assert_eq!(status::decode(1, &status::encode(&largest).unwrap()).map(|bytes| bytes == largest), Ok(true));
    let larger = vec![0; STATUS_LIST_BYTES_MAX + 1];
    assert_eq!(status::decode(1, &status::encode(&larger).unwrap()), Err(E::TooLarge));
}

#[test]
fn what_is_changed_is_refused() {
    let good = list_request(&[0, 1, 2, 3]).issue(&issuer()).unwrap();
    for at in 0..good.len() * 8 {
        let mut bytes = good.as_bytes().to_vec();
        bytes[at / 8] ^= 1 << (at % 8);
        let Ok(changed) = String::from_utf8(bytes) else { continue };
        assert!(read(&changed).is_err(), "bit {at}");
    }
    for at in 0..good.len() {
        assert!(read(&good[..at]).is_err(), "cut at {at}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_list_survives(bits in prop::sample::select(vec![1u8, 2, 4, 8]), raw in prop::collection::vec(any::<u8>(), 0..300)) {
        let statuses: Vec<u8> = raw.iter().map(|status| status & (u8::MAX >> (8 - bits))).collect();
        let token = StatusListRequest { bits, ..list_request(&statuses) }.issue(&issuer()).unwrap();
        let list = read(&token).unwrap();
        let stated: Vec<Status> = statuses.iter().copied().map(Status::from).collect();
        prop_assert_eq!(&list[..stated.len()], &stated[..]);
        prop_assert!(list[stated.len()..].iter().all(|status| *status == Status::Valid) && list.len() < stated.len() + 8);
    }

    #[test]
    fn lists_that_are_cut_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 1usize..20) {
        let lst = status::encode(&bytes).unwrap();
        let whole = URL_SAFE_NO_PAD.decode(&lst).unwrap();
        let less = URL_SAFE_NO_PAD.encode(&whole[..whole.len().saturating_sub(cut)]);
        prop_assert_eq!(status::decode(8, &less), Err(E::List));
        prop_assert_eq!(status::decode(8, &URL_SAFE_NO_PAD.encode([&whole[..], &[0]].concat())), Err(E::List));
        prop_assert_eq!(status::decode(8, &lst), Ok(bytes));
    }
}
