use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use aggregator::audit::sample::SampleLog;
use aggregator::log::{KeyEpochLogged, LogEntry};
use attest::SigningKey;
use attest::note::NoteSigner;
use clap::{CommandFactory, Parser};
use policies::log::tree::leaf_hash;
use policies::log::{Checkpoint, Frontier, Tile, bundle, tile};
use policies::{Digest, PolicySet, sample};
use rand_core::{OsRng, TryRngCore as _};

use super::*;

#[derive(Parser)]
#[command(name = "siwa", max_term_width = 100)]
enum Program {
    Audit(AuditCommand),
}

/// A folder with the sample policies and a made-up log of 60 leaves or fewer.
struct Copied {
    folder: tempfile::TempDir,
    signer: NoteSigner,
}

impl Copied {
    /// A log of these leaves under a name.
    fn of(origin: &str, leaves: &[LogEntry]) -> Self {
        let signer = NoteSigner::of_notes(origin, SigningKey::generate(&mut OsRng.unwrap_err())).unwrap();
        let copied = Self { folder: tempfile::tempdir().unwrap(), signer };
        copied.write_policies(&sample::files());
        let (mut entries, mut hashes, mut tree) = (Vec::new(), Vec::new(), Frontier::default());
        for leaf in leaves.iter().map(LogEntry::encode) {
            bundle::append(&mut entries, &leaf).unwrap();
            hashes.push(leaf_hash(&leaf));
            tree.append(leaf_hash(&leaf), |_, _| {});
        }
        let width = u16::try_from(leaves.len()).unwrap();
        assert!(width < tile::TILE_WIDTH, "one tile of each kind");
        let checkpoint = Checkpoint { origin: origin.to_owned(), size: tree.size(), root: tree.root() };
        let note = copied.signer.checkpoint(&checkpoint).unwrap().to_string();
        copied.write("log/checkpoint", note.as_bytes());
        for (level, bytes) in [(None, entries), (Some(0), tile::encode(&hashes))] {
            copied.write(&format!("log/{}", Tile { level, index: 0, width }), &bytes);
        }
        copied
    }

    /// A log that holds.
    fn sound() -> Self {
        Self::of("siwa-centre/log", &leaves())
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn write_policies(&self, files: &std::collections::BTreeMap<String, Vec<u8>>) {
        files.iter().for_each(|(path, bytes)| self.write(&format!("policies/{path}"), bytes));
    }

    /// Audits with the log's own key and these further arguments.
    fn audit(&self, more: &[&str]) -> Result<(Verdict, String), String> {
        self.audit_by(&self.signer.verifier_key().to_string(), more)
    }

    fn audit_by(&self, key: &str, more: &[&str]) -> Result<(Verdict, String), String> {
        let (log, policies) = (self.path("log"), self.path("policies"));
        let line = ["siwa", "audit", &log, "--log-key", key, "--policies", &policies];
        let Program::Audit(command) =
            Program::try_parse_from(line.iter().chain(more)).map_err(|error| error.to_string())?;
        let mut out = Vec::new();
        let verdict = command.audited(&mut out).map_err(|error| format!("{error:#}"))?;
        Ok((verdict, String::from_utf8(out).unwrap()))
    }

    /// The report as JSON.
    fn report(&self) -> serde_json::Value {
        serde_json::from_str(&self.audit(&["--json"]).unwrap().1).unwrap()
    }
}

fn leaves() -> Vec<LogEntry> {
    let set = PolicySet::parse(&sample::files()).unwrap();
    // Whole windows: it ends before the ledger entries of another.
    let mut leaves: Vec<LogEntry> = SampleLog::new(&set).take(60).collect();
    let last = leaves.iter().rposition(|leaf| matches!(leaf, LogEntry::Ledger(_))).unwrap();
    leaves.truncate(last);
    leaves
}

fn releases(leaves: &[LogEntry]) -> usize {
    leaves.iter().filter(|leaf| matches!(leaf, LogEntry::Release(_))).count()
}

#[test]
fn a_log_that_holds_says_so_in_every_form() {
    let copied = Copied::sound();
    let html = copied.path("audit.html");
    let (verdict, text) = copied.audit(&["--releases", "--html", &html]).unwrap();
    assert_eq!(verdict, Verdict::Holds);
    assert!(text.ends_with("verdict: HOLDS: every logged release was allowed and charged\n"), "{text}");
    assert_eq!(text.lines().filter(|line| line.ends_with(" policy 1 ok")).count(), releases(&leaves()), "{text}");
    for taught in ["What this rests on", "egress control", "Nothing was found wrong.", "recomputed from the leaves"] {
        assert!(text.contains(taught), "{taught}: {text}");
    }
    let (_, lines) = copied.audit(&["--releases", "--json"]).unwrap();
    let values: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (report, listed) = values.split_last().unwrap();
    assert_eq!((listed.len(), &report["verdict"]), (releases(&leaves()), &serde_json::json!("holds")));
    assert_eq!((&report["log"]["size"], &report["log"]["verified"]), (&leaves().len().into(), &true.into()));
    assert_eq!(listed[0]["release"]["tenant"], report["shares"][0]["tenant"]);
    let page = fs::read_to_string(html).unwrap();
    assert!(page.contains("<b>Holds</b>") && page.contains("<svg") && page.contains("no per-viewer or yearly bound"));
    // Nothing is loaded, nothing runs, and what is opened is closed.
    for never in ["<script", "src=", "href=", "url(", "@import"] {
        assert!(!page.contains(never), "{never}");
    }
    for element in ["table", "tr", "td", "svg", "ul", "li", "div", "p", "code", "h2", "h3", "body"] {
        let opened = page.matches(&format!("<{element}>")).count() + page.matches(&format!("<{element} ")).count();
        assert_eq!(opened, page.matches(&format!("</{element}>")).count(), "{element}");
    }
}

/// Every byte of every file of the log counts.
#[test]
fn a_flipped_byte_is_found() {
    let copied = Copied::sound();
    let width = leaves().len();
    for (name, places) in [
        (format!("log/tile/entries/000.p/{width}"), vec![0, 1, 2, 40, 400, 4000]),
        (format!("log/tile/0/000.p/{width}"), vec![0, 31, 32, 100]),
        ("log/checkpoint".to_owned(), vec![0, 3, 16, 20, 60, 100]),
    ] {
        let path = copied.folder.path().join(&name);
        let sound = fs::read(&path).unwrap();
        for place in places {
            let mut flipped = sound.clone();
            flipped[place] ^= 1;
            fs::write(&path, flipped).unwrap();
            let (verdict, text) = copied.audit(&[]).unwrap();
            assert_eq!(verdict, Verdict::Broken, "{name} {place}");
            assert!(text.contains("\n  log (1)\n"), "{name} {place}: {text}");
        }
        fs::remove_file(&path).unwrap();
        let audited = copied.audit(&[]);
        assert!(!matches!(audited, Ok((Verdict::Holds | Verdict::Incomplete, _))), "{name}");
        fs::write(&path, sound).unwrap();
    }
    assert_eq!(copied.audit(&[]).unwrap().0, Verdict::Holds);
}

#[test]
fn another_key_or_a_missing_witness_is_found() {
    let copied = Copied::sound();
    let signer = |name| NoteSigner::of_notes(name, SigningKey::generate(&mut OsRng.unwrap_err())).unwrap();
    let (verdict, text) = copied.audit_by(&signer("siwa-centre/log").verifier_key().to_string(), &[]).unwrap();
    assert_eq!(verdict, Verdict::Broken, "{text}");
    let witness = NoteSigner::of_cosignatures("w", SigningKey::generate(&mut OsRng.unwrap_err())).unwrap();
    let witness = witness.verifier_key().to_string();
    let (verdict, text) = copied.audit(&["--witness", &witness]).unwrap();
    assert_eq!(verdict, Verdict::Broken);
    assert!(text.contains("fewer witnesses signed the checkpoint than must"), "{text}");
    assert_eq!(copied.audit(&["--witness", &witness, "--witnesses-min", "0"]).unwrap().0, Verdict::Holds);
}

#[test]
fn what_cannot_be_audited_is_an_error() {
    let copied = Copied::sound();
    fs::remove_dir_all(copied.folder.path().join("log")).unwrap();
    assert!(copied.audit(&[]).unwrap_err().starts_with("the log cannot be read: "));
    assert!(copied.audit(&["--witnesses-min", "1"]).is_err());
    fs::write(copied.path("policies/access.toml"), "[[grants]]\n").unwrap();
    assert!(copied.audit(&[]).unwrap_err().contains("the policy files have errors"));
    assert!(copied.audit_by("siwa+0+0", &[]).is_err());
}

#[test]
fn a_release_without_its_charge_is_found() {
    let mut leaves = leaves();
    let at = leaves.iter().position(|leaf| matches!(leaf, LogEntry::Ledger(_))).unwrap();
    leaves.remove(at);
    let report = Copied::of("siwa-centre/log", &leaves).report();
    assert_eq!(report["verdict"], "broken");
    let kinds: Vec<&str> = report["findings_by_kind"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(kinds, ["ledger-gap", "not-charged"]);
}

#[test]
fn policies_that_changed_are_found_in_the_history() {
    let copied = Copied::sound();
    let git = |arguments: &[&str]| {
        let who = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"];
        let run = Command::new("git").arg("-C").arg(copied.folder.path()).args(who).args(arguments).output();
        run.is_ok_and(|run| run.status.success())
    };
    if !git(&["init", "-q"]) {
        let _ = writeln!(std::io::stderr(), "SKIPPED: policies_that_changed_are_found_in_the_history: git");
        return;
    }
    // The log's policies are neither the first nor the last that were committed.
    let logged = sample::files();
    let titled = |title: &str| {
        let mut files = logged.clone();
        let text = String::from_utf8(files.remove("regions/eu-west.toml").unwrap()).unwrap();
        files.insert("regions/eu-west.toml".to_owned(), text.replace("Western Europe", title).into_bytes());
        files
    };
    for files in [titled("First"), logged.clone(), titled("Last")] {
        copied.write_policies(&files);
        copied.write("policies/regions/.eu-west.toml.swp", b"an editor's");
        assert!(git(&["add", "-A", "policies"]) && git(&["commit", "-qm", "policies"]));
    }
    let (verdict, text) = copied.audit(&[]).unwrap();
    assert_eq!(verdict, Verdict::Holds, "{text}");
    assert!(text.contains(" at commit "), "{text}");
    // Without the commit there is nothing to check by.
    fs::remove_dir_all(copied.folder.path().join(".git")).unwrap();
    let report = copied.report();
    assert_eq!(report["verdict"], "incomplete");
    assert_eq!(report["findings_by_kind"], serde_json::json!({"policy-files-missing": 1}));
}

#[test]
fn a_history_that_cannot_be_read_is_said() {
    let copied = Copied::sound();
    // No work tree, though it looks like one.
    copied.write("policies/.git", b"gitdir: /nowhere\n");
    copied.write("policies/access.toml", &[&sample::files()["access.toml"][..], b"\n"].concat());
    let report = copied.report();
    assert_eq!(report["verdict"], "incomplete");
    let sources = report["policy_sources"].to_string();
    assert!(sources.contains("is not used: git"), "{sources}");
}

#[test]
fn names_are_text_wherever_they_are_shown() {
    let hostile = "<img/src=x/onerror=alert(1)>\"'&\u{202e}";
    let mut leaves = leaves();
    let Some(LogEntry::Release(release)) = leaves.last_mut() else { unreachable!() };
    release.segments[0].kind = hostile.to_owned();
    for statement in [b"a", b"b"] {
        leaves.push(LogEntry::KeyEpoch(KeyEpochLogged {
            region: "eu-west".parse().unwrap(),
            node: "node-1".parse().unwrap(),
            issuer: format!("{hostile}\u{1b}[2J"),
            number: 0,
            statement: Digest::of(statement),
            logged_ms: 1,
        }));
    }
    let origin = "siwa<script>alert(1)</script>";
    let copied = Copied::of(origin, &leaves);
    let html = copied.path("audit.html");
    let (verdict, text) = copied.audit(&["--html", &html, "--releases"]).unwrap();
    assert_eq!(verdict, Verdict::Broken);
    assert!(!text.contains('\u{1b}'), "{text:?}");
    let page = fs::read_to_string(html).unwrap();
    assert!(!page.contains("<script") && !page.contains("<img") && !page.contains('\u{202e}'), "{page}");
    assert!(page.contains("siwa&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert!(page.contains("&lt;img/src=x/onerror=alert(1)&gt;"));
}

#[test]
fn only_policy_files_belong_to_a_version() {
    for yes in ["access.toml", "regions/eu-west.toml", "anchors/a.pem", "issuers/a.jwks.json", "content.toml"] {
        assert!(folders::belongs(yes), "{yes}");
    }
    for no in ["README.md", "bundle.note", "regions/.a.swp", "regions/a/b.toml", "cases/a.toml", "src/lib.rs", ""] {
        assert!(!folders::belongs(no), "{no}");
    }
}

#[test]
fn figures_and_dates_are_short() {
    assert_eq!(
        [0.0, 0.0126, 2.142, 29.8, 1e-9, 5e7].map(text::figure),
        ["0.000000", "0.012600", "2.142", "29.800", "1.000e-9", "5.000e7"]
    );
    assert_eq!(
        [0, 951_782_400, u64::MAX].map(text::date),
        ["01 Jan 1970", "29 Feb 2000", "second 18446744073709551615"]
    );
    assert_eq!(html::escape("a<b>&\"'\n"), "a&lt;b&gt;&amp;&quot;&#39;\u{fffd}");
}

#[test]
fn help_teaches() {
    let mut program = Program::command().term_width(100);
    program.build();
    let help = program.find_subcommand_mut("audit").unwrap().render_long_help().to_string();
    for taught in
        ["--log-key", "--policies", "docs/audit.md", "history", "Exit codes: 0 all holds", "--html audit.html"]
    {
        assert!(help.contains(taught), "{taught}: {help}");
    }
    assert!(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/audit.md")).exists());
}
