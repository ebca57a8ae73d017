//! The committed JSON Schemas are the generated ones. `SIWA_WRITE_SCHEMAS=1 cargo test -p policies` writes them.

use policies::schema;

#[test]
fn committed_schemas_are_the_generated_ones() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/schema");
    for (name, schema) in [
        ("region", schema::region()),
        ("purpose", schema::purpose()),
        ("access", schema::access()),
        ("issuers", schema::issuers()),
        ("attestation", schema::attestation()),
        ("content", schema::content()),
    ] {
        let path = format!("{folder}/{name}.schema.json");
        let generated = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        if std::env::var_os("SIWA_WRITE_SCHEMAS").is_some() {
            std::fs::write(&path, &generated).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == generated, "{path} is not what policies/src/form.rs says");
    }
}
