//! The turn of a window: close, charge, have it countersigned, noise, persist, send; and open the next.
//!
//! Each step is durable before the next begins, and a process may be killed between any two. What was charged and has
//! no bytes is burned at the next start; what was persisted is sent as it stands.

use std::sync::{Arc, PoisonError};

use aggregator::release::{
    Charge, ClosedTask, ClosedWindow, CommitError, PlanInputs, Release, SeenCharge, StoreError, WindowAccumulator,
    WindowPlan,
};
use policies::{Question, TaskKind, TenantId, UnitRule, WindowId};
use zeroize::Zeroizing;

use super::node::{Node, Suspension};
use super::tenant::Tenant;
use crate::environment::StopPoint;

/// What a turn came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Turn {
    /// Releases charged, noised and persisted.
    pub released: usize,
    /// Releases that did not come about; `/readyz` says why.
    pub withheld: usize,
    /// Releases that were charged, and wait for the centre to confirm that it knows.
    pub waiting: usize,
}

impl Node {
    /// The window that `now_ms` lies in: `floor(Unix time / length)`.
    pub(crate) fn window_at(&self, now_ms: u64) -> WindowId {
        WindowId(now_ms / 1000 / u64::from(self.in_force().rule.unit.window_seconds))
    }

    /// Opens each tenant's window after a start: the one that the clock is in, or the one after the last closed.
    pub(crate) async fn open_first_windows(&self) {
        let mut turn = self.turn.lock().await;
        let mut first = self.window_at(self.environment.clock.now_ms());
        // Without knowing what was closed nothing may be counted.
        let Some(ledger) = &self.ledger else { return };
        let unit = self.in_force().rule.unit.clone();
        for tenant in self.tenants() {
            match ledger.open_window(&tenant.id, &unit, first).await {
                Ok(open) => first = first.max(open),
                Err(_) => return self.suspend(Suspension::Ledger, first),
            }
        }
        *turn = first;
        for tenant in self.tenants() {
            *tenant.window() = self.open(tenant, first).unwrap_or_else(|why| {
                self.suspend(why, first);
                None
            });
        }
    }

    /// Opens the window of tenants whose first catalogue has arrived since the turn. It counts from here on.
    pub(crate) async fn open_missing_windows(&self) {
        let turn = self.turn.lock().await;
        if self.ledger.is_none() || *turn == WindowId(0) {
            return;
        }
        for tenant in self.tenants() {
            if tenant.window().is_some() {
                continue;
            }
            match self.open(tenant, *turn) {
                Ok(opened) => *tenant.window() = opened,
                Err(why) => self.suspend(why, *turn),
            }
        }
    }

    /// A window for the tenant's current catalogue and frame; nothing before the first catalogue.
    fn open(&self, tenant: &Tenant, window: WindowId) -> Result<Option<WindowAccumulator>, Suspension> {
        // A tenant that is no longer served is no longer counted.
        if !self.allows(tenant, Question::Serve) {
            return Ok(None);
        }
        let Some(serving) = tenant.turn() else { return Ok(None) };
        let in_force = self.in_force();
        let (rule, rules) = (&in_force.rule, tenant.rules());
        let plan = WindowPlan::freeze(PlanInputs {
            tenant: tenant.id.clone(),
            region: rule.region.clone(),
            node: self.name.clone(),
            window,
            unit: rule.unit.clone(),
            budget: rule.budget.clone(),
            policy: in_force.digest(),
            rules: &rules,
            catalogue_items: serving.catalogue.len(),
            frame: serving.model.frame().clone(),
            model_version: serving.model.version(),
        });
        let plan = plan.map_err(|error| {
            tracing::error!(tenant = tenant.id.as_str(), %error, "no plan for a window: it counts nothing");
            Suspension::Plan
        })?;
        let key = self.environment.entropy.bytes().map_err(|_| Suspension::Entropy)?;
        Ok(Some(WindowAccumulator::open(Arc::new(plan), Zeroizing::new(key))))
    }

    /// Closes the open window, whatever the clock says, opens the next, and releases what was closed.
    ///
    /// Sessions whose time is over are counted first. The next window is open before the first charge, so that
    /// rankings and contributions never wait for a release.
    pub async fn close_window(&self) -> Turn {
        let mut turn = self.turn.lock().await;
        self.sweep();
        let closing = *turn;
        // The window is one of the policies that it was counted under.
        let unit = self.in_force().rule.unit.clone();
        // Policies that were taken meanwhile come into force between two windows.
        let first = self.turn_policies(closing).unwrap_or(WindowId(closing.0 + 1));
        let next = self.window_at(self.environment.clock.now_ms()).max(first);
        let mut closed = Vec::new();
        let mut standing = Vec::new();
        for tenant in self.tenants() {
            let marked = self.mark_closed(&tenant.id, &unit, closing).await;
            let opened = self.open(tenant, next).unwrap_or_else(|why| {
                self.suspend(why, next);
                standing.push(why);
                None
            });
            let window = std::mem::replace(&mut *tenant.window(), opened);
            match (marked, window) {
                (Ok(()), Some(window)) => closed.push(window.close()),
                (Ok(()), None) => {}
                (Err(error), _) => {
                    tracing::error!(tenant = tenant.id.as_str(), %error, "a window could not be closed: it is discarded");
                    self.suspend(Suspension::Ledger, closing);
                    standing.push(Suspension::Ledger);
                }
            }
        }
        *turn = next;
        self.environment.reached(StopPoint::WindowClosed).await;
        let mut outcome = Turn::default();
        let mut charged = Vec::new();
        for window in closed {
            self.charge_window(window, &mut outcome, &mut standing, &mut charged).await;
        }
        self.wait_for_centre(closing, charged, &mut outcome, &mut standing);
        let settled = self.settle().await;
        outcome.released += settled.released;
        outcome.withheld += settled.withheld;
        outcome.waiting = self.waiting.releases();
        standing.extend(settled.standing);
        self.resume_but(&standing);
        outcome
    }

    async fn mark_closed(&self, tenant: &TenantId, unit: &UnitRule, window: WindowId) -> Result<(), StoreError> {
        self.ledger.as_ref().ok_or(StoreError::Unavailable)?.close_window(tenant, unit, window).await
    }

    /// Charges a window's releases. Nothing is refunded on a failure.
    async fn charge_window(
        &self,
        window: ClosedWindow,
        outcome: &mut Turn,
        standing: &mut Vec<Suspension>,
        charged: &mut Vec<(Charge, ClosedTask)>,
    ) {
        let (tenant, id) = (window.plan().tenant().clone(), window.plan().window());
        for task in window.into_tasks() {
            let kind = task.plan().kind;
            match self.charge(&task).await {
                Ok(charge) => charged.push((charge, task)),
                Err(why) => {
                    outcome.withheld += 1;
                    self.metrics.released(&tenant, kind, "withheld");
                    self.suspend(why, id);
                    standing.push(why);
                }
            }
        }
    }

    async fn charge(&self, task: &ClosedTask) -> Result<Charge, Suspension> {
        let ledger = self.ledger.as_ref().ok_or(Suspension::Ledger)?;
        // What the centre does not believe is not written on.
        if let Some(why) = self.waiting.stopped() {
            tracing::error!("the centre does not confirm this ledger: nothing is charged");
            return Err(why);
        }
        let charge = ledger.charge(task).await.map_err(suspension)?;
        self.environment.reached(StopPoint::Charged).await;
        Ok(charge)
    }

    /// Noise, persist: one release, whose charge the centre knows.
    pub(super) async fn noise_and_persist(&self, charge: SeenCharge, task: ClosedTask) -> Result<(), Suspension> {
        let (tenant, kind) = (task.window().tenant().clone(), task.plan().kind);
        let kept = self.make_and_keep(charge, task).await;
        if kept.is_err() && kind == TaskKind::RunningTotals {
            // A row that nobody gets makes all after it useless.
            self.streams.end(&tenant);
        }
        kept
    }

    async fn make_and_keep(&self, charge: SeenCharge, task: ClosedTask) -> Result<(), Suspension> {
        let ledger = self.ledger.as_ref().ok_or(Suspension::Ledger)?;
        #[cfg(test)]
        crate::simulation::drawn(&task.id());
        let (noise, key, streams) = (self.noise.clone(), self.node_key.clone(), self.streams.clone());
        let release = tokio::task::spawn_blocking(move || {
            let mut noise = noise.lock().unwrap_or_else(PoisonError::into_inner);
            let tenant = task.window().tenant().clone();
            streams.with(&tenant, |stream| Release::continuing(charge, task, &mut noise, &key, stream))
        });
        let release = release.await.map_err(|_| Suspension::Entropy)?.map_err(|error| {
            tracing::error!(%error, "a release was not made: its charge is burned");
            Suspension::Ledger
        })?;
        self.environment.reached(StopPoint::Noised).await;
        ledger.persist(&release).await.map_err(|error| {
            tracing::error!(%error, "a noised release could not be persisted: its charge is burned");
            Suspension::Ledger
        })?;
        self.environment.reached(StopPoint::Persisted).await;
        Ok(())
    }
}

/// Why a charge was refused, as the operator is told.
fn suspension(error: CommitError) -> Suspension {
    tracing::error!(%error, "a release was not charged: nothing leaves");
    match error {
        CommitError::OverWindowBudget
        | CommitError::OverYearBudget
        | CommitError::OverWindowDelta
        | CommitError::OverPurposeWindowBudget
        | CommitError::OverPurposeYearBudget => Suspension::Budget,
        CommitError::Replaced => Suspension::Forked,
        CommitError::AlreadyCharged | CommitError::Store(_) => Suspension::Ledger,
    }
}
