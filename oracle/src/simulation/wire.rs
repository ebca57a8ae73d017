//! The way between node and centre: everything that crosses it can be lost, held back, doubled or changed.
//!
//! The node's own client speaks HTTP over a socket of the loopback interface; behind it, the centre's own router answers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aggregator::release::{Envelope, ReleaseBody, ReleaseId};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Method, StatusCode, request, response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tower::ServiceExt as _;

use super::operation::{Mishap, Target};
use crate::store::probe::fault::Fuse;

/// Requests that are remembered, to be sent again.
const REMEMBERED_MAX: usize = 8;

/// The connection ends without an answer.
#[derive(Debug, thiserror::Error)]
#[error("cut")]
pub(super) struct Cut;

#[derive(Clone)]
struct Message {
    head: request::Parts,
    body: Bytes,
}

impl Message {
    fn target(&self) -> Target {
        match (&self.head.method, self.head.uri.path()) {
            (&Method::POST, "/v1/ledger") => Target::Ledger,
            (&Method::POST, "/v1/releases") => Target::Releases,
            _ => Target::Reads,
        }
    }

    /// The release inside, as it left the node.
    fn release(&self) -> Option<ReleaseId> {
        let body = Envelope::decode(&self.body).ok()?.body();
        ReleaseBody::decode(body).ok().map(|body| body.id)
    }

    fn corrupted(mut self, bit: u16) -> Self {
        self.body = flipped(&self.body, bit);
        self
    }
}

fn flipped(body: &Bytes, bit: u16) -> Bytes {
    let mut bytes = body.to_vec();
    let bit = usize::from(bit).wrapping_mul(2_654_435_761) % (bytes.len() * 8).max(1);
    if let Some(byte) = bytes.get_mut(bit / 8) {
        *byte ^= 1 << (bit % 8);
    }
    bytes.into()
}

type Answer = (response::Parts, Bytes);

#[derive(Default)]
struct State {
    router: Option<Router>,
    mishaps: VecDeque<(Target, Mishap)>,
    remembered: VecDeque<Message>,
    /// Every set of bytes that left for a release.
    left: BTreeMap<ReleaseId, BTreeSet<Vec<u8>>>,
    /// Releases that the node was told are refused for good, with the answer.
    refused: BTreeMap<ReleaseId, String>,
}

/// The wire, and what an observer of it has seen.
pub(super) struct Wire {
    state: Mutex<State>,
    centre: Arc<Fuse>,
}

impl Wire {
    /// A wire to a centre whose stores break by this fuse.
    pub(super) fn new(centre: Arc<Fuse>) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), centre })
    }

    /// Begins to listen, on the runtime of the test; returns the URL.
    pub(super) async fn listen(self: &Arc<Self>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let wire = Arc::clone(self);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                let wire = Arc::clone(&wire);
                let service = service_fn(move |request| Arc::clone(&wire).carry(request));
                // How a connection ends is the simulation's doing.
                tokio::spawn(async move {
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok()
                });
            }
        });
        url
    }

    /// The centre is there, or away.
    pub(super) fn attach(&self, router: Option<Router>) {
        self.state().router = router;
    }

    pub(super) fn plan(&self, target: Target, mishap: Mishap) {
        self.state().mishaps.push_back((target, mishap));
    }

    /// Nothing goes wrong any more.
    pub(super) fn heal(&self) {
        self.state().mishaps.clear();
    }

    /// Delivers a remembered request once more.
    pub(super) async fn replay(&self, number: u8) {
        let message = {
            let state = self.state();
            let Some(last) = state.remembered.len().checked_sub(1) else { return };
            state.remembered[usize::from(number).min(last)].clone()
        };
        // Nobody waits for the answer.
        let _ = self.deliver(message).await;
    }

    /// What left for each release.
    pub(super) fn left(&self) -> BTreeMap<ReleaseId, BTreeSet<Vec<u8>>> {
        self.state().left.clone()
    }

    /// Which releases the node was told are refused.
    pub(super) fn refused(&self) -> BTreeMap<ReleaseId, String> {
        self.state().refused.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn carry(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Cut> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
        let message = Message { head, body };
        let (target, release) = (message.target(), message.release());
        let mishap = {
            let mut state = self.state();
            if let Some(id) = &release {
                state.left.entry(id.clone()).or_default().insert(message.body.to_vec());
            }
            if target != Target::Reads {
                state.remembered.truncate(REMEMBERED_MAX - 1);
                state.remembered.push_front(message.clone());
            }
            let place = state.mishaps.iter().position(|(of, _)| *of == target);
            place.and_then(|place| state.mishaps.remove(place)).map(|(_, mishap)| mishap)
        };
        let (head, body) = self.carried(message, mishap).await?;
        if let Some(id) = release.filter(|_| head.status.is_client_error() && head.status != StatusCode::UNAUTHORIZED) {
            self.state().refused.insert(id, String::from_utf8_lossy(&body).into_owned());
        }
        Ok(Response::from_parts(head, Full::new(body)))
    }

    async fn carried(&self, message: Message, mishap: Option<Mishap>) -> Result<Answer, Cut> {
        match mishap {
            None => self.deliver(message).await,
            Some(Mishap::LoseRequest | Mishap::Delay) => Err(Cut),
            Some(Mishap::LoseAnswer) => {
                self.deliver(message).await?;
                Err(Cut)
            }
            Some(Mishap::Twice) => {
                self.deliver(message.clone()).await?;
                self.deliver(message).await
            }
            Some(Mishap::CorruptRequest(bit)) => self.deliver(message.corrupted(bit)).await,
            Some(Mishap::CorruptAnswer(bit)) => {
                let (head, body) = self.deliver(message).await?;
                Ok((head, flipped(&body, bit)))
            }
        }
    }

    /// The centre's answer, unless it is away or dies over it.
    async fn deliver(&self, message: Message) -> Result<Answer, Cut> {
        let router = self.state().router.clone().ok_or(Cut)?;
        let answered = async {
            let request = Request::from_parts(message.head, Body::from(message.body));
            let Ok(response) = router.oneshot(request).await;
            let (mut head, body) = response.into_parts();
            let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
            head.headers.remove("content-length");
            Ok((head, body))
        };
        tokio::select! {
            biased;
            () = self.centre.blown.raised() => {
                self.attach(None);
                Err(Cut)
            }
            answered = answered => answered,
        }
    }
}
