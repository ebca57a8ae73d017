//! What the demo's nodes prove: one by a TPM in software, where there is one, the others by their own word.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _};

use anyhow::Context as _;
use policies::rules::Status;
use policies::{Digest, PolicySet, RegionId};
use rand_core::{OsRng, TryRngCore as _};
use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use serde::Serialize;

use super::emulator::Emulator;
use crate::attester::tpm::{TpmAttester, TpmOptions};
use crate::attester::{AttestationOptions, EvidenceChoice};
use crate::client::ClientOptions;
use crate::cluster::Cluster;
use crate::node_check::{Checked, Reviewed, check};

const PROFILE: &str = "demo-swtpm";
/// The register that the kernel's log of programs leads to.
const PROGRAMS: u8 = 10;

/// Policies, and how nodes attest under them. The emulator ends with it.
pub(super) struct Prepared {
    pub(super) policies: PolicySet,
    pub(super) attestation: BTreeMap<RegionId, AttestationOptions>,
    note: String,
    _emulator: Option<Emulator>,
}

/// The sample policies, with a TPM for the node of `region` where swtpm is installed.
pub(super) async fn prepare(region: &RegionId) -> anyhow::Result<Prepared> {
    let mut files = policies::sample::files();
    let started = tokio::task::spawn_blocking(Emulator::start).await.context("the start of swtpm was cut off")?;
    let (emulator, attestation, note) = match started {
        Err(missing) => {
            let note = format!("No TPM ({missing}): every node attests by its own word, behind which nothing stands.");
            (None, BTreeMap::new(), note)
        }
        Ok(emulator) => {
            let options = measured(&emulator, region, &mut files).await.context("the emulated TPM")?;
            let note = format!(
                "The TPM of {region} is an emulator that the demo started: the demo certified it, wrote its log of \
                 programs, and wrote the reference values into its copy of the policies. It shows the way of evidence, \
                 and proves nothing."
            );
            (Some(emulator), BTreeMap::from([(region.clone(), options)]), note)
        }
    };
    let policies = PolicySet::parse(&files)
        .map_err(|findings| anyhow::anyhow!("the sample policies are refused: {} findings", findings.len()))?;
    Ok(Prepared { policies, attestation, note, _emulator: emulator })
}

/// Plays kernel and operator: measures this program into the emulator, and writes the policy's profile of that.
async fn measured(
    emulator: &Emulator,
    region: &RegionId,
    files: &mut BTreeMap<String, Vec<u8>>,
) -> anyhow::Result<AttestationOptions> {
    let program = tokio::task::spawn_blocking(own_digest).await?.context("this program cannot be read")?;
    let (entry, extension) = measurement(program, "siwa");
    let log = emulator.file("ima.log");
    tokio::fs::write(&log, entry).await?;
    let options = TpmOptions { tcti: emulator.tcti(), ima_log: Some(log), ..TpmOptions::default() };
    let tpm = TpmAttester::open(options.clone()).await?;
    tpm.extend(PROGRAMS, extension).await?;
    let boot = tpm.registers().await?.first().copied().context("it has no registers")?;
    files.insert(format!("anchors/{PROFILE}.pem"), emulator.issuer()?);
    let profile = format!(
        "\n[[tpm]]\nname = \"{PROFILE}\"\nanchors = [\"anchors/{PROFILE}.pem\"]\npcrs = {{ 0 = [\"{boot}\"] }}\n\
         programs = [\"{program}\"]\n"
    );
    files.get_mut("attestation.toml").context("no profiles")?.extend(profile.into_bytes());
    let rules = files.get_mut(&format!("regions/{region}.toml")).context("no such region")?;
    let text = String::from_utf8(std::mem::take(rules))?;
    let (accepted, with) = ("profiles = [", format!("profiles = [\"{PROFILE}\", "));
    anyhow::ensure!(text.contains(accepted), "the region names no profiles");
    *rules = text.replacen(accepted, &with, 1).into_bytes();
    Ok(AttestationOptions { evidence: EvidenceChoice::Tpm, tpm: Some(options), ..AttestationOptions::default() })
}

/// SHA-256 of the program that runs.
fn own_digest() -> io::Result<Digest> {
    let (mut file, mut context, mut part) =
        (File::open(std::env::current_exe()?)?, Context::new(&SHA256), vec![0; 1 << 16]);
    loop {
        let read = file.read(&mut part)?;
        if read == 0 {
            break;
        }
        context.update(&part[..read]);
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    Ok(Digest::from_bytes(digest))
}

/// An entry of the kernel's log (template `ima-ng`) about a file, and what register 10 is extended by.
fn measurement(file: Digest, name: &str) -> (Vec<u8>, Digest) {
    let sized = |bytes: &[u8]| {
        let length = u32::try_from(bytes.len()).expect("names and digests are short");
        [&length.to_le_bytes()[..], bytes].concat()
    };
    let of_file = [b"sha256:\0", &file.as_bytes()[..]].concat();
    let data = [sized(&of_file), sized(&[name.as_bytes(), &[0]].concat())].concat();
    let template = digest(&SHA1_FOR_LEGACY_USE_ONLY, &data);
    let number = u32::from(PROGRAMS).to_le_bytes();
    let entry = [&number[..], template.as_ref(), &sized(b"ima-ng"), &sized(&data)].concat();
    (entry, Digest::of(&data))
}

/// What `siwa verify-node` says of every node.
#[derive(Serialize)]
pub(super) struct AttestationShown {
    nodes: Vec<NodeShown>,
    note: String,
}

#[derive(Serialize)]
struct NodeShown {
    #[serde(flatten)]
    checked: Checked,
    /// Sentences that keep it from being affirmed.
    reasons: Vec<String>,
}

/// Asks every node over its socket, and holds it against the policies.
pub(super) async fn show(cluster: &Cluster, prepared: &Prepared) -> anyhow::Result<AttestationShown> {
    let enrolled_by = [cluster.enrolled_by()];
    let mut nodes = Vec::new();
    for (url, node) in cluster.node_urls().into_iter().zip(cluster.nodes()) {
        let key = node.node_key.verifying_key();
        let reviewed = Reviewed {
            policies: &prepared.policies,
            reference: None,
            region: &node.region,
            node: Some(&node.name),
            log_key: None,
            node_key: Some(&key),
            enrolled_by: &enrolled_by,
        };
        let options = ClientOptions::new(url, cluster.roots());
        let checked = check(options, &reviewed, cluster.clock().now_ms(), &mut OsRng.unwrap_err()).await?;
        let failing = checked.claims.iter().filter(|claim| claim.status != Status::Affirming);
        let reasons = failing.map(|claim| claim.sentence.clone()).collect();
        nodes.push(NodeShown { checked, reasons });
    }
    Ok(AttestationShown { nodes, note: prepared.note.clone() })
}

impl AttestationShown {
    /// A row for each node, for people.
    pub(super) fn table(&self) -> anyhow::Result<String> {
        let mut table = comfy_table::Table::new();
        table.load_preset(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
        table.set_header(["node", "evidence", "tier", "status", "profile", "verify-node"]);
        for NodeShown { checked, .. } in &self.nodes {
            table.add_row([
                checked.node.as_str(),
                &checked.evidence,
                &word(checked.tier)?,
                &word(checked.status)?,
                checked.profile.as_deref().unwrap_or("none"),
                if checked.yes { "yes" } else { "no" },
            ]);
        }
        let mut text = table.to_string();
        for NodeShown { checked, reasons } in self.nodes.iter().filter(|node| !node.reasons.is_empty()) {
            write!(text, "\n{}: {}", checked.node, reasons.join(" "))?;
        }
        writeln!(text, "\n{}", self.note)?;
        Ok(text)
    }
}

/// A value's word, as it stands in JSON.
fn word(value: impl Serialize) -> anyhow::Result<String> {
    Ok(serde_json::to_value(value)?.as_str().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::NoiseMode;
    use attest::evidence::tpm::ima_log_until;

    #[test]
    fn the_log_leads_to_the_register() {
        let (entry, extension) = measurement(Digest::of(b"program"), "siwa");
        let register = Digest::of_parts(&[&[0; 32], extension.as_bytes()]);
        assert_eq!(ima_log_until(&entry, register).ok(), Some(&entry[..]));
        let (other, _) = measurement(Digest::of(b"another"), "siwa");
        assert!(ima_log_until(&other, register).is_err());
    }

    /// Of the one node: evidence, tier, status, profile, and yes or no.
    async fn shown(cluster: &Cluster, prepared: &Prepared) -> (String, String, String, String, bool) {
        let Checked { evidence, tier, status, profile, yes, .. } =
            show(cluster, prepared).await.unwrap().nodes.swap_remove(0).checked;
        (evidence, word(tier).unwrap(), word(status).unwrap(), profile.unwrap_or_default(), yes)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_first_node_attests_by_a_tpm_and_is_enrolled_again_in_time() {
        use std::io::Write as _;
        let region: RegionId = "eu-west".parse().unwrap();
        let prepared = prepare(&region).await.unwrap();
        if prepared.attestation.is_empty() {
            let test = "the_first_node_attests_by_a_tpm_and_is_enrolled_again_in_time";
            writeln!(io::stderr(), "\nSKIPPED: {test}: {}", prepared.note).unwrap();
            return;
        }
        let options = crate::cluster::ClusterOptions {
            regions: vec![region],
            policies: prepared.policies.clone(),
            tenant: "demo-platform".parse().unwrap(),
            noise: NoiseMode::Calibrated,
            seed: None,
            identity: false,
            attestation: prepared.attestation.clone(),
        };
        let cluster = Cluster::start(options).await.unwrap();
        let texts = ["tpm", "development", "affirming", PROFILE].map(str::to_owned);
        let [evidence, tier, status, profile] = texts;
        let expected = (evidence, tier, status, profile, true);
        assert_eq!(shown(&cluster, &prepared).await, expected);
        // A statement lives for thirty days.
        cluster.clock().advance(31 * 86_400_000);
        assert!(!shown(&cluster, &prepared).await.4, "nobody vouches for the key any longer");
        cluster.nodes()[0].pull().await;
        assert_eq!(shown(&cluster, &prepared).await, expected);
        cluster.stop().await;
    }
}
