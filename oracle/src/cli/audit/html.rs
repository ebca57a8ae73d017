//! The report as one HTML file: no script, nothing loaded from elsewhere, dark and light as the reader's system is.

use std::fmt::Write as _;

use aggregator::audit::{AuditReport, AuditedRelease, Share, Verdict};

use super::{RELEASES_SHOWN_MAX, Shown, plot, text};

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1a1c20;--dim:#5b616b;--line:#d8dbe0;--page:#fbfbfa;--box:#fff;--good:#1f6f43;--bad:#a4262c;\
--warn:#8a5a00;--bar:#4a6fa5}\
@media(prefers-color-scheme:dark){:root{--ink:#e6e6e3;--dim:#9aa0aa;--line:#34373d;--page:#16181b;--box:#1d2024;--good:#6fce9a;\
--bad:#ff8a80;--warn:#e5b567;--bar:#7fa3d6}}\
*{box-sizing:border-box}body{margin:0 auto;max-width:72rem;padding:2rem 1.25rem 4rem;background:var(--page);color:var(--ink);\
font:16px/1.55 system-ui,sans-serif}h1{font-size:1.6rem;margin:0 0 .25rem}h2{font-size:1.15rem;margin:2.5rem 0 .5rem}\
h3{font-size:1rem;margin:1.25rem 0 .25rem}p{max-width:48rem;margin:.5rem 0}.dim{color:var(--dim)}\
.verdict{border-left:.4rem solid;padding:.75rem 1rem;margin:1.25rem 0;background:var(--box);font-size:1.1rem}\
.holds{border-color:var(--good)}.holds b{color:var(--good)}.broken{border-color:var(--bad)}.broken b,.no{color:var(--bad)}\
.incomplete{border-color:var(--warn)}.incomplete b{color:var(--warn)}\
.wide{overflow-x:auto;background:var(--box);border:1px solid var(--line);border-radius:.4rem}\
table{border-collapse:collapse;width:100%;font-size:.88rem}th,td{padding:.4rem .7rem;text-align:left;vertical-align:top;\
border-bottom:1px solid var(--line)}tr:last-child td{border-bottom:0}th{font-weight:600;color:var(--dim);white-space:nowrap}\
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}code{font-size:.82rem;word-break:break-all}\
svg{display:block;width:100%;height:auto;max-width:40rem;margin:.5rem 0}.bar{fill:var(--bar)}\
.limit{stroke:var(--bad);stroke-width:1.5;stroke-dasharray:5 4}li{max-width:48rem;margin:.35rem 0}";

/// Text that stands for itself in HTML, in an element and in an attribute.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // Nothing that a browser would act upon or that turns the direction of what follows.
            control if control.is_control() || matches!(control, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') => {
                escaped.push('\u{fffd}');
            }
            plain => escaped.push(plain),
        }
    }
    escaped
}

/// The whole page.
pub(super) fn page(shown: &Shown) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
         <title>Audit of {}</title><style>{STYLE}</style></head><body>",
        escape(&shown.log.origin)
    );
    let report = &shown.report;
    head(shown, &mut page);
    findings(report, &mut page);
    shares(report, &mut page);
    time(report, &mut page);
    ledgers(report, &mut page);
    versions(shown, &mut page);
    releases(shown, &mut page);
    page.push_str("<h2>What this rests on</h2><ul>");
    report.rests_on.iter().for_each(|sentence| add(&mut page, &["<li>", &escape(sentence), "</li>"]));
    page.push_str("</ul></body></html>\n");
    page
}

fn add(page: &mut String, parts: &[&str]) {
    parts.iter().for_each(|part| page.push_str(part));
}

/// A table. Columns whose name begins with `#` are figures. Cells are HTML.
fn table(page: &mut String, header: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    let is_figure: Vec<bool> = header.iter().map(|name| name.starts_with('#')).collect();
    let class = |column: usize| if is_figure.get(column).is_some_and(|figure| *figure) { " class=\"n\"" } else { "" };
    page.push_str("<div class=\"wide\"><table><thead><tr>");
    for (column, name) in header.iter().enumerate() {
        add(page, &["<th", class(column), ">", &escape(name.trim_start_matches('#')), "</th>"]);
    }
    page.push_str("</tr></thead><tbody>");
    for row in rows {
        page.push_str("<tr>");
        for (column, cell) in row.iter().enumerate() {
            add(page, &["<td", class(column), ">", cell, "</td>"]);
        }
        page.push_str("</tr>");
    }
    page.push_str("</tbody></table></div>");
}

fn head(shown: &Shown, page: &mut String) {
    let (report, log) = (&shown.report, &shown.log);
    let (class, name) = match report.verdict {
        Verdict::Holds => ("holds", "Holds"),
        Verdict::Incomplete => ("incomplete", "Incomplete"),
        Verdict::Broken => ("broken", "Broken"),
    };
    let counts = &report.counts;
    // A string never fails to be written to.
    let _ = write!(
        page,
        "<h1>Audit of {}</h1><p class=\"dim\">{} leaves; newest entry {}; root <code>{}</code>, {}.</p>\
         <div class=\"verdict {class}\"><b>{name}</b>: {}.</div>\
         <p>{} releases were paid for by {} charges, of which {} were burned and {} wait for their release, in {} ledgers, \
         under {} policy versions. The log has {} model pointers and {} statements of keys.</p>",
        escape(&log.origin),
        log.size,
        text::date(report.newest_ms / 1000),
        log.root.map_or_else(text::unknown, |root| root.to_string()),
        if log.verified { "recomputed from the leaves" } else { "which the leaves do not give" },
        report.verdict.sentence(),
        counts.releases,
        counts.charges,
        report.ledgers.iter().map(|ledger| ledger.burned).sum::<u64>(),
        counts.pending,
        report.ledgers.len(),
        report.policies.len(),
        counts.models,
        counts.key_epochs,
    );
}

fn findings(report: &AuditReport, page: &mut String) {
    page.push_str("<h2>What was found</h2>");
    if report.findings_by_kind.is_empty() {
        page.push_str("<p>Nothing is wrong.</p>");
        return;
    }
    let rows = report.findings.iter().map(|finding| {
        vec![
            format!("<span class=\"no\">{}</span>", escape(finding.kind.as_str())),
            finding.leaf.map_or_else(String::new, |leaf| leaf.to_string()),
            format!("<code>{}</code>", escape(&finding.subject)),
            escape(&finding.sentence),
        ]
    });
    table(page, &["what", "#leaf", "of", "finding"], rows);
    let all: u64 = report.findings_by_kind.values().sum();
    let listed = report.findings.len() as u64;
    if all > listed {
        let _ =
            write!(page, "<p class=\"dim\">The first of each kind are listed; there are {} more.</p>", all - listed);
    }
}

fn shares(report: &AuditReport, page: &mut String) {
    page.push_str("<h2>What viewers lost</h2>");
    for share in &report.shares {
        let title = format!("{} in {}", share.tenant, share.region);
        add(page, &["<h3>", &escape(&title), "</h3>"]);
        let unit = share.unit.map_or_else(text::unknown, |unit| text::unit_name(unit).to_owned());
        let _ = write!(
            page,
            "<p class=\"dim\">Unit {}{}. {} windows, {} charges, {} releases, {} nodes. In one window at most ρ = {} of {}, \
             ε = {} (by PLD {}) at δ = {}.</p>",
            escape(&unit),
            share.caution.map_or_else(String::new, |caution| format!(": <b>{}</b>", escape(caution))),
            share.windows,
            share.charges,
            share.releases,
            share.nodes,
            text::figure(share.rho_window),
            share.rho_window_limit.map_or_else(text::unknown, text::figure),
            share.epsilon_window.map_or_else(text::unknown, text::figure),
            share.epsilon_window_pld.map_or_else(text::unknown, text::figure),
            escape(&text::delta(share.stated_delta, share.delta_window)),
        );
        page.push_str(&plot::years(share));
        table(page, &["year from", "#ρ", "#allowed", "#ε", "#ε by PLD", "#δ beside ρ"], years(share));
        let purposes =
            share.purposes.iter().map(|purpose| vec![escape(purpose.purpose.as_str()), text::figure(purpose.rho)]);
        table(page, &["purpose", "#ρ in all"], purposes);
    }
}

fn years(share: &Share) -> impl Iterator<Item = Vec<String>> + '_ {
    let bound =
        |value: Option<f64>| value.map_or_else(|| share.caution.map_or_else(text::unknown, escape), text::figure);
    share.years.iter().map(move |year| {
        vec![
            text::date(year.from_s),
            text::figure(year.rho),
            bound(year.limit),
            bound(year.epsilon),
            bound(year.epsilon_pld),
            text::figure(year.delta),
        ]
    })
}

fn time(report: &AuditReport, page: &mut String) {
    add(page, &["<h2>Releases over time</h2>", &plot::activity(&report.activity)]);
    if let Some((first, last)) = report.activity.first().zip(report.activity.last()) {
        let _ = write!(
            page,
            "<p class=\"dim\">{} to {}, by the end of the windows; a bar is {} days.</p>",
            text::date(first.day.saturating_mul(86_400)),
            text::date(last.day.saturating_mul(86_400)),
            first.days
        );
    }
}

fn ledgers(report: &AuditReport, page: &mut String) {
    page.push_str("<h2>Ledgers</h2>");
    let rows = report.ledgers.iter().map(|ledger| {
        vec![
            escape(ledger.region.as_str()),
            escape(ledger.node.as_str()),
            format!("<code>{}</code>", ledger.ledger),
            ledger.entries.to_string(),
            ledger.released.to_string(),
            ledger.burned.to_string(),
            ledger.open.to_string(),
            format!("<code>{}</code>", ledger.head),
        ]
    });
    table(page, &["region", "node", "ledger", "#entries", "#released", "#burned", "#open", "head"], rows);
}

fn versions(shown: &Shown, page: &mut String) {
    page.push_str("<h2>Policy versions</h2>");
    let rows = shown.report.policies.iter().map(|policy| {
        vec![
            policy.version.to_string(),
            text::date(policy.logged_ms / 1000),
            policy.leaf.to_string(),
            policy.releases.to_string(),
            if policy.files { "yes".to_owned() } else { "<span class=\"no\">no</span>".to_owned() },
            format!("<code>{}</code>", policy.digest),
        ]
    });
    table(page, &["#version", "logged", "#leaf", "#releases under its files", "files at hand", "digest"], rows);
    page.push_str("<ul>");
    shown.policy_sources.iter().for_each(|source| add(page, &["<li><code>", &escape(source), "</code></li>"]));
    page.push_str("</ul>");
}

fn releases(shown: &Shown, page: &mut String) {
    page.push_str("<h2>Releases</h2>");
    let left_out = shown.report.counts.releases.saturating_sub(shown.newest.len() as u64);
    if left_out > 0 {
        let _ = write!(
            page,
            "<p class=\"dim\">The newest {RELEASES_SHOWN_MAX}; {left_out} earlier ones are in the sums above, and are listed \
             by <code>siwa audit --releases</code>.</p>"
        );
    }
    let header = ["#leaf", "release", "unit", "purpose", "#ρ", "#δ", "parts: Δ, ρ", "policy", "found"];
    table(page, &header, shown.newest.iter().rev().map(row));
}

fn row(release: &AuditedRelease) -> Vec<String> {
    let logged = &release.logged;
    let parts: Vec<String> = logged
        .segments
        .iter()
        .map(|part| {
            let (kind, rho) = (escape(&part.kind), text::picos(part.rho_picos));
            format!("{kind}: {} ÷ {}, {rho}", part.sensitivity, part.scale)
        })
        .collect();
    let found = match release.findings {
        0 => "nothing".to_owned(),
        count => format!("<span class=\"no\">{count}</span>"),
    };
    vec![
        release.index.to_string(),
        format!("<code>{}</code>", escape(&logged.id().to_string())),
        text::unit_name(logged.unit.kind).to_owned(),
        escape(logged.purpose.as_str()),
        text::picos(logged.rho_picos),
        text::attos(logged.delta_attos),
        parts.join("<br>"),
        escape(&text::version(release)),
        found,
    ]
}
