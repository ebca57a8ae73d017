//! Logins by OPAQUE: both messages over HTTPS, beside the two functions of the protocol.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use attest::opaque::{ClientLogin, ClientRegistration, OpaqueServer, Stretching};
use rand_chacha::ChaCha20Rng;
use rand_core::{OsRng, SeedableRng as _, TryRngCore as _};

use super::cpu::Work;
use super::service::{Account, LOGIN_FINISH, PASSWORD, Service, TENANT, begin_login};
use crate::cli::bench::load::{Asked, Request};
use crate::client::{Client, ClientError};

/// Logins by the primitives alone for each second that is asked for: fewer than a processor does.
const LOGINS_A_SECOND: u64 = 2000;

/// Logins to some accounts, one after the other. The client stretches no password: that would be its own work.
pub(super) struct Logins {
    accounts: Arc<[Account]>,
    next: AtomicUsize,
}

impl Logins {
    pub(super) fn new(service: &Service) -> Self {
        Self { accounts: Arc::clone(&service.accounts), next: AtomicUsize::new(0) }
    }
}

impl Asked for Logins {
    /// The body of the second message.
    type State = Vec<u8>;

    async fn prepare(&self, client: &Client, finish: &mut Vec<u8>) -> Result<(), ClientError> {
        let account = &self.accounts[self.next.fetch_add(1, Ordering::Relaxed) % self.accounts.len()];
        *finish = begin_login(client, &account.user).await?;
        Ok(())
    }

    fn request(&self, finish: &mut Vec<u8>) -> Option<Request> {
        Some(Request::json(LOGIN_FINISH, std::mem::take(finish)))
    }
}

/// `login_start` and `login_finish` of [`OpaqueServer`], for logins that succeed; the client's work in between is not
/// counted.
pub(super) fn primitive(duration: Duration) -> anyhow::Result<Work> {
    let logins = u64::try_from(duration.as_millis())?.saturating_mul(LOGINS_A_SECOND) / 1000;
    let mut rng = OsRng.unwrap_err();
    let server = OpaqueServer::generate(&mut rng);
    let id = server.credential_id(&TENANT.parse()?, "viewer")?;
    let (client, request) = ClientRegistration::start(PASSWORD, &mut rng)?;
    let response = server.registration_start(&id, &request)?;
    let stretching = Stretching::fast_for_tests();
    let (upload, _) = client.finish(PASSWORD, &response, &mut rng, &stretching)?;
    let record = OpaqueServer::registration_finish(&upload)?;

    let begun = (0..logins.max(1)).map(|_| Ok(ClientLogin::start(PASSWORD, &mut rng)?));
    let (clients, requests): (Vec<_>, Vec<_>) = begun.collect::<anyhow::Result<Vec<_>>>()?.into_iter().unzip();
    let mut seed = [0; 32];
    OsRng.try_fill_bytes(&mut seed)?;
    let mut server_rng = ChaCha20Rng::from_seed(seed);
    let start = |ke1: Vec<u8>| Ok(server.login_start(&id, Some(&record), &ke1, &mut server_rng)?);
    let (starts, started) = Work::of_each(requests, start)?;
    let mut answered = Vec::new();
    for (client, (ke2, pending)) in clients.into_iter().zip(started) {
        let (ke3, _) = client.finish(PASSWORD, &ke2, &mut rng, &stretching)?;
        answered.push((pending, ke3));
    }
    let (finishes, _) = Work::of_each(answered, |(pending, ke3)| Ok(OpaqueServer::login_finish(pending, &ke3)?))?;
    Ok(Work { times: starts.times, used: starts.used + finishes.used })
}
