//! `siwa policy test` and `siwa policy coverage`: test cases beside policies.

use std::io::Write;

use policies::PolicySet;
use policies::cases::{Covered, Report, check};
use serde_json::json;

use super::{FOUND, Folder, Stop};
use crate::policy_folder;

/// Holds a folder's policies against its cases.
pub(super) fn report(folder: &Folder, policies: &PolicySet) -> Result<Report, Stop> {
    let cases = policy_folder::read_cases(&folder.root).map_err(|error| Stop::Usage(error.into()))?;
    Ok(check(policies, &cases))
}

pub(super) fn test(folder: &Folder, json: bool, out: &mut impl Write) -> Result<u8, Stop> {
    let report = report(folder, &folder.parse()?)?;
    let (cases, expectations) = (report.cases, report.expectations);
    let findings = folder.located(report.findings);
    if json {
        let told = json!({ "cases": cases, "expectations": expectations, "findings": findings });
        writeln!(out, "{told}")?;
    } else {
        for finding in &findings {
            writeln!(out, "{finding}")?;
        }
        writeln!(out, "{cases} cases, {expectations} expectations, {} findings", findings.len())?;
    }
    Ok(if findings.is_empty() { 0 } else { FOUND })
}

pub(super) fn coverage(folder: &Folder, min: u8, json: bool, out: &mut impl Write) -> Result<u8, Stop> {
    let report = report(folder, &folder.parse()?)?;
    let percent = report.percent();
    if json {
        let told = json!({ "percent": percent, "decisions": report.decisions });
        writeln!(out, "{told}")?;
    } else {
        let width = report.decisions.iter().map(|of| of.decision.to_string().chars().count()).max().unwrap_or(0);
        for Covered { decision, refused, covered } in &report.decisions {
            let mark = if *covered { "covered" } else { "MISSING" };
            let kind = refused.map_or_else(String::new, |reason| format!("refused: {reason}"));
            let line = format!("{mark}  {:width$}  {kind}", decision.to_string());
            writeln!(out, "{}", line.trim_end())?;
        }
        let covered = report.decisions.iter().filter(|of| of.covered).count();
        writeln!(out, "{covered} of {} decisions are covered: {percent} %", report.decisions.len())?;
    }
    let failed = percent < usize::from(min) || !report.findings.is_empty();
    Ok(if failed { FOUND } else { 0 })
}
