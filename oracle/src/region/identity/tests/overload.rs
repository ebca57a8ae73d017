//! More to sign than the threads can take: the excess is told to come back, and it costs nobody anything.

use std::sync::Barrier;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;

/// Signatures that may wait, of which the tests fill all or all but some.
const QUEUE_MAX: usize = 80;

/// Work that fills the queue until the test lets it go.
struct Full {
    gate: Arc<Barrier>,
    /// Nothing once it was let go.
    running: Option<JoinHandle<()>>,
}

/// A test that fails lets it go too: the threads are joined when the service is dropped.
impl Drop for Full {
    fn drop(&mut self) {
        if self.running.is_some() {
            self.gate.wait();
        }
    }
}

impl Full {
    async fn fill(service: &Service, cost: usize) -> Self {
        let gate = Arc::new(Barrier::new(2));
        let (begun, has_begun) = oneshot::channel();
        let (identity, inside) = (Arc::clone(service.identity()), Arc::clone(&gate));
        let running = tokio::spawn(async move {
            let work = move || {
                begun.send(()).unwrap();
                inside.wait();
            };
            identity.workers.run(cost, work).await.unwrap();
        });
        has_begun.await.unwrap();
        Self { gate, running: Some(running) }
    }

    async fn release(mut self) {
        let running = self.running.take().unwrap();
        self.gate.wait();
        running.await.unwrap();
    }
}

fn limits() -> IdentityLimits {
    IdentityLimits { signing_queue_max: QUEUE_MAX, ..IdentityLimits::default() }
}

fn busy(answered: &Answered) {
    assert_eq!(answered.problem(), (503, "busy".to_owned()));
    assert_eq!(answered.headers["retry-after"], "1");
}

#[tokio::test]
async fn what_is_shed_is_neither_counted_nor_spent() {
    let one = ("regions/us-east.toml", "tokens_per_window = 64", "tokens_per_window = 1");
    let service = Service::made(&[one], Vec::new(), limits()).await;
    let (voprf, other) =
        (service.any_token(TENANT, TokenType::VoprfP384).await, service.any_token(TENANT, TokenType::VoprfP384).await);
    let rsa = service.any_token(TENANT, TokenType::BlindRsa2048).await;
    let offers =
        [service.offer(TENANT, TokenType::VoprfP384).await, service.offer(TENANT, TokenType::BlindRsa2048).await];
    let asked = offers.map(|(challenge, key)| PendingToken::new(&challenge, &key, &mut OsRng.unwrap_err()).unwrap());

    let full = Full::fill(&service, QUEUE_MAX).await;
    for (subject, (request, _)) in (1..).zip(&asked) {
        let access = service.minted(TENANT, subject, Check::Account);
        for _ in 0..3 {
            busy(&service.ask_for_token(&access, request.to_bytes()).await);
        }
    }
    let shown = authorization(&voprf.to_bytes());
    busy(&service.redeem(&voprf).await);
    busy(&service.post("/v1/sessions", Some(&shown), &json!({})).await);
    let proof = json!({"proof": {"token": text(&voprf.to_bytes())}});
    busy(&service.post("/v1/sessions", Some(&service.bearer()), &proof).await);
    // What needs no thread goes on: verifying a signature, logging in, ranking.
    assert_eq!(service.redeem(&rsa).await.status, StatusCode::OK);
    assert_eq!(service.register("ann", b"password", &json!({})).await.status, StatusCode::ACCEPTED);
    assert_eq!(service.login("ann", b"password").await.unwrap().status, StatusCode::OK);
    assert_eq!(service.post("/v1/sessions", Some(&service.bearer()), &json!({})).await.status, StatusCode::CREATED);

    full.release().await;
    for (subject, (request, pending)) in (1..).zip(asked) {
        let access = service.minted(TENANT, subject, Check::Account);
        let answered = service.ask_for_token(&access, request.to_bytes()).await;
        assert!(pending.finalize(&answered.body).is_ok(), "the one of its window");
        assert_eq!(service.ask_for_token(&access, request.to_bytes()).await.problem().0, 429);
    }
    assert_eq!(service.redeem(&voprf).await.status, StatusCode::OK);
    assert_eq!(
        service.post("/v1/sessions", Some(&authorization(&other.to_bytes())), &json!({})).await.status,
        StatusCode::CREATED
    );
}

/// A batch that does not fit beside what waits is shed whole, and a single request that fits is served.
#[tokio::test]
async fn a_batch_weighs_as_much_as_its_requests() {
    let service = Service::made(&[], Vec::new(), limits()).await;
    let (challenge, key) = service.offer(TENANT, TokenType::VoprfP384).await;
    let wanted = std::iter::repeat_n((&challenge, &key), 64);
    let (batch, _) = attest::privacy_pass::client::pending_batch(wanted, &mut OsRng.unwrap_err()).unwrap();
    let access = service.minted(TENANT, 1, Check::Account);
    let ask = async |access: &str| {
        let media_type = "application/private-token-generic-batch-request";
        service.post_bytes("/v1/identity/tokens", media_type, access, batch.to_bytes()).await
    };
    let full = Full::fill(&service, QUEUE_MAX - 63).await;
    busy(&ask(&access).await);
    full.release().await;
    assert_eq!(ask(&access).await.status, StatusCode::OK, "all 64 of its window: nothing had been counted");
}
