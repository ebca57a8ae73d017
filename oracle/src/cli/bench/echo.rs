//! What the machine allows: the same bytes over the same stack, with nothing done in between.

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use prometheus::Registry;

use super::load::{Asked, Request};
use crate::client::{Client, ClientError};
use crate::http::{ConnectionMetrics, DevelopmentCa, Drain, DrainHandle, Limits, Server, ServerTls};

/// A listener that reads a body and answers with fixed bytes. It stops when the handle is dropped.
pub(super) struct Echo {
    pub(super) url: String,
    _stop: DrainHandle,
}

impl Echo {
    pub(super) async fn start(ca: &DevelopmentCa, answer: Bytes) -> anyhow::Result<Self> {
        let tls = ServerTls::new(ca.server(&["127.0.0.1"])?, None)?;
        let metrics = ConnectionMetrics::register(&Registry::new(), "echo")?;
        let server = Server::bind(([127, 0, 0, 1], 0).into(), Some(tls), Limits::default(), metrics).await?;
        let url = format!("https://{}", server.local_address()?);
        let handler = post(async move |body: Bytes| {
            drop(body);
            ([("content-type", "application/json")], answer.clone())
        });
        let (stop, drain) = Drain::new();
        tokio::spawn(server.serve(Router::new().route("/echo", handler), drain));
        Ok(Self { url, _stop: stop })
    }
}

/// The same request body every time.
pub(super) struct Echoed(pub(super) Bytes);

impl Asked for Echoed {
    type State = ();

    async fn prepare(&self, _: &Client, (): &mut ()) -> Result<(), ClientError> {
        Ok(())
    }

    fn request(&self, (): &mut ()) -> Option<Request> {
        Some(Request::json("/echo", self.0.clone()))
    }
}
