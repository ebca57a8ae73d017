//! What people read: the explanation of a region, and the difference of two folders.

use std::collections::BTreeMap;

use policies::PolicySet;
use policies::diff::{Change, diff};
use policies::explain::explain;

const FILES: [(&str, &str); 6] = [
    ("access.toml", include_str!("../access.toml")),
    ("purposes/experiments.toml", include_str!("../purposes/experiments.toml")),
    ("purposes/recommendations.toml", include_str!("../purposes/recommendations.toml")),
    ("regions/eu-north.toml", include_str!("../regions/eu-north.toml")),
    ("regions/eu-west.toml", include_str!("../regions/eu-west.toml")),
    ("regions/us-east.toml", include_str!("../regions/us-east.toml")),
];

fn files() -> BTreeMap<String, String> {
    FILES.into_iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect()
}

fn set(files: &BTreeMap<String, String>) -> PolicySet {
    let files = files.iter().map(|(name, text)| (name.clone(), text.clone().into_bytes())).collect();
    PolicySet::parse(&files).expect("the changed files are without error")
}

fn replace(files: &mut BTreeMap<String, String>, file: &str, from: &str, to: &str) {
    let text = files.get_mut(file).expect("a file of the samples");
    assert!(text.contains(from), "{file} has no {from}");
    *text = text.replacen(from, to, 1);
}

fn lines(changes: &[Change]) -> String {
    changes.iter().map(|change| format!("{change}\n")).collect()
}

#[test]
fn regions_in_plain_language() {
    let set = set(&files());
    for region in ["eu-west", "us-east"] {
        let text = explain(set.region(&region.parse().unwrap()).unwrap(), &set);
        insta::assert_snapshot!(region, text.replace(&set.digest().to_string(), "[digest]"));
    }
}

#[test]
fn comments_order_and_notation_are_no_decisions() {
    let old = files();
    let mut new = files();
    let west = "regions/eu-west.toml";
    replace(&mut new, west, "# Western Europe.", "# In the west.\n#");
    replace(
        &mut new,
        west,
        "[\"watch\", \"skip\", \"like\", \"kpi\"]",
        "[\n  \"kpi\",\n  \"like\", \"watch\", \"skip\",\n]",
    );
    replace(&mut new, west, "delta = 1e-6", "delta = 0.000_001");
    replace(&mut new, west, "rho_per_window = 0.09", "rho_per_window = 9e-2");
    replace(&mut new, west, "sigma = 8.908", "sigma = 8.9");
    let text = new[west].clone();
    let (head, tasks) = text.split_once("[tasks.item-counts]").unwrap();
    let (first, others) = tasks.split_once("[tasks.co-engagement]").unwrap();
    new.insert(west.to_owned(), format!("{head}[tasks.co-engagement]{others}\n[tasks.item-counts]{first}"));
    let access = old["access.toml"].clone();
    let grants: Vec<&str> = access.split("[[grants]]").collect();
    let reversed = format!("{}[[grants]]{}[[grants]]{}[[grants]]{}", grants[0], grants[3], grants[2], grants[1]);
    new.insert("access.toml".to_owned(), reversed);

    assert_ne!(set(&old).digest(), set(&new).digest());
    assert_eq!(diff(&set(&old), &set(&new)), []);
}

#[test]
fn decisions_are_compared() {
    let old = files();
    let mut new = files();
    let west = "regions/eu-west.toml";
    for (from, to) in [
        ("session_idle_seconds = 1800", "session_idle_seconds = 3600"),
        ("failover = [\"eu-north\"]", "failover = []"),
        ("rho = 0.0252", "rho = 0.02"),
        ("sigma = 8.908", "sigma = 10.0"),
        ("clip = 2.6", "clip = 2.7"),
        ("sigma_rewards = 17.4", "sigma_rewards = 18.0"),
        ("delta = 1e-6", "delta = 1e-7"),
        ("epsilon_per_window = 2.023", "epsilon_per_window = 2.219"),
        ("epsilon_per_year = 19.95", "epsilon_per_year = 21.3"),
    ] {
        replace(&mut new, west, from, to);
    }
    replace(&mut new, "regions/eu-north.toml", ", \"like\"]", "]");
    replace(&mut new, "purposes/recommendations.toml", "We count", "We carefully count");
    replace(&mut new, "access.toml", "regions = [\"eu-north\", \"eu-west\"]", "regions = [\"eu-north\"]");
    new.remove("regions/us-east.toml");
    replace(&mut new, "access.toml", "\"eu-west\", \"us-east\"", "\"eu-west\"");
    let changes = diff(&set(&old), &set(&new));
    insta::assert_snapshot!(lines(&changes));

    let back = diff(&set(&new), &set(&old));
    assert_eq!(back.len(), changes.len());
    for (there, back) in changes.iter().zip(&back) {
        assert_eq!((&there.before, &there.after), (&back.after, &back.before));
    }
}
