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
    for name in ["lint", "explain", "diff", "digest"] {
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
