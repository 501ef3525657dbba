//! A collector's life from start to death: the real ingest over a real store, on a disk and a network that fail.

use super::disk::{Disk, Image};
use super::net::Net;
use super::store::SimStore;
use super::{Mutant, SimClock, World};
use outband_collector::auth::Gate;
use outband_collector::datadir::DataDir;
use outband_collector::ingest::service::MAX_MESSAGE;
use outband_collector::ingest::{Ingest, Registry};
use outband_collector::serve;
use outband_collector::token::{Role, Tokens};
use outband_proto::ingest::ingest_service_server::IngestServiceServer;
use outband_store::sqlite::Options;
use outband_store::{SqliteStore, Store, StoreError};
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;

/// A gate, and the token of agents that it lets in.
pub(crate) static GATE: LazyLock<(Gate, String)> = LazyLock::new(|| {
    let dir = tempfile::tempdir().expect("a directory");
    let data = DataDir::open(dir.path()).expect("a data directory");
    let tokens = Tokens::load_or_make(&data).expect("tokens");
    let token = data.read(&Role::Agent.token_file()).expect("a token").expect("a token");
    (Gate::new(tokens), token.trim().to_owned())
});

/// A collector that runs.
pub(crate) struct Collector {
    /// Its disk.
    pub(crate) disk: Disk,
    /// Its store.
    pub(crate) store: SimStore,
    shutdown: CancellationToken,
    serving: JoinHandle<()>,
}

impl Collector {
    /// Opens the store on this disk, and listens.
    pub(crate) fn start(disk: Disk, net: &Net, clock: &SimClock, world: &World) -> Result<Self, StoreError> {
        if world.mutant == Mutant::StoreWithoutSync {
            disk.forget_syncs();
        }
        let real = open(&disk)?;
        let store = SimStore::new(real, disk.clone(), world.oracle.clone(), world.mutant);
        let shutdown = CancellationToken::new();
        let ingest = Ingest::new(store.clone(), Arc::new(clock.clone()), Registry::default(), shutdown.clone())
            .with_age(world.age());
        let service = IngestServiceServer::new(ingest).max_decoding_message_size(MAX_MESSAGE);
        let lines = UnboundedReceiverStream::new(net.listen());
        let ending = shutdown.clone().cancelled_owned();
        let serving = tokio::spawn(async move {
            let server = serve::kept_alive(Server::builder()).add_service(GATE.0.guard(service));
            // An end like any other: the world sees who does not answer.
            server.serve_with_incoming_shutdown(lines, ending).await.unwrap_or_default();
        });
        Ok(Self { disk, store, shutdown, serving })
    }

    /// Ends at once.
    pub(crate) fn kill(self, net: &Net) {
        net.deafen();
        self.serving.abort();
    }

    /// Ends as it is asked to: what it leaves.
    pub(crate) async fn stop(self, net: &Net) -> Image {
        net.deafen();
        self.shutdown.cancel();
        if tokio::time::timeout(Duration::from_secs(60), self.serving).await.is_err() {
            tracing::debug!("a stream did not end in time");
        }
        if let Err(error) = self.store.close() {
            tracing::debug!(%error, "the store did not close");
        }
        self.disk.take(super::disk::Cut::Kill)
    }
}

fn open(disk: &Disk) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(&Options { readers: 1, ..Options::new(disk.dir()) })
}

/// A store that was made and closed: making one anew for each run costs more than the run.
pub(crate) fn empty_store() -> &'static Image {
    static EMPTY: OnceLock<Image> = OnceLock::new();
    EMPTY.get_or_init(|| {
        let root = tempfile::tempdir().expect("a directory");
        let disk = Disk::new(root.path(), "empty", &Image::new(), 0, Arc::default());
        let store = open(&disk).expect("a store");
        store.close().expect("an end");
        drop(store);
        disk.copy()
    })
}
