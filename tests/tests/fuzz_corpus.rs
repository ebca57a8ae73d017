//! Every fuzz target runs here over its corpus, on the stable toolchain: what a fuzzer once found stays found.
//!
//! `SIWA_WRITE_CORPUS=1 cargo test -p tests --test fuzz_corpus` writes the seeds anew, from real messages.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Once;

#[path = "../../fuzz/bodies.rs"]
#[expect(unreachable_pub, reason = "the fuzz targets reach them: there it is a library")]
mod bodies;
mod seeds;

type Body = fn(&[u8]);

/// A little more than the largest needs: a quote of Intel's with its collateral.
const SEED_BYTES_MAX: usize = 24 * 1024;

/// Each target with the path of its body, and the body.
macro_rules! targets {
    ($($name:literal: $body:path),* $(,)?) => {
        &[$(($name, stringify!($body), $body as Body)),*]
    };
}

const TARGETS: &[(&str, &str, Body)] = targets![
    "access_token": attest::access::fuzz::token,
    "android_key_description": attest::device::fuzz::key_description,
    "app_attest": attest::device::fuzz::app_attest,
    "attestation": attest::evidence::fuzz::attestation,
    "catalogue": bodies::catalogue,
    "cbor": attest::evidence::nitro::fuzz::cbor,
    "certificate_chain": attest::evidence::fuzz::certificate_chain,
    "dcap_quote": attest::evidence::dcap::fuzz::quote,
    "device_evidence": attest::device::fuzz::evidence,
    "enrolment_request": attest::enrolment::fuzz::request,
    "jumbf_store": attest::content::jumbf::fuzz::store,
    "jws_token": attest::jws::fuzz::token,
    "key_epoch_log": attest::key_epoch::fuzz::log,
    "key_text": bodies::key_text,
    "list_bucket": attest::content::list::fuzz::bucket,
    "list_manifest": attest::content::list::fuzz::manifest,
    "list_query": attest::content::list::fuzz::query,
    "live_boxes": attest::content::live::fuzz::boxes,
    "live_manifest": attest::content::live::fuzz::manifest,
    "live_segment_info": attest::content::live::fuzz::segment_info,
    "model": bodies::model,
    "nitro_document": attest::evidence::nitro::fuzz::document,
    "oblivious_configs": attest::oblivious::fuzz::configs,
    "oblivious_message": attest::oblivious::fuzz::message,
    "oblivious_request": attest::oblivious::fuzz::binary_request,
    "oblivious_response": attest::oblivious::fuzz::binary_response,
    "opaque_ke1": attest::opaque::fuzz::ke1,
    "opaque_ke3": attest::opaque::fuzz::ke3,
    "opaque_registration_request": attest::opaque::fuzz::registration_request,
    "opaque_upload": attest::opaque::fuzz::upload,
    "pdq_hash_text": attest::pdq::fuzz::hash_text,
    "pdq_picture": attest::pdq::fuzz::picture,
    "policy_file": bodies::policy_file,
    "privacy_pass_authorization": attest::privacy_pass::fuzz::authorization,
    "privacy_pass_batched_request": attest::privacy_pass::fuzz::batched_request,
    "privacy_pass_challenge": attest::privacy_pass::fuzz::challenge,
    "privacy_pass_directory": attest::privacy_pass::fuzz::directory,
    "privacy_pass_public_key": attest::privacy_pass::fuzz::public_key,
    "privacy_pass_response": attest::privacy_pass::fuzz::response,
    "privacy_pass_token": attest::privacy_pass::fuzz::token,
    "privacy_pass_token_request": attest::privacy_pass::fuzz::token_request,
    "privacy_pass_www_authenticate": attest::privacy_pass::fuzz::www_authenticate,
    "provenance_clip": attest::content::provenance::fuzz::clip,
    "provenance_fragment": attest::content::provenance::fuzz::fragment,
    "provenance_manifest": attest::content::provenance::fuzz::manifest,
    "release": bodies::release,
    "sd_jwt_jwk_set": attest::sd_jwt::fuzz::jwk_set,
    "sd_jwt_presentation": attest::sd_jwt::fuzz::presentation,
    "sd_jwt_status_list": attest::sd_jwt::fuzz::status_list,
    "sealed": attest::seal::fuzz::sealed,
    "sev_snp": attest::evidence::sev_snp::fuzz::report,
    "tpm_logs": attest::evidence::tpm::fuzz::logs,
    "tpm_quote": attest::evidence::tpm::fuzz::quote,
    "web_authn": attest::device::fuzz::web_authn,
];

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz").join(name)
}

/// The names in a folder, without what follows a dot.
fn names(folder: &Path) -> BTreeSet<String> {
    let stem = |entry: std::io::Result<fs::DirEntry>| {
        entry.expect("an entry").path().file_stem().expect("a name").to_str().expect("UTF-8").to_owned()
    };
    fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())).map(stem).collect()
}

fn corpus(target: &str) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder("corpus").join(target))
        .unwrap_or_else(|error| panic!("{target} has no corpus: {error}"))
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    files
}

/// A target without a body here, a body without a target, a corpus without either: each would go unseen.
#[test]
fn every_target_has_a_body_a_program_and_a_corpus() {
    write_seeds_if_asked();
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!(targets.len(), TARGETS.len(), "each once");
    assert_eq!(names(&folder("fuzz_targets")), targets);
    assert_eq!(names(&folder("corpus")), targets);
    let manifest: toml::Table = fs::read_to_string(folder("Cargo.toml")).unwrap().parse().unwrap();
    let programs = manifest["bin"].as_array().unwrap().iter();
    let programs: BTreeMap<_, _> = programs
        .map(|bin| (bin["name"].as_str().unwrap().to_owned(), bin["path"].as_str().unwrap().to_owned()))
        .collect();
    let paths = targets.iter().map(|name| (name.clone(), format!("fuzz_targets/{name}.rs"))).collect();
    assert_eq!(programs, paths);
    for (name, body, _) in TARGETS {
        let program = fs::read_to_string(folder(&format!("fuzz_targets/{name}.rs"))).unwrap();
        let expected = format!("#![no_main]\n\nlibfuzzer_sys::fuzz_target!(|data: &[u8]| {body}(data));\n");
        assert_eq!(program, expected, "{name} runs the body that is run here");
        assert!(!corpus(name).is_empty(), "{name} has a seed");
    }
}

#[test]
fn every_body_takes_its_corpus() {
    write_seeds_if_asked();
    for (name, _, body) in TARGETS {
        for file in corpus(name) {
            let data = fs::read(&file).unwrap();
            assert!(data.len() <= SEED_BYTES_MAX, "{}: a seed is small", file.display());
            body(&data);
            // What is not quite it, which is where parsers differ.
            body(&data[..data.len() / 2]);
            body(&[data.as_slice(), &data].concat());
            for at in (0..data.len()).step_by(data.len() / 16 + 1) {
                let mut changed = data.clone();
                changed[at] ^= 0x11;
                body(&changed);
            }
        }
        body(&[]);
    }
}

/// Once, before any test looks.
fn write_seeds_if_asked() {
    static WRITTEN: Once = Once::new();
    if std::env::var_os("SIWA_WRITE_CORPUS").is_some() {
        WRITTEN.call_once(write_seeds);
    }
}

fn write_seeds() {
    let seeds = seeds::all();
    let targets: BTreeSet<&str> = TARGETS.iter().map(|(name, ..)| *name).collect();
    assert_eq!(seeds.keys().copied().collect::<BTreeSet<_>>(), targets);
    for (target, files) in seeds {
        let folder = folder("corpus").join(target);
        fs::create_dir_all(&folder).expect("a folder in the repository");
        for (name, bytes) in files {
            fs::write(folder.join(name), bytes).expect("a file in the repository");
        }
    }
}
