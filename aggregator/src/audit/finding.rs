//! What an audit finds wrong.

use serde::Serialize;

/// Findings of one kind that are kept in full; more are counted.
pub const FINDINGS_SHOWN_MAX: usize = 100;

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal,)*) => {
        /// What is wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        pub enum FindingKind {
            $($(#[$doc])* #[serde(rename = $name)] $kind,)*
        }

        impl FindingKind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// The name in reports.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }
        }
    };
}

kinds! {
    /// The log could not be read, or its tree is not what its checkpoint says.
    Log = "log",
    /// A leaf that is no entry.
    Malformed = "malformed-entry",
    /// A policy version that does not rise.
    PolicyVersion = "policy-version",
    /// A policy whose files are not at hand: what was done under it could not be checked.
    PolicyMissing = "policy-files-missing",
    /// A policy that was used and never logged.
    PolicyUnlogged = "policy-never-logged",
    /// A policy that was used before it was logged.
    PolicyLate = "policy-logged-later",
    /// A window that began under a policy that had been superseded.
    PolicySuperseded = "policy-superseded",
    /// Ledger entries that are missing.
    LedgerGap = "ledger-gap",
    /// Ledger entries under numbers that were given before.
    LedgerFork = "ledger-fork",
    /// A head that does not follow from the entries.
    LedgerHead = "ledger-head",
    /// A ledger entry that is none.
    LedgerEntry = "ledger-entry",
    /// A charge of a process that had ended: two processes write one ledger, or a copy of it.
    LedgerOpening = "ledger-opening",
    /// A node with another ledger than before.
    LedgerChanged = "ledger-changed",
    /// A ledger of two nodes.
    LedgerShared = "ledger-shared",
    /// A charge for another node than the ledger's.
    LedgerForeign = "ledger-of-another-node",
    /// A burn of what is no open charge.
    LedgerBurn = "ledger-burn",
    /// A log that holds more ledger entries than an audit can.
    TooMany = "too-many-entries",
    /// Two charges of one release.
    ChargedTwice = "charged-twice",
    /// A charge before its window had ended.
    WindowOpen = "window-open",
    /// A charge with neither release nor burn.
    Gap = "charge-without-release",
    /// A region, tenant or task that the policy does not have or grant.
    NotGranted = "not-granted",
    /// Another purpose than the policy's.
    Purpose = "purpose",
    /// Another privacy unit, quota, factor or window than the policy's.
    Unit = "unit",
    /// Another ρ than the policy's.
    Rho = "rho",
    /// Another δ than the policy's.
    Delta = "delta",
    /// Segments that the policy does not give: their kinds, cells or scale.
    Segments = "segments",
    /// Another Δ than the policy's.
    Sensitivity = "sensitivity",
    /// A window's budget that is passed.
    WindowBudget = "window-budget",
    /// A year's budget that is passed.
    YearBudget = "year-budget",
    /// A purpose's budget that is passed.
    PurposeBudget = "purpose-budget",
    /// A budget of δ that is passed.
    DeltaBudget = "delta-budget",
    /// More nodes than the sensitivity is made for.
    Nodes = "nodes",
    /// A release without a charge.
    NotCharged = "not-charged",
    /// A release that says other than its charge.
    ChargeDiffers = "charge-differs",
    /// A release whose charge was burned.
    ReleasedBurned = "released-after-burn",
    /// The same release, logged twice.
    Repeated = "release-repeated",
    /// Two releases of one name.
    Replaced = "release-replaced",
    /// Two releases of one charge.
    SequenceReused = "sequence-reused",
    /// A release without proper noise.
    NotPrivate = "not-private",
    /// A model pointer whose serial does not rise.
    ModelSerial = "model-serial",
    /// Two models of one version.
    ModelDigest = "model-digest",
    /// Two statements at one place of a log of keys.
    KeyFork = "key-fork",
}

impl FindingKind {
    /// Whether something could not be checked, rather than being wrong.
    #[must_use]
    pub const fn is_unchecked(self) -> bool {
        matches!(self, Self::PolicyMissing)
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What is wrong.
    pub kind: FindingKind,
    /// The leaf that shows it.
    pub leaf: Option<u64>,
    /// The release, ledger or other thing that it is about.
    pub subject: String,
    /// What exactly is wrong.
    pub sentence: String,
}

/// Findings, the first of each kind in full and all of them counted.
#[derive(Debug, Default)]
pub struct Findings {
    shown: Vec<Finding>,
    counts: std::collections::BTreeMap<FindingKind, u64>,
    total: u64,
}

impl Findings {
    pub(super) fn add(
        &mut self,
        kind: FindingKind,
        leaf: impl Into<Option<u64>>,
        subject: String,
        sentence: impl Into<String>,
    ) {
        self.total += 1;
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        if *count <= FINDINGS_SHOWN_MAX as u64 {
            self.shown.push(Finding { kind, leaf: leaf.into(), subject, sentence: sentence.into() });
        }
    }

    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// Those that are kept, and how many there are of each kind.
    pub(super) fn into_parts(self) -> (Vec<Finding>, std::collections::BTreeMap<FindingKind, u64>) {
        (self.shown, self.counts)
    }
}
