//! One target out of everything that the agent's own server tells.

use super::device::{self, Device, broken};
use super::drives::{Drives, Places};
use super::load::Load;
use crate::action::ActionError;
use crate::ipmi::action;
use crate::ipmi::library::Library;
use crate::ipmi::message::{Request, Response};
use crate::ipmi::poll::{Ask, Poller};
use crate::ipmi::sensor::Precision;
use crate::ipmi::session::RequestError;
use crate::{Address, Bookmark, ConnectError, PollError, PollStats, Polled, Rung, RungReport, Target};
use ipmi_rs_core::connection::NetFn;
use outband_schemas::{Cause, Clock, LogEvent, Observation, Section, Source};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

/// "Node busy" (table 5-2), and how long the BMC is left alone then.
const BUSY: u8 = 0xC0;
const BUSY_WAIT: Duration = Duration::from_millis(100);
const LONGEST_BUSY_WAIT: Duration = Duration::from_secs(2);

/// The ways that lead to what a server tells of itself.
#[derive(Debug)]
pub struct Ways {
    /// The device of the BMC.
    pub device: Device,
    /// How long one request to it may take.
    pub request_deadline: Duration,
    /// Where drives are found.
    pub places: Places,
}

/// The agent's own server, or a handle on it: a slow drive does not delay its sensors.
#[derive(Debug, Clone)]
pub struct Client {
    bmc: Arc<Mutex<Bmc>>,
    drives: Arc<Mutex<Drives>>,
    requests: Arc<AtomicU64>,
    climbed: Arc<[RungReport]>,
}

/// Its BMC, and what the operating system says beside it.
#[derive(Debug)]
struct Bmc {
    link: Link,
    poller: Poller,
    load: Load,
}

/// The way of a request to the BMC.
#[derive(Debug)]
struct Link {
    device: Device,
    request_deadline: Duration,
    /// When the time for what is asked is over.
    until: Option<Instant>,
    requests: Arc<AtomicU64>,
}

impl Client {
    /// Opens the device of a target, and sees whether the BMC behind it answers.
    ///
    /// # Errors
    /// When the device cannot be opened or nothing answers; says what to do.
    pub async fn connect(target: &Target, library: Option<&Library>) -> Result<Self, ConnectError> {
        let Address::Local { device, smartctl } = &target.address else {
            let detail = format!("{} is not on this host", target.address);
            return Err(broken(Cause::NotSupported, detail, "use its own protocol".to_owned()));
        };
        let path = PathBuf::from(device);
        let ways = Ways {
            device: Device::open(&path, target.request_deadline).await?,
            request_deadline: target.request_deadline,
            places: Places { smartctl: smartctl.as_ref().map(PathBuf::from), ..Places::default() },
        };
        let poller = library.map_or_else(Poller::default, |all| Poller::knowing(all, target.address.to_string()));
        Self::over(ways, poller, device).await
    }

    /// The same over ways that are there already. `name` is that of the device, for people.
    ///
    /// # Errors
    /// When nothing answers.
    pub async fn over(ways: Ways, poller: Poller, name: &str) -> Result<Self, ConnectError> {
        let Ways { device, request_deadline, places } = ways;
        let requests = Arc::<AtomicU64>::default();
        let mut link = Link { device, request_deadline, until: None, requests: requests.clone() };
        let answer = link.ask(Request::new(NetFn::App, 0x01, [])).await;
        let look = "look at what the driver says (journalctl -k -g ipmi); a cold reset of the BMC may help".to_owned();
        let found = match answer {
            Ok(Response { completion: 0, .. }) => format!("{name} is open, and the BMC answers"),
            Ok(Response { completion, .. }) => {
                let detail = format!("{name}: Get Device ID is answered with completion code {completion:#04x}");
                return Err(ConnectError { rung: Rung::Protocol, ..broken(Cause::BmcError, detail, look) });
            }
            Err(RequestError::Lost(error)) => return Err(*error),
            Err(error) => {
                let detail = format!("{name}: the BMC does not answer Get Device ID: {error}");
                return Err(broken(error.cause(), detail, look));
            }
        };
        let climbed = Arc::from([
            RungReport { rung: Rung::Reach, found },
            RungReport { rung: Rung::Login, found: "not needed: who may open the device may ask".to_owned() },
        ]);
        let bmc = Bmc { link, poller, load: Load::default() };
        let (bmc, drives) = (Arc::new(Mutex::new(bmc)), Arc::new(Mutex::new(Drives::at(places))));
        Ok(Self { bmc, drives, requests, climbed })
    }

    /// Polls one section, for no longer than until `until`: what was read by then is told, and the rest is a gap.
    ///
    /// # Errors
    /// When nothing of the section could be read.
    pub async fn poll(
        &mut self,
        section: Section,
        bookmark: Option<&Bookmark>,
        until: Option<Instant>,
        clock: &(impl Clock + Sync),
    ) -> Result<Polled, PollError> {
        if section == Section::Drives {
            let observations = self.drives.lock().await.read(until, clock).await;
            return Ok(Polled { observations, ..Polled::default() });
        }
        let mut polled = self.bmc.lock().await.poll(section, bookmark, until, clock).await?;
        if section == Section::Inventory {
            let drives = self.drives.lock().await.parts(until, clock).await;
            let mut found = polled.observations.iter_mut();
            let inventory = found.find_map(|o| if let Observation::Inventory(i) = o { Some(i) } else { None });
            if let Some(inventory) = inventory {
                inventory.parts.extend(drives);
            }
        }
        Ok(polled)
    }

    /// How exact the sensors are that were polled, by the source that their readings name.
    pub fn precisions(&self) -> HashMap<Source, Precision> {
        let bmc = self.bmc.try_lock();
        let of = |bmc: &Bmc| bmc.poller.precisions().map(|(source, precision)| (source.clone(), precision)).collect();
        // While a poll goes on, nobody asks.
        bmc.map_or_else(|_| HashMap::new(), |bmc| of(&bmc))
    }

    /// Has the chassis' identify light blink, or not.
    ///
    /// # Errors
    /// When it does not come about.
    pub async fn identify(&mut self, on: bool) -> Result<String, ActionError> {
        action::identify(&mut self.bmc.lock().await.link, on).await
    }

    /// Restarts the BMC.
    ///
    /// # Errors
    /// When it does not come about.
    pub async fn reset(&mut self) -> Result<String, ActionError> {
        action::reset(&mut self.bmc.lock().await.link).await
    }

    /// Clears the event log where it holds `read`, oldest first, and nothing else.
    ///
    /// # Errors
    /// When it does not come about.
    pub async fn clear_log(&mut self, read: &[LogEvent]) -> Result<String, ActionError> {
        action::clear(&mut self.bmc.lock().await.link, read).await
    }

    /// The rungs that held while connecting.
    pub fn climbed(&self) -> &[RungReport] {
        &self.climbed
    }

    /// What was asked so far. Nothing of it went over a network.
    pub fn stats(&self) -> PollStats {
        PollStats { requests: self.requests.load(Ordering::Relaxed), ..PollStats::default() }
    }
}

impl Bmc {
    async fn poll(
        &mut self,
        section: Section,
        bookmark: Option<&Bookmark>,
        until: Option<Instant>,
        clock: &(impl Clock + Sync),
    ) -> Result<Polled, PollError> {
        self.link.until = until;
        let polled = self.poller.poll(&mut self.link, section, bookmark, clock).await;
        self.link.until = None;
        let mut polled = polled?;
        if section == Section::Sensors {
            polled.observations.extend(self.load.read(clock.now()));
        }
        Ok(polled)
    }
}

impl Ask for Link {
    async fn ask(&mut self, request: Request) -> Result<Response, RequestError> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let began = Instant::now();
        let own = began + self.request_deadline;
        let until = self.until.map_or(own, |until| until.min(own));
        let mut wait = BUSY_WAIT;
        loop {
            match self.device.put(request.clone(), until).await {
                Ok(Response { completion: BUSY, .. }) if Instant::now() + wait < until => {
                    sleep(wait).await;
                    wait = (wait * 2).min(LONGEST_BUSY_WAIT);
                }
                Ok(Response { completion: BUSY, .. }) => return Err(RequestError::Busy),
                Ok(Response { completion: 0xD4, .. }) => return Err(RequestError::Denied),
                Ok(answer) => return Ok(answer),
                Err(device::Error::Timeout) if until < own => return Err(RequestError::OutOfTime),
                Err(device::Error::Timeout) => return Err(RequestError::Timeout(began.elapsed())),
                Err(device::Error::Gone(error)) => {
                    let remedy = "it is opened anew; look at what the driver says (journalctl -k -g ipmi)".to_owned();
                    let lost = broken(Cause::Unreachable, format!("the device of the BMC fails: {error}"), remedy);
                    return Err(RequestError::Lost(Box::new(lost)));
                }
            }
        }
    }
}
