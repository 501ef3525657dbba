//! VictoriaMetrics and Prometheus, as Debian has them: the same readings by remote write, the same questions by their HTTP API.
//!
//! What is in their favour: no TLS, requests of 10,000 samples, snappy blocks that cost nothing to unpack. Neither forces to disk before it answers.

use crate::Plan;
use crate::bodies::Bodies;
use crate::feed::MINUTE_MS;
use crate::process::{Process, Used, bytes, used};
use crate::site::SENSORS;
use crate::table::Column;
use std::error::Error;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Barrier;

/// Servers of a request: 10,000 samples.
const OF_REQUEST: usize = 125;
/// Requests at the same time.
const SENDERS: usize = 4;

/// CPU seconds in half a second of a peer that has nothing to do.
const QUIET: f64 = 0.03;

type Failed = Box<dyn Error + Send + Sync>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Victoria,
    Prometheus,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Victoria => "VictoriaMetrics",
            Self::Prometheus => "Prometheus",
        }
    }

    pub(crate) fn program(self) -> &'static str {
        match self {
            Self::Victoria => "victoria-metrics",
            Self::Prometheus => "prometheus",
        }
    }

    fn installed(self) -> bool {
        let there = |dir: &Path| dir.join(self.program()).is_file();
        std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|dir| there(&dir)))
    }

    fn command(self, data: &Path, port: u16) -> Result<Command, Box<dyn Error>> {
        let (dir, addr) = (data.display(), format!("127.0.0.1:{port}"));
        let mut command = Command::new(self.program());
        match self {
            // Nothing but limits on what one question may touch, and answers that are not taken from a cache of answers.
            Self::Victoria => command.args([
                format!("-storageDataPath={dir}"),
                format!("-httpListenAddr={addr}"),
                "-retentionPeriod=12".to_owned(),
                "-search.maxUniqueTimeseries=2000000".to_owned(),
                "-search.maxQueryDuration=300s".to_owned(),
                "-search.latencyOffset=0s".to_owned(),
                "-search.disableCache".to_owned(),
                "-loggerLevel=ERROR".to_owned(),
            ]),
            Self::Prometheus => {
                let config = data.with_extension("yml");
                std::fs::write(&config, "global: {}\n")?;
                command.args([
                    format!("--config.file={}", config.display()),
                    format!("--storage.tsdb.path={dir}"),
                    format!("--web.listen-address={addr}"),
                    "--web.enable-remote-write-receiver".to_owned(),
                    "--web.enable-admin-api".to_owned(),
                    "--storage.tsdb.retention.time=400d".to_owned(),
                    "--query.max-samples=1000000000".to_owned(),
                    "--query.timeout=300s".to_owned(),
                    "--log.level=error".to_owned(),
                ])
            }
        };
        Ok(command)
    }
}

/// A peer that runs.
struct Peer {
    kind: Kind,
    process: Process,
    data: PathBuf,
    url: String,
    http: reqwest::Client,
}

/// What was answered 2xx.
#[derive(Default)]
struct Taken {
    samples: AtomicU64,
    minutes: AtomicI64,
}

impl Peer {
    async fn start(kind: Kind, data: &Path) -> Result<Self, Box<dyn Error>> {
        std::fs::create_dir_all(data)?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let process = Process::mute(&mut kind.command(data, port)?, &data.with_extension("log"))?;
        // It wants to be told which library encrypts, although it never does here.
        rustls::crypto::ring::default_provider().install_default().unwrap_or_default();
        let http = reqwest::Client::builder().timeout(Duration::from_secs(300)).build()?;
        let mut peer = Self { kind, process, data: data.to_owned(), url: format!("http://127.0.0.1:{port}"), http };
        let begun = Instant::now();
        while peer.get("/api/v1/query?query=1").await.is_err() {
            if peer.process.ended()? || begun.elapsed() > Duration::from_secs(120) {
                return Err(
                    format!("{} does not answer; see {}", kind.name(), data.with_extension("log").display()).into()
                );
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(peer)
    }

    async fn get(&self, path: &str) -> Result<serde_json::Value, Failed> {
        let answer = self.http.get(format!("{}{path}", self.url)).send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        if !status.is_success() {
            return Err(format!("{status}: {text}").into());
        }
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }

    /// A question, with the samples or steps of the answer.
    async fn query(&self, path: &str, query: &str, more: &str) -> Result<(serde_json::Value, usize), Failed> {
        let query = percent_encoding::utf8_percent_encode(query, percent_encoding::NON_ALPHANUMERIC);
        let answer = self.get(&format!("/api/v1/{path}?query={query}{more}")).await?;
        let result = answer["data"]["result"].as_array().cloned().unwrap_or_default();
        let rows = result.iter().map(|r| r["values"].as_array().map_or(1, Vec::len)).sum();
        Ok((answer, rows))
    }

    /// Sends so many minutes, or one after the other until the time is over, each in requests that several senders share.
    async fn replay(
        &self,
        bodies: &Arc<Bodies>,
        servers: usize,
        from: i64,
        minutes: i64,
        until: Instant,
    ) -> Result<Arc<Taken>, Failed> {
        let (taken, together) = (Arc::new(Taken::default()), Arc::new(Barrier::new(SENDERS)));
        let last = Arc::new(AtomicI64::new(minutes));
        let mut senders = tokio::task::JoinSet::new();
        for sender in 0..SENDERS {
            let (bodies, taken, together, last) = (bodies.clone(), taken.clone(), together.clone(), last.clone());
            let (http, url) = (self.http.clone(), format!("{}/api/v1/write", self.url));
            senders.spawn(async move {
                let all: Vec<usize> = (0..servers).collect();
                let mut minute = 0;
                while minute < last.load(Ordering::Acquire) {
                    if sender == 0 && Instant::now() >= until {
                        last.store(minute + 1, Ordering::Release);
                    }
                    together.wait().await;
                    for some in all.chunks(OF_REQUEST).skip(sender).step_by(SENDERS) {
                        let body = bodies.request(some, from + minute * MINUTE_MS).map_err(|e| e.to_string())?;
                        let request = http.post(&url).body(body);
                        let request = request
                            .header("content-encoding", "snappy")
                            .header("content-type", "application/x-protobuf")
                            .header("x-prometheus-remote-write-version", "0.1.0");
                        let answer = request.send().await?;
                        if !answer.status().is_success() {
                            let status = answer.status();
                            return Err::<(), Failed>(format!("{status}: {}", answer.text().await?).into());
                        }
                        taken.samples.fetch_add((some.len() * SENSORS) as u64, Ordering::Relaxed);
                    }
                    minute += 1;
                    taken.minutes.fetch_max(minute, Ordering::Relaxed);
                }
                Ok(())
            });
        }
        while let Some(done) = senders.join_next().await {
            if let Err(error) = done? {
                senders.shutdown().await;
                // Where it was killed on purpose, whoever did it knows.
                eprintln!("    sending ended: {error}");
            }
        }
        Ok(taken)
    }

    /// What it does by itself until all it took is in files, and nothing more: what it has used by then.
    async fn flushed(&self) -> Result<Used, Failed> {
        if self.kind == Kind::Victoria {
            self.get("/internal/force_flush").await?;
        }
        self.quiet().await
    }

    /// Waits until it does nothing any more, for two seconds.
    async fn quiet(&self) -> Result<Used, Failed> {
        let used = || self.process.used().map_err(|e| e.to_string());
        let (mut before, mut same) = (used()?, 0);
        while same < 4 {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let now = used()?;
            same = if now.cpu - before.cpu <= QUIET { same + 1 } else { 0 };
            before = now;
        }
        Ok(before)
    }

    /// Everything that can be on the disk is there, as small as it gets; the bytes of it.
    async fn settled(&self) -> Result<u64, Failed> {
        match self.kind {
            Kind::Victoria => {
                self.get("/internal/force_merge").await?;
                // It answers before it is done.
                self.quiet().await?;
                Ok(bytes(&self.data))
            }
            Kind::Prometheus => {
                // Its blocks, with one made of what is in memory: without its write-ahead log.
                let url = format!("{}/api/v1/admin/tsdb/snapshot", self.url);
                self.http.post(url).send().await?.error_for_status()?;
                Ok(bytes(&self.data.join("snapshots")))
            }
        }
    }

    /// How many samples of the readings it has.
    async fn count(&self, bodies: &Bodies, minutes: i64, until: i64) -> Result<u64, Failed> {
        let mut all = 0;
        // Name by name: what is counted loses its name, and two of the same labels may not be left.
        for kind in bodies.kinds().map_err(|e| e.to_string())? {
            let query = format!("sum(count_over_time({kind}{{server=~\"bmc-.*\"}}[{}m]))", minutes + 60);
            let (answer, _) = self.query("query", &query, &format!("&time={}", until / 1000)).await?;
            all += answer["data"]["result"][0]["value"][1].as_str().unwrap_or("0").parse::<f64>()? as u64;
        }
        Ok(all)
    }
}

/// Where it is installed: the throughput, what it costs, what stays on the disk, how fast that is asked.
pub(crate) async fn sustained(plan: &Plan, kind: Kind, home: &Path, column: &mut Column) -> Result<(), Box<dyn Error>> {
    if !kind.installed() {
        column.set("acknowledged readings/s, fsync before", "not installed");
        return Ok(());
    }
    let data = home.join(kind.program());
    let mut peer = Peer::start(kind, &data).await?;
    let bodies = Arc::new(Bodies::new(plan.seed, false)?);
    let (begun, before, own) = (Instant::now(), peer.process.used()?, used("self")?);
    let until = begun + plan.peer_seconds;
    let taken = peer
        .replay(&bodies, plan.servers, plan.from, plan.minutes.unwrap_or(i64::MAX), until)
        .await
        .map_err(|e| e.to_string())?;
    let (wall, after, own_after) = (begun.elapsed().as_secs_f64(), peer.process.used()?, used("self")?);
    let readings = taken.samples.load(Ordering::Relaxed) as f64;
    let minutes = taken.minutes.load(Ordering::Relaxed);
    column.set("acknowledged readings/s, fsync before", format!("{:.0}, not forced", readings / wall));
    column.set("readings; time they span", format!("{:.1} M; {:.1} h", readings / 1e6, minutes as f64 / 60.0));
    column.set("readings/s until all is put away", format!("{:.0}", readings / wall));
    let flushed = peer.flushed().await.map_err(|e| e.to_string())?;
    let disk = peer.settled().await.map_err(|e| e.to_string())?;
    let ended = peer.process.used()?;
    let each = |seconds: f64| format!("{:.2}", seconds * 1e6 / readings);
    column.set("CPU us a reading until acknowledged", each(after.cpu - before.cpu));
    column.set("CPU us a reading until put away", each(after.cpu - before.cpu));
    column.set("CPU us a reading, client", each(own_after.cpu - own.cpu));
    let per_cpu = readings / (flushed.cpu - before.cpu);
    column.set("readings per CPU-second, all sealed", format!("{per_cpu:.0}"));
    column.per_cpu = Some(per_cpu);
    column.set("memory at the end; at most", format!("{:.0} MB; {:.0} MB", after.rss, after.peak));
    let (flush, merge) = (flushed.cpu - after.cpu, ended.cpu - flushed.cpu);
    column.set("sealing what was left", format!("{flush:.1} CPU-s; merging all {merge:.1}"));
    column.set("bytes a reading, sealed, with row and index", format!("{:.2}", disk as f64 / readings));
    column.set("bytes a reading, all files", format!("{:.2}", bytes(&data) as f64 / readings));
    let end = plan.from + minutes * MINUTE_MS;
    asked(&peer, plan, end, column).await.map_err(|e| e.to_string())?;
    let there = peer.count(&bodies, minutes, end + MINUTE_MS).await.map_err(|e| e.to_string())?;
    column.set("missing, doubled, different (50 servers looked at)", format!("{} of all", readings - there as f64));
    peer.process.stop()?;
    std::fs::remove_dir_all(&data)?;
    Ok(())
}

async fn asked(peer: &Peer, plan: &Plan, until: i64, column: &mut Column) -> Result<(), Failed> {
    let at = format!("&time={}", until / 1000);
    let span = format!("&start={}&end={}&step=300&nocache=1", (until - 86_400_000) / 1000, until / 1000);
    let many = plan.queries.div_ceil(50).max(5);
    for (row, times) in crate::QUERIES.into_iter().zip([plan.queries, plan.queries, many]) {
        let (mut all, mut rows) = (Vec::with_capacity(times), 0);
        for n in 0..=times {
            let server = crate::site::target(n * 7919 % plan.servers);
            let begun = Instant::now();
            rows = match row {
                row if row == crate::QUERIES[0] => {
                    let query = format!("hw_temperature{{server=\"{server}\",component=\"cpu/CPU 1\"}}[1d]");
                    peer.query("query", &query, &at).await?.1
                }
                row if row == crate::QUERIES[1] => {
                    peer.query("query", &format!("{{server=\"{server}\"}}"), &at).await?.1
                }
                _ => {
                    let query = "avg_over_time(hw_temperature{component=\"cpu/CPU 1\",server=~\"bmc-00.*\"}[5m])";
                    peer.query("query_range", query, &span).await?.1
                }
            };
            // The first is not of a warm store.
            if n > 0 {
                all.push(begun.elapsed().as_secs_f64() * 1e3);
            }
        }
        all.sort_by(f64::total_cmp);
        column.set(row, format!("{:.3} / {:.3} ({rows} rows)", all[times / 2], all[times * 99 / 100]));
    }
    Ok(())
}

/// What was answered 2xx and is not there after a `kill -9` in the midst of it.
pub(crate) async fn killed(plan: &Plan, kind: Kind, home: &Path, column: &mut Column) -> Result<(), Box<dyn Error>> {
    if !kind.installed() {
        return Ok(());
    }
    let data = home.join(format!("{}-killed", kind.program()));
    let mut peer = Peer::start(kind, &data).await?;
    let bodies = Arc::new(Bodies::new(plan.seed, false)?);
    let taken = {
        let until = Instant::now() + plan.kill_after * 10;
        let work = peer.replay(&bodies, plan.kill_servers, plan.from, i64::MAX, until);
        let pid = nix::unistd::Pid::from_raw(i32::try_from(peer.process.id())?);
        let blow = async {
            tokio::time::sleep(plan.kill_after).await;
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL)
        };
        let (taken, blow) = tokio::join!(work, blow);
        blow?;
        taken.map_err(|e| e.to_string())?
    };
    peer.process.kill()?;
    drop(peer);
    let mut peer = Peer::start(kind, &data).await?;
    let minutes = taken.minutes.load(Ordering::Relaxed) + 1;
    let end = plan.from + (minutes + 1) * MINUTE_MS;
    let count = peer.count(&bodies, minutes, end).await.map_err(|e| e.to_string())?;
    let acked = taken.samples.load(Ordering::Relaxed);
    let lost = acked.saturating_sub(count);
    column.set(
        "kill -9: acknowledged; of these lost",
        format!("{:.1} M; {lost} ({:.2} %)", acked as f64 / 1e6, lost as f64 / acked as f64 * 100.0),
    );
    peer.process.stop()?;
    std::fs::remove_dir_all(&data)?;
    Ok(())
}
