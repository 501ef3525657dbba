//! An agent's life from start to death: the real spool and the real uplink, on a disk and a network that fail. What a BMC would say is made up.

use super::collector::GATE;
use super::disk::Disk;
use super::net::Net;
use super::oracle::Oracle;
use super::{Mutant, SimClock, World, lock};
use hyper_util::rt::TokioIo;
use outband_agent::spooler::{self, Body, Spooler};
use outband_agent::uplink::client::{self, Dial, kept_alive};
use outband_agent::uplink::{self, Announce, Link, Settings};
use outband_schemas::{AgentId, Lane, SiteId, Timestamp};
use outband_store::AgentRecord;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::DuplexStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::codegen::Service;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint, Uri};

/// The way through the simulated network.
#[derive(Clone)]
struct Way {
    net: Net,
    agent: usize,
}

impl Service<Uri> for Way {
    type Response = TokioIo<DuplexStream>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let way = self.clone();
        Box::pin(async move { Ok(TokioIo::new(way.net.dial(way.agent).await?)) })
    }
}

impl Dial for Way {
    async fn dial(
        &self,
        endpoint: &str,
        _: &uplink::Options,
    ) -> Result<(Channel, Option<MetadataValue<Ascii>>), client::Error> {
        let fail = |e: tonic::transport::Error| client::Error::Connect(format!("{e:?}"));
        let endpoint = Endpoint::from_shared(endpoint.to_owned()).map_err(fail)?;
        let channel = kept_alive(endpoint).connect_with_connector(self.clone()).await.map_err(fail)?;
        let token = format!("Bearer {}", GATE.1).parse().map_err(|_| client::Error::Closed)?;
        Ok((channel, Some(token)))
    }
}

/// What a record says of its time begins here, in milliseconds.
const TIME_ZERO: i64 = 1_700_000_000_000;

/// What stays of an agent from life to life: where its records count on.
#[derive(Debug, Default)]
pub(crate) struct Lasting {
    next: AtomicI64,
}

/// An agent that runs.
pub(crate) struct Agent {
    /// Its disk.
    pub(crate) disk: Disk,
    /// Its spool.
    pub(crate) spooler: Spooler,
    /// How its connection is.
    pub(crate) link: watch::Receiver<Link>,
    settings: watch::Sender<Settings>,
    producer: Producer,
    tasks: JoinSet<()>,
    quiet: CancellationToken,
}

impl Agent {
    /// Opens the spool on this disk, connects, and begins to see things.
    pub(crate) fn start(
        number: usize,
        disk: Disk,
        net: &Net,
        clock: &SimClock,
        world: &World,
        seed: u64,
    ) -> Result<Self, spooler::Error> {
        if world.mutant == Mutant::SpoolWithoutSync {
            disk.forget_syncs();
        }
        let mut ids = StdRng::seed_from_u64(seed);
        let options = spooler::Options {
            path: disk.dir().join("spool.db"),
            spool: world.spool_options(),
            gather: Duration::ZERO,
        };
        let (spooler, found, service) = Spooler::open(options, clock.clone(), move || ids.random())?;
        if let Some(path) = found.set_aside {
            tracing::debug!(path = %path.display(), "a spool was set aside");
        }
        lock(&world.oracle).spool(spooler.held().borrow().id);
        let settings = Settings {
            options: uplink::Options {
                endpoints: vec!["http://collector".to_owned()],
                ca_file: "unused".into(),
                credential: uplink::Credential::Token("unused".into()),
                server_name: None,
            },
            announce: Announce {
                agent: world.names[number].clone(),
                site: SiteId::new("site").expect("a name"),
                version: "0".to_owned(),
                targets: Vec::new(),
                sensor_interval: Duration::from_secs(60),
            },
        };
        let (settings, seen) = watch::channel(settings);
        let (tell, link) = watch::channel(Link::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(service);
        let way = Way { net: net.clone(), agent: number };
        let rng = StdRng::seed_from_u64(seed ^ 1);
        tasks.spawn(uplink::run_over(
            way,
            seen,
            spooler.clone(),
            tell,
            mpsc::channel(1).0,
            rng,
            CancellationToken::new(),
        ));
        let quiet = CancellationToken::new();
        let producer = Producer {
            agent: number,
            spooler: spooler.clone(),
            disk: disk.clone(),
            oracle: world.oracle.clone(),
            lasting: world.lasting[number].clone(),
        };
        tasks.spawn(producer.clone().go_on(quiet.clone(), StdRng::seed_from_u64(seed ^ 2)));
        if world.mutant == Mutant::ReleaseOnSend {
            tasks.spawn(release_on_send(spooler.clone(), link.clone()));
        }
        Ok(Self { disk, spooler, link, settings, producer, tasks, quiet })
    }

    /// Everything of it ends at once.
    pub(crate) async fn kill(mut self) {
        self.tasks.shutdown().await;
    }

    /// It sees nothing more.
    pub(crate) fn hush(&self) {
        self.quiet.cancel();
    }

    /// It says Hello again.
    pub(crate) fn hello_again(&self) {
        self.settings.send_modify(|s| s.announce.version.push('1'));
    }

    /// It sees so many records at once.
    pub(crate) fn burst(&mut self, records: u32, seed: u64) {
        let producer = self.producer.clone();
        self.tasks.spawn(async move {
            let mut rng = StdRng::seed_from_u64(seed);
            for _ in 0..records {
                let bytes = if rng.random_bool(0.05) {
                    rng.random_range(1 << 20..3 << 20)
                } else {
                    rng.random_range(20..20_000)
                };
                producer.append(Lane::Telemetry, vec![bytes], &mut rng).await;
            }
        });
    }

    /// Whether the collector, which knows these agents, has everything.
    pub(crate) fn is_drained(&self, known: &[AgentRecord]) -> bool {
        let held = *self.spooler.held().borrow();
        let Some(record) = known.iter().find(|r| r.spool_id == held.id) else { return false };
        let next = |lane| held.lanes.get(spooler::lane_of(lane)).next;
        record.lanes.iter().all(|lane| lane.committed + 1 == next(lane.lane))
    }
}

/// Makes up what is seen.
#[derive(Clone)]
struct Producer {
    agent: usize,
    spooler: Spooler,
    disk: Disk,
    oracle: Arc<Mutex<Oracle>>,
    lasting: Arc<Lasting>,
}

impl Producer {
    async fn go_on(self, quiet: CancellationToken, mut rng: StdRng) {
        loop {
            let pause = Duration::from_millis(rng.random_range(50..1500));
            if quiet.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return;
            }
            let lane = if rng.random_bool(0.2) { Lane::Event } else { Lane::Telemetry };
            let sizes = (0..rng.random_range(1..5)).map(|_| rng.random_range(20..3000)).collect();
            self.append(lane, sizes, &mut rng).await;
        }
    }

    async fn append(&self, lane: Lane, sizes: Vec<usize>, rng: &mut StdRng) {
        let (mut ids, mut bodies) = (Vec::new(), Vec::new());
        for size in sizes {
            let number = self.lasting.next.fetch_add(1, Ordering::Relaxed);
            let at = TIME_ZERO + number;
            let mut bytes = format!("{}/{number}/", self.agent).into_bytes();
            bytes.resize_with(size.max(bytes.len()), || rng.random());
            ids.push(lock(&self.oracle).handed(self.agent, lane, at, bytes.clone()));
            bodies.push(Body { bytes, at: Timestamp::from_millis(at) });
        }
        let done = self.spooler.append(lane, bodies, Vec::new()).await;
        // What the dead say does not count.
        if self.disk.is_dead() {
            return;
        }
        let mut oracle = lock(&self.oracle);
        match done {
            Ok(()) => {
                let spool = self.spooler.held().borrow().id;
                ids.into_iter().for_each(|id| oracle.kept(id, spool));
            }
            Err(error) if error.is_full() => ids.into_iter().for_each(|id| oracle.refused(id)),
            Err(_) => {}
        }
    }
}

/// The mutant that takes what was sent for what was stored.
async fn release_on_send(spooler: Spooler, link: watch::Receiver<Link>) {
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let held = *spooler.held().borrow();
        if link.borrow().connected.is_none() {
            continue;
        }
        for (lane, state) in [(Lane::Event, held.lanes.event), (Lane::Telemetry, held.lanes.telemetry)] {
            if spooler.release(held.id, lane, state.next - 1).await.is_err() {
                return;
            }
        }
    }
}

/// The name of an agent.
pub(crate) fn name(number: usize) -> AgentId {
    AgentId::new(format!("agent-{number}")).expect("a name")
}
