//! Signals on the wire, and how a call's signals are taken: all of them or none.

use personalize::{Catalogue, PerceptualKpi, Signal};
use policies::SignalKind;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::region::refusal::Refusal;
use crate::region::sessions::Live;

/// Signals of one call at most.
pub(crate) const SIGNALS_MAX: usize = 64;

/// One signal. `seq` rises with every signal of a session, so that none is taken twice.
#[derive(Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum SignalDto {
    /// The item was watched for `dwell_ms` of its `duration_ms`; the reward is their ratio.
    Watch { seq: u64, item: String, dwell_ms: u32, duration_ms: u32 },
    /// The item was shown and passed over.
    Skip { seq: u64, item: String },
    /// The item was liked.
    Like { seq: u64, item: String },
    /// How playback felt since the last such signal, in milliseconds.
    Kpi { seq: u64, startup_ms: u32, rebuffer_ms: u32, watched_ms: u32 },
}

impl SignalDto {
    const fn sequence(&self) -> u64 {
        match self {
            Self::Watch { seq, .. } | Self::Skip { seq, .. } | Self::Like { seq, .. } | Self::Kpi { seq, .. } => *seq,
        }
    }

    const fn kind(&self) -> SignalKind {
        match self {
            Self::Watch { .. } => SignalKind::Watch,
            Self::Skip { .. } => SignalKind::Skip,
            Self::Like { .. } => SignalKind::Like,
            Self::Kpi { .. } => SignalKind::Kpi,
        }
    }

    fn resolve(&self, catalogue: &Catalogue, position: usize) -> Result<Signal, Refusal> {
        let find = |id: &str| catalogue.index_of(id).ok_or(Refusal::SignalItemUnknown { position });
        Ok(match self {
            Self::Watch { item, dwell_ms, duration_ms, .. } => {
                if *duration_ms == 0 {
                    return Err(Refusal::SignalInvalid { position });
                }
                Signal::Watch { item: find(item)?, dwell_ms: *dwell_ms, duration_ms: *duration_ms }
            }
            Self::Skip { item, .. } => Signal::Skip { item: find(item)? },
            Self::Like { item, .. } => Signal::Like { item: find(item)? },
            Self::Kpi { startup_ms, rebuffer_ms, watched_ms, .. } => Signal::Kpi(PerceptualKpi {
                startup_ms: *startup_ms,
                rebuffer_ms: *rebuffer_ms,
                watched_ms: *watched_ms,
            }),
        })
    }
}

/// Checks every signal of a call, then takes them all.
///
/// # Errors
/// The first signal that is replayed, not allowed, invalid or of an unknown item; then none was taken.
pub(crate) fn take(
    live: &mut Live,
    signals: &[SignalDto],
    allowed: impl Fn(SignalKind) -> bool,
) -> Result<(), Refusal> {
    if signals.len() > SIGNALS_MAX {
        return Err(Refusal::SignalsTooMany { max: SIGNALS_MAX });
    }
    let serving = std::sync::Arc::clone(&live.serving);
    let mut last = live.last_sequence;
    let mut resolved = Vec::with_capacity(signals.len());
    for (position, signal) in signals.iter().enumerate() {
        if signal.sequence() <= last {
            return Err(Refusal::SignalReplayed);
        }
        last = signal.sequence();
        if !allowed(signal.kind()) {
            return Err(Refusal::SignalNotAllowed { position });
        }
        resolved.push(signal.resolve(&serving.catalogue, position)?);
    }
    for signal in resolved {
        live.session.observe(&serving.model, &serving.catalogue, signal).map_err(Refusal::from)?;
    }
    live.last_sequence = last;
    Ok(())
}
