//! One TOML file with its source, so that every value knows where it stands.

use std::collections::BTreeSet;
use std::ops::Range;
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::{Finding, Rho, Severity};

/// A place in a file, in bytes.
pub(super) type Place = Range<usize>;

/// A value with its place.
#[derive(Debug, Clone)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

/// A file that was read as far as it is TOML.
pub(super) struct Document<'a> {
    pub(super) file: &'a str,
    text: &'a str,
    root: Spanned<DeTable<'a>>,
    /// Where values begin that break the form: what reads the document skips them.
    refused: BTreeSet<usize>,
}

impl<'a> Document<'a> {
    /// Reads `text`; what is not TOML becomes a finding, and what follows is read nevertheless.
    pub(super) fn parse(file: &'a str, text: &'a str, findings: &mut Vec<Finding>) -> Self {
        let (root, errors) = DeTable::parse_recoverable(text);
        let document = Self { file, text, root, refused: BTreeSet::new() };
        for error in errors {
            let sentence = if error.message().starts_with("duplicate key") {
                "This stands here a second time: a setting, a section and a task of a kind may each stand once."
                    .to_owned()
            } else {
                format!("This line cannot be read as TOML: {}.", error.message())
            };
            findings.push(document.error(&error.span().unwrap_or(0..0), sentence));
        }
        document
    }

    pub(super) fn root(&self) -> Section<'_> {
        Section { document: self, table: self.root.get_ref(), place: 0..0 }
    }

    pub(super) fn table(&self) -> &DeTable<'a> {
        self.root.get_ref()
    }

    pub(super) fn refuse(&mut self, places: BTreeSet<usize>) {
        self.refused = places;
    }

    /// Where the value at a dotted path stands; a number is an index into a list. The nearest section if it is absent.
    pub(super) fn place(&self, path: &str) -> Place {
        let mut place = 0..0;
        let mut value: Option<&Spanned<DeValue<'_>>> = None;
        for step in path.split('.') {
            let next = match value.map(Spanned::get_ref) {
                None => self.root.get_ref().get(step),
                Some(DeValue::Table(table)) => table.get(step),
                Some(DeValue::Array(values)) => step.parse().ok().and_then(|index: usize| values.get(index)),
                Some(_) => None,
            };
            let Some(next) = next else { break };
            place = next.span();
            value = Some(next);
        }
        place
    }

    pub(super) fn error(&self, place: &Place, sentence: String) -> Finding {
        self.finding(place, Severity::Error, sentence)
    }

    pub(super) fn warning(&self, place: &Place, sentence: String) -> Finding {
        self.finding(place, Severity::Warning, sentence)
    }

    fn finding(&self, place: &Place, severity: Severity, sentence: String) -> Finding {
        let before = self.text.get(..place.start).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Finding {
            file: self.file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            severity,
            sentence,
        }
    }
}

/// A table of a document. What is absent or of a wrong form reads as nothing: the check of the form has said so.
#[derive(Clone)]
pub(super) struct Section<'d> {
    document: &'d Document<'d>,
    table: &'d DeTable<'d>,
    pub(super) place: Place,
}

impl<'d> Section<'d> {
    fn value(&self, key: &str) -> Option<&'d Spanned<DeValue<'d>>> {
        self.table.get(key).filter(|value| !self.document.refused.contains(&value.span().start))
    }

    pub(super) fn section(&self, key: &str) -> Option<Section<'d>> {
        let value = self.value(key)?;
        let table = value.get_ref().as_table()?;
        Some(Section { document: self.document, table, place: value.span() })
    }

    pub(super) fn sections(&self, key: &str) -> Vec<Section<'d>> {
        let values = self.value(key).and_then(|value| value.get_ref().as_array());
        let section = |value: &'d Spanned<DeValue<'d>>| {
            let table = value.get_ref().as_table()?;
            Some(Section { document: self.document, table, place: value.span() })
        };
        values.into_iter().flat_map(|values| values.iter()).filter_map(section).collect()
    }

    pub(super) fn text(&self, key: &str) -> Option<At<&'d str>> {
        let value = self.value(key)?;
        Some(At { value: value.get_ref().as_str()?, place: value.span() })
    }

    /// Every text of a list that has the right form.
    pub(super) fn texts(&self, key: &str) -> Option<Vec<At<&'d str>>> {
        let values = self.value(key)?.get_ref().as_array()?;
        let refused = &self.document.refused;
        let values = values.iter().filter(|value| !refused.contains(&value.span().start));
        Some(values.filter_map(|value| Some(At { value: value.get_ref().as_str()?, place: value.span() })).collect())
    }

    /// The names of what stands in the table.
    pub(super) fn keys(&self) -> Vec<At<&'d str>> {
        self.table.iter().map(|(key, _)| At { value: key.get_ref().as_ref(), place: key.span() }).collect()
    }

    pub(super) fn flag(&self, key: &str) -> Option<At<bool>> {
        let value = self.value(key)?;
        Some(At { value: value.get_ref().as_bool()?, place: value.span() })
    }

    /// Whether the setting stands here, in whatever form.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Whether the setting is absent or has the right form, with all that is in its list.
    pub(super) fn sound(&self, key: &str) -> bool {
        let refused = |value: &Spanned<DeValue<'_>>| self.document.refused.contains(&value.span().start);
        self.table.get(key).is_none_or(|value| {
            !refused(value) && !value.get_ref().as_array().is_some_and(|values| values.iter().any(refused))
        })
    }

    /// Where the setting stands; the section if it is absent.
    pub(super) fn place_of(&self, key: &str) -> Place {
        self.table.get(key).map_or_else(|| self.place.clone(), Spanned::span)
    }

    pub(super) fn whole<T: TryFrom<i64>>(&self, key: &str) -> Option<T> {
        whole(self.value(key)?.get_ref()).and_then(|value| T::try_from(value).ok())
    }

    pub(super) fn number(&self, key: &str) -> Option<At<f64>> {
        let value = self.value(key)?;
        Some(At { value: number(value.get_ref())?, place: value.span() })
    }

    /// ρ exactly as it is written, in decimal.
    pub(super) fn rho(&self, key: &str) -> Option<At<Rho>> {
        let value = self.value(key)?;
        let written = match value.get_ref() {
            DeValue::Float(float) => float.as_str(),
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str(),
            _ => return None,
        };
        Some(At { value: Rho::from_str(&written.replace('_', "")).ok()?, place: value.span() })
    }

    /// Lets the document speak of a place.
    pub(super) const fn document(&self) -> &'d Document<'d> {
        self.document
    }
}

/// A whole number in any of TOML's notations.
pub(super) fn whole(value: &DeValue<'_>) -> Option<i64> {
    let integer = value.as_integer()?;
    i64::from_str_radix(&integer.as_str().replace('_', ""), integer.radix()).ok()
}

/// A number with or without a fraction; not infinite, not "not a number".
pub(super) fn number(value: &DeValue<'_>) -> Option<f64> {
    let parsed = match value {
        DeValue::Float(float) => float.as_str().replace('_', "").parse().ok()?,
        #[expect(clippy::cast_precision_loss, reason = "no limit of a policy comes near 2^53")]
        other => whole(other)? as f64,
    };
    Some(parsed).filter(|number: &f64| number.is_finite())
}
