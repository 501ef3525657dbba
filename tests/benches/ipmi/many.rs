//! Many BMCs polled by one client: what a poll costs and how long it takes.

use crate::fleet::{Fleet, PASSWORD, Sick, USER};
use crate::process::{cpu, resident};
use outband_bmc::client::Bmc;
use outband_bmc::ipmi::hub::{Hub, Traffic};
use outband_bmc::ipmi::library::Library;
use outband_bmc::redfish::knowledge::Knowledge;
use outband_bmc::{CipherSuite, Credentials, PollStats, Secret, Target, Trust};
use outband_schemas::{Clock, Observation, Section, Timestamp};
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Polls at the same time, where each BMC is polled again as soon as it was polled.
pub(crate) const AT_ONCE: usize = 1000;
/// Sensors of a BMC; a poll tells of its chassis, too.
pub(crate) const SENSORS: usize = 102;

/// Whether it is the value of a sensor.
pub(crate) fn is_of_sensor(observation: &Observation) -> bool {
    matches!(observation, Observation::Reading(r) if r.value.is_some() && r.source.0.starts_with("ipmi:"))
}

#[derive(Clone)]
pub(crate) struct Wall;

impl Clock for Wall {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64)
    }
}

pub(crate) struct Plan {
    pub(crate) suite: CipherSuite,
    pub(crate) lasts: Duration,
    /// How often each is polled; `None`: again and again.
    pub(crate) every: Option<Duration>,
}

/// What was measured.
#[derive(Default)]
pub(crate) struct Cost {
    pub(crate) per_second: f64,
    /// Milliseconds of CPU a poll.
    pub(crate) cpu: f64,
    /// Percent of a core.
    pub(crate) share_of_core: f64,
    pub(crate) datagrams: f64,
    /// Milliseconds from the first request to the last answer, in order.
    pub(crate) times: Vec<f64>,
    pub(crate) kb_per_bmc: f64,
    pub(crate) logins: u64,
    pub(crate) cold: Duration,
    pub(crate) cold_cpu: f64,
    /// Datagrams by one system call.
    pub(crate) batch: f64,
    pub(crate) late: u64,
    pub(crate) not_whole: u64,
}

impl Cost {
    pub(crate) fn time(&self, share: f64) -> f64 {
        percentile(&self.times, share)
    }
}

/// Of values in order, the one below which such a share of them lies.
pub(crate) fn percentile(sorted: &[f64], share: f64) -> f64 {
    sorted.get((sorted.len().saturating_sub(1) as f64 * share) as usize).copied().unwrap_or(f64::NAN)
}

pub(crate) fn target(at: SocketAddr, suite: CipherSuite) -> Target {
    Target {
        address: format!("ipmi://{at}").parse().unwrap(),
        credentials: Credentials::new(USER, Secret::new(PASSWORD)),
        cipher: Some(suite),
        trust: Trust::FirstUse,
        request_deadline: Duration::from_secs(10),
    }
}

/// A hub whose loop runs beside the caller.
pub(crate) fn hub() -> Hub {
    let (hub, driver) = Hub::new(Library::default());
    tokio::task::spawn_local(driver.run());
    hub
}

/// Logs in everywhere and polls once, not all in the same moment; those that are sick are left out.
pub(crate) async fn connect(hub: &Hub, fleet: &Fleet, suite: CipherSuite, sick: Sick) -> Vec<Bmc> {
    let healthy = fleet.at.iter().enumerate().filter(|(n, _)| !sick.is_slow(*n) && !sick.is_dead(*n));
    let connecting: Vec<_> = healthy
        .map(|(n, at)| {
            let (hub, target) = (hub.clone(), target(*at, suite));
            tokio::task::spawn_local(async move {
                tokio::time::sleep(Duration::from_micros(500 * n as u64)).await;
                let mut bmc = Bmc::connect_through(Some(&hub), &target, &Knowledge::default()).await.unwrap();
                bmc.poll(Section::Sensors, None, &Wall).await.unwrap();
                bmc
            })
        })
        .collect();
    let mut ready = Vec::with_capacity(connecting.len());
    for task in connecting {
        ready.push(task.await.unwrap());
    }
    ready
}

#[derive(Default)]
struct Seen {
    times: Vec<f64>,
    late: u64,
    not_whole: u64,
}

impl Seen {
    async fn poll(seen: &RefCell<Self>, bmc: &mut Bmc) -> Duration {
        let started = Instant::now();
        let polled = bmc.poll(Section::Sensors, None, &Wall).await.unwrap();
        let took = started.elapsed();
        let mut seen = seen.borrow_mut();
        seen.times.push(took.as_secs_f64() * 1000.0);
        seen.not_whole += u64::from(polled.observations.iter().filter(|o| is_of_sensor(o)).count() != SENSORS);
        took
    }
}

/// Polls each of them every so often from now on; how long each poll took in milliseconds, in order, how many ended after their period, and how many were not whole.
pub(crate) async fn every(bmcs: &mut Vec<Bmc>, every: Duration, lasts: Duration) -> (Vec<f64>, u64, u64) {
    let (seen, begun, total) = (Rc::new(RefCell::new(Seen::default())), Instant::now(), bmcs.len());
    let polling: Vec<_> = std::mem::take(bmcs)
        .into_iter()
        .enumerate()
        .map(|(n, mut bmc)| {
            let seen = seen.clone();
            tokio::task::spawn_local(async move {
                let mut due = begun + every.mul_f64(n as f64 / total as f64);
                while due < begun + lasts {
                    tokio::time::sleep_until(due.into()).await;
                    let late = Seen::poll(&seen, &mut bmc).await > every;
                    seen.borrow_mut().late += u64::from(late);
                    due += every;
                }
                bmc
            })
        })
        .collect();
    for task in polling {
        bmcs.push(task.await.unwrap());
    }
    let mut seen = seen.take();
    seen.times.sort_by(f64::total_cmp);
    (seen.times, seen.late, seen.not_whole)
}

/// Polls them again and again, [`AT_ONCE`] at the same time; how long each poll took, and how many were not whole.
async fn again_and_again(bmcs: &mut Vec<Bmc>, lasts: Duration) -> (Vec<f64>, u64) {
    let (seen, until) = (Rc::new(RefCell::new(Seen::default())), Instant::now() + lasts);
    let workers = bmcs.len().min(AT_ONCE);
    let mut shares: Vec<Vec<Bmc>> = (0..workers).map(|_| Vec::new()).collect();
    for (n, bmc) in std::mem::take(bmcs).into_iter().enumerate() {
        shares[n % workers].push(bmc);
    }
    let polling: Vec<_> = shares
        .into_iter()
        .map(|mut share| {
            let seen = seen.clone();
            tokio::task::spawn_local(async move {
                for n in (0..share.len()).cycle() {
                    if Instant::now() >= until {
                        break;
                    }
                    Seen::poll(&seen, &mut share[n]).await;
                }
                share
            })
        })
        .collect();
    for task in polling {
        bmcs.extend(task.await.unwrap());
    }
    let mut seen = seen.take();
    seen.times.sort_by(f64::total_cmp);
    (seen.times, seen.not_whole)
}

fn sum(bmcs: &[Bmc]) -> PollStats {
    let mut sum = PollStats::default();
    for stats in bmcs.iter().map(Bmc::stats) {
        sum.datagrams_sent += stats.datagrams_sent;
        sum.datagrams_received += stats.datagrams_received;
        sum.connections += stats.connections;
    }
    sum
}

/// Measures polls of a fleet.
pub(crate) async fn measure(plan: &Plan, fleet: &Fleet) -> Cost {
    let hub = hub();
    let (memory, before, begun) = (resident(), cpu(), Instant::now());
    let mut bmcs = connect(&hub, fleet, plan.suite, Sick::default()).await;
    let (cold, cold_cpu, count) = (begun.elapsed(), cpu() - before, bmcs.len() as f64);
    let kb_per_bmc = (resident() - memory) / count;
    let (first, moved, before, begun) = (sum(&bmcs), hub.traffic(), cpu(), Instant::now());
    let (times, late, not_whole) = match plan.every {
        Some(period) => every(&mut bmcs, period, plan.lasts).await,
        None => {
            let (times, not_whole) = again_and_again(&mut bmcs, plan.lasts).await;
            (times, 0, not_whole)
        }
    };
    let (spent, took, last) = (cpu() - before, begun.elapsed(), sum(&bmcs));
    let polls = times.len() as f64;
    let datagrams = last.datagrams_sent + last.datagrams_received - first.datagrams_sent - first.datagrams_received;
    Cost {
        per_second: polls / took.as_secs_f64(),
        cpu: spent.as_secs_f64() * 1000.0 / polls,
        share_of_core: spent.as_secs_f64() / took.as_secs_f64() * 100.0,
        datagrams: datagrams as f64 / polls,
        times,
        kb_per_bmc,
        logins: last.connections - first.connections,
        cold,
        cold_cpu: cold_cpu.as_secs_f64() * 1000.0 / count,
        batch: batch(moved, hub.traffic()),
        late,
        not_whole,
    }
}

/// How many datagrams a system call moved between two looks.
fn batch(before: Traffic, after: Traffic) -> f64 {
    (after.datagrams - before.datagrams) as f64 / (after.calls - before.calls).max(1) as f64
}
