//! Checks a document against its JSON Schema and says every difference in words.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::document::{Document, Place, number, whole};
use crate::Finding;

/// Two names that differ in at most so many letters are taken for a slip of the pen.
const SLIP_MAX: usize = 2;

/// Every place where the document is not of the form; they are also marked as refused in the document.
pub(super) fn check(document: &mut Document<'_>, schema: &Value) -> Vec<Finding> {
    let mut form = Form { document, findings: Vec::new(), refused: BTreeSet::new() };
    form.table("this file", &(0..0), document.table(), schema);
    let Form { findings, refused, .. } = form;
    document.refuse(refused);
    findings
}

struct Form<'d, 'a> {
    document: &'d Document<'a>,
    findings: Vec<Finding>,
    refused: BTreeSet<usize>,
}

impl Form<'_, '_> {
    fn table(&mut self, name: &str, place: &Place, table: &DeTable<'_>, schema: &Value) {
        let none = Map::new();
        let settings = schema["properties"].as_object().unwrap_or(&none);
        for (key, value) in table {
            let any = Some(&schema["additionalProperties"]).filter(|any| any.is_object());
            match settings.get(key.get_ref().as_ref()).or(any) {
                Some(schema) => self.value(key.get_ref(), value, schema),
                None => self.unknown(name, key.get_ref(), &key.span(), settings),
            }
        }
        for required in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !table.contains_key(required) {
                let meaning = meaning(&settings[required]);
                self.say(place, format!("`{required}` is missing in {name}. {meaning}"));
            }
        }
    }

    fn unknown(&mut self, section: &str, key: &str, place: &Place, settings: &Map<String, Value>) {
        let near = settings.keys().map(|known| (distance(key, known), known)).min();
        let hint = match near {
            Some((letters, known)) if letters <= SLIP_MAX => format!("Did you mean `{known}`?"),
            _ => {
                // The map keeps the order of the form or of the alphabet, as another crate of the build wishes.
                let mut known: Vec<&str> = settings.keys().map(String::as_str).collect();
                known.sort_unstable();
                format!("Known are: {}.", listed(known.into_iter()))
            }
        };
        self.say(place, format!("`{key}` is not a setting of {section}. {hint}"));
    }

    fn value(&mut self, key: &str, value: &Spanned<DeValue<'_>>, schema: &Value) {
        let place = value.span();
        let wrong = match (schema["type"].as_str(), value.get_ref()) {
            (Some("object"), DeValue::Table(table)) => {
                self.table(&format!("`[{key}]`"), &place, table, schema);
                None
            }
            (Some("array"), DeValue::Array(values)) => {
                for element in values {
                    self.value(key, element, &schema["items"]);
                }
                wrong_count(values.len() as u64, schema)
            }
            (Some("string"), DeValue::String(text)) => wrong_text(text, schema),
            (Some("integer"), found) => match whole(found) {
                #[expect(clippy::cast_precision_loss, reason = "no limit of a policy comes near 2^53")]
                Some(found) => wrong_number(found as f64, schema),
                None => Some(format!("must be a whole number{}", limits(schema))),
            },
            (Some("number"), found) => match number(found) {
                Some(found) => wrong_number(found, schema),
                None => Some(format!("must be a number{}", limits(schema))),
            },
            (Some("boolean"), found) => found.as_bool().is_none().then(|| "must be `true` or `false`".to_owned()),
            (Some("object"), _) => Some("must be a section".to_owned()),
            (Some("array"), _) => Some("must be a list in brackets".to_owned()),
            (Some("string"), _) => Some("must be text in quotation marks".to_owned()),
            (_, found) => wrong_choice(found, schema),
        };
        if let Some(wrong) = wrong {
            self.refused.insert(place.start);
            self.say(&place, format!("`{key}` {wrong}. {}", meaning(schema)));
        }
    }

    fn say(&mut self, place: &Place, sentence: String) {
        self.findings.push(self.document.error(place, sentence.trim_end().to_owned()));
    }
}

fn wrong_count(found: u64, schema: &Value) -> Option<String> {
    if schema["minItems"].as_u64().is_some_and(|least| found < least) {
        return Some("must name at least one".to_owned());
    }
    let most = schema["maxItems"].as_u64().filter(|most| found > *most)?;
    Some(format!("names {found}, and may name {most}"))
}

fn wrong_text(text: &str, schema: &Value) -> Option<String> {
    if schema.get("enum").is_some() {
        return wrong_choice(&DeValue::String(text.into()), schema);
    }
    let length = text.chars().count() as u64;
    if text.trim().is_empty() {
        return Some("must not be empty".to_owned());
    }
    let most = schema["maxLength"].as_u64().filter(|most| length > *most)?;
    Some(format!("has {length} characters, and may have {most}"))
}

fn wrong_number(found: f64, schema: &Value) -> Option<String> {
    let low = schema["minimum"].as_f64().is_some_and(|least| found < least);
    let high = schema["maximum"].as_f64().is_some_and(|most| found > most);
    (low || high).then(|| format!("is {found}, and must be a number{}", limits(schema)))
}

fn limits(schema: &Value) -> String {
    match (&schema["minimum"], &schema["maximum"]) {
        (Value::Null, _) | (_, Value::Null) => String::new(),
        (least, most) => format!(" from {least} to {most}"),
    }
}

fn wrong_choice(found: &DeValue<'_>, schema: &Value) -> Option<String> {
    let constants = schema["oneOf"].as_array().into_iter().flatten().map(|choice| &choice["const"]);
    let listed_values = schema["enum"].as_array().into_iter().flatten();
    let choices: Vec<&str> = constants.chain(listed_values).filter_map(Value::as_str).collect();
    let known = found.as_str().is_some_and(|text| choices.contains(&text));
    (!known).then(|| format!("must be one of {}", listed(choices.into_iter())))
}

fn meaning(schema: &Value) -> &str {
    schema["description"].as_str().unwrap_or_default()
}

/// Names in backquotes, with commas between.
pub(super) fn listed<'n>(names: impl Iterator<Item = &'n str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Levenshtein's distance between two names.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, from) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}
