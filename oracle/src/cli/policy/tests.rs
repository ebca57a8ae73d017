use super::*;
use clap::{CommandFactory, Parser};

#[derive(Parser)]
#[command(name = "siwa", max_term_width = 100)]
enum Program {
    Account(crate::cli::account::AccountCommand),
    Policy(PolicyCommand),
}

const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../policies");

/// What is printed, and the exit code; paths of the samples are shortened.
fn run(arguments: &[&str]) -> (String, u8) {
    let arguments = ["siwa", "policy"].iter().chain(arguments);
    let Ok(Program::Policy(command)) = Program::try_parse_from(arguments) else { panic!("not understood") };
    let mut out = Vec::new();
    let code = match command.act(&mut out) {
        Ok(code) => code,
        Err(Stop::Output(error)) => panic!("{error}"),
        Err(Stop::Usage(error)) => {
            writeln!(out, "usage: {error:#}").expect("memory can be written");
            USAGE
        }
        Err(Stop::Findings(findings)) => {
            for finding in findings {
                writeln!(out, "stopped: {finding}").expect("memory can be written");
            }
            FOUND
        }
    };
    (String::from_utf8(out).expect("text is UTF-8").replace(SAMPLES, "policies"), code)
}

/// A copy of the samples in which one file's text is changed.
fn changed(file: &str, from: &str, to: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, bytes) in policy_folder::read(Path::new(SAMPLES)).expect("the samples") {
        let mut text = String::from_utf8(bytes).expect("policies are UTF-8");
        if name == file {
            assert!(text.contains(from));
            text = text.replacen(from, to, 1);
        }
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a file has a folder")).expect("a new folder");
        std::fs::write(path, text).expect("a new file");
    }
    folder
}

#[test]
fn help_teaches() {
    let mut program = Program::command().term_width(100);
    program.build();
    let policy = program.find_subcommand_mut("policy").unwrap();
    let mut help = policy.render_long_help().to_string();
    for name in ["lint", "explain", "diff", "digest", "test", "coverage", "sign", "verify"] {
        help += &format!("\n==== {name}\n{}", policy.find_subcommand_mut(name).unwrap().render_long_help());
    }
    help += &format!("\n==== account\n{}", program.find_subcommand_mut("account").unwrap().render_long_help());
    insta::assert_snapshot!(help);
}

#[test]
fn the_samples_are_fine() {
    // The profiles of hardware are for their users to complete, and the linter says so.
    let (text, code) = run(&["lint", SAMPLES]);
    let unmet = ["node-snp", "node-tdx", "node-nitro"];
    for (line, name) in text.lines().zip(unmet) {
        assert!(line.starts_with("policies/attestation.toml:"), "{line}");
        assert!(line.contains(&format!("warning: The profile `{name}` has no value in ")), "{line}");
    }
    assert_eq!((text.lines().nth(3), text.lines().nth(4), code), (Some("17 files, 0 errors, 3 warnings"), None, 0));
    let file = format!("{SAMPLES}/regions/eu-west.toml");
    assert_eq!(run(&["lint", &file]).1, 0);
    let (text, code) = run(&["lint", SAMPLES, "--json"]);
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &report["errors"], &report["warnings"]), (0, &json!(0), &json!(3)));
    assert_eq!(report["findings"].as_array().map(Vec::len), Some(3));
    assert_eq!(report["digest"].as_str(), Some(run(&["digest", SAMPLES]).0.trim()));
}

#[test]
fn findings_stop_everything_but_lint() {
    let folder = changed("regions/eu-west.toml", "epsilon_per_window = 2.023", "epsilon_per_window = 1.0");
    let path = folder.path().to_str().unwrap();
    let shown = |(text, code): (String, u8)| (text.replace(path, "policies"), code);
    let (lint, code) = shown(run(&["lint", path]));
    insta::assert_snapshot!(lint);
    assert_eq!(code, 1);
    let (json_report, code) = run(&["lint", path, "--json"]);
    let report: serde_json::Value = serde_json::from_str(&json_report).unwrap();
    let findings = report["findings"].as_array().unwrap();
    let error = findings.iter().find(|finding| finding["severity"] == "error").unwrap();
    assert_eq!((code, &error["line"], &report["digest"]), (1, &json!(26), &json!(null)));
    for arguments in [vec!["explain", path], vec!["digest", path], vec!["diff", SAMPLES, path]] {
        let (text, code) = shown(run(&arguments));
        assert_eq!((text.lines().next(), code), (Some(&*format!("stopped: {}", lint.lines().next().unwrap())), 1));
    }
}

#[test]
fn regions_are_explained() {
    let (all, code) = run(&["explain", SAMPLES]);
    assert_eq!((all.matches("Who is protected").count(), code), (3, 0));
    let (one, _) = run(&["explain", &format!("{SAMPLES}/regions/us-east.toml")]);
    assert!(one.starts_with("Eastern United States (us-east)") && one.contains("no per-viewer or yearly bound"));
    assert_eq!(run(&["explain", SAMPLES, "--region", "us-east"]).0, one);
    let (text, _) = run(&["explain", SAMPLES, "--region", "us-east", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["regions"][0]["epsilon_per_year"], json!(null));
    assert_eq!(json["regions"][0]["unit"], json!("session"));
    let (text, code) = run(&["explain", SAMPLES, "--region", "atlantis"]);
    assert_eq!((text.as_str(), code), ("usage: there is no such region; there are eu-north, eu-west, us-east\n", 2));
}

#[test]
fn decisions_are_compared() {
    let comment = changed("access.toml", "# Who may", "# Says who may");
    let comment = comment.path().to_str().unwrap();
    assert_eq!(run(&["diff", SAMPLES, comment, "--exit-code"]), ("Both decide the same.\n".to_owned(), 0));
    assert_ne!(run(&["digest", SAMPLES]).0, run(&["digest", comment]).0);

    let grant = changed("access.toml", "[\"eu-north\", \"eu-west\"]", "[\"eu-north\"]");
    let grant = grant.path().to_str().unwrap();
    let line = "tenant nordlys-clips in eu-west: no longer: served (protects more)\n";
    assert_eq!(run(&["diff", SAMPLES, grant]), (line.to_owned(), 0));
    assert_eq!(run(&["diff", SAMPLES, grant, "--exit-code"]), (line.to_owned(), 1));
    let (text, _) = run(&["diff", SAMPLES, grant, "--json"]);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let change =
        json!({"subject": "tenant nordlys-clips in eu-west", "before": "served", "after": null, "effect": "stronger"});
    assert_eq!(json, json!({ "changes": [change] }));
}

#[test]
fn digest_is_of_the_manifest() {
    let (text, code) = run(&["digest", SAMPLES, "--json"]);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let manifest = json["manifest"].as_str().unwrap();
    assert_eq!((json["digest"].as_str(), code), (Some(&*policies::Digest::of(manifest.as_bytes()).to_string()), 0));
}

#[test]
fn a_file_names_its_folder() {
    for (file, root, region) in [
        ("policies/regions/eu.toml", "policies", Some("eu")),
        ("/a/regions/eu.toml", "/a", Some("eu")),
        ("regions/eu.toml", ".", Some("eu")),
        ("a/purposes/ads.toml", "a", None),
        ("access.toml", ".", None),
        ("a/access.toml", "a", None),
        ("a/issuers.toml", "a", None),
        ("a/issuers/id.jwks.json", "a", None),
        ("a/attestation.toml", "a", None),
        ("content.toml", ".", None),
        ("a/anchors/maker.pem", "a", None),
    ] {
        assert_eq!(root_of(Path::new(file)), Some((root.into(), region.map(str::to_owned))), "{file}");
    }
    for file in ["eu.toml", "./eu.toml", "other/eu.toml"] {
        assert_eq!(root_of(Path::new(file)), None, "{file}");
    }
}

#[test]
fn wrong_paths_are_usage_errors() {
    assert_eq!(run(&["lint", "/nowhere"]), ("usage: /nowhere does not exist\n".to_owned(), 2));
    let (text, code) = run(&["lint", &format!("{SAMPLES}/Cargo.toml")]);
    assert!(text.starts_with("usage: policies/Cargo.toml is no file of a policy folder"), "{text}");
    assert_eq!(code, 2);
}

#[test]
fn the_samples_pass_their_cases_and_every_decision_is_covered() {
    let (text, code) = run(&["test", SAMPLES]);
    assert!(text.ends_with(" expectations, 0 findings\n"), "{text}");
    assert_eq!(code, 0);
    let (text, code) = run(&["coverage", SAMPLES, "--min", "100"]);
    assert!(text.ends_with(" decisions are covered: 100 %\n") && !text.contains("MISSING"), "{text}");
    assert_eq!(code, 0);
    let (text, _) = run(&["coverage", SAMPLES, "--json"]);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["percent"], json!(100));
    let first = json!({"decision": "eu-north: serve demo-platform", "refused": null, "covered": true});
    assert!(json["decisions"].as_array().unwrap().contains(&first), "{text}");
}

#[test]
fn what_no_case_covers_is_missing_and_what_fails_has_a_place() {
    let folder = changed("access.toml", "# Who may", "# Who might");
    let path = folder.path().to_str().unwrap();
    let (text, code) = run(&["coverage", path]);
    assert!(text.contains("MISSING  us-east: serve nordlys-clips") && text.ends_with("are covered: 0 %\n"), "{text}");
    assert_eq!((code, run(&["coverage", path, "--min", "1"]).1), (0, 1));

    std::fs::create_dir(folder.path().join("cases")).unwrap();
    let case = "[[cases]]\nname = \"none\"\nask = \"serve\"\ntenants = [\"nordlys-clips\"]\nregions = [\"us-east\"]\nexpect = \"allowed\"\n";
    std::fs::write(folder.path().join("cases/a.toml"), case).unwrap();
    let (text, code) = run(&["test", path]);
    let told = "cases/a.toml:1:1: error: The case \"none\": us-east: serve nordlys-clips is refused (the tenant is granted nothing in this region), and allowed is expected.\n1 cases, 1 expectations, 1 findings\n";
    assert_eq!((text.replace(path, "").trim_start_matches('/'), code), (told, 1));
    let (text, _) = run(&["test", path, "--json"]);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&json["cases"], &json["findings"][0]["line"]), (&json!(1), &json!(1)));
    // Nor is it signed.
    let key = key_file(folder.path(), "a.pem");
    let (text, code) = run(&["sign", path, "--key", &key]);
    assert_eq!((text.starts_with("stopped: "), code, folder.path().join("bundle.note").exists()), (true, 1, false));
}

fn key_file(folder: &Path, name: &str) -> String {
    use rand_core::TryRngCore as _;
    let key = attest::SigningKey::generate(&mut rand_core::OsRng.unwrap_err());
    let file = folder.join(name);
    std::fs::write(&file, key.to_pem().as_bytes()).unwrap();
    file.to_str().unwrap().to_owned()
}

fn verifier() -> policies::log::VerifierKey {
    policies::log::VerifierKey::new("nobody", policies::log::KeyAlgorithm::Note, [1; 32]).unwrap()
}

/// The key that `sign` printed.
fn printed(text: &str) -> &str {
    text.trim_end().rsplit(' ').next().unwrap()
}

#[test]
fn bundles_are_signed_verified_and_their_keys_rotate() {
    let folder = changed("access.toml", "# Who may", "# Who might");
    let path = folder.path().to_str().unwrap();
    let keys = tempfile::tempdir().unwrap();
    let [alice, bob] = ["alice.pem", "bob.pem"].map(|name| key_file(keys.path(), name));
    let digest = run(&["digest", path]).0.trim_end().to_owned();

    let malformed = ["siwa", "policy", "verify", path, "--key", "a+00000000+AA=="];
    assert!(
        Program::try_parse_from(malformed).is_err_and(|error| error.kind() == clap::error::ErrorKind::ValueValidation)
    );
    let unsigned = run(&["verify", path, "--key", &format!("{}", verifier())]);
    assert_eq!((unsigned.0.contains("has no bundle.note"), unsigned.1), (true, 2), "{}", unsigned.0);
    let (first, code) = run(&["sign", path, "--key", &alice, "--name", "alice"]);
    assert_eq!((first.starts_with(&format!("version 1 of {digest}, signed by alice+")), code), (true, 0), "{first}");
    let alice_key = printed(&first).to_owned();
    let (verified, code) = run(&["verify", path, "--key", &alice_key]);
    let told = format!("version 1 of {digest}\nsigned by {alice_key}\nthe next version needs 1 of\n  {alice_key}\n");
    assert_eq!((verified, code), (told, 0));
    // Signing again says the same.
    assert_eq!(run(&["sign", path, "--key", &alice, "--name", "alice"]), (first, 0));

    // A second signer's key, by a signature that counts for nothing yet.
    let (second, _) = run(&["sign", path, "--key", &bob, "--name", "bob"]);
    let bob_key = printed(&second).to_owned();
    assert!(second.starts_with("version 1 of "), "{second}");
    let next = ["--next-key", &alice_key, "--next-key", &bob_key, "--threshold", "2"];
    let arguments = [&["sign", path, "--key", &alice, "--name", "alice"][..], &next].concat();
    assert!(run(&arguments).0.starts_with("version 2 of "), "other keys are another version");
    // Other files too; its two signers sign one after the other.
    let access = folder.path().join("access.toml");
    let text = std::fs::read_to_string(&access).unwrap();
    std::fs::write(&access, text.replace("# Who might", "# Who can")).unwrap();
    let both = ["verify", path, "--key", &alice_key, "--key", &bob_key, "--threshold", "2"];
    let other_files = "refused: 1 signed who may, and 2 must\n".to_owned();
    assert_eq!(run(&both), (other_files, 1));
    let changed =
        "refused: the files are not those that were signed: one was changed, added or taken away\n".to_owned();
    assert_eq!(run(&["verify", path, "--key", &alice_key]), (changed, 1));
    assert!(run(&["sign", path, "--key", &alice, "--name", "alice"]).0.starts_with("version 3 of "));
    assert_eq!(run(&both), ("refused: 1 signed who may, and 2 must\n".to_owned(), 1));
    assert!(run(&["sign", path, "--key", &bob, "--name", "bob"]).0.starts_with("version 3 of "));
    let (text, code) = run(&[&both[..], &["--json"]].concat());
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&json["version"], &json["next"]["threshold"], code), (&json!(3), &json!(2), 0));
    assert_eq!(json["signed_by"].as_array().map(Vec::len), Some(2));

    let (text, code) = run(&["sign", path, "--key", &bob, "--name", "bob", "--version", "2"]);
    assert_eq!((&*text, code), ("usage: version 3 is signed and says otherwise: a version only rises\n", 2));
    assert!(run(&["sign", path, "--key", &bob, "--name", "bob", "--version", "9"]).0.starts_with("version 9 of "));
    let (text, code) = run(&["sign", path, "--key", path, "--name", "bob"]);
    assert_eq!((text.starts_with("usage: cannot read "), code), (true, 2), "{text}");
}
