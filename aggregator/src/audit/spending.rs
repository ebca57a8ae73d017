//! What a tenant's viewers have lost at one node, by the data's own time, and the limits that it is held against.

use std::collections::{BTreeMap, HashMap};

use policies::{PurposeId, Rho};

use super::finding::FindingKind;
use crate::release::store::ChargeLimits;
use crate::release::{ChargeRecord, Span};

/// What a charge is held against, by its own policy.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// As nodes hold it.
    pub(super) charge: ChargeLimits,
    /// Nodes that may count the same viewers.
    pub(super) nodes: u32,
}

/// Sums of ρ in 10⁻¹² and δ in 10⁻¹⁸. They stop at the largest number, which no limit reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sum {
    pub(super) rho: u64,
    pub(super) delta: u64,
}

impl Sum {
    pub(super) fn max(self, other: Self) -> Self {
        Self { rho: self.rho.max(other.rho), delta: self.delta.max(other.delta) }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.rho = self.rho.saturating_add(other.rho);
        self.delta = self.delta.saturating_add(other.delta);
    }
}

/// A purpose, by its place among those of the tenant.
type PurposeNumber = u16;

/// The charges of one span: in all, and by purpose.
#[derive(Debug, Default)]
struct OfSpan {
    all: Sum,
    by_purpose: Vec<(PurposeNumber, u64)>,
}

/// One tenant's charges in one ledger.
#[derive(Debug, Default)]
pub(super) struct Spending {
    spans: BTreeMap<Span, OfSpan>,
    /// Seconds of the longest span.
    longest: u64,
    years: BTreeMap<u64, Sum>,
    purposes: HashMap<PurposeId, PurposeNumber>,
    purpose_years: HashMap<(PurposeNumber, u64), u64>,
    /// The largest sum over overlapping spans.
    pub(super) largest: Sum,
    pub(super) charges: u64,
}

/// What was spent, this charge included.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spent {
    window: Sum,
    year: Sum,
    purpose_window: u64,
    purpose_year: u64,
}

impl Spent {
    /// The limits that are passed.
    pub(super) fn beyond(&self, limits: &ChargeLimits) -> Vec<(FindingKind, String)> {
        let mut found = Vec::new();
        let mut hold = |kind, spent: u64, limit: Option<u64>, unit: &str, of: &str| {
            if let Some(limit) = limit.filter(|limit| spent > *limit) {
                found.push((kind, format!("{spent} {unit} are charged for {of}, and the policy allows {limit}")));
            }
        };
        let (rho, delta) = ("· 10⁻¹² of ρ", "· 10⁻¹⁸ of δ");
        hold(FindingKind::WindowBudget, self.window.rho, Some(limits.window.picos()), rho, "the window");
        hold(FindingKind::YearBudget, self.year.rho, Some(limits.year.picos()), rho, "the year");
        hold(FindingKind::DeltaBudget, self.window.delta, Some(limits.delta_window.attos()), delta, "the window");
        let kind = FindingKind::PurposeBudget;
        hold(kind, self.purpose_window, limits.purpose_window.map(Rho::picos), rho, "the purpose in the window");
        hold(kind, self.purpose_year, limits.purpose_year.map(Rho::picos), rho, "the purpose in the year");
        found
    }
}

impl Spending {
    /// Adds a charge, and says whether its span is the first that covers this time, and what is spent.
    pub(super) fn add(&mut self, record: &ChargeRecord) -> (bool, Spent) {
        let span = record.span;
        let sum = Sum { rho: record.rho.picos(), delta: record.delta.attos() };
        let fresh = !self.spans.contains_key(&span);
        let next = PurposeNumber::try_from(self.purposes.len()).unwrap_or(PurposeNumber::MAX);
        let purpose = *self.purposes.entry(record.purpose.clone()).or_insert(next);
        self.charges += 1;
        self.longest = self.longest.max(span.until_s - span.from_s);
        let of_span = self.spans.entry(span).or_default();
        of_span.all.add(sum);
        match of_span.by_purpose.iter_mut().find(|(number, _)| *number == purpose) {
            Some((_, rho)) => *rho = rho.saturating_add(sum.rho),
            None => of_span.by_purpose.push((purpose, sum.rho)),
        }
        let number = span.year();
        let of_year = self.years.entry(number).or_default();
        of_year.add(sum);
        let year = *of_year;
        let purpose_year = self.purpose_years.entry((purpose, number)).or_default();
        *purpose_year = purpose_year.saturating_add(sum.rho);
        let purpose_year = *purpose_year;
        let (window, purpose_window) = self.within(&span, purpose);
        self.largest = self.largest.max(window);
        (fresh, Spent { window, year, purpose_window, purpose_year })
    }

    /// Spans that may share a second with this one: none that begins `longest` before it, or at its end.
    fn near(&self, span: &Span) -> impl Iterator<Item = (&Span, &OfSpan)> {
        let first = Span { from_s: span.from_s.saturating_sub(self.longest), until_s: 0 };
        let last = Span { from_s: span.until_s, until_s: 0 };
        let span = *span;
        self.spans.range(first..last).filter(move |(other, _)| other.overlaps(&span))
    }

    fn within(&self, span: &Span, purpose: PurposeNumber) -> (Sum, u64) {
        let (mut all, mut of_purpose) = (Sum::default(), 0_u64);
        for (_, spent) in self.near(span) {
            all.add(spent.all);
            let own = spent.by_purpose.iter().filter(|(number, _)| *number == purpose);
            of_purpose = own.fold(of_purpose, |sum, (_, rho)| sum.saturating_add(*rho));
        }
        (all, of_purpose)
    }

    /// Whether there is a charge for some second of the span.
    pub(super) fn covers(&self, span: &Span) -> bool {
        self.near(span).next().is_some()
    }

    /// Every span and what was charged for it.
    pub(super) fn spans(&self) -> impl Iterator<Item = (Span, Sum)> {
        self.spans.iter().map(|(span, spent)| (*span, spent.all))
    }

    /// Σρ of each purpose, over all time.
    pub(super) fn purposes(&self) -> impl Iterator<Item = (&PurposeId, u64)> {
        self.purposes.iter().map(|(purpose, number)| {
            let own = self.purpose_years.iter().filter(|((of, _), _)| of == number);
            (purpose, own.fold(0, |sum: u64, (_, rho)| sum.saturating_add(*rho)))
        })
    }
}
