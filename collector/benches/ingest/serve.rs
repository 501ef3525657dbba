//! The collector's process: whole, or bare: the store, the agents' listener and what puts readings away, without assessment. It answers questions on stdin.

use crate::bodies::Bodies;
use crate::site;
use outband_collector::app::Collector;
use outband_collector::auth::Gate;
use outband_collector::clock::SteadyClock;
use outband_collector::config::Config;
use outband_collector::datadir::DataDir;
use outband_collector::ingest::service::MAX_MESSAGE;
use outband_collector::ingest::{Ingest, Registry};
use outband_collector::putaway;
use outband_collector::tls;
use outband_collector::token::Tokens;
use outband_proto::convert::decode_set;
use outband_proto::ingest::ingest_service_server::IngestServiceServer;
use outband_schemas::{Clock, ComponentClass, ComponentId, Identity, SensorKind, ServerId, SiteId, Timestamp};
use outband_store::history::History;
use outband_store::order::Orders;
use outband_store::putaway::PutAway;
use outband_store::rollup::Resolution;
use outband_store::sqlite::Options;
use outband_store::{
    AgentTarget, Applied, HistoryFilter, LogRow, Page, SeriesFilter, ServerRecord, SqliteStore, Store, StoreError,
};
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::io::{BufRead, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Server, ServerTlsConfig};

/// How often the bare collector seals: as the whole one.
const SEAL_EVERY: Duration = Duration::from_secs(60);

type Failed = Box<dyn Error + Send + Sync>;

/// Runs until stdin ends.
pub(crate) fn run(data: &Path, servers: usize, seed: u64, bare: bool) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    if bare {
        let store = SqliteStore::open(&Options::new(data))?;
        let shutdown = CancellationToken::new();
        let addr = runtime.block_on(listen(data, &store, &shutdown))?;
        let (ours, end) = (store.clone(), shutdown.clone());
        let looking = std::thread::spawn(move || look(&ours, servers, &end));
        runtime.spawn(putaway::run(store.clone(), shutdown.clone()));
        let (ours, end) = (store.clone(), shutdown.clone());
        let sealing = std::thread::spawn(move || seal(&ours, &end));
        answer(&addr, &store, seed)?;
        shutdown.cancel();
        for thread in [looking, sealing] {
            thread.join().map_err(|_| "a thread panicked")?.map_err(|e| e.to_string())?;
        }
        runtime.shutdown_timeout(Duration::from_secs(5));
        return Ok(store.close()?);
    }
    let mut config =
        Config::parse("[listen]\nagents = '127.0.0.1:0'\noperators = '127.0.0.1:0'\n").map_err(|p| p.to_string())?;
    let topology = data.with_extension("csv");
    std::fs::write(&topology, site::topology(servers))?;
    config.topology.file = Some(topology);
    config.data.dir = Some(data.to_owned());
    config.data.keep_free_mib = 0;
    let collector = runtime.block_on(Collector::start(config))?;
    answer(&collector.agents_addr(), collector.store(), seed)?;
    Ok(runtime.block_on(collector.stop())?)
}

async fn listen(data: &Path, store: &SqliteStore, shutdown: &CancellationToken) -> Result<SocketAddr, Box<dyn Error>> {
    let clock = Arc::new(SteadyClock::start());
    let dir = DataDir::open(data)?;
    let gate = Gate::new(Tokens::load_or_make(&dir)?);
    let identity = tls::load_or_make(&dir, &tls::server_names(&[]), clock.now())?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    let ingest = Ingest::new(store.clone(), clock, Registry::default(), shutdown.clone());
    let tls =
        ServerTlsConfig::new().identity(tonic::transport::Identity::from_pem(&identity.chain_pem, &identity.key_pem));
    let server = Server::builder()
        .tls_config(tls)?
        .add_service(gate.guard(IngestServiceServer::new(ingest).max_decoding_message_size(MAX_MESSAGE)))
        .serve_with_incoming_shutdown(
            TcpIncoming::from(listener).with_nodelay(Some(true)),
            shutdown.clone().cancelled_owned(),
        );
    tokio::spawn(async move {
        if let Err(error) = server.await {
            eprintln!("agents are not served any more: {error}");
        }
    });
    Ok(addr)
}

/// Notes the servers, as the assessment would, from what is in them; what comes after is only put away.
fn look(store: &SqliteStore, servers: usize, end: &CancellationToken) -> Result<(), Failed> {
    let mut known: BTreeSet<ServerId> = named(store).map_err(|e| e.to_string())?.into_values().collect();
    while known.len() < servers && !end.is_cancelled() {
        let rows = store.log_after(store.cursor()?, 256)?;
        if rows.is_empty() {
            std::thread::sleep(Duration::from_millis(5));
            continue;
        }
        let mut applied = Applied { through: rows.last().map(|r| r.id), ..Applied::default() };
        for row in rows {
            let record = server(&row)?;
            if known.insert(record.id.clone()) {
                applied.servers.push(record);
            }
        }
        store.apply(applied, SteadyClock::start().now())?;
    }
    Ok(())
}

fn server(row: &LogRow) -> Result<ServerRecord, Failed> {
    let target = decode_set(&row.body)?.set.target;
    Ok(ServerRecord {
        id: ServerId::new(format!("srv-{target}"))?,
        site: SiteId::new("site")?,
        identity: Identity::default(),
        targets: vec![AgentTarget { agent: row.agent.clone(), target }],
        first_seen: row.received_at,
        last_seen: row.received_at,
        merged_into: None,
        rev: 0,
    })
}

fn seal(store: &SqliteStore, end: &CancellationToken) -> Result<(), Failed> {
    let mut last = Instant::now();
    while !end.is_cancelled() {
        std::thread::sleep(Duration::from_millis(100));
        if last.elapsed() < SEAL_EVERY {
            continue;
        }
        last = Instant::now();
        match store.seal(SteadyClock::start().now()) {
            Ok(_) => {}
            Err(StoreError::Closed) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Says where agents connect, then answers each line by one.
fn answer(addr: &SocketAddr, store: &SqliteStore, seed: u64) -> Result<(), Box<dyn Error>> {
    let say = |line: String| {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{line}").and_then(|()| out.flush())
    };
    say(addr.to_string())?;
    let (bodies, mut known) = (Bodies::new(seed, false)?, BTreeMap::new());
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let reply = match words.as_slice() {
            // Assessed, or put away at least.
            ["idle"] => u8::from(store.cursor()? >= store.last_log_row()?).to_string(),
            ["put"] => u8::from(waiting(store)? <= 0).to_string(),
            ["waiting"] => waiting(store)?.to_string(),
            ["known", servers] => u8::from(named(store)?.len() >= servers.parse()?).to_string(),
            ["behind"] => (store.last_log_row()? - store.cursor()?).to_string(),
            ["seal"] => {
                let begun = Instant::now();
                let sealed = store.seal(SteadyClock::start().now())?;
                format!("{:.2} {}", begun.elapsed().as_secs_f64(), sealed.points)
            }
            ["holdings"] => {
                let all = store.holdings()?;
                let of = |class: &str| all.iter().find(|h| h.class.as_str() == class).map_or(0, |h| h.bytes);
                format!("{} {} {}", of("raw"), of("5m"), of("1h"))
            }
            ["tickets", servers @ ..] => {
                if known.is_empty() {
                    known = named(store)?;
                }
                let open = store.open_tickets()?;
                let of = |server: &&str| {
                    let id = known.get(&site::target(server.parse()?));
                    Ok(open.iter().filter(|t| Some(&t.ticket.server) == id).count().to_string())
                };
                servers.iter().map(of).collect::<Result<Vec<_>, Box<dyn Error>>>()?.join(" ")
            }
            ["queries", times, until] => queries(store, times.parse()?, until.parse()?)?,
            ["verify", from, minutes, targets @ ..] => {
                let servers: Vec<usize> = targets.iter().map(|t| t.parse()).collect::<Result<_, _>>()?;
                verify(store, &bodies, from.parse()?, minutes.parse()?, &servers)?
            }
            _ => return Err(format!("what is {line:?}?").into()),
        };
        say(reply)?;
    }
    Ok(())
}

/// Rows that are not history yet.
fn waiting(store: &SqliteStore) -> Result<i64, Box<dyn Error>> {
    Ok(store.last_log_row()? - store.cursor()?.max(store.put_away_through()?))
}

/// Servers by the name of their BMC.
fn named(store: &SqliteStore) -> Result<BTreeMap<String, ServerId>, Box<dyn Error>> {
    let all = store.servers(None, &Page::first(1_000_000))?.rows;
    Ok(all.into_iter().flat_map(|s| s.targets.into_iter().map(move |t| (t.target.to_string(), s.id.clone()))).collect())
}

/// How long questions take, warm: milliseconds of the median, of the 99th percentile, and of that of what is left where waits for a core are left out; and
/// rows; of each of three.
fn queries(store: &SqliteStore, times: usize, until: i64) -> Result<String, Box<dyn Error>> {
    let servers: Vec<ServerId> = named(store)?.into_values().collect();
    let cpu = ComponentId::new(ComponentClass::Cpu, "CPU 1")?;
    let day = |server: &ServerId| HistoryFilter {
        series: SeriesFilter {
            server: Some(server.clone()),
            component: Some(cpu.clone()),
            class: None,
            kind: Some(SensorKind::Temperature),
        },
        from: Timestamp::from_millis(until - 86_400_000),
        to: Timestamp::from_millis(until),
    };
    let nth = |n: usize| &servers[n * 7919 % servers.len()];
    let series_day = timed(times, |n| Ok(store.history(&day(nth(n)), &Page::first(2000))?.rows.len()))?;
    let latest = timed(times, |n| {
        let filter = SeriesFilter { server: Some(nth(n).clone()), ..SeriesFilter::default() };
        Ok(store.latest(&filter, &Page::first(1000))?.rows.len())
    })?;
    let many = timed(times.div_ceil(50).max(5), |_| {
        let mut rows = 0;
        for server in servers.iter().take(1000) {
            rows += store.summaries(&day(server), Resolution::FiveMinutes, &Page::first(2000))?.rows.len();
        }
        Ok(rows)
    })?;
    Ok(format!("{series_day} {latest} {many}"))
}

fn timed(times: usize, mut ask: impl FnMut(usize) -> Result<usize, Box<dyn Error>>) -> Result<String, Box<dyn Error>> {
    let (mut all, mut running, mut rows) = (Vec::with_capacity(times), Vec::with_capacity(times), 0);
    // The first is not of a warm store.
    ask(0)?;
    for n in 0..times {
        let waited = waited()?;
        let begun = Instant::now();
        rows = ask(n)?;
        let took = begun.elapsed();
        all.push(took.as_secs_f64() * 1e3);
        running.push(took.saturating_sub(self::waited()?.saturating_sub(waited)).as_secs_f64() * 1e3);
    }
    all.sort_by(f64::total_cmp);
    running.sort_by(f64::total_cmp);
    let (half, most) = (times / 2, times * 99 / 100);
    Ok(format!("{:.3} {:.3} {:.3} {rows}", all[half], all[most], running[most]))
}

/// How long this thread could have run and waited for a core, ever: the second field of `schedstat`, nanoseconds (Documentation/scheduler/sched-stats.rst).
fn waited() -> Result<Duration, Box<dyn Error>> {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(Duration::from_nanos(told.split_whitespace().nth(1).ok_or("a short schedstat")?.parse()?))
}

/// Whether of these servers each reading of so many minutes is there, once, and as it was made: how many are not, are there twice, are different.
fn verify(
    store: &SqliteStore,
    bodies: &Bodies,
    from: i64,
    minutes: i64,
    servers: &[usize],
) -> Result<String, Box<dyn Error>> {
    let named = named(store)?;
    let (mut missing, mut doubled, mut wrong) = (0, 0, 0);
    for server in servers {
        let mut issued = BTreeMap::new();
        for minute in 0..minutes {
            for (key, value) in bodies.issued(*server, from + minute * 60_000)? {
                issued.insert(key, (value, 0));
            }
        }
        let id = named.get(&site::target(*server)).ok_or("a server is not known")?;
        let series = SeriesFilter { server: Some(id.clone()), ..SeriesFilter::default() };
        let to = Timestamp::from_millis(from + minutes * 60_000);
        let filter = HistoryFilter { series, from: Timestamp::from_millis(from), to };
        let mut page = Page::first(10_000);
        loop {
            let listing = store.history(&filter, &page)?;
            for p in listing.rows {
                match issued.get_mut(&(p.component, p.kind, p.observed_at.as_millis())) {
                    Some((value, times)) => {
                        *times += 1;
                        doubled += u64::from(*times > 1);
                        wrong += u64::from(p.value.as_ref() != Some(&*value));
                    }
                    None => wrong += 1,
                }
            }
            match listing.next {
                Some(token) => page = Page::after(token, 10_000),
                None => break,
            }
        }
        missing += issued.values().filter(|(_, times)| *times == 0).count();
    }
    Ok(format!("{missing} {doubled} {wrong}"))
}
