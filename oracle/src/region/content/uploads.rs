//! Uploads in memory, each within its limit and all together within a budget of bytes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use policies::TenantId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::refusal::ContentRefusal;

/// The budget's unit. A semaphore hands out at most 2³² − 1 units at once.
const UNIT_BYTES: usize = 1024;
/// By how much an upload grows: what it holds of the budget is what came, and not what was announced.
const STEP_BYTES: usize = 256 * UNIT_BYTES;

/// The budget of bytes that all uploads share, and of which no tenant has more than its share.
pub(crate) struct Uploads {
    units: Arc<Semaphore>,
    /// Of each tenant that uploaded; tenants are the policy's.
    shares: Mutex<HashMap<TenantId, Arc<Semaphore>>>,
    share_units: usize,
}

/// A place in the budget: of all, and of the tenant.
struct Place([OwnedSemaphorePermit; 2]);

/// A whole upload. Its place in the budget goes back when it is dropped: whoever works on the bytes keeps it.
pub(crate) struct Upload {
    bytes: Vec<u8>,
    _place: Place,
}

impl Upload {
    /// The bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Uploads {
    /// A budget of `bytes_max` bytes, of which a tenant has half, or what one upload of `upload_bytes_max` needs.
    pub(crate) fn new(bytes_max: usize, upload_bytes_max: usize) -> Self {
        let units = (bytes_max / UNIT_BYTES).min(Semaphore::MAX_PERMITS);
        let share_units = (units / 2).max(upload_bytes_max.div_ceil(UNIT_BYTES)).min(units);
        Self { units: Arc::new(Semaphore::new(units)), shares: Mutex::default(), share_units }
    }

    /// Receives a tenant's body of `bytes_max` bytes at most. A length that is told is held against limit and budget
    /// before anything is read, and takes nothing of the budget: a place is taken as bytes come. Nothing beyond limit or
    /// budget is ever in memory.
    ///
    /// # Errors
    /// [`ContentRefusal::TooLarge`], [`ContentRefusal::UploadsFull`] or [`ContentRefusal::Broken`].
    pub(crate) async fn receive(
        &self,
        tenant: &TenantId,
        headers: &HeaderMap,
        mut body: Body,
        bytes_max: usize,
    ) -> Result<Upload, ContentRefusal> {
        let too_large = ContentRefusal::TooLarge { max: bytes_max };
        let told = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        let told = match told.map(usize::try_from) {
            Some(Ok(told)) if told <= bytes_max => Some(told),
            Some(_) => return Err(too_large),
            None => None,
        };
        let budgets = [Arc::clone(&self.units), self.share(tenant)];
        let free = budgets.iter().map(|budget| budget.available_permits()).min().unwrap_or(0);
        if told.is_some_and(|told| told.div_ceil(UNIT_BYTES) > free) {
            return Err(ContentRefusal::UploadsFull);
        }
        let mut room = told.unwrap_or(STEP_BYTES).min(STEP_BYTES).min(bytes_max);
        let mut place = Place::take(&budgets, room)?;
        let mut bytes = Vec::with_capacity(room);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| ContentRefusal::Broken)?;
            let Ok(data) = frame.into_data() else { continue };
            let length = bytes.len().saturating_add(data.len());
            if length > bytes_max {
                return Err(too_large);
            }
            if length > room {
                let step = (length - room).next_multiple_of(STEP_BYTES).min(bytes_max - room);
                place.merge(Place::take(&budgets, step)?);
                room += step;
                bytes.reserve_exact(room - bytes.len());
            }
            bytes.extend_from_slice(&data);
        }
        Ok(Upload { bytes, _place: place })
    }

    fn share(&self, tenant: &TenantId) -> Arc<Semaphore> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        let share = shares.entry(tenant.clone()).or_insert_with(|| Arc::new(Semaphore::new(self.share_units)));
        Arc::clone(share)
    }
}

impl Place {
    fn take(budgets: &[Arc<Semaphore>; 2], bytes: usize) -> Result<Self, ContentRefusal> {
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES)).map_err(|_| ContentRefusal::UploadsFull)?;
        let take = |budget: &Arc<Semaphore>| {
            Arc::clone(budget).try_acquire_many_owned(units).map_err(|_| ContentRefusal::UploadsFull)
        };
        Ok(Self([take(&budgets[0])?, take(&budgets[1])?]))
    }

    fn merge(&mut self, Self([of_all, of_tenant]): Self) {
        self.0[0].merge(of_all);
        self.0[1].merge(of_tenant);
    }
}
