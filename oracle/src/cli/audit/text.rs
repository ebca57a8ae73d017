//! The report for people at a terminal, and releases a line each.

use std::io::{self, Write};
use std::time::{Duration, UNIX_EPOCH};

use aggregator::audit::{AuditReport, AuditedRelease, Share, Verdict};
use comfy_table::Table;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use policies::{Delta, PrivacyUnit, Rho};
use serde_json::json;

use super::Shown;

/// The first second that has no date of four digits.
const DATED_MAX_S: u64 = 253_402_300_800;
/// Years of a share that are listed, the newest.
const YEARS_MAX: usize = 8;
/// Policy versions that are listed, the newest.
const VERSIONS_MAX: usize = 20;

pub(super) fn write(shown: &Shown, out: &mut impl Write) -> io::Result<()> {
    let Shown { log, policy_sources, report, .. } = shown;
    writeln!(out, "log {}: {} leaves", log.origin, log.size)?;
    if let Some(root) = log.root {
        writeln!(
            out,
            "root {root}, {}",
            if log.verified { "recomputed from the leaves" } else { "NOT what the leaves give" }
        )?;
    }
    let counts = &report.counts;
    writeln!(
        out,
        "{} releases, {} charges ({} burned, {} pending), {} ledgers, {} policy versions, newest entry {}\n",
        counts.releases,
        counts.charges,
        report.ledgers.iter().map(|ledger| ledger.burned).sum::<u64>(),
        counts.pending,
        report.ledgers.len(),
        report.policies.len(),
        date(report.newest_ms / 1000)
    )?;
    writeln!(out, "{}\n", shares(report))?;
    writeln!(out, "{}\n", years(report))?;
    writeln!(out, "{}\n", ledgers(report))?;
    writeln!(out, "{}", versions(report))?;
    for source in policy_sources {
        writeln!(out, "  {source}")?;
    }
    findings(report, out)?;
    writeln!(out, "\nWhat this rests on")?;
    for sentence in report.rests_on {
        writeln!(out, "  - {sentence}")?;
    }
    let name = match report.verdict {
        Verdict::Holds => "HOLDS",
        Verdict::Incomplete => "INCOMPLETE",
        Verdict::Broken => "BROKEN",
    };
    writeln!(out, "\nverdict: {name}: {}", report.verdict.sentence())
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_HORIZONTAL_ONLY);
    table.set_header(header);
    table
}

fn shares(report: &AuditReport) -> Table {
    let header = [
        "tenant",
        "region",
        "unit",
        "windows",
        "releases",
        "ρ a window, most",
        "allowed",
        "ε a window",
        "by PLD",
        "δ",
        "ρ by purpose",
    ];
    let mut table = table(&header);
    for share in &report.shares {
        let purposes: Vec<String> =
            share.purposes.iter().map(|purpose| format!("{} {}", purpose.purpose, figure(purpose.rho))).collect();
        table.add_row([
            share.tenant.to_string(),
            share.region.to_string(),
            unit(share),
            share.windows.to_string(),
            share.releases.to_string(),
            figure(share.rho_window),
            share.rho_window_limit.map_or_else(unknown, figure),
            share.epsilon_window.map_or_else(unknown, figure),
            share.epsilon_window_pld.map_or_else(unknown, figure),
            delta(share.stated_delta, share.delta_window),
            purposes.join("\n"),
        ]);
    }
    table
}

fn years(report: &AuditReport) -> Table {
    let mut table = table(&["tenant", "region", "year from", "ρ", "allowed", "ε a year", "by PLD"]);
    for share in &report.shares {
        for year in share.years.iter().rev().take(YEARS_MAX).rev() {
            let bound =
                |value: Option<f64>| value.map_or_else(|| share.caution.map_or_else(unknown, str::to_owned), figure);
            table.add_row([
                share.tenant.to_string(),
                share.region.to_string(),
                date(year.from_s),
                figure(year.rho),
                bound(year.limit),
                bound(year.epsilon),
                bound(year.epsilon_pld),
            ]);
        }
    }
    table
}

fn ledgers(report: &AuditReport) -> Table {
    let mut table = table(&["region", "node", "ledger", "entries", "released", "burned", "open", "head"]);
    for ledger in &report.ledgers {
        table.add_row([
            ledger.region.to_string(),
            ledger.node.to_string(),
            ledger.ledger.to_string(),
            ledger.entries.to_string(),
            ledger.released.to_string(),
            ledger.burned.to_string(),
            ledger.open.to_string(),
            ledger.head.to_string(),
        ]);
    }
    table
}

fn versions(report: &AuditReport) -> Table {
    let mut table = table(&["policy version", "logged", "leaf", "releases under its files", "files at hand", "digest"]);
    let left_out = report.policies.len().saturating_sub(VERSIONS_MAX);
    for policy in &report.policies[left_out..] {
        table.add_row([
            policy.version.to_string(),
            date(policy.logged_ms / 1000),
            policy.leaf.to_string(),
            policy.releases.to_string(),
            if policy.files { "yes" } else { "NO" }.to_owned(),
            policy.digest.to_string(),
        ]);
    }
    table
}

fn findings(report: &AuditReport, out: &mut impl Write) -> io::Result<()> {
    if report.findings_by_kind.is_empty() {
        return writeln!(out, "\nNothing was found wrong.");
    }
    writeln!(out, "\nFound")?;
    for (kind, count) in &report.findings_by_kind {
        writeln!(out, "  {} ({count})", kind.as_str())?;
        let of_kind = report.findings.iter().filter(|finding| finding.kind == *kind);
        let mut listed = 0;
        for finding in of_kind {
            let leaf = finding.leaf.map_or_else(String::new, |leaf| format!("leaf {leaf}: "));
            writeln!(out, "    {leaf}{} {}", finding.subject, finding.sentence)?;
            listed += 1;
        }
        if *count > listed {
            writeln!(out, "    and {} more", count - listed)?;
        }
    }
    Ok(())
}

/// One release in a line.
pub(super) fn release(release: &AuditedRelease, out: &mut impl Write) -> io::Result<()> {
    let logged = &release.logged;
    let parts: Vec<String> = logged
        .segments
        .iter()
        .map(|part| {
            format!("{} Δ {}/{} ρ {}", part.kind.escape_debug(), part.sensitivity, part.scale, picos(part.rho_picos))
        })
        .collect();
    writeln!(
        out,
        "{} {} {} {} ρ {} δ {} [{}] {} {}",
        release.index,
        logged.id(),
        unit_name(logged.unit.kind),
        logged.purpose,
        picos(logged.rho_picos),
        attos(logged.delta_attos),
        parts.join(", "),
        version(release),
        if release.findings == 0 { "ok".to_owned() } else { format!("{} FOUND", release.findings) }
    )
}

/// One release as one JSON object in a line.
pub(super) fn release_json(release: &AuditedRelease, out: &mut impl Write) -> io::Result<()> {
    let line = json!({
        "leaf": release.index,
        "from_s": release.span.map(|span| span.from_s),
        "until_s": release.span.map(|span| span.until_s),
        "policy_version": release.policy_version,
        "findings": release.findings,
        "release": release.logged,
    });
    writeln!(out, "{line}")
}

/// The policy version that a release was made under.
pub(super) fn version(release: &AuditedRelease) -> String {
    release.policy_version.map_or_else(|| "policy never logged".to_owned(), |version| format!("policy {version}"))
}

pub(super) const fn unit_name(unit: PrivacyUnit) -> &'static str {
    match unit {
        PrivacyUnit::ViewerWindow => "viewer-window",
        PrivacyUnit::Session => "session",
    }
}

fn unit(share: &Share) -> String {
    let Some(unit) = share.unit else { return unknown() };
    let name = unit_name(unit);
    share.caution.map_or_else(|| name.to_owned(), |caution| format!("{name}: {caution}"))
}

pub(super) fn unknown() -> String {
    "unknown".to_owned()
}

/// A figure to four significant digits.
pub(super) fn figure(value: f64) -> String {
    if value == 0.0 || (0.001..1e6).contains(&value) {
        let decimals = if value < 1.0 { 6 } else { 3 };
        return format!("{value:.decimals$}");
    }
    format!("{value:.3e}")
}

pub(super) fn picos(picos: u64) -> String {
    Rho::from_picos(picos).map_or_else(|_| "beyond all bounds".to_owned(), |rho| rho.to_string())
}

pub(super) fn attos(attos: u64) -> String {
    Delta::from_attos(attos).map_or_else(|_| "beyond 1".to_owned(), |delta| delta.to_string())
}

/// δ at which ε is stated, and what is spent beside it.
pub(super) fn delta(stated: Option<f64>, spent: f64) -> String {
    let stated = stated.map_or_else(unknown, |delta| format!("{delta:e}"));
    if spent == 0.0 { stated } else { format!("{stated} + {spent:.2e}") }
}

/// A day of Unix seconds.
pub(super) fn date(unix_s: u64) -> String {
    if unix_s >= DATED_MAX_S {
        return format!("second {unix_s}");
    }
    // Sun, 06 Nov 1994 08:49:37 GMT
    let text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(unix_s));
    text.get(5..16).unwrap_or(&text).to_owned()
}
