use super::fuzz::FixedBytes;
use super::*;
use policies::TenantId;
use proptest::prelude::*;
use zeroize::Zeroizing;

mod vectors;

const PASSWORD: &[u8] = b"correct horse";

fn server() -> OpaqueServer {
    OpaqueServer::generate(&mut FixedBytes::new())
}

fn tenant(name: &str) -> TenantId {
    name.parse().unwrap()
}

fn alice(server: &OpaqueServer) -> CredentialId {
    server.credential_id(&tenant("demo-platform"), "alice").unwrap()
}

/// Which message a test changes on its way, and how.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Message {
    Request,
    Response,
    Upload,
    Ke1,
    Ke2,
    Ke3,
}

type Change<'a> = &'a dyn Fn(Message, &mut Vec<u8>);
type ExportKey = Zeroizing<Vec<u8>>;

fn unchanged(_: Message, _: &mut Vec<u8>) {}

fn sent(message: Message, mut bytes: Vec<u8>, change: Change<'_>) -> Vec<u8> {
    change(message, &mut bytes);
    bytes
}

fn register(
    server: &OpaqueServer,
    password: &[u8],
    change: Change<'_>,
) -> Result<(AccountRecord, ExportKey), OpaqueError> {
    let (id, mut rng) = (alice(server), FixedBytes::new());
    let (client, request) = ClientRegistration::start(password, &mut rng)?;
    let response = server.registration_start(&id, &sent(Message::Request, request, change))?;
    let response = sent(Message::Response, response, change);
    let (upload, export_key) = client.finish(password, &response, &mut rng, &Stretching::fast_for_tests())?;
    Ok((OpaqueServer::registration_finish(&sent(Message::Upload, upload, change))?, export_key))
}

fn login(
    server: &OpaqueServer,
    record: Option<&AccountRecord>,
    password: &[u8],
    change: Change<'_>,
) -> Result<ExportKey, OpaqueError> {
    let mut rng = FixedBytes::new();
    let (client, ke1) = ClientLogin::start(password, &mut rng)?;
    let ke1 = sent(Message::Ke1, ke1, change);
    let (ke2, pending) = server.login_start(&alice(server), record, &ke1, &mut rng)?;
    let ke2 = sent(Message::Ke2, ke2, change);
    let (ke3, export_key) = client.finish(password, &ke2, &mut rng, &Stretching::fast_for_tests())?;
    OpaqueServer::login_finish(pending, &sent(Message::Ke3, ke3, change))?;
    Ok(export_key)
}

#[test]
fn a_login_gives_the_registrations_export_key() {
    let server = server();
    let (record, export_key) = register(&server, PASSWORD, &unchanged).unwrap();
    assert_eq!(login(&server, Some(&record), PASSWORD, &unchanged), Ok(export_key));
}

#[test]
fn only_the_password_the_server_and_the_account_log_in() {
    let server = server();
    let (record, _) = register(&server, PASSWORD, &unchanged).unwrap();
    assert_eq!(login(&server, Some(&record), b"correct horsf", &unchanged), Err(OpaqueError::Refused));
    assert_eq!(login(&server, None, PASSWORD, &unchanged), Err(OpaqueError::Refused));
    let mut rng = FixedBytes::new();
    rand_core::RngCore::next_u64(&mut rng);
    let other = OpaqueServer::generate(&mut rng);
    assert_eq!(login(&other, Some(&record), PASSWORD, &unchanged), Err(OpaqueError::Refused));
    // The same record under another name.
    let (client, ke1) = ClientLogin::start(PASSWORD, &mut rng).unwrap();
    let bob = server.credential_id(&tenant("demo-platform"), "bob").unwrap();
    let (ke2, _) = server.login_start(&bob, Some(&record), &ke1, &mut rng).unwrap();
    let finished = client.finish(PASSWORD, &ke2, &mut rng, &Stretching::fast_for_tests());
    assert_eq!(finished.map(|_| ()), Err(OpaqueError::Refused));
    // Another stretching of the right password.
    let (client, ke1) = ClientLogin::start(PASSWORD, &mut rng).unwrap();
    let (ke2, _) = server.login_start(&alice(&server), Some(&record), &ke1, &mut rng).unwrap();
    let finished = client.finish(PASSWORD, &ke2, &mut rng, &Stretching::with_parameters(8, 2, 1).unwrap());
    assert_eq!(finished.map(|_| ()), Err(OpaqueError::Refused));
}

/// RFC 9807 §10.9: whether there is an account is not to be seen, not by length, and not by asking twice.
#[test]
fn a_name_without_an_account_is_answered_like_one_with() {
    let (server, mut rng) = (server(), FixedBytes::new());
    let (record, _) = register(&server, PASSWORD, &unchanged).unwrap();
    let (_, ke1) = ClientLogin::start(PASSWORD, &mut rng).unwrap();
    let id = alice(&server);
    for record in [Some(&record), None] {
        let (first, _) = server.login_start(&id, record, &ke1, &mut rng).unwrap();
        let (second, _) = server.login_start(&id, record, &ke1, &mut rng).unwrap();
        assert_eq!((first.len(), second.len()), (KE2_BYTES, KE2_BYTES));
        // The evaluated element is the name's; all behind it is fresh.
        assert_eq!(first[..32], second[..32]);
        for part in [32..64, 64..192, 192..224, 224..256, 256..320] {
            assert_ne!(first[part.clone()], second[part.clone()], "{part:?}");
        }
    }
    let (with, _) = server.login_start(&id, Some(&record), &ke1, &mut rng).unwrap();
    let (without, _) = server.login_start(&id, None, &ke1, &mut rng).unwrap();
    assert_eq!(with[..32], without[..32]);
}

/// The flag alone refuses: even the right MAC opens nothing in a login that was begun without an account.
#[test]
fn a_login_without_an_account_never_finishes() {
    let (server, mut rng) = (server(), FixedBytes::new());
    let (record, _) = register(&server, PASSWORD, &unchanged).unwrap();
    for known in [true, false] {
        let (client, ke1) = ClientLogin::start(PASSWORD, &mut rng).unwrap();
        let (ke2, pending) = server.login_start(&alice(&server), Some(&record), &ke1, &mut rng).unwrap();
        let (ke3, _) = client.finish(PASSWORD, &ke2, &mut rng, &Stretching::fast_for_tests()).unwrap();
        let pending = pending.with_known(known);
        assert_eq!(OpaqueServer::login_finish(pending, &ke3), if known { Ok(()) } else { Err(OpaqueError::Refused) });
    }
}

#[test]
fn a_ke3_belongs_to_one_login() {
    let (server, mut rng) = (server(), FixedBytes::new());
    let (record, _) = register(&server, PASSWORD, &unchanged).unwrap();
    let (client, ke1) = ClientLogin::start(PASSWORD, &mut rng).unwrap();
    let (ke2, pending) = server.login_start(&alice(&server), Some(&record), &ke1, &mut rng).unwrap();
    let (_, other) = server.login_start(&alice(&server), Some(&record), &ke1, &mut rng).unwrap();
    let (ke3, _) = client.finish(PASSWORD, &ke2, &mut rng, &Stretching::fast_for_tests()).unwrap();
    assert_eq!(OpaqueServer::login_finish(other, &ke3), Err(OpaqueError::Refused));
    assert_eq!(OpaqueServer::login_finish(pending, &ke3), Ok(()));
}

#[test]
fn the_servers_secret_comes_back_from_its_bytes() {
    let server = server();
    let bytes = server.to_secret_bytes();
    let read = OpaqueServer::from_secret_bytes(&bytes).unwrap();
    assert_eq!(read.to_secret_bytes(), bytes);
    assert!(alice(&read) == alice(&server));
    let (record, export_key) = register(&server, PASSWORD, &unchanged).unwrap();
    assert_eq!(login(&read, Some(&record), PASSWORD, &unchanged), Ok(export_key));
    for bad in [&bytes[1..], &[], &[bytes.as_slice(), &[0]].concat(), &[&[2], &bytes[1..]].concat(), &[0xff; 161]] {
        assert_eq!(OpaqueServer::from_secret_bytes(bad).map(|_| ()), Err(OpaqueError::Secret));
    }
}

#[test]
fn a_record_comes_back_from_its_bytes() {
    let server = server();
    let (record, export_key) = register(&server, PASSWORD, &unchanged).unwrap();
    let bytes = record.to_bytes();
    let read = AccountRecord::from_bytes(&bytes).unwrap();
    assert_eq!(read.to_bytes(), bytes);
    assert_eq!(login(&server, Some(&read), PASSWORD, &unchanged), Ok(export_key));
    for bad in [&bytes[1..], &[], &[bytes.as_slice(), &[0]].concat(), &[&[2], &bytes[1..]].concat()] {
        assert_eq!(AccountRecord::from_bytes(bad).map(|_| ()), Err(OpaqueError::Record));
    }
    // Of the right form, but no public key in it: seen when it is used.
    let damaged = AccountRecord::from_bytes(&[&[1], [0xff; 192].as_slice()].concat()).unwrap();
    assert_eq!(login(&server, Some(&damaged), PASSWORD, &unchanged), Err(OpaqueError::Record));
}

#[test]
fn names_are_bounded_and_no_two_share_an_id() {
    let server = server();
    let id = |tenant_name: &str, user: &str| server.credential_id(&tenant(tenant_name), user);
    assert!(id("abc", "def") == id("abc", "def"));
    for (tenant_name, user) in [("abcd", "ef"), ("ab", "cdef"), ("abc", "deg"), ("abc", "Def"), ("abc", "def ")] {
        assert!(id(tenant_name, user) != id("abc", "def"), "{tenant_name} {user}");
    }
    assert_eq!(id("abc", "").map(|_| ()), Err(OpaqueError::UserName));
    assert_eq!(id("abc", &"x".repeat(128)).map(|_| ()), Ok(()));
    assert_eq!(id("abc", &"x".repeat(129)).map(|_| ()), Err(OpaqueError::UserName));
}

#[test]
fn passwords_and_parameters_are_bounded() {
    let server = server();
    for bad in [&b""[..], &[b'x'; PASSWORD_BYTES_MAX + 1]] {
        assert_eq!(register(&server, bad, &unchanged).map(|_| ()), Err(OpaqueError::Password));
        assert_eq!(login(&server, None, bad, &unchanged).map(|_| ()), Err(OpaqueError::Password));
    }
    let long = [b'x'; PASSWORD_BYTES_MAX];
    let (record, export_key) = register(&server, &long, &unchanged).unwrap();
    assert_eq!(login(&server, Some(&record), &long, &unchanged), Ok(export_key));
    for (memory, passes, lanes) in [(7, 1, 1), (8, 0, 1), (8, 1, 0), (8, 1, 2)] {
        assert_eq!(
            Stretching::with_parameters(memory, passes, lanes).map(|_| ()),
            Err(OpaqueError::Stretching),
            "{memory} {passes} {lanes}"
        );
    }
}

/// A whole account: registration and login, of which one message is changed.
fn account_with(change: Change<'_>) -> Result<ExportKey, OpaqueError> {
    let server = server();
    let (record, _) = register(&server, PASSWORD, change)?;
    login(&server, Some(&record), PASSWORD, change)
}

const MESSAGES: [(Message, usize); 6] = [
    (Message::Request, REGISTRATION_REQUEST_BYTES),
    (Message::Response, REGISTRATION_RESPONSE_BYTES),
    (Message::Upload, REGISTRATION_UPLOAD_BYTES),
    (Message::Ke1, KE1_BYTES),
    (Message::Ke2, KE2_BYTES),
    (Message::Ke3, KE3_BYTES),
];

#[test]
fn every_message_has_its_length() {
    for (changed, bytes) in MESSAGES {
        for length in [0, 1, 31, 32, bytes - 1, bytes + 1, bytes * 2] {
            let resized = account_with(&|message, sent| {
                assert!(message != changed || sent.len() == bytes);
                if message == changed {
                    sent.resize(length, 0);
                }
            });
            if length != bytes {
                assert_eq!(resized, Err(OpaqueError::Length), "{changed:?} {length}");
            }
        }
    }
}

/// The identity is no public key and no blinded password.
#[test]
fn the_identity_and_bytes_that_are_no_element_are_refused() {
    for (changed, offset) in [
        (Message::Request, 0),
        (Message::Response, 0),
        (Message::Response, 32),
        (Message::Upload, 0),
        (Message::Ke1, 0),
        (Message::Ke1, 64),
        (Message::Ke2, 0),
        (Message::Ke2, 224),
    ] {
        for value in [0, 0xff] {
            let replaced = account_with(&|message, sent| {
                if message == changed {
                    sent[offset..offset + 32].fill(value);
                }
            });
            assert_eq!(replaced, Err(OpaqueError::Message), "{changed:?} {offset} {value}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn no_changed_bit_of_any_message_logs_in(which in 0usize..6, position: prop::sample::Index) {
        let (changed, bytes) = MESSAGES[which];
        let bit = position.index(bytes * 8);
        let result = account_with(&|message, sent| {
            if message == changed {
                sent[bit / 8] ^= 1 << (bit % 8);
            }
        });
        let refused = matches!(result, Err(OpaqueError::Refused | OpaqueError::Message));
        prop_assert!(refused, "{changed:?} bit {bit}: {result:?}");
    }

    #[test]
    fn any_password_logs_in_with_itself_alone(password: [u8; 8], other: [u8; 8]) {
        let server = server();
        let (record, export_key) = register(&server, &password, &unchanged).unwrap();
        let expected = if other == password { Ok(export_key.clone()) } else { Err(OpaqueError::Refused) };
        prop_assert_eq!(login(&server, Some(&record), &other, &unchanged), expected);
        prop_assert_eq!(login(&server, Some(&record), &password, &unchanged), Ok(export_key));
    }

    #[test]
    fn no_bytes_are_trusted(data in prop::collection::vec(any::<u8>(), 0..400)) {
        fuzz::registration_request(&data);
        fuzz::upload(&data);
        fuzz::ke1(&data);
        fuzz::ke3(&data);
        for (_, bytes) in MESSAGES {
            let exact: Vec<u8> = data.iter().copied().chain(std::iter::repeat(0)).take(bytes).collect();
            fuzz::registration_request(&exact);
            fuzz::upload(&exact);
            fuzz::ke1(&exact);
            fuzz::ke3(&exact);
        }
    }
}

/// The bodies reach what lies behind the parsers.
#[test]
fn fuzz_bodies_take_good_messages() {
    let mut rng = FixedBytes::new();
    let (_, request) = ClientRegistration::start(PASSWORD, &mut rng).unwrap();
    let (_, ke1) = ClientLogin::start(PASSWORD, &mut rng).unwrap();
    let (record, _) = register(&server(), PASSWORD, &unchanged).unwrap();
    fuzz::registration_request(&request);
    fuzz::upload(&record.to_bytes()[1..]);
    fuzz::ke1(&ke1);
    fuzz::ke3(&[0; KE3_BYTES]);
}
