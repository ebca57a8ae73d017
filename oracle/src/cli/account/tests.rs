use super::*;
use clap::Parser;
use serde_json::Value;

const POLICIES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../policies");

#[derive(Parser)]
struct Program {
    #[command(flatten)]
    account: AccountCommand,
}

fn account(arguments: &str) -> Result<String, String> {
    let arguments = ["siwa"].into_iter().chain(arguments.split(' '));
    let program = Program::try_parse_from(arguments).map_err(|error| error.kind().to_string())?;
    let mut out = Vec::new();
    program.account.write(&mut out).map_err(|error| format!("{error:#}"))?;
    Ok(String::from_utf8(out).unwrap())
}

fn object(arguments: &str) -> Value {
    serde_json::from_str(&account(&format!("{arguments} --json")).unwrap()).unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

#[test]
fn figures_for_people_and_programs() {
    insta::assert_snapshot!(account("--mechanism discrete-gaussian --scale 5 --compositions 10 --delta 1e-6").unwrap());
    let account = object("--mechanism laplace --scale 1 --compositions 100 --delta 1e-6");
    assert_eq!(account["mechanism"], "laplace");
    assert_eq!(account["compositions"], 100);
    assert!((number(&account["rho"]) - 100.0 / std::f64::consts::E).abs() < 1e-9);
    // 71.55 by the privacy loss distribution, which zCDP cannot beat.
    assert!((71.55..81.0).contains(&number(&account["epsilon_zcdp"])), "{account}");
    assert!((71.544..71.55 * 1.005).contains(&number(&account["epsilon_pld"])), "{account}");
}

#[test]
fn mixtures_part_by_part_and_together() {
    let arguments = "--release gaussian:5:365 --release discrete-laplace:2:12 --release laplace:9 --delta 1e-6";
    insta::assert_snapshot!(account(arguments).unwrap());
    let mixture = object(arguments);
    assert_eq!(mixture["releases"][2]["compositions"], 1);
    let rho: f64 = mixture["releases"].as_array().unwrap().iter().map(|part| number(&part["rho"])).sum();
    assert!((number(&mixture["rho"]) - rho).abs() < 1e-12);
    // One kind alone is the same in either form.
    let one = object("--mechanism gaussian --scale 5 --compositions 365 --delta 1e-6");
    assert_eq!(one["epsilon_pld"], mixture["releases"][0]["epsilon_pld"]);
    assert!(number(&mixture["epsilon_pld"]) < number(&mixture["epsilon_zcdp"]));
    assert_eq!(number(&object("--release gaussian:5:0 --delta 0.1")["epsilon_pld"]), 0.0);
}

#[test]
fn sampling_says_that_no_release_claims_it() {
    let arguments = "--mechanism gaussian --scale 1 --compositions 1000 --sampling 0.01 --delta 1e-6";
    let text = account(arguments).unwrap();
    assert!(text.contains("sampling      0.01 (Poisson; no release of Siwa claims it)"), "{text}");
    let sampled = object(arguments);
    assert!((2.119..2.136).contains(&number(&sampled["epsilon_pld"])), "{sampled}");
    // ρ stays that of all units.
    assert_eq!(number(&sampled["rho"]), 500.0);
    let text = account("--release laplace:1:10 --sampling 0.5 --delta 1e-6").unwrap();
    assert!(text.contains("No release of Siwa claims sampling."), "{text}");
}

#[test]
fn calibration_is_the_inverse() {
    insta::assert_snapshot!(account("--calibrate 1 --compositions 52 --delta 1e-6").unwrap());
    let noise = object("--calibrate 1 --delta 1e-6");
    let (exact, ledger) = (number(&noise["analytic_gaussian"]["scale"]), number(&noise["zcdp"]["scale"]));
    // σ/Δ = 4.53 by zCDP; what is exact needs less.
    assert!((4.52..4.54).contains(&ledger) && (4.0..ledger).contains(&exact), "{exact} {ledger}");
    let back = object(&format!("--mechanism gaussian --scale {exact} --delta 1e-6"));
    assert!((0.999_999..1.005).contains(&number(&back["epsilon_pld"])), "{back}");
    assert_eq!(account("--calibrate 1 --compositions 0 --delta 0.1"), Err("there are no releases to calibrate".into()));
}

#[test]
fn policies_by_window_day_and_year() {
    insta::assert_snapshot!(account(&format!("--policy {POLICIES}")).unwrap());
    let regions = object(&format!("--policy {POLICIES} --region eu-west"));
    let region = &regions["regions"][0];
    assert_eq!((region["window"]["windows"].as_u64(), region["year"]["windows"].as_u64()), (Some(1), Some(53)));
    // All noise is Gaussian: the exact ε is known.
    for span in ["window", "year"] {
        let span = &region[span];
        let exact = zcdp::epsilon_of_gaussian((2.0 * number(&span["rho"])).sqrt(), 1e-6);
        assert!((exact * 0.999_999..exact * 1.005).contains(&number(&span["epsilon_pld"])), "{span}");
    }
    let regions = object(&format!("--policy {POLICIES} --region us-east"));
    assert_eq!(regions["regions"][0]["note"], "no per-viewer or yearly bound");
    assert_eq!((&regions["regions"][0]["year"], &regions["regions"][0]["day"]), (&Value::Null, &Value::Null));
    let refusal = account(&format!("--policy {POLICIES} --region mars")).unwrap_err();
    assert_eq!(refusal, "there is no such region; there are eu-north, eu-west, us-east");
}

#[test]
fn senseless_figures_are_refused() {
    for bad in [
        "--mechanism gaussian --scale 0 --delta 1e-6",
        "--mechanism gaussian --scale NaN --delta 1e-6",
        "--mechanism gaussian --scale -1 --delta 1e-6",
        "--mechanism gaussian --scale 1 --delta 0",
        "--mechanism gaussian --scale 1 --delta 1",
        "--mechanism gaussian --scale 1 --delta 1e-6 --compositions -1",
        "--mechanism uniform --scale 1 --delta 1e-6",
        "--mechanism gaussian --delta 1e-6",
        "--mechanism gaussian --scale 1",
        "--mechanism gaussian --scale 1 --delta 1e-6 --sampling 0",
        "--mechanism gaussian --scale 1 --delta 1e-6 --release gaussian:1:1",
        "--release gaussian --delta 1e-6",
        "--release gaussian:1:1:1 --delta 1e-6",
        "--release gaussian:0:1 --delta 1e-6",
        "--release gaussian:1:x --delta 1e-6",
        "--release gauss:1:1 --delta 1e-6",
        "--calibrate 1 --sampling 0.5 --delta 1e-6",
        "--calibrate 0 --delta 1e-6",
        "--policy policies --delta 1e-6",
        "--region eu-west --delta 1e-6",
    ] {
        let refusal = account(bad).unwrap_err();
        let known = [
            "invalid value",
            "one of the values isn't valid",
            "unexpected argument found",
            "one or more required arguments were not provided",
            "say what to account",
            "an argument cannot be used with one or more of the other specified arguments",
        ];
        assert!(known.iter().any(|known| refusal.contains(known)), "{bad}: {refusal}");
    }
    let refusal = account("--mechanism gaussian --scale 1e-200 --delta 1e-6");
    assert_eq!(refusal, Err("so little noise, so often, is no protection: ε is not finite".to_owned()));
    let refusal = account("--delta 1e-6");
    assert_eq!(refusal, Err("say what to account: --mechanism, --release, --calibrate or --policy".to_owned()));
    // Beyond what the grid takes there is no second figure, and a reason.
    let text = account("--mechanism gaussian --scale 0.01 --delta 1e-6").unwrap();
    assert!(text.contains("- (PLD: the noise's scale is not between 0.05 and 1,000,000"), "{text}");
}
