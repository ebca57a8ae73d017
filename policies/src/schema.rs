//! JSON Schemas (draft 2020-12) of the kinds of policy file, for editors and for [`crate::PolicySet::parse`].

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::Value;

use crate::form::{AccessFile, AttestationFile, ContentFile, IssuersFile, PurposeFile, RegionFile};

/// The schema of `regions/*.toml`.
#[must_use]
pub fn region() -> Schema {
    of::<RegionFile>()
}

/// The schema of `purposes/*.toml`.
#[must_use]
pub fn purpose() -> Schema {
    of::<PurposeFile>()
}

/// The schema of `access.toml`.
#[must_use]
pub fn access() -> Schema {
    of::<AccessFile>()
}

/// The schema of `issuers.toml`.
#[must_use]
pub fn issuers() -> Schema {
    of::<IssuersFile>()
}

/// The schema of `attestation.toml`.
#[must_use]
pub fn attestation() -> Schema {
    of::<AttestationFile>()
}

/// The schema of `content.toml`.
#[must_use]
pub fn content() -> Schema {
    of::<ContentFile>()
}

fn of<T: JsonSchema>() -> Schema {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    let mut value = schema.as_value().clone();
    without_null(&mut value);
    if let Value::Object(object) = sorted(value) {
        *schema.ensure_object() = object;
    }
    schema
}

/// The same with the keys of every object in alphabetical order: whether a map keeps another is for some other crate of the
/// build to say.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(object) => {
            let mut members: Vec<(String, Value)> = object.into_iter().collect();
            members.sort_by(|(a, _), (b, _)| a.cmp(b));
            Value::Object(members.into_iter().map(|(key, value)| (key, sorted(value))).collect())
        }
        Value::Array(values) => Value::Array(values.into_iter().map(sorted).collect()),
        scalar => scalar,
    }
}

/// TOML has no null: a setting that may be absent is merely not required.
fn without_null(value: &mut Value) {
    match value {
        Value::Object(object) => {
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    object.insert("type".to_owned(), only);
                }
            }
            if let Some(Value::Array(choices)) = object.get_mut("anyOf") {
                choices.retain(|choice| choice.get("type") != Some(&Value::from("null")));
                if let [Value::Object(only)] = choices.as_slice() {
                    let only = only.clone();
                    object.remove("anyOf");
                    for (key, value) in only {
                        object.entry(key).or_insert(value);
                    }
                }
            }
            object.values_mut().for_each(without_null);
        }
        Value::Array(values) => values.iter_mut().for_each(without_null),
        _ => {}
    }
}
