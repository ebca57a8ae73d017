use clap::CommandFactory as _;

use super::*;
use crate::cli::Arguments as Program;

#[test]
fn help_teaches() {
    let mut program = Program::command().term_width(100);
    program.build();
    let bench = program.find_subcommand_mut("bench").unwrap().find_subcommand_mut("identity").unwrap();
    insta::assert_snapshot!(bench.render_long_help());
}

/// Every protocol runs, and its figures fit together. How fast it is, a test build does not say.
#[tokio::test]
async fn every_protocol_is_measured() {
    let bench = IdentityBench { connections: 2, seconds: 1, only: None, json: false };
    let wanted = [Protocol::value_variants(), &Protocol::OF_LISTS].concat();
    let report = bench.measure(&wanted, Duration::from_millis(200)).await.unwrap();
    let measured: Vec<Protocol> = report.protocols.iter().map(|row| row.protocol).collect();
    assert_eq!(measured, wanted);
    for row in &report.protocols {
        let parts_us = row.serving_us + row.signing_us + row.storing_us;
        assert!((row.https_per_core * parts_us / 1e6 - 1.0).abs() < 1e-6, "{row:?}");
        assert!((row.share * row.primitive_per_core / row.https_per_core - 1.0).abs() < 1e-6, "{row:?}");
        assert_eq!(row.reached, row.share >= row.target);
    }
}

#[test]
fn a_table_says_what_was_missed() {
    let used = NodeTime { serving: Duration::from_secs(1), storing: Duration::from_secs(1), ..NodeTime::default() };
    let run = Measured {
        requests: 1000,
        seconds: 1.0,
        requests_per_second: 1000.0,
        p50_us: 1,
        p99_us: 1,
        p999_us: 1,
        errors: 0,
    };
    let primitive = |times| Work { times, used: Duration::from_secs(1) };
    let rows = [(Protocol::OpaqueLogin, 1000), (Protocol::TokenBatch, 32_100), (Protocol::CredentialCheck, 1000)];
    let protocols = rows.map(|(protocol, times)| Row::of(protocol, &run, used, primitive(times))).into();
    let mut report = Report { connections: 2, seconds: 1, protocols };
    report.protocols[2].library_per_core = Some(800.0);
    insta::assert_snapshot!(report.table());
}
