//! Pulling catalogues and models from the centre: verified whole, then swapped at once.

use std::sync::Arc;

use aggregator::log::LogEntry;
use attest::{ModelPointer, PointerError};
use personalize::{Catalogue, CatalogueError, Model, ModelError};
use policies::rules::first_base_rate_ppm;
use policies::{Digest, Question};
use serde::Deserialize;

use super::admission::CentreCallError;
use super::node::Node;
use super::tenant::{Serving, Tenant};
use crate::client::{Answer, ClientError};
use crate::log::watch::LogRefusal;
use crate::log::{SourceError, TileFetch};

/// Why nothing new was taken. What was served before still is.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PullError {
    #[error(transparent)]
    Centre(#[from] CentreCallError),
    #[error("the centre's answer cannot be read")]
    Answer(#[from] ClientError),
    #[error("the model's pointer is refused")]
    Pointer(#[from] PointerError),
    #[error("the model's pointer is not in the transparency log")]
    Log(#[from] LogRefusal),
    #[error("the centre does not take this node's key epochs as they stand")]
    KeyEpochs,
    #[error("the catalogue is refused")]
    Catalogue(#[from] CatalogueError),
    #[error("the catalogue is not the one that was announced")]
    OtherCatalogue,
    #[error("the model is refused")]
    Model(#[from] ModelError),
}

#[derive(Deserialize)]
struct CatalogueList {
    catalogues: Vec<CatalogueVersion>,
}

/// What the centre says of one version of a catalogue.
#[derive(Deserialize)]
struct CatalogueVersion {
    version: u64,
    digest: Digest,
}

impl Node {
    /// Takes what is new at the centre for every tenant. A failure leaves what is served as it is; it is logged,
    /// and `/readyz` tells the age of the last success.
    pub async fn pull(&self) {
        for tenant in self.tenants().filter(|tenant| self.allows(tenant, Question::Serve)) {
            match self.pull_tenant(tenant).await {
                Ok(()) => self.pulled(),
                Err(error) => {
                    tracing::warn!(
                        tenant = tenant.id.as_str(),
                        error = &error as &dyn std::error::Error,
                        "pull failed"
                    );
                }
            }
        }
    }

    async fn pull_tenant(&self, tenant: &Tenant) -> Result<(), PullError> {
        let path = format!("/v1/models/{}/current", tenant.id);
        match self.get(&path).await {
            Ok(answer) => self.pull_model(tenant, &answer).await,
            Err(PullError::Centre(error)) if error.status() == Some(404) => self.pull_first_catalogue(tenant).await,
            Err(error) => Err(error),
        }
    }

    /// Before a first model: the newest catalogue, ranked by its content alone.
    async fn pull_first_catalogue(&self, tenant: &Tenant) -> Result<(), PullError> {
        let Some(newest) = self.catalogues(tenant).await?.into_iter().max_by_key(|catalogue| catalogue.version) else {
            return Ok(());
        };
        if tenant.newest().is_some_and(|serving| serving.catalogue.digest() == newest.digest) {
            return Ok(());
        }
        let catalogue = self.catalogue(tenant, &newest).await?;
        let model = Model::prior(&catalogue, first_base_rate_ppm(&tenant.rules()));
        tenant.offer(Arc::new(Serving { catalogue, model }));
        Ok(())
    }

    async fn pull_model(&self, tenant: &Tenant, answer: &Answer) -> Result<(), PullError> {
        let token = std::str::from_utf8(&answer.body).map_err(|_| ClientError::AnswerForm)?;
        let last = tenant.pointer();
        let pointer = ModelPointer::verify(token, &self.centre.key, &tenant.id, last.as_ref())?;
        if last.is_some_and(|last| last.serial == pointer.serial) {
            return Ok(());
        }
        self.check_logged(tenant, &pointer).await?;
        let path = format!("/v1/models/{}/{}", tenant.id, pointer.version);
        let artifact = self.get(&path).await?.body;
        pointer.check_artifact(&artifact)?;
        let wanted = Model::catalogue_of(&artifact)?;
        let held = tenant.newest().filter(|serving| serving.catalogue.digest() == wanted);
        let catalogue = match held {
            Some(serving) => Arc::clone(&serving.catalogue),
            None => {
                let announced = self.catalogues(tenant).await?.into_iter().find(|entry| entry.digest == wanted);
                self.catalogue(tenant, &announced.ok_or(PullError::OtherCatalogue)?).await?
            }
        };
        let model = Model::decode(&artifact, &catalogue)?;
        tenant.offer(Arc::new(Serving { catalogue, model }));
        tracing::info!(tenant = tenant.id.as_str(), version = pointer.version, serial = pointer.serial, "model taken");
        let serial = pointer.serial;
        tenant.note_pointer(pointer);
        self.log.keep_serial(&tenant.id, serial).await?;
        Ok(())
    }

    /// That the pointer stands in the transparency log, and is none that this node has gone beyond, also before a restart.
    async fn check_logged(&self, tenant: &Tenant, pointer: &ModelPointer) -> Result<(), PullError> {
        if pointer.serial < self.log.serial_seen(&tenant.id).await? {
            return Err(PointerError::Serial.into());
        }
        let proof = self.get(&format!("/v1/models/{}/current/proof", tenant.id)).await?.body;
        let LogEntry::Model(logged) = self.log.logged(&proof, self).await? else {
            return Err(LogRefusal::OtherEntry.into());
        };
        let named = (logged.version, logged.digest, logged.serial) == (pointer.version, pointer.digest, pointer.serial);
        if named && logged.tenant == tenant.id { Ok(()) } else { Err(LogRefusal::OtherEntry.into()) }
    }

    async fn catalogues(&self, tenant: &Tenant) -> Result<Vec<CatalogueVersion>, PullError> {
        let answer = self.get(&format!("/v1/catalogues/{}", tenant.id)).await?;
        Ok(answer.json::<CatalogueList>()?.catalogues)
    }

    async fn catalogue(&self, tenant: &Tenant, entry: &CatalogueVersion) -> Result<Arc<Catalogue>, PullError> {
        let bytes = self.get(&format!("/v1/catalogues/{}/{}", tenant.id, entry.version)).await?.body;
        let catalogue = Catalogue::parse(tenant.id.clone(), entry.version, &bytes)?;
        if catalogue.digest() != entry.digest {
            return Err(PullError::OtherCatalogue);
        }
        Ok(Arc::new(catalogue))
    }

    async fn get<'a>(&'a self, path: &'a str) -> Result<Answer, PullError> {
        Ok(self.at_centre(|| self.centre.client.get(path)).await?)
    }
}

impl TileFetch for Node {
    async fn fetch(&self, path: &str, bytes_max: usize) -> Result<Option<Vec<u8>>, SourceError> {
        match self.get(&format!("/log/{path}")).await {
            Ok(answer) if answer.body.len() > bytes_max => Err(SourceError::Form),
            Ok(answer) => Ok(Some(answer.body.to_vec())),
            Err(PullError::Centre(error)) if error.status() == Some(404) => Ok(None),
            Err(_) => Err(SourceError::Centre),
        }
    }
}
