//! `siwa policy`: check, explain, compare, name, test and sign policy files.

mod bundle;
mod cases;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use policies::diff::{Change, diff};
use policies::explain::explanation;
use policies::{Finding, PolicySet, RegionId, Severity};
use serde_json::json;

use crate::policy_folder;

/// Check, explain, compare, name, test and sign policy files.
///
/// A policy folder has `regions/NAME.toml`, `purposes/NAME.toml`, `access.toml`, `issuers.toml`,
/// `issuers/NAME.jwks.json`, `attestation.toml`, `anchors/NAME.pem` and `content.toml`. Policies say which signals a region
/// takes, what leaves it with how much noise, what that may cost in ρ and ε, who may use it, who may vouch for viewers, what
/// nodes and devices must prove, and whom to believe about content. PATH is such a folder, or a file in it. Beside them stand
/// test cases, `cases/NAME.toml`, and the signed note of the bundle, `bundle.note`; neither is part of what the digest names.
///
/// Exit codes: 0 fine, 1 the files have errors, 2 the arguments or the path are wrong.
#[derive(Debug, Args)]
pub(crate) struct PolicyCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Check every file: structure, arithmetic of budgets and claims, contradictions.
    ///
    /// Prints every finding with its file, line and column. Warnings alone are no failure.
    #[command(after_help = "Example:\n  siwa policy lint policies")]
    Lint {
        /// A policy folder, or a file in it.
        path: PathBuf,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Say in plain language what a region does: who is protected, what leaves it, how noisy, at which ε, and what nodes
    /// and devices must prove.
    #[command(after_help = "Examples:\n  siwa policy explain policies/regions/eu-west.toml\n  siwa policy explain \
                            policies --region us-east")]
    Explain {
        /// A region's file, or a policy folder.
        path: PathBuf,
        /// The region to explain; otherwise the file's region, or all.
        #[arg(long, value_name = "NAME")]
        region: Option<RegionId>,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Compare what two folders decide. Comments, order and notation are no decisions.
    #[command(after_help = "Example: what a branch changes for the people who are protected:\n  git worktree add \
                            ../before main\n  siwa policy diff ../before/policies policies")]
    Diff {
        /// The folder in force.
        old: PathBuf,
        /// The folder proposed.
        new: PathBuf,
        /// End with code 1 if a decision differs.
        #[arg(long)]
        exit_code: bool,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Print the digest that names exactly these files in answers, releases and evidence.
    #[command(after_help = "Example: is this the policy that a node enforces?\n  siwa policy digest policies")]
    Digest {
        /// A policy folder, or a file in it.
        path: PathBuf,
        /// Print one JSON object, with the manifest that the digest is of.
        #[arg(long)]
        json: bool,
    },
    /// Hold the policies against the cases beside them: `cases/*.toml`.
    ///
    /// Each case is answered by what nodes decide by. What is not as expected is printed with its file, line and column.
    #[command(after_help = "Example:\n  siwa policy test policies")]
    Test {
        /// A policy folder, or a file in it.
        path: PathBuf,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Print every decision of the policies, allowed or refused, and whether a case covers it.
    #[command(after_help = "Example: for a check before a merge:\n  siwa policy coverage policies --min 100")]
    Coverage {
        /// A policy folder, or a file in it.
        path: PathBuf,
        /// End with code 1 below so many percent.
        #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100))]
        min: u8,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Sign the policies of a folder as a version: adds a signature to `bundle.note`, or begins the next version.
    ///
    /// Signs nothing that has errors or fails its cases. Prints the signer's public key, as configs (`policy_keys`) take it.
    #[command(
        after_help = "Examples:\n  siwa policy sign policies --key alice.pem --name alice\n\n  The next version                             needs two of three:\n  siwa policy sign policies --key alice.pem --name alice                             --next-key alice+… --next-key bob+… --next-key carol+… --threshold 2"
    )]
    Sign(bundle::Sign),
    /// Verify the bundle in a folder: signatures, files, and what the note says of them.
    #[command(after_help = "Example:\n  siwa policy verify policies --key alice+12345678+…")]
    Verify(bundle::Verify),
}

/// Why there is no result.
#[derive(Debug)]
enum Stop {
    /// The path is wrong: code 2.
    Usage(anyhow::Error),
    /// The files have errors: code 1.
    Findings(Vec<Finding>),
    /// The output could not be written.
    Output(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Output(error.into())
    }
}

/// Code 1, as `diff --exit-code` and findings give it.
const FOUND: u8 = 1;
/// Code 2, as clap gives it too.
const USAGE: u8 = 2;

impl PolicyCommand {
    /// Does what was asked.
    ///
    /// # Errors
    /// When standard output or standard error cannot be written.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let mut errors = std::io::stderr().lock();
        match self.act(&mut std::io::stdout().lock()) {
            Ok(code) => Ok(ExitCode::from(code)),
            Err(Stop::Output(error)) => Err(error),
            Err(Stop::Usage(error)) => {
                writeln!(errors, "siwa: {error:#}")?;
                Ok(ExitCode::from(USAGE))
            }
            Err(Stop::Findings(findings)) => {
                for finding in findings {
                    writeln!(errors, "{finding}")?;
                }
                Ok(ExitCode::from(FOUND))
            }
        }
    }

    fn act(&self, out: &mut impl Write) -> Result<u8, Stop> {
        match &self.action {
            Action::Lint { path, json } => lint(&Folder::of(path)?, *json, out),
            Action::Test { path, json } => cases::test(&Folder::of(path)?, *json, out),
            Action::Coverage { path, min, json } => cases::coverage(&Folder::of(path)?, *min, *json, out),
            Action::Sign(sign) => sign.run(out),
            Action::Verify(verify) => verify.run(out),
            Action::Explain { path, region, json } => explain(&Folder::of(path)?, region.as_ref(), *json, out),
            Action::Diff { old, new, exit_code, json } => {
                let changes = diff(&Folder::of(old)?.parse()?, &Folder::of(new)?.parse()?);
                write_changes(&changes, *json, out)?;
                Ok(if *exit_code && !changes.is_empty() { FOUND } else { 0 })
            }
            Action::Digest { path, json } => {
                let folder = Folder::of(path)?;
                let digest = folder.parse()?.digest();
                if *json {
                    let manifest = policies::set::manifest(&folder.files);
                    writeln!(out, "{}", json!({ "digest": digest, "manifest": manifest }))?;
                } else {
                    writeln!(out, "{digest}")?;
                }
                Ok(0)
            }
        }
    }
}

/// A policy folder and the part of it that a path names.
struct Folder {
    root: PathBuf,
    files: std::collections::BTreeMap<String, Vec<u8>>,
    /// The region whose file was named.
    region: Option<String>,
}

impl Folder {
    fn of(path: &Path) -> Result<Self, Stop> {
        let usage = |message: &str| Stop::Usage(anyhow::anyhow!("{} {message}", path.display()));
        let (root, region) = if path.is_dir() {
            (path.to_owned(), None)
        } else if path.is_file() {
            // From inside a folder of the tree, only the absolute path names the tree.
            let absolute = std::path::absolute(path).map_err(|error| Stop::Usage(error.into()))?;
            let found = root_of(path).or_else(|| root_of(&absolute));
            found.ok_or_else(|| usage("is no file of a policy folder: those are `regions/NAME.toml`, `purposes/NAME.toml`, `access.toml`, `issuers.toml`, `issuers/NAME.jwks.json`, `attestation.toml`, `anchors/NAME.pem` and `content.toml`"))?
        } else {
            return Err(usage("does not exist"));
        };
        let files = policy_folder::read(&root).map_err(|error| Stop::Usage(error.into()))?;
        Ok(Self { root, files, region })
    }

    fn parse(&self) -> Result<PolicySet, Stop> {
        PolicySet::parse(&self.files).map_err(|findings| Stop::Findings(self.located(findings)))
    }

    /// Findings with paths that an editor can open from here.
    fn located(&self, mut findings: Vec<Finding>) -> Vec<Finding> {
        for finding in &mut findings {
            finding.file = self.root.join(&finding.file).display().to_string();
        }
        findings
    }
}

/// The policy folder of one of its files, and the region that the file describes.
fn root_of(file: &Path) -> Option<(PathBuf, Option<String>)> {
    let parts: Vec<_> = file.iter().rev().take(2).filter_map(|part| part.to_str()).collect();
    let (root, region) = match parts.as_slice() {
        [file_name, "regions"] => (file.ancestors().nth(2)?, file_name.strip_suffix(".toml")),
        [_, "purposes" | "issuers" | "anchors"] => (file.ancestors().nth(2)?, None),
        ["access.toml" | "issuers.toml" | "attestation.toml" | "content.toml", ..] => (file.parent()?, None),
        _ => return None,
    };
    let root = if root.as_os_str().is_empty() { Path::new(".") } else { root };
    Some((root.to_owned(), region.map(str::to_owned)))
}

fn lint(folder: &Folder, json: bool, out: &mut impl Write) -> Result<u8, Stop> {
    let parsed = PolicySet::parse(&folder.files);
    let digest = parsed.as_ref().ok().map(PolicySet::digest);
    let findings = folder.located(parsed.map_or_else(|findings| findings, |set| set.warnings().to_vec()));
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    let warnings = findings.len() - errors;
    let files = folder.files.len();
    if json {
        let report = json!({
            "files": files, "errors": errors, "warnings": warnings, "digest": digest, "findings": findings,
        });
        writeln!(out, "{report}")?;
    } else {
        for finding in &findings {
            writeln!(out, "{finding}")?;
        }
        let plural = |count: usize, name| format!("{count} {name}{}", if count == 1 { "" } else { "s" });
        writeln!(out, "{}, {}, {}", plural(files, "file"), plural(errors, "error"), plural(warnings, "warning"))?;
    }
    Ok(if errors == 0 { 0 } else { FOUND })
}

fn explain(folder: &Folder, region: Option<&RegionId>, json: bool, out: &mut impl Write) -> Result<u8, Stop> {
    let set = folder.parse()?;
    let named = region.map(RegionId::as_str).or(folder.region.as_deref());
    let chosen: Vec<_> = set
        .regions()
        .values()
        .filter(|policy| named.is_none_or(|named| policy.region.as_str() == named))
        .map(|policy| explanation(policy, &set))
        .collect();
    if chosen.is_empty() {
        let known: Vec<_> = set.regions().keys().map(RegionId::as_str).collect();
        return Err(Stop::Usage(anyhow::anyhow!("there is no such region; there are {}", known.join(", "))));
    }
    if json {
        writeln!(out, "{}", json!({ "policy": set.digest(), "regions": chosen }))?;
    } else {
        let texts: Vec<_> = chosen.iter().map(ToString::to_string).collect();
        write!(out, "{}", texts.join("\n\n"))?;
    }
    Ok(0)
}

fn write_changes(changes: &[Change], json: bool, out: &mut impl Write) -> Result<(), Stop> {
    if json {
        writeln!(out, "{}", json!({ "changes": changes }))?;
    } else if changes.is_empty() {
        writeln!(out, "Both decide the same.")?;
    } else {
        for change in changes {
            writeln!(out, "{change}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
