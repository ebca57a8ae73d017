//! Test cases beside policies: what a policy set is expected to decide, and which of its decisions nothing expects.
//!
//! A file `cases/NAME.toml` holds `[[cases]]` (questions that are allowed or refused, and why), `[[figures]]` (ρ and σ of a
//! task) and `[[budgets]]` (what a unit may lose). They are answered by the functions that nodes decide by
//! ([`PolicySet::decide`]), never by a copy. Cases are reviewed with the policies and are no part of the
//! [manifest](crate::set::manifest): they change nothing that is enforced. `siwa policy sign` signs nothing that fails them.

mod figures;
mod form;
pub mod fuzz;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use crate::{Finding, PolicySet, Question, Reason, RegionId, Severity, TaskKind};
use form::{CaseFile, Expect, RawCase};

/// Files of cases at most.
pub const CASE_FILES_MAX: usize = 256;
/// Cases of one file at most.
pub const CASES_MAX: usize = 4_096;
/// Questions that one case may ask: the product of its lists.
pub const QUESTIONS_MAX: usize = 4_096;

/// Something that a policy set decides.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Decision {
    /// Allowed or refused.
    Question(Question),
    /// ρ and σ of a task.
    Figures(RegionId, TaskKind),
    /// Unit and budget of a region.
    Budget(RegionId),
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Question(question) => question.fmt(f),
            Self::Figures(region, task) => write!(f, "{region}: figures of {task}"),
            Self::Budget(region) => write!(f, "{region}: budget"),
        }
    }
}

/// One decision, and whether a case that holds expects it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Covered {
    /// The decision.
    #[serde(serialize_with = "as_text")]
    pub decision: Decision,
    /// Why it is refused; nothing where it is allowed, or a figure.
    pub refused: Option<Reason>,
    /// Whether a case expects it.
    pub covered: bool,
}

fn as_text<S: serde::Serializer>(decision: &Decision, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(decision)
}

/// What came of the cases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Cases read.
    pub cases: usize,
    /// Decisions that they expect, each counted once a case.
    pub expectations: usize,
    /// What is wrong in a case, or is not as it expects.
    pub findings: Vec<Finding>,
    /// Every decision of the policies, in order.
    pub decisions: Vec<Covered>,
}

impl Report {
    /// How many of the decisions are covered, in percent, rounded down: 100 means all. 100 where there are none.
    #[must_use]
    pub fn percent(&self) -> usize {
        let covered = self.decisions.iter().filter(|decision| decision.covered).count();
        (covered * 100).checked_div(self.decisions.len()).unwrap_or(100)
    }
}

/// Holds the policies against the cases in these files.
#[must_use]
pub fn check(policies: &PolicySet, files: &BTreeMap<String, Vec<u8>>) -> Report {
    let mut run = Run { policies, cases: 0, expectations: 0, findings: Vec::new(), covered: BTreeSet::new() };
    if files.len() > CASE_FILES_MAX {
        run.say("cases", "", 0, format!("There are {CASE_FILES_MAX} files of cases at most."));
    }
    for (file, bytes) in files.iter().take(CASE_FILES_MAX) {
        run.file(file, bytes);
    }
    run.findings.sort();
    let decisions = policies.decisions().into_iter().map(|decision| Covered {
        refused: match &decision {
            Decision::Question(question) => policies.decide(question).err(),
            Decision::Figures(..) | Decision::Budget(_) => None,
        },
        covered: run.covered.contains(&decision),
        decision,
    });
    let decisions = decisions.collect();
    Report { cases: run.cases, expectations: run.expectations, findings: run.findings, decisions }
}

impl PolicySet {
    /// Every decision: all [questions](PolicySet::questions), the figures of every task, and every budget.
    #[must_use]
    pub fn decisions(&self) -> Vec<Decision> {
        let mut all: Vec<Decision> = self.questions().into_iter().map(Decision::Question).collect();
        for (region, policy) in self.regions() {
            all.extend(policy.tasks.iter().map(|task| Decision::Figures(region.clone(), task.spec.kind())));
            all.push(Decision::Budget(region.clone()));
        }
        all
    }
}

struct Run<'p> {
    policies: &'p PolicySet,
    cases: usize,
    expectations: usize,
    findings: Vec<Finding>,
    covered: BTreeSet<Decision>,
}

impl Run<'_> {
    fn file(&mut self, file: &str, bytes: &[u8]) {
        if bytes.len() > PolicySet::FILE_BYTES_MAX {
            return self.say(file, "", 0, format!("The file is larger than {} bytes.", PolicySet::FILE_BYTES_MAX));
        }
        let Ok(text) = std::str::from_utf8(bytes) else {
            return self.say(file, "", 0, "The file is not UTF-8 text.".to_owned());
        };
        let read: CaseFile = match toml::from_str(text) {
            Ok(read) => read,
            Err(error) => {
                let at = error.span().map_or(0, |span| span.start);
                return self.say(
                    file,
                    text,
                    at,
                    format!("This cannot be read: {}.", error.message().trim_end_matches('.')),
                );
            }
        };
        if read.cases.len() + read.figures.len() + read.budgets.len() > CASES_MAX {
            return self.say(file, "", 0, format!("A file has {CASES_MAX} cases at most."));
        }
        for case in &read.cases {
            self.case(file, text, case.span().start, case.get_ref());
        }
        for figures in &read.figures {
            let of = figures.get_ref();
            self.cases += 1;
            let decision = Decision::Figures(of.region.clone(), of.task);
            self.expect(file, text, figures.span().start, &of.name, decision, figures::of_task(self.policies, of));
        }
        for budget in &read.budgets {
            let of = budget.get_ref();
            self.cases += 1;
            let decision = Decision::Budget(of.region.clone());
            self.expect(file, text, budget.span().start, &of.name, decision, figures::of_budget(self.policies, of));
        }
    }

    fn case(&mut self, file: &str, text: &str, at: usize, case: &RawCase) {
        let questions = match case.questions() {
            Ok(questions) => questions,
            Err(sentence) => return self.say(file, text, at, format!("The case \"{}\": {sentence}", case.name)),
        };
        self.cases += 1;
        for question in questions {
            let answer = self.policies.decide(&question);
            let expected = match (case.expect, case.reason) {
                (Expect::Refused, Some(reason)) => Err(reason),
                _ => Ok(()),
            };
            let differs = if answer == expected {
                Vec::new()
            } else {
                vec![format!("{question} is {}, and {} is expected.", told(answer), told(expected))]
            };
            self.expect(file, text, at, &case.name, Decision::Question(question), differs);
        }
    }

    fn expect(&mut self, file: &str, text: &str, at: usize, name: &str, decision: Decision, differs: Vec<String>) {
        self.expectations += 1;
        if differs.is_empty() {
            self.covered.insert(decision);
        }
        for sentence in differs {
            self.say(file, text, at, format!("The case \"{name}\": {sentence}"));
        }
    }

    fn say(&mut self, file: &str, text: &str, at: usize, sentence: String) {
        let before = text.get(..at).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        self.findings.push(Finding {
            file: file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            severity: Severity::Error,
            sentence,
        });
    }
}

fn told(answer: Result<(), Reason>) -> String {
    match answer {
        Ok(()) => "allowed".to_owned(),
        Err(reason) => format!("refused ({reason})"),
    }
}

#[cfg(test)]
mod tests;
