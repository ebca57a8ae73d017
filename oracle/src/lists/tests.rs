//! Lists that are built, stopped, gone on with and altered.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use attest::SigningKey;
use attest::content::list::{Bucket, BucketError, Geometry, Identifier, ListKey, ManifestError};
use attest::seal::OperatorKey;
use policies::ListMeaning;
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::{OsRng, SeedableRng as _, TryRngCore as _};

use super::build::{Build, BuildError, Built, Format, LineError, Progress};
use super::{DEPTH_MAX, ListEpoch, ListFolder, ListFolderError, check_unexposed};

const NOW_S: u64 = 1_800_000_000;
const DAY_S: u64 = 86_400;

/// A list with its input, in a folder that is gone with it.
struct Setting {
    files: tempfile::TempDir,
    operator: OperatorKey,
    keys: tempfile::TempDir,
    signer: SigningKey,
    folder: ListFolder,
    chunk_lines: usize,
}

impl Setting {
    fn new() -> Self {
        let (files, mut rng) = (tempfile::tempdir().unwrap(), OsRng.unwrap_err());
        let operator = OperatorKey::generate(&mut rng);
        let names = ("demo-platform".parse().unwrap(), "demo-blocked".parse().unwrap(), ListMeaning::Blocked);
        let keys = tempfile::tempdir().unwrap();
        let key = keys.path().join("list.pem");
        let folder = ListFolder::initialise(files.path(), names, &key, &mut rng).unwrap();
        let signer = folder.signing_key(&key).unwrap();
        Self { files, operator, keys, signer, folder, chunk_lines: 100 }
    }

    fn input(&self) -> PathBuf {
        self.files.path().join("input")
    }

    fn build<'a>(&'a self, input: &'a Path, format: Format) -> Build<'a> {
        Build {
            folder: &self.folder,
            operator: &self.operator,
            signer: &self.signer,
            input,
            format,
            threads: 2,
            chunk_lines: self.chunk_lines,
            seconds: 30 * DAY_S,
            restart: false,
            now_s: NOW_S,
        }
    }

    /// Builds of these lines, to the end.
    fn built(&self, text: &str) -> Result<Built, String> {
        self.stopped(text, usize::MAX)
    }

    /// Builds of these lines, stopped behind `chunks` chunks.
    fn stopped(&self, text: &str, chunks: usize) -> Result<Built, String> {
        std::fs::write(self.input(), text).unwrap();
        let mut told = 0;
        let mut tell = |_: Progress| {
            told += 1;
            if told >= chunks { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let input = self.input();
        let built = self.build(&input, Format::Text).run(&mut OsRng.unwrap_err(), &mut tell);
        built.map_err(|error| error.to_string())
    }

    fn epoch(&self, number: u64) -> Result<ListEpoch, ListFolderError> {
        ListEpoch::open(&self.folder, number, &self.operator, NOW_S * 1000)
    }

    /// Every file of an epoch.
    fn bytes(&self, number: u64) -> BTreeMap<String, Vec<u8>> {
        let entries = std::fs::read_dir(self.folder.path().join("epochs").join(number.to_string())).unwrap();
        let read =
            |path: PathBuf| (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(path).unwrap());
        entries.map(|entry| read(entry.unwrap().path())).collect()
    }
}

pub(crate) fn lines(range: std::ops::Range<u32>) -> String {
    range.fold(String::new(), |mut text, number| {
        writeln!(text, "clip-{number}").unwrap();
        text
    })
}

/// Makes and builds a list for the tests of others.
pub(crate) fn make(root: &Path, operator: &OperatorKey, text: &str, now_s: u64) -> Built {
    let names = || ("demo-platform".parse().unwrap(), "demo-blocked".parse().unwrap());
    let (tenant, list) = names();
    let key = root.with_extension("pem");
    let folder = match ListFolder::open(root, &tenant, &list) {
        Ok(folder) => folder,
        Err(_) => {
            let (tenant, list) = names();
            let names = (tenant, list, ListMeaning::Blocked);
            ListFolder::initialise(root, names, &key, &mut OsRng.unwrap_err()).unwrap()
        }
    };
    let input = root.join("input");
    std::fs::write(&input, text).unwrap();
    let build = Build {
        folder: &folder,
        operator,
        signer: &folder.signing_key(&key).unwrap(),
        input: &input,
        format: Format::Text,
        threads: 2,
        chunk_lines: 1000,
        seconds: 30 * DAY_S,
        restart: false,
        now_s,
    };
    build.run(&mut OsRng.unwrap_err(), &mut |_| ControlFlow::Continue(())).unwrap()
}

/// Whether the epoch says that a clip is in the list.
fn holds(epoch: &ListEpoch, clip: &str) -> bool {
    let identifier = Identifier::new(clip.as_bytes()).unwrap();
    let number = epoch.geometry.bucket(&identifier);
    let bytes = epoch.bucket(number).unwrap();
    let bucket = Bucket::verify(&bytes, &epoch.geometry, number, &epoch.manifest.root).unwrap();
    bucket.holds(&epoch.key.tag(&identifier))
}

#[test]
fn what_is_built_holds_every_line_once_and_nothing_else() {
    let setting = Setting::new();
    let text = format!("{}\r\n\n{}clip-7", lines(0..600).trim_end(), lines(590..610));
    let built = setting.built(&text).unwrap();
    let expected = Built {
        epoch: 1,
        entries: 610,
        duplicates: 11,
        bits: 3,
        slots: built.slots,
        bucket_bytes: built.slots as usize * 8 + 96,
        expires_s: NOW_S + 30 * DAY_S,
    };
    assert_eq!(built, expected);
    assert!(built.slots.is_multiple_of(16) && (77..=160).contains(&built.slots), "{}", built.slots);
    let epoch = setting.epoch(1).unwrap();
    assert_eq!((epoch.manifest.entries_max, epoch.manifest.epoch), (1024, 1));
    assert_eq!(epoch.verify_buckets().unwrap(), Ok(()));
    for number in 0..610 {
        assert!(holds(&epoch, &format!("clip-{number}")), "{number}");
    }
    for number in 610..1000 {
        assert!(!holds(&epoch, &format!("clip-{number}")), "{number}");
    }
    assert_eq!(setting.folder.current().unwrap(), Some(1));
    assert!(!setting.folder.path().join("build").exists(), "nothing is left of the build");
}

#[test]
fn digests_are_read_in_either_case() {
    let setting = Setting::new();
    let digest = policies::Digest::of(b"a clip");
    std::fs::write(setting.input(), format!("{digest}\n{}\n", digest.to_string().to_uppercase())).unwrap();
    let input = setting.input();
    let build = setting.build(&input, Format::Sha256);
    let built = build.run(&mut OsRng.unwrap_err(), &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!((built.entries, built.duplicates, built.bits), (1, 1, 0));
    let epoch = setting.epoch(1).unwrap();
    let bucket = Bucket::verify(&epoch.bucket(0).unwrap(), &epoch.geometry, 0, &epoch.manifest.root).unwrap();
    assert!(bucket.holds(&epoch.key.tag(&Identifier::from(&digest))));
}

#[test]
fn an_empty_list_is_a_list() {
    let setting = Setting::new();
    let built = setting.built("").unwrap();
    assert_eq!((built.entries, built.bits, built.slots), (0, 0, 16));
    assert!(!holds(&setting.epoch(1).unwrap(), "clip-1"));
}

/// Stopped behind each chunk in turn, and at last not: what comes out is what comes out of one run, bit by bit.
#[test]
fn a_build_that_was_stopped_goes_on_and_ends_in_the_same_bytes() {
    let text = lines(0..1050);
    let setting = Setting::new();
    assert_eq!(setting.stopped(&text, 1), Err("stopped: run it again to go on".to_owned()));
    // The work as it stood after one chunk, for a run in one piece by the same key.
    let whole = Setting { files: tempfile::tempdir().unwrap(), ..Setting::new() };
    copy(setting.files.path(), whole.files.path());
    let whole = Setting {
        folder: ListFolder::open(whole.files.path(), &setting.folder.tenant, &setting.folder.list).unwrap(),
        operator: OperatorKey::parse(&setting.operator.to_text()).unwrap(),
        signer: SigningKey::from_pem(&setting.signer.to_pem()).unwrap(),
        ..whole
    };
    let in_one = whole.built(&text).unwrap();
    for chunks in 2..=11 {
        assert_eq!(setting.stopped(&text, chunks), Err("stopped: run it again to go on".to_owned()));
        assert_eq!(setting.folder.current().unwrap(), None, "nothing is in force before it is whole");
    }
    let mut told = Vec::new();
    let input = setting.input();
    let built = setting.build(&input, Format::Text).run(&mut OsRng.unwrap_err(), &mut |progress| {
        told.push(progress);
        ControlFlow::Continue(())
    });
    assert_eq!(built.unwrap(), in_one);
    assert!(told.iter().all(|progress| progress.resumed), "every chunk was kept");
    let total = text.len() as u64;
    let last = Progress { bytes_done: total, bytes_total: total, entries: 1050, resumed: true };
    assert_eq!((told.len(), told.last()), (11, Some(&last)));
    assert_eq!(setting.bytes(1), whole.bytes(1));
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            std::fs::create_dir_all(&target).unwrap();
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

#[test]
fn another_input_does_not_go_on_with_a_build() {
    let setting = Setting::new();
    let (text, other) =
        (lines(0..500), "an interrupted build was of another input: give the same file again, or --restart");
    assert!(setting.stopped(&text, 3).is_err());
    assert_eq!(setting.built(&lines(0..501)), Err(other.to_owned()), "another length");
    assert_eq!(setting.built(&text.replacen("clip-0", "clip-X", 1)), Err(other.to_owned()), "the same length");
    let input = setting.input();
    std::fs::write(&input, &text).unwrap();
    let go = &mut |_| ControlFlow::Continue(());
    let as_digests = setting.build(&input, Format::Sha256).run(&mut OsRng.unwrap_err(), go);
    assert!(matches!(as_digests, Err(BuildError::OtherInput)));
    std::fs::write(&input, lines(0..20)).unwrap();
    let restarted = Build { restart: true, ..setting.build(&input, Format::Text) };
    assert_eq!(restarted.run(&mut OsRng.unwrap_err(), go).unwrap().entries, 20);
}

#[test]
fn lines_are_refused_by_their_number() {
    let setting = Setting::new();
    let input = setting.input();
    let refused = |bytes: &[u8], format| {
        std::fs::write(&input, bytes).unwrap();
        let build = Build { restart: true, ..setting.build(&input, format) };
        match build.run(&mut OsRng.unwrap_err(), &mut |_| ControlFlow::Continue(())) {
            Err(BuildError::Line { line, source }) => Some((line, source)),
            _ => None,
        }
    };
    let (hex, long) = ("ab".repeat(32), "x".repeat(257));
    assert_eq!(refused(format!("{hex}\n\n{hex}0\n").as_bytes(), Format::Sha256), Some((3, LineError::TooLong)));
    assert_eq!(refused(format!("{}\n", &hex[1..]).as_bytes(), Format::Sha256), Some((1, LineError::Digest)));
    assert_eq!(refused(format!("{hex}\n{}g\n", &hex[1..]).as_bytes(), Format::Sha256), Some((2, LineError::Digest)));
    assert_eq!(refused(format!("a\n{long}\n").as_bytes(), Format::Text), Some((2, LineError::TooLong)));
    assert_eq!(refused(&vec![b'x'; 1 << 20], Format::Text), Some((1, LineError::TooLong)), "a line without an end");
    assert_eq!(refused(b"a\nb\n\xff\n", Format::Text), Some((3, LineError::Text)));
    // In the second chunk.
    assert_eq!(
        refused(format!("{}\t\n{long}", lines(0..150)).as_bytes(), Format::Text),
        Some((152, LineError::TooLong))
    );
    assert_eq!(refused(format!("{}\r\n", &long[1..]).as_bytes(), Format::Text), None, "256 bytes, and the line's end");
    assert_eq!(setting.folder.current().unwrap(), Some(1), "that one was built");
}

/// Each epoch has a key of its own; the two before stay, and earlier ones go with their keys.
#[test]
fn epochs_follow_each_other() {
    let setting = Setting::new();
    for number in 1..=4 {
        assert_eq!(setting.built(&lines(0..50)).unwrap().epoch, number);
    }
    assert!(matches!(setting.epoch(1), Err(ListFolderError::Content(_))), "gone");
    let (second, third) = (setting.epoch(2).unwrap(), setting.epoch(3).unwrap());
    assert!(holds(&setting.epoch(4).unwrap(), "clip-3"));
    assert_ne!(second.manifest.key, third.manifest.key);
    assert_ne!(second.bucket(0).unwrap(), third.bucket(0).unwrap());
    assert_eq!([holds(&second, "clip-3"), holds(&third, "clip-3")], [true; 2]);
}

#[test]
fn a_list_is_made_once_and_built_once_at_a_time() {
    let setting = Setting::new();
    let names = (setting.folder.tenant.clone(), setting.folder.list.clone(), ListMeaning::Licensed);
    let key = setting.keys.path().join("other.pem");
    let again = ListFolder::initialise(setting.files.path(), names, &key, &mut OsRng.unwrap_err());
    assert!(matches!(again, Err(ListFolderError::Exists(_))));
    let other = ListFolder::open(setting.files.path(), &setting.folder.tenant, &"other".parse().unwrap());
    assert!(matches!(other, Err(ListFolderError::Missing(_))));
    let held = std::fs::File::create(setting.folder.path().join("lock")).unwrap();
    held.try_lock().unwrap();
    assert_eq!(setting.built("a"), Err("another build of this list is under way".to_owned()));
    drop(held);
    assert_eq!(setting.built("a").unwrap().entries, 1);
}

/// Who has the folder and the operator's key serves the list, and cannot sign for it.
#[test]
fn signing_keys_lie_elsewhere() {
    let setting = Setting::new();
    setting.built(&lines(0..50)).unwrap();
    let (root, list) = (setting.files.path(), setting.folder.path());
    check_unexposed(root, DEPTH_MAX).unwrap();
    let pem = setting.signer.to_pem();
    let places =
        ["key", "demo-platform/list.pem", "demo-platform/demo-blocked/k", "demo-platform/demo-blocked/epochs/1/k"];
    for place in places.map(|place| root.join(place)) {
        std::fs::write(&place, pem.as_bytes()).unwrap();
        assert!(matches!(check_unexposed(root, DEPTH_MAX), Err(ListFolderError::Exposed(found)) if found == place));
        assert!(matches!(setting.folder.signing_key(&place), Err(ListFolderError::Exposed(found)) if found == place));
        std::fs::remove_file(place).unwrap();
    }
    let earlier = list.join("list.sealed");
    std::fs::write(&earlier, b"sealed").unwrap();
    assert!(matches!(check_unexposed(list, 0), Err(ListFolderError::Exposed(found)) if found == earlier));
    std::fs::remove_file(earlier).unwrap();
    check_unexposed(root, DEPTH_MAX).unwrap();
    // One that is made there is not made, one of another list signs nothing, and none is written over.
    let names = || ("demo-platform".parse().unwrap(), "other".parse().unwrap(), ListMeaning::Licensed);
    let initialise = |key: &Path| ListFolder::initialise(root, names(), key, &mut OsRng.unwrap_err());
    let inside = list.join("other.pem");
    assert!(matches!(initialise(&inside), Err(ListFolderError::Exposed(found)) if found == inside));
    let other = setting.keys.path().join("other.pem");
    initialise(&other).unwrap();
    assert!(matches!(setting.folder.signing_key(&other), Err(ListFolderError::Signer(found)) if found == other));
    let before = std::fs::read(&other).unwrap();
    std::fs::remove_file(root.join("demo-platform/other/list.json")).unwrap();
    assert!(matches!(initialise(&other), Err(ListFolderError::Io { path, .. }) if path == other));
    assert_eq!(std::fs::read(&other).unwrap(), before);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&other).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn an_epoch_whose_parts_do_not_belong_together_is_refused() {
    let setting = Setting::new();
    setting.built(&lines(0..200)).unwrap();
    setting.built(&lines(0..200)).unwrap();
    let place = |epoch: u64, name: &str| setting.folder.path().join("epochs").join(epoch.to_string()).join(name);
    let refused = |name: &str, bytes: &[u8]| {
        let good = std::fs::read(place(2, name)).unwrap();
        std::fs::write(place(2, name), bytes).unwrap();
        let error = setting.epoch(2).err();
        std::fs::write(place(2, name), good).unwrap();
        error
    };
    let before = |name: &str| std::fs::read(place(1, name)).unwrap();
    // Another epoch's key is sealed as that epoch's, and another operator's does not open.
    assert!(matches!(refused("key.sealed", &before("key.sealed")), Some(ListFolderError::Sealed { .. })));
    let mut rng = OsRng.unwrap_err();
    let label = setting.folder.epoch_label(2);
    let seal = |bytes: &[u8], operator: &OperatorKey| operator.seal(&label, bytes, &mut OsRng.unwrap_err()).unwrap();
    let stranger = OperatorKey::generate(&mut rng);
    let key = ListKey::generate(&mut rng).to_secret_bytes();
    assert!(matches!(refused("key.sealed", &seal(&*key, &stranger)), Some(ListFolderError::Sealed { .. })));
    assert!(matches!(refused("key.sealed", &seal(&*key, &setting.operator)), Some(ListFolderError::Key(_))));
    assert!(matches!(refused("key.sealed", &seal(&[0; 32], &setting.operator)), Some(ListFolderError::Content(_))));
    let falls = refused("manifest.jwt", &before("manifest.jwt"));
    assert!(matches!(falls, Some(ListFolderError::Manifest { source: ManifestError::Epoch, .. })));
    assert!(matches!(refused("manifest.jwt", b"{}"), Some(ListFolderError::Manifest { .. })));
    assert!(matches!(refused("manifest.jwt", &[b'a'; 70_000]), Some(ListFolderError::Content(_))));
    let buckets = std::fs::read(place(2, "buckets.bin")).unwrap();
    assert!(matches!(refused("buckets.bin", &buckets[1..]), Some(ListFolderError::Content(_))));
    let late = ListEpoch::open(&setting.folder, 2, &setting.operator, (NOW_S + 31 * DAY_S) * 1000);
    assert!(matches!(late.err(), Some(ListFolderError::Manifest { source: ManifestError::Expired, .. })));
    // A bucket that was altered is opened, and refused by whoever looks into it.
    let mut altered = buckets.clone();
    let at = altered.len() - 200;
    altered[at] ^= 1;
    std::fs::write(place(2, "buckets.bin"), altered).unwrap();
    let epoch = setting.epoch(2).unwrap();
    assert_eq!(epoch.verify_buckets().unwrap(), Err((epoch.geometry.buckets() - 1, BucketError::Root)));
    assert_eq!(epoch.bucket(epoch.geometry.buckets()).unwrap_err().kind(), std::io::ErrorKind::NotFound);
}

#[test]
fn a_chunk_that_is_none_is_not_taken() {
    let setting = Setting::new();
    let text = lines(0..300);
    assert!(setting.stopped(&text, 2).is_err());
    let file = setting.folder.path().join("build/0000001.chunk");
    let good = std::fs::read(&file).unwrap();
    for bad in [&good[..good.len() - 1], &[&good[..], &[0]].concat(), &[&b"X"[..], &good[1..]].concat()] {
        std::fs::write(&file, bad).unwrap();
        assert!(setting.built(&text).unwrap_err().contains("holds something else"));
    }
    std::fs::write(&file, good).unwrap();
    assert_eq!(setting.built(&text).unwrap().entries, 300);
}

/// Nothing of an identifier stands in any file, neither while a list is built nor after.
#[test]
fn identifiers_reach_no_file() {
    let setting = Setting::new();
    let holds = |folder: &Path| {
        fn search(path: &Path, found: &mut bool) {
            for entry in std::fs::read_dir(path).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => search(&path, found),
                    false => *found |= std::fs::read(&path).unwrap().windows(5).any(|bytes| bytes == b"clip-"),
                }
            }
        }
        let mut found = false;
        search(folder, &mut found);
        found
    };
    assert!(setting.stopped(&lines(0..300), 2).is_err());
    assert!(!holds(setting.folder.path()));
    setting.built(&lines(0..300)).unwrap();
    assert!(!holds(setting.folder.path()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Whatever the lines, the chunks and the threads: the tags are those of the lines, in buckets of one size.
    #[test]
    fn chunks_and_threads_change_nothing(
        clips in prop::collection::vec("[a-z]{1,3}", 1..250),
        chunk_lines in 1_usize..100,
        threads in 1_usize..4,
    ) {
        let setting = Setting { chunk_lines, ..Setting::new() };
        std::fs::write(setting.input(), clips.join("\n")).unwrap();
        let input = setting.input();
        let build = Build { threads, ..setting.build(&input, Format::Text) };
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let built = build.run(&mut rng, &mut |_| ControlFlow::Continue(())).unwrap();
        let distinct: std::collections::BTreeSet<_> = clips.iter().collect();
        prop_assert_eq!(built.entries, distinct.len() as u64);
        prop_assert_eq!(built.duplicates, (clips.len() - distinct.len()) as u64);
        prop_assert_eq!(built.bits, Geometry::bits_for(built.entries));
        let epoch = setting.epoch(1).unwrap();
        prop_assert_eq!(epoch.verify_buckets().unwrap(), Ok(()));
        for clip in distinct {
            prop_assert!(holds(&epoch, clip));
        }
        prop_assert!(!holds(&epoch, "not one"));
    }
}
