//! Lists for demos and measurements: as the operator's commands make them, of clips that are made up.

use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::path::Path;

use anyhow::Context as _;
use attest::seal::OperatorKey;
use policies::{ContentRule, TenantId};
use rand_core::{OsRng, TryRngCore as _};

use super::ListFolder;
use super::build::{Build, CHUNK_LINES, Format};

/// Clips of a sample list: `clip-0`, `clip-10` and so on.
const SAMPLE_LINES: u32 = 1000;
/// A year, since a demo's weeks last seconds.
const SECONDS: u64 = 365 * 86_400;

/// Makes and builds every list of a tenant that the policy names.
pub(crate) fn make(
    root: &Path,
    rule: &ContentRule,
    tenant: &TenantId,
    operator: &OperatorKey,
    now_s: u64,
) -> anyhow::Result<()> {
    std::fs::create_dir_all(root)?;
    let mut rng = OsRng.unwrap_err();
    let input = root.join("clips");
    let lines = (0..SAMPLE_LINES).try_fold(String::new(), |mut text, number| {
        writeln!(text, "clip-{}", number * 10)?;
        Ok::<_, std::fmt::Error>(text)
    })?;
    std::fs::write(&input, lines)?;
    for rule in rule.lists.iter().filter(|rule| rule.tenant == *tenant) {
        let names = (tenant.clone(), rule.list.parse()?, rule.meaning);
        // It is built once, and nobody signs for it again.
        let keys = tempfile::tempdir()?;
        let key = keys.path().join("list.pem");
        let folder = ListFolder::initialise(root, names, &key, &mut rng)?;
        let build = Build {
            folder: &folder,
            operator,
            signer: &folder.signing_key(&key)?,
            input: &input,
            format: Format::Text,
            threads: 1,
            chunk_lines: CHUNK_LINES,
            seconds: SECONDS,
            restart: false,
            now_s,
        };
        build.run(&mut rng, &mut |_| ControlFlow::Continue(())).context("a sample list could not be built")?;
    }
    Ok(())
}
