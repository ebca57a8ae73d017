use super::*;
use rand_core::{OsRng, TryRngCore as _};

const ISSUER: &str = "https://us-east.example";
const NOW_S: u64 = 1_800_000_000;
const WEEK: u64 = 604_800;

fn periods() -> Periods {
    let tokens = Period { issues_s: WEEK, overlap_s: WEEK / 7 };
    Periods { tokens, credentials: Period { issues_s: WEEK, overlap_s: 4 * WEEK } }
}

struct Scratch {
    files: tempfile::TempDir,
    key: String,
}

impl Scratch {
    fn new() -> Self {
        let key = OperatorKey::generate(&mut OsRng.unwrap_err()).to_text().to_string();
        Self { files: tempfile::tempdir().unwrap(), key }
    }

    fn folder(&self) -> IdentityFolder {
        let path = self.files.path().join("identity");
        let tenant = "demo-platform".parse().unwrap();
        IdentityFolder::new(path, OperatorKey::parse(&self.key).unwrap(), ISSUER.to_owned(), &[tenant])
    }

    fn made() -> (Self, Setup) {
        let scratch = Self::new();
        scratch.folder().initialise(&mut OsRng.unwrap_err()).unwrap();
        let setup = scratch.folder().setup().unwrap();
        (scratch, setup)
    }

    fn turn(&self, setup: &Setup, at_once: &[KeyKind], now_s: u64) -> EpochLog {
        let at_once = at_once.iter().copied().collect();
        self.folder().turn(setup, &periods(), &at_once, now_s, &mut OsRng.unwrap_err()).unwrap()
    }
}

#[test]
fn a_setup_is_made_once_and_opens_with_its_key_alone() {
    let mut scratch = Scratch::new();
    assert!(matches!(scratch.folder().setup(), Err(FolderError::Missing(_))));
    scratch.folder().initialise(&mut OsRng.unwrap_err()).unwrap();
    let opened = |scratch: &Scratch| scratch.folder().setup().map(|setup| setup.log_key.verifying_key());
    let first = opened(&scratch).unwrap();
    assert!(matches!(scratch.folder().initialise(&mut OsRng.unwrap_err()), Err(FolderError::Exists(_))));
    assert_eq!(opened(&scratch).unwrap(), first, "the first is as it was");
    scratch.key = OperatorKey::generate(&mut OsRng.unwrap_err()).to_text().to_string();
    assert!(matches!(opened(&scratch), Err(FolderError::Sealed { .. })));
}

#[test]
fn only_its_owner_reads_the_folder() {
    use std::os::unix::fs::PermissionsExt as _;
    let (scratch, setup) = Scratch::made();
    scratch.turn(&setup, &[], NOW_S);
    let mode = |path: PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let root = scratch.files.path().join("identity");
    assert_eq!([mode(root.join(SETUP)), mode(root.join(LOG)), mode(root.join(KEYS).join("00000.key"))], [0o600; 3]);
    assert_eq!([mode(root.join(KEYS)), mode(root)], [0o700; 2]);
}

#[test]
fn keys_turn_on_schedule_and_what_ended_is_erased() {
    let (scratch, setup) = Scratch::made();
    let log = scratch.turn(&setup, &[], NOW_S);
    assert_eq!(log.epochs().iter().map(|epoch| epoch.kind).collect::<Vec<_>>(), KeyKind::ALL);
    assert_eq!(scratch.turn(&setup, &[], NOW_S + 1), log, "nothing is due");
    let log = scratch.turn(&setup, &[], NOW_S + WEEK - 3600);
    assert_eq!(log.epochs().len(), 8);
    assert!(log.epochs()[4..].iter().all(|epoch| epoch.begins_s == NOW_S + WEEK), "without a gap");
    let log = scratch.turn(&setup, &[KeyKind::Oblivious], NOW_S + WEEK);
    assert_eq!(
        (log.epochs().len(), log.epochs()[8].kind, log.epochs()[8].begins_s),
        (9, KeyKind::Oblivious, NOW_S + WEEK + DIRECTORY_CACHE_S)
    );
    let folder = scratch.folder();
    assert_eq!(folder.log(&setup).unwrap(), log);
    for epoch in log.epochs() {
        assert!(folder.secret(epoch).unwrap().is_some());
    }
    assert_eq!((folder.erase(0).unwrap(), folder.erase(0).unwrap()), (true, false));
    assert!(folder.secret(&log.epochs()[0]).unwrap().is_none());
    assert!(!folder.key_numbers(&log, NOW_S).unwrap().contains(&0));
    // The key that should issue was erased: another takes its place at once.
    assert_eq!(log.issuing(&log.epochs()[4].key_use(), NOW_S + WEEK).map(|epoch| epoch.number), Some(4));
    folder.erase(4).unwrap();
    let log = scratch.turn(&setup, &[], NOW_S + WEEK);
    let last = log.epochs().last().unwrap();
    assert_eq!((last.key_use(), last.begins_s), (log.epochs()[4].key_use(), NOW_S + WEEK));
}

/// Killed between the key's file and the log's line, a turn leaves a file that the next turn writes over.
#[test]
fn a_key_without_a_statement_is_made_anew() {
    let (scratch, setup) = Scratch::made();
    replace(&scratch.folder().key_file(0), b"left by a killed process").unwrap();
    let log = scratch.turn(&setup, &[], NOW_S);
    assert!(scratch.folder().secret(&log.epochs()[0]).unwrap().is_some());
}

#[test]
fn what_was_changed_behind_its_back_is_refused() {
    let (scratch, setup) = Scratch::made();
    let log = scratch.turn(&setup, &[], NOW_S);
    let folder = scratch.folder();
    let (zero, one) = (folder.key_file(0), folder.key_file(1));
    let kept = std::fs::read(&zero).unwrap();
    std::fs::copy(&one, &zero).unwrap();
    assert!(matches!(folder.secret(&log.epochs()[0]), Err(FolderError::Sealed { .. })), "another key's file");
    std::fs::write(&zero, &kept[..kept.len() - 1]).unwrap();
    assert!(matches!(folder.secret(&log.epochs()[0]), Err(FolderError::Sealed { .. })));
    let other = OperatorKey::parse(&scratch.key).unwrap();
    let sealed = other.seal(&key_label(0), b"no key", &mut OsRng.unwrap_err()).unwrap();
    std::fs::write(&zero, sealed).unwrap();
    assert!(matches!(folder.secret(&log.epochs()[0]), Err(FolderError::Content(_))));
    let text = std::fs::read_to_string(folder.path.join(LOG)).unwrap();
    let without_the_second: Vec<&str> = text.lines().enumerate().filter(|(n, _)| *n != 1).map(|(_, l)| l).collect();
    std::fs::write(folder.path.join(LOG), without_the_second.join("\n")).unwrap();
    let refused = folder.log(&setup);
    assert!(matches!(refused, Err(FolderError::Log { source: EpochLogError::Chain { number: 1 }, .. })));
}
