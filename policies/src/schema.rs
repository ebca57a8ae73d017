//! JSON Schemas (draft 2020-12) of the four kinds of policy file, for editors and for [`crate::PolicySet::parse`].

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::Value;

use crate::form::{AccessFile, IssuersFile, PurposeFile, RegionFile};

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

fn of<T: JsonSchema>() -> Schema {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    let mut value = schema.as_value().clone();
    without_null(&mut value);
    if let Value::Object(object) = value {
        *schema.ensure_object() = object;
    }
    schema
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
