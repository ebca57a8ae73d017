use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use attest::privacy_pass::{Token, TokenType};
use clap::{CommandFactory, Parser};
use policies::TenantId;

use super::ClientCommand;
use super::files::{AccessFile, Seen, TokenFile, read_password};

#[derive(Parser)]
#[command(name = "siwa", max_term_width = 100)]
enum Program {
    Client(ClientCommand),
}

#[test]
fn help_teaches() {
    let mut program = Program::command().term_width(100);
    program.build();
    let client = program.find_subcommand_mut("client").unwrap();
    let mut help = client.render_long_help().to_string();
    let names: Vec<String> = client.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    for name in names.iter().filter(|name| *name != "help") {
        help += &format!("\n==== {name}\n{}", client.find_subcommand_mut(name).unwrap().render_long_help());
    }
    insta::assert_snapshot!(help);
}

#[test]
fn what_makes_no_sense_is_not_understood() {
    let understood = |line: &str| Program::try_parse_from(line.split(' ')).is_ok();
    let at = "--url https://a --ca c --tenant t";
    assert!(understood(&format!("siwa client rank {at} --tokens t --candidates a,b")));
    for wrong in [
        format!("siwa client rank {at} --tokens t"),
        format!("siwa client rank {at} --tokens t --candidates a --direct --relay https://b"),
        format!("siwa client tokens {at} --access a --out t --count 0"),
        format!("siwa client tokens {at} --access a --out t --count 65"),
        format!("siwa client tokens {at} --access a --out t --type 3"),
        format!("siwa client check {at} --credential c --holder-key h --check shoe_size"),
        format!("siwa client register {at} --user u --password-file p --invite i --tokens t"),
        format!("siwa client login {at} --user u --password secret --out a"),
        format!("siwa client keys {at} --log-key short"),
    ] {
        assert!(!understood(&wrong), "{wrong}");
    }
}

fn tenant(name: &str) -> TenantId {
    name.parse().unwrap()
}

/// A token by its form: 146 bytes of type 0x0001, of which `number` is the nonce.
fn token(number: u8) -> Token {
    let mut bytes = [number; 146];
    bytes[..2].copy_from_slice(&[0, 1]);
    Token::parse(&bytes).unwrap()
}

fn mode(file: &Path) -> u32 {
    std::fs::metadata(file).unwrap().permissions().mode() & 0o777
}

#[test]
fn each_token_leaves_its_file_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens.json");
    let (one, other) = (tenant("one"), tenant("other"));
    assert_eq!(TokenFile::append(&file, &one, &[token(1), token(2)]).unwrap(), 2);
    assert_eq!(TokenFile::append(&file, &other, &[token(3)]).unwrap(), 3);
    assert_eq!(mode(&file), 0o600);
    let take = |tenant: Option<&TenantId>| TokenFile::take(&file, tenant).map(|token| token.nonce()[0]);
    assert_eq!(take(Some(&other)).unwrap(), 3);
    let none = take(Some(&other)).unwrap_err().to_string();
    assert!(none.ends_with("holds no such token: fetch some"), "{none}");
    assert_eq!((take(Some(&one)).unwrap(), take(None).unwrap()), (1, 2));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), r#"{"tokens":[]}"#);
    assert_eq!(mode(&file), 0o600);
}

#[test]
fn a_file_that_is_none_is_not_quoted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret.json");
    for text in ["secret", r#"{"secret":1}"#, r#"{"tokens":[{"tenant":"t","type":1,"token":"secret"}],"secret":1}"#] {
        std::fs::write(&file, text).unwrap();
        for error in [
            TokenFile::take(&file, None).map(|_| ()).unwrap_err(),
            AccessFile::read(&file).map(|_| ()).unwrap_err(),
            TokenFile::append(&file, &tenant("t"), &[token(1)]).map(|_| ()).unwrap_err(),
        ] {
            assert_eq!(format!("{error:#}"), format!("the file {} is not of its form", file.display()));
        }
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text, "nothing is overwritten");
    }
    // A type that the token itself does not have.
    let other = r#"{"tokens":[{"tenant":"t","type":2,"token":"TOKEN"}]}"#;
    let text = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, token(1).to_bytes());
    std::fs::write(&file, other.replace("TOKEN", &text)).unwrap();
    let error = TokenFile::take(&file, None).map(|token| token.token_type()).unwrap_err().to_string();
    assert!(error.ends_with("is of another type than it says"), "{error}");
    assert_eq!(token(1).token_type(), TokenType::VoprfP384);
}

#[test]
fn access_reads_back_and_is_the_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("access.json");
    std::fs::write(&file, "what was there before").unwrap();
    AccessFile { assertion: "a".to_owned(), access: "b".to_owned().into(), expires_s: 7 }.write(&file).unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), r#"{"assertion":"a","access":"b","expires_s":7}"#);
    assert_eq!(mode(&file), 0o600);
    let read = AccessFile::read(&file).unwrap();
    assert_eq!((read.assertion.as_str(), &*read.access, read.expires_s), ("a", "b", 7));
}

#[test]
fn a_password_is_what_stands_before_its_line_break() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    let long = "x".repeat(2000);
    for (text, password) in [
        ("a b", "a b"),
        ("a b\n", "a b"),
        ("a b\r\n", "a b"),
        ("a\n\n", "a\n"),
        (" ", " "),
        ("", ""),
        // Too long for OPAQUE, which says so; a gigabyte is not read for that.
        (&long, &long[..1027]),
    ] {
        std::fs::write(&file, text).unwrap();
        assert_eq!(*read_password(&file).unwrap(), password.as_bytes());
    }
}

#[test]
fn the_log_is_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("seen");
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    assert_eq!(Seen::read(Some(&file)).unwrap().statements(), texts(&[]));
    Seen::read(Some(&file)).unwrap().remember(&texts(&["a", "b"])).unwrap();
    assert_eq!(Seen::read(Some(&file)).unwrap().statements(), texts(&["a", "b"]));
    Seen::read(None).unwrap().remember(&texts(&["c"])).unwrap();
    assert_eq!(Seen::read(Some(&file)).unwrap().statements(), texts(&["a", "b"]));
}
