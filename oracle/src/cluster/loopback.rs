//! Listeners on 127.0.0.1 with certificates of a development CA, made on the spot.

use std::io;

use axum::Router;
use prometheus::Registry;

use crate::http::{
    Condition, ConnectionMetrics, DevelopmentCa, Drain, DrainHandle, Identity, Limits, Server, ServerTls, admin_router,
};

/// Where a role listens.
pub(crate) struct Listening {
    /// `centre`, or the region's name.
    pub(crate) name: String,
    /// `https://127.0.0.1:port`
    pub(crate) url: String,
    /// `http://127.0.0.1:port` with `/healthz`, `/readyz`, `/metrics`.
    pub(crate) admin: String,
}

/// The listeners of one process, drained together.
pub(crate) struct Loopback {
    pub(crate) ca: DevelopmentCa,
    pub(crate) listening: Vec<Listening>,
    stop: DrainHandle,
    drain: Drain,
    servers: tokio::task::JoinSet<usize>,
}

impl Loopback {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let (stop, drain) = Drain::new();
        let servers = tokio::task::JoinSet::new();
        Ok(Self { ca: DevelopmentCa::generate()?, listening: Vec::new(), stop, drain, servers })
    }

    /// What a role serves with: a key of its own.
    pub(crate) fn identity(&self) -> anyhow::Result<Identity> {
        Ok(self.ca.server(&["127.0.0.1", "localhost"])?)
    }

    /// Serves a role over TLS, and its admin listener beside it.
    pub(crate) async fn serve(
        &mut self,
        name: &str,
        identity: Identity,
        router: Router,
        registry: &Registry,
        conditions: impl Fn() -> Vec<Condition> + Send + Sync + 'static,
    ) -> anyhow::Result<()> {
        let tls = ServerTls::new(identity, None)?;
        let served = self.listen(Some(tls), router, ConnectionMetrics::register(registry, "main")?).await?;
        let admin = admin_router(registry.clone(), conditions);
        let admin = self.listen(None, admin, ConnectionMetrics::register(registry, "admin")?).await?;
        let (url, admin) = (format!("https://127.0.0.1:{served}"), format!("http://127.0.0.1:{admin}"));
        self.listening.push(Listening { name: name.to_owned(), url, admin });
        Ok(())
    }

    /// Listens on a port that the system chooses, and says which.
    async fn listen(&mut self, tls: Option<ServerTls>, router: Router, metrics: ConnectionMetrics) -> io::Result<u16> {
        let server = Server::bind(([127, 0, 0, 1], 0).into(), tls, Limits::default(), metrics).await?;
        let port = server.local_address()?.port();
        self.servers.spawn(server.serve(router, self.drain.clone()));
        Ok(port)
    }

    /// Lets running requests finish and closes every listener.
    pub(crate) async fn stop(mut self) {
        self.stop.order();
        while self.servers.join_next().await.is_some() {}
    }
}
