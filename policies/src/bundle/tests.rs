use super::*;
use crate::log::{KeyAlgorithm, NoteSignature, VerifierKey};
use proptest::prelude::*;
use ring::signature::{Ed25519KeyPair, KeyPair as _};

type Files = BTreeMap<String, Vec<u8>>;

fn pair(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

fn key(seed: u8) -> VerifierKey {
    let public = pair(seed).public_key().as_ref().try_into().unwrap();
    VerifierKey::new(&format!("signer-{seed}"), KeyAlgorithm::Note, public).unwrap()
}

fn signers(seeds: &[u8], threshold: usize) -> Signers {
    Signers::new(seeds.iter().copied().map(key).collect(), threshold).unwrap()
}

fn manifest(files: &BTreeMap<String, Vec<u8>>) -> Digest {
    Digest::of(crate::set::manifest(files).as_bytes())
}

fn statement(version: u64, next: Signers) -> Statement {
    Statement { version, manifest: manifest(&crate::sample::files()), next }
}

fn signed(text: impl ToString, by: &[u8]) -> String {
    let mut note = Note::of(text.to_string()).unwrap();
    for seed in by {
        let signature = pair(*seed).sign(note.text().as_bytes()).as_ref().to_vec();
        note.add(NoteSignature::of(&key(*seed), signature));
    }
    note.to_string()
}

fn opened(note: &str, trust: Trust<'_>) -> Result<u64, BundleError> {
    Bundle::open(note.as_bytes(), &crate::sample::files(), trust).map(|bundle| bundle.version())
}

/// The verifier key and the note of the C2SP signed-note specification's and Go's `sumdb/note` documentation.
#[test]
fn a_published_note_verifies() {
    let key: VerifierKey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW".parse().unwrap();
    let text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
    let line = "\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
    let note = Note::parse(format!("{text}\n{line}").as_bytes()).unwrap();
    assert_eq!((note.text(), note.state(&key)), (text, SignatureState::Good(None)));
    let other = Note::parse(format!("{}\n{line}", text.replace("you", "we")).as_bytes()).unwrap();
    assert_eq!(other.state(&key), SignatureState::Bad);
}

#[test]
fn a_statement_has_one_form() {
    let statement = statement(7, signers(&[2, 1], 2));
    let text = statement.to_string();
    let keys = signers(&[1, 2], 1).keys().iter().map(|key| format!("key {key}\n")).collect::<String>();
    assert_eq!(text, format!("siwa-policy-bundle/1\nversion 7\nmanifest {}\nthreshold 2\n{keys}", statement.manifest));
    assert_eq!(text.parse(), Ok(statement));
    assert_eq!(text.replace("/1\n", "/2\n").parse::<Statement>(), Err(MalformedStatement::Format));
    let reversed: String = {
        let mut lines: Vec<&str> = text.lines().collect();
        lines.swap(4, 5);
        lines.iter().map(|line| format!("{line}\n")).collect()
    };
    for other in [
        text.replace("version 7", "version 07"),
        text.replace("version 7", "version 0"),
        text.replace("version 7", "version 9223372036854775808"),
        text.replace("threshold 2", "threshold 3"),
        text.replace("threshold 2", "threshold 0"),
        text.replace("manifest ", "manifest  "),
        text.replace("version 7\n", ""),
        text.trim_end().to_owned(),
        format!("{text}\n"),
        format!("{text}key x\n"),
        reversed,
    ] {
        assert_eq!(other.parse::<Statement>(), Err(MalformedStatement::Form), "{other}");
    }
}

#[test]
fn every_step_of_a_bundle_refuses_for_its_own_reason() {
    let trusted = signers(&[1, 2, 3], 2);
    let text = statement(1, trusted.clone());
    let first = Trust::First(&trusted);
    assert_eq!(opened(&signed(&text, &[1, 3]), first), Ok(1));
    // 1. form
    assert_eq!(opened("", first), Err(BundleError::Note(MalformedNote)));
    assert_eq!(opened(&"x".repeat(NOTE_BYTES_MAX + 1), first), Err(BundleError::Note(MalformedNote)));
    let of_another = signed("siwa-other/1\n", &[1, 3]);
    assert_eq!(opened(&of_another, first), Err(BundleError::Statement(MalformedStatement::Format)));
    // 3. signatures
    assert_eq!(opened(&signed(&text, &[9]), first), Err(BundleError::UnknownKeys));
    let too_few = BundleError::TooFewSignatures { signed: 1, threshold: 2 };
    assert_eq!(opened(&signed(&text, &[1, 9]), first), Err(too_few));
    let of_the_same_twice = signed(&text, &[1]) + signed(&text, &[1]).lines().last().unwrap() + "\n";
    assert_eq!(opened(&of_the_same_twice, first), Err(too_few));
    let changed = signed(&text, &[1, 3]).replace("version 1", "version 2");
    assert_eq!(opened(&changed, first), Err(BundleError::BadSignature));
    // One bad line is enough, whoever else signed.
    let mut note = Note::parse(signed(&text, &[1, 2]).as_bytes()).unwrap();
    note.add(NoteSignature::of(&key(3), vec![0; 64]));
    assert_eq!(opened(&note.to_string(), first), Err(BundleError::BadSignature));
    // 4. files: one changed, one more, one less
    let note = signed(&text, &[1, 2]);
    let with = |change: &dyn Fn(&mut Files)| {
        let mut files = crate::sample::files();
        change(&mut files);
        Bundle::open(note.as_bytes(), &files, first).map(|_| ())
    };
    let changes: [&dyn Fn(&mut Files); 3] = [
        &|files| files.get_mut("access.toml").unwrap().push(b'\n'),
        &|files| drop(files.insert("purposes/more.toml".to_owned(), Vec::new())),
        &|files| drop(files.remove("content.toml")),
    ];
    for change in changes {
        assert_eq!(with(change), Err(BundleError::OtherFiles));
    }
    // 5. what was signed must also be right
    let mut files = crate::sample::files();
    files.remove("access.toml");
    let broken = signed(Statement { manifest: manifest(&files), ..text }, &[1, 2]);
    let error = Bundle::open(broken.as_bytes(), &files, first).unwrap_err();
    assert!(matches!(error, BundleError::Findings(1..)), "{error:?}");
}

#[test]
fn versions_only_rise() {
    let trusted = signers(&[1], 1);
    let held = statement(4, trusted.clone());
    let after = Trust::After(&held);
    let note = |version| signed(statement(version, trusted.clone()), &[1]);
    assert_eq!(opened(&note(3), after), Err(BundleError::Older { offered: 3, held: 4 }));
    // The same statement is no news, and was verified before: others may have signed it since.
    assert_eq!(opened(&note(4), after), Ok(4));
    assert_eq!(opened(&signed(&held, &[9]), after), Ok(4));
    let otherwise = signed(statement(4, signers(&[1, 2], 1)), &[1]);
    assert_eq!(opened(&otherwise, after), Err(BundleError::Contradiction(4)));
    assert_eq!(opened(&note(5), after), Ok(5));
    // A version may be skipped: what counts is who signed.
    assert_eq!(opened(&note(9), after), Ok(9));
    assert_eq!(opened(&signed(statement(9, trusted), &[2]), after), Err(BundleError::UnknownKeys));
}

#[test]
fn keys_rotate_over_three_versions() {
    // 1 signs the first and names 2; 2 signs the second and names two of 3, 4, 5; 4 and 5 sign the third.
    let config = signers(&[1], 1);
    let (one, two) = (statement(1, signers(&[2], 1)), statement(2, signers(&[3, 4, 5], 2)));
    let three = statement(3, signers(&[3, 4, 5], 2));
    let notes = [signed(&one, &[1]), signed(&two, &[1, 2]), signed(&three, &[4, 5])];
    assert_eq!(verify(notes[0].as_bytes(), Trust::First(&config)), Ok(one.clone()));
    assert_eq!(verify(notes[1].as_bytes(), Trust::After(&one)), Ok(two.clone()));
    assert_eq!(verify(notes[2].as_bytes(), Trust::After(&two)), Ok(three.clone()));
    // Old keys are worth nothing once others were named.
    assert_eq!(verify(signed(&two, &[1]).as_bytes(), Trust::After(&one)), Err(BundleError::UnknownKeys));
    assert_eq!(verify(notes[2].as_bytes(), Trust::After(&one)), Err(BundleError::UnknownKeys));
    let too_few = BundleError::TooFewSignatures { signed: 1, threshold: 2 };
    assert_eq!(verify(signed(&three, &[2, 4]).as_bytes(), Trust::After(&two)), Err(too_few));

    let bundle = Bundle::open(notes[2].as_bytes(), &crate::sample::files(), Trust::After(&two)).unwrap();
    let delivery = bundle.delivery(&notes[..2]);
    assert_eq!(Delivery::decode(&delivery.encode()), Ok(delivery.clone()));
    // Whoever holds the first follows to the third; whoever misses the second's note cannot.
    assert_eq!(Bundle::follow(&delivery, &one).map(|bundle| bundle.version()), Ok(3));
    assert_eq!(Bundle::follow(&delivery, &two).map(|bundle| bundle.digest()), Ok(bundle.digest()));
    let short = bundle.delivery(&notes[..1]);
    assert_eq!(Bundle::follow(&short, &one).map(|bundle| bundle.version()), Err(BundleError::UnknownKeys));
    let mut other = delivery;
    other.files.insert("access.toml".to_owned(), String::new());
    assert_eq!(Bundle::follow(&other, &one).map(|bundle| bundle.version()), Err(BundleError::OtherFiles));
}

#[test]
fn signers_are_few_different_and_can_reach_their_threshold() {
    let keys = |seeds: std::ops::Range<u8>| seeds.map(key).collect::<Vec<_>>();
    assert_eq!(Signers::new(Vec::new(), 1), Err(InvalidSigners::Count));
    assert_eq!(Signers::new(keys(0..17), 1), Err(InvalidSigners::Count));
    assert_eq!(Signers::new(keys(0..2), 3), Err(InvalidSigners::Threshold));
    assert_eq!(Signers::new(keys(0..2), 0), Err(InvalidSigners::Threshold));
    // The same key under another name is the same holder.
    let again = VerifierKey::new("another", KeyAlgorithm::Note, *key(1).public()).unwrap();
    assert_eq!(Signers::new(vec![key(1), again], 1), Err(InvalidSigners::Twice));
    let witness = VerifierKey::new("witness", KeyAlgorithm::Cosignature, *key(2).public()).unwrap();
    assert_eq!(Signers::new(vec![key(1), witness], 1), Err(InvalidSigners::Kind));
}

#[test]
fn deliveries_are_bounded() {
    let delivery = |notes: usize| Delivery { notes: vec![String::new(); notes], files: BTreeMap::new(), proof: None };
    assert_eq!(Delivery::decode(&delivery(NOTES_MAX).encode()), Ok(delivery(NOTES_MAX)));
    for bytes in [delivery(0).encode(), delivery(NOTES_MAX + 1).encode(), vec![b' '; DELIVERY_BYTES_MAX + 1]] {
        assert_eq!(Delivery::decode(&bytes), Err(MalformedDelivery));
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        fuzz::note(&bytes);
        fuzz::delivery(&bytes);
    }

    #[test]
    fn any_change_of_a_note_is_refused_or_says_the_same(at in 0_usize..400, with in any::<u8>()) {
        let trusted = signers(&[1], 1);
        let text = statement(3, trusted.clone());
        let mut bytes = signed(&text, &[1]).into_bytes();
        let at = at % bytes.len();
        bytes[at] = with;
        fuzz::note(&bytes);
        if let Ok(read) = verify(&bytes, Trust::First(&trusted)) {
            prop_assert_eq!(read, text);
        }
    }
}
