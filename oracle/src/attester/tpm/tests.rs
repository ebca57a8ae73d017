use std::io::Write as _;
use std::net::TcpListener;

use super::*;

#[test]
fn a_tpm_is_named_by_its_device_or_a_port_of_this_machine() {
    assert_eq!("device:/dev/tpmrm0".parse(), Ok(Tcti::default()));
    assert_eq!("swtpm:host=127.0.0.1,port=2321".parse(), Ok(Tcti::Swtpm("127.0.0.1:2321".parse().unwrap())));
    for text in [
        "",
        "device:",
        "device:tpm0",
        "swtpm:host=127.0.0.1",
        "swtpm:host=192.0.2.1,port=2321",
        "swtpm:host=localhost,port=2321",
        "swtpm:host=127.0.0.1,port=65536",
        "mssim:host=127.0.0.1,port=2321",
    ] {
        assert_eq!(text.parse::<Tcti>(), Err(InvalidTcti), "{text}");
    }
    assert_eq!("swtpm:host=::1,port=1".parse(), Ok(Tcti::Swtpm("[::1]:1".parse().unwrap())));
}

#[test]
fn padding_after_a_certificate_is_cut_off() {
    let certificate = [&[0x30, 0x82, 0, 3][..], b"abc"].concat();
    assert_eq!(without_padding([&certificate[..], &[0xff; 9]].concat()), certificate);
    assert_eq!(without_padding(certificate.clone()), certificate);
    assert_eq!(without_padding(vec![1, 2]), [1, 2]);
}

/// What a peer of the protocol says instead of a response; the error.
async fn told(says: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let tcti = Tcti::Swtpm(listener.local_addr().unwrap());
    let peer = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut command = [0; 12];
        stream.read_exact(&mut command).unwrap();
        stream.write_all(says).unwrap();
    });
    let refused = TpmAttester::open(TpmOptions { tcti, ..TpmOptions::default() }).await.err().unwrap();
    peer.join().unwrap();
    refused.to_string()
}

#[tokio::test]
async fn whatever_answers_is_told_from_a_tpm() {
    let unreachable = "the TPM cannot be reached";
    assert_eq!(told(b"").await, unreachable, "it hangs up");
    assert_eq!(told(&[0x80, 1, 0, 0, 0, 9, 0, 0, 0, 0]).await, unreachable, "shorter than its header");
    assert_eq!(told(&[0x80, 1, 0, 0, 0x10, 1, 0, 0, 0, 0]).await, unreachable, "longer than a response may be");
    assert_eq!(told(&[0x80, 1, 0, 0, 0, 12, 0, 0, 0, 0, 0]).await, unreachable, "shorter than it says");
    assert_eq!(
        told(&[0x80, 1, 0, 0, 0, 10, 0, 0, 1, 1]).await,
        "the TPM refused TPM2_Startup with 0x101: it failed its self-test and stays out of order"
    );
}

fn claims(exp: u64) -> attest::enrolment::EnrolmentClaims {
    let digest = Digest::of(b"");
    attest::enrolment::EnrolmentClaims {
        ak_name: digest,
        ek: digest,
        serials: Vec::new(),
        tier: policies::rules::Tier::Development,
        profile: "tpm".to_owned(),
        anchors: digest,
        policy: digest,
        iat: exp - 1000,
        exp,
    }
}

fn statement(exp: u64) -> String {
    attest::jws::sign(attest::jws::Typ::Enrolment, &claims(exp), &attest::jws::fuzz::fixed_key()).unwrap()
}

#[tokio::test]
async fn a_statement_is_kept_and_renewed_before_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("statement");
    let options = TpmOptions { enrolment: Some(path.clone()), ..TpmOptions::default() };
    let attester = TpmAttester { options, statement: ArcSwapOption::new(None), turn: Semaphore::new(1) };
    let now_ms = 1_800_000_000_000;
    let states = |at_ms| (attester.is_enrolled(at_ms), attester.may_enrol_anew(at_ms));
    assert_eq!(states(now_ms), (false, true), "there is none");
    assert!(TpmAttester::kept(&path).unwrap().is_none(), "nor a file");
    let token = statement(1_800_001_000);
    attester.enrolled(token.clone(), now_ms).await;
    assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{token}\n"));
    assert_eq!(states(now_ms), (true, false), "who refuses it now means something else");
    assert_eq!(states(now_ms + 300_000), (true, true));
    assert_eq!(states(now_ms + 699_999), (true, true));
    assert_eq!(states(now_ms + 700_000), (false, true), "five minutes before its end");
    // Another process takes it from the file, and may have it renewed at once.
    let kept = TpmAttester::kept(&path).unwrap().unwrap();
    assert_eq!(kept.token, token);
    attester.statement.store(Some(kept.into()));
    assert_eq!(states(now_ms), (true, true));
    // Whatever stands there instead is no statement, and a file that cannot be one is told.
    for text in ["", "a.b", "a.e30.c", "a.!.c"] {
        std::fs::write(&path, text).unwrap();
        attester.statement.store(TpmAttester::kept(&path).unwrap().map(Into::into));
        assert_eq!(states(now_ms), (false, true), "{text}");
    }
    std::fs::write(&path, vec![b'a'; attest::jws::TOKEN_BYTES_MAX + 1]).unwrap();
    let refused = TpmAttester::kept(&path).map(|kept| kept.is_some()).unwrap_err().to_string();
    assert!(refused.starts_with("a file of the TPM's options cannot be read: "), "{refused}");
    // A folder that is not there: the statement is used all the same.
    let options = TpmOptions { enrolment: Some(folder.path().join("none/statement")), ..TpmOptions::default() };
    let other = TpmAttester { options, statement: ArcSwapOption::new(None), turn: Semaphore::new(1) };
    other.enrolled(token, now_ms).await;
    assert!(other.is_enrolled(now_ms));
}
