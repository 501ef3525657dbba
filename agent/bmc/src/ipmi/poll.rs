//! The polls of whole sections, written as straight-line code over [`Ask`]: nothing here knows a socket, and a test answers from a table.

#[cfg(test)]
mod fake;
mod foreign;
#[cfg(test)]
mod goes_tests;
#[cfg(test)]
mod tests;

use super::chassis::{self, Chassis};
use super::library::{Kept, Library};
use super::message::{Data, Request, Response};
use super::repository::{self, Repository, Stamp};
use super::session::RequestError;
use super::{convert, inventory, log, sensor};
use crate::{Bookmark, PollError, Polled};
use foreign::Controllers;
use ipmi_rs_core::connection::NetFn;
use outband_schemas::{Cause, Clock, ComponentClass, ComponentId, Gap, Observation, Section, Source, Timestamp};
use std::future::Future;
use std::sync::Arc;

/// The BMC's own slave address; sensors of other owners are behind a bridge.
pub(super) const BMC: u8 = 0x20;
/// After so many requests without any answer the rest of a poll is given up.
const MAX_TIMEOUTS: u32 = 2;
/// About as many readings has a chassis beside those of its sensors.
const OF_THE_CHASSIS: usize = 8;
/// An incomplete repository is read again after 1, 2, 4 polls and so on, and then after so many.
const MOST_TO_MAKE_DO: u32 = 64;

/// The answer to a request, and when it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The answer, or why there is none.
    pub result: Result<Response, RequestError>,
    /// When it came, or was given up.
    pub at: Timestamp,
}

/// Whoever can put a request to a BMC.
pub trait Ask {
    /// Puts one request and waits for its answer.
    fn ask(&mut self, request: Request) -> impl Future<Output = Result<Response, RequestError>> + Send;

    /// Puts several, one after the other. After `patience` is at its end the rest is left out: there are as many replies then as requests were put.
    fn ask_each(
        &mut self,
        requests: &Arc<[Request]>,
        mut patience: Patience,
        clock: &(impl Clock + Sync),
    ) -> impl Future<Output = Vec<Reply>> + Send
    where
        Self: Send,
    {
        async move {
            let mut replies = Vec::with_capacity(requests.len());
            for request in requests.iter() {
                let result = self.ask(request.clone()).await;
                let goes_on = patience.goes_on(&result);
                replies.push(Reply { result, at: clock.now() });
                if !goes_on {
                    break;
                }
            }
            replies
        }
    }
}

/// How long a BMC that does not answer is asked on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Patience {
    timeouts: u32,
}

impl Patience {
    /// With a BMC that has not answered yet: it ends with the first request, if that has no answer either.
    pub fn untried() -> Self {
        Self { timeouts: MAX_TIMEOUTS - 1 }
    }

    /// Notes how a request ended; whether the next one is worth putting.
    pub fn goes_on(&mut self, result: &Result<Response, RequestError>) -> bool {
        match result {
            Err(RequestError::Timeout(_)) => {
                self.timeouts += 1;
                self.timeouts < MAX_TIMEOUTS
            }
            Err(RequestError::Lost(_) | RequestError::OutOfTime) => false,
            Ok(_) | Err(_) => {
                self.timeouts = 0;
                true
            }
        }
    }
}

impl RequestError {
    /// What kind of failure, for gaps and readings.
    pub fn cause(&self) -> Cause {
        match self {
            Self::Timeout(_) => Cause::Timeout,
            Self::Busy => Cause::Busy,
            Self::Denied => Cause::Denied,
            Self::OutOfTime => Cause::Cancelled,
            Self::Lost(error) => error.cause,
        }
    }
}

impl PollError {
    /// A request that the whole section depends on was not answered.
    pub(super) fn unanswered(what: &str, error: &RequestError) -> Self {
        Self { cause: error.cause(), detail: format!("{what}: {error}") }
    }

    /// A request that the whole section depends on was refused.
    pub(super) fn refused(what: &str, completion: u8) -> Self {
        Self { cause: sensor::refused(completion), detail: format!("{what}: completion code {completion:#04x}") }
    }

    /// A request that the whole section depends on has an answer that makes no sense.
    pub(super) fn malformed(what: &str) -> Self {
        Self { cause: Cause::Malformed, detail: format!("{what}: the answer is too short") }
    }
}

/// A request whose data a section cannot do without.
pub(super) async fn require(ask: &mut impl Ask, what: &str, request: Request) -> Result<Data, PollError> {
    match ask.ask(request).await {
        Ok(Response { completion: 0, data }) => Ok(data),
        Ok(Response { completion, .. }) => Err(PollError::refused(what, completion)),
        Err(error) => Err(PollError::unanswered(what, &error)),
    }
}

/// A gap of one thing in a section that is otherwise there.
pub(super) fn gap(place: &str, failure: PollError, source: &str, at: Timestamp) -> Observation {
    Observation::Gap(Gap {
        component: Some(ComponentId::lenient(ComponentClass::Bmc, place)),
        cause: failure.cause,
        detail: failure.detail,
        observed_at: at,
        source: Source(source.to_owned()),
        span: None,
    })
}

/// Polls sections of one BMC and remembers its sensor repository between polls.
#[derive(Debug, Default)]
pub struct Poller {
    /// The name under which the repository is kept over sessions; empty: not at all.
    name: String,
    library: Library,
    known: Option<Known>,
    /// How many polls have made do with a repository of which something is missing, and how many may.
    made_do: u32,
    may_make_do: u32,
    controllers: Controllers,
    chassis: Chassis,
}

/// A repository, and what it was like when it was read.
#[derive(Debug)]
struct Known {
    stamp: Stamp,
    repository: Arc<Repository>,
}

/// What a BMC replied to a poll of its sensors.
#[derive(Debug)]
struct Told {
    repository: Arc<Repository>,
    /// Those of [`Repository::asks`], in order; they may end early.
    sensors: std::vec::IntoIter<Reply>,
    chassis: Option<Reply>,
}

impl Told {
    /// Why the sensors were given up before the last of them, if they were.
    fn given_up(&self) -> Option<RequestError> {
        let mut patience = Patience::default();
        let last = self.sensors.as_slice().iter().find(|reply| !patience.goes_on(&reply.result))?;
        last.result.clone().err()
    }

    /// Whether any sensor was.
    fn is_answered(&self) -> bool {
        let is_answer = |result: &Result<Response, RequestError>| {
            !matches!(result, Err(RequestError::Timeout(_) | RequestError::Lost(_) | RequestError::OutOfTime))
        };
        self.sensors.as_slice().iter().any(|reply| is_answer(&reply.result))
    }
}

impl Poller {
    /// A poller of the BMC of that name that knows what the library does.
    pub fn knowing(library: &Library, name: String) -> Self {
        Self { name, library: library.clone(), ..Self::default() }
    }

    fn repository(&self) -> Option<&Repository> {
        self.known.as_ref().map(|known| &*known.repository)
    }

    /// How exact the sensors are that were polled, by the source that their readings name.
    pub fn precisions(&self) -> impl Iterator<Item = (&Source, sensor::Precision)> {
        let sensors = self.repository().into_iter().flat_map(|repository| &repository.sensors);
        sensors.filter_map(|named| Some((&named.source, sensor::precision(&named.sensor)?)))
    }

    /// Polls one section.
    pub async fn poll(
        &mut self,
        ask: &mut (impl Ask + Send),
        section: Section,
        bookmark: Option<&Bookmark>,
        clock: &(impl Clock + Sync),
    ) -> Result<Polled, PollError> {
        match section {
            Section::Sensors => self.sensors(ask, clock).await,
            // Boxed, as they take much more room than a poll of sensors, of which thousands may wait.
            Section::Log => Box::pin(self.log(ask, bookmark, clock)).await,
            Section::Inventory => Box::pin(self.inventory(ask, clock)).await,
            // Drive slots are discrete sensors, and IPMI knows no more of a drive.
            Section::Drives | Section::Host => Ok(Polled::default()),
        }
    }

    async fn log(
        &mut self,
        ask: &mut (impl Ask + Send),
        bookmark: Option<&Bookmark>,
        clock: &(impl Clock + Sync),
    ) -> Result<Polled, PollError> {
        // Events name sensors; without the repository they still come, with numbers instead of names.
        let unread = self.refresh(ask, clock).await.err();
        let mut outcome = log::poll(ask, self.repository(), bookmark, clock).await?;
        if let Some(failure) = unread {
            outcome.observations.push(gap("SDR repository", failure, "sdr", clock.now()));
        }
        Ok(outcome)
    }

    async fn inventory(
        &mut self,
        ask: &mut (impl Ask + Send),
        clock: &(impl Clock + Sync),
    ) -> Result<Polled, PollError> {
        let unread = self.refresh(ask, clock).await.err();
        let mut outcome = inventory::poll(ask, self.repository(), clock).await?;
        outcome.observations.extend(chassis::restart_cause(ask, clock).await.map(Observation::Reading));
        if let Some(failure) = unread {
            outcome.observations.push(gap("SDR repository", failure, "sdr", clock.now()));
        }
        Ok(outcome)
    }

    /// Reads the repository, unless the one at hand is still the BMC's.
    async fn refresh(&mut self, ask: &mut (impl Ask + Send), clock: &(impl Clock + Sync)) -> Result<(), PollError> {
        let stamp = Stamp::read(ask).await?;
        if let Some(known) = self.known.as_ref().filter(|known| known.stamp == stamp) {
            if known.repository.is_complete() || self.made_do < self.may_make_do {
                self.made_do = self.made_do.saturating_add(1);
                return Ok(());
            }
            // A record that a starting BMC refuses comes later; one that never comes must not cost a whole reading with every poll.
            self.may_make_do = (self.may_make_do * 2).clamp(1, MOST_TO_MAKE_DO);
        } else {
            self.may_make_do = 1;
        }
        self.made_do = 0;
        Box::pin(self.read_repository(ask, stamp, clock)).await
    }

    /// Reads the repository anew, or takes the one that was kept of the BMC if it still holds.
    async fn read_repository(
        &mut self,
        ask: &mut (impl Ask + Send),
        stamp: Stamp,
        clock: &(impl Clock + Sync),
    ) -> Result<(), PollError> {
        let keeps = !self.name.is_empty() && self.library.is_kept();
        let identity = if keeps { identity(ask).await } else { Vec::new() };
        if self.known.is_none()
            && keeps
            && let Some(kept) = self.library.recall(&self.name).filter(|k| k.identity == identity && k.stamp == stamp)
            && kept.records.still_hold(ask, stamp, u64::try_from(clock.now().as_secs()).unwrap_or(0)).await
        {
            self.known = Some(Known { stamp, repository: self.library.repository(&kept.records) });
            return Ok(());
        }
        let (stamp, records) = repository::read(ask, stamp).await?;
        self.known = Some(Known { stamp, repository: self.library.repository(&records) });
        if keeps && records.is_complete() {
            self.library.keep(&self.name, &Kept { identity, stamp, records });
        }
        Ok(())
    }

    /// Asks for everything in one go, so that whoever waits is woken once. `None`: that cannot be, or the repository is no longer the one at hand.
    async fn ask_at_once(
        &self,
        ask: &mut (impl Ask + Send),
        clock: &(impl Clock + Sync),
    ) -> Result<Option<Told>, PollError> {
        let suits = |known: &&Known| known.stamp.is_of_repository() && known.repository.is_complete();
        let Some(Known { stamp, repository }) = self.known.as_ref().filter(suits) else { return Ok(None) };
        if !self.chassis.has_status() {
            return Ok(None);
        }
        let replies = ask.ask_each(&repository.asks_of_all, Patience::untried(), clock).await;
        let is_whole = replies.len() == repository.asks_of_all.len();
        let mut sensors = replies.into_iter();
        match sensors.next().map(|first| first.result) {
            Some(Err(error)) => return Err(PollError::unanswered(repository::INFO, &error)),
            Some(Ok(answer)) if stamp.is_confirmed_by(&answer) => {}
            Some(Ok(_)) | None => return Ok(None),
        }
        let chassis = if is_whole { sensors.next_back() } else { None };
        Ok(Some(Told { repository: repository.clone(), sensors, chassis }))
    }

    /// Asks for the repository first, and then for what it holds.
    async fn ask_in_turn(
        &mut self,
        ask: &mut (impl Ask + Send),
        clock: &(impl Clock + Sync),
    ) -> Result<Option<Told>, PollError> {
        self.refresh(ask, clock).await?;
        let Some(repository) = self.known.as_ref().map(|known| known.repository.clone()) else { return Ok(None) };
        let mut told = Told {
            sensors: ask.ask_each(&repository.asks, Patience::default(), clock).await.into_iter(),
            repository,
            chassis: None,
        };
        if self.chassis.has_status() && told.given_up().is_none() {
            let result = ask.ask(chassis::ask_status()).await;
            told.chassis = Some(Reply { result, at: clock.now() });
        }
        Ok(Some(told))
    }

    async fn sensors(&mut self, ask: &mut (impl Ask + Send), clock: &(impl Clock + Sync)) -> Result<Polled, PollError> {
        let told = match self.ask_at_once(ask, clock).await? {
            Some(told) => Some(told),
            None => Box::pin(self.ask_in_turn(ask, clock)).await?,
        };
        let Some(told) = told else { return Ok(Polled::default()) };
        let (given_up, answered) = (told.given_up(), told.is_answered());
        let Told { repository, sensors: mut replies, chassis: status } = told;
        let mut observations = Vec::with_capacity(repository.sensors.len() + OF_THE_CHASSIS);
        for failure in &repository.unread {
            observations.push(gap("SDR repository", failure.clone(), "sdr", clock.now()));
        }
        if repository.sensors.is_empty() && repository.unread.is_empty() {
            let detail = "the sensor repository holds no sensor: the BMC may still be starting".to_owned();
            let failure = PollError { cause: Cause::NotSupported, detail };
            observations.push(gap("SDR repository", failure, "sdr", clock.now()));
        }
        let (foreign, gaps) = match &given_up {
            None => Box::pin(self.controllers.read(ask, &repository, clock)).await,
            Some(_) => Default::default(),
        };
        observations.extend(gaps);
        let mut foreign = foreign.into_iter();
        for named in &repository.sensors {
            let sensor = &named.sensor;
            let said = match repository::is_asked(sensor) {
                true => replies.next().map(|reply| (sensor::raw(&reply.result), reply.at)),
                false => foreign.next(),
            };
            let (raw, at) = said
                .unwrap_or_else(|| (Err(given_up.as_ref().map_or(Cause::Cancelled, RequestError::cause)), clock.now()));
            let factors = match (&sensor.analog, raw) {
                (Some(analog), Ok(raw)) if convert::depends_on_reading(analog) => {
                    Box::pin(factors_at(ask, sensor.key, raw.value)).await
                }
                _ => Ok(None),
            };
            let (raw, factors) = match factors {
                Ok(factors) => (raw, factors),
                Err(cause) => (Err(cause), None),
            };
            observations.extend(sensor::readings_of(named, raw, factors, at).map(Observation::Reading));
        }
        if given_up.is_none() {
            let status = status.map(|reply| self.chassis.status(reply)).unwrap_or_default();
            observations
                .extend(status.into_iter().chain(self.chassis.power(ask, clock).await).map(Observation::Reading));
        }
        match given_up {
            Some(error) if !answered => Err(PollError::unanswered("Get Sensor Reading", &error)),
            Some(error) => {
                let failure = PollError {
                    cause: error.cause(),
                    detail: format!("the poll ended before its last sensor: {error}"),
                };
                observations.push(gap("sensors", failure, "ipmi", clock.now()));
                Ok(Polled { observations, ..Polled::default() })
            }
            None => Ok(Polled { observations, ..Polled::default() }),
        }
    }
}

/// What a BMC says of itself (Get Device ID, §20.1, and Get System GUID, §22.14), as far as it does.
async fn identity(ask: &mut (impl Ask + Send)) -> Vec<u8> {
    let mut out = Vec::new();
    for command in [0x01, 0x37] {
        if let Ok(Response { completion: 0, data }) = ask.ask(Request::new(NetFn::App, command, [])).await {
            out.extend(data);
        }
    }
    out
}

/// Get Sensor Reading Factors (§35.5), for a sensor whose factors depend on its reading.
async fn factors_at(
    ask: &mut (impl Ask + Send),
    key: super::sdr::SensorKey,
    raw: u8,
) -> Result<Option<super::sdr::Factors>, Cause> {
    let request = Request { lun: key.lun, ..Request::new(NetFn::SensorEvent, 0x23, [key.number, raw]) };
    match foreign::put(ask, key, request).await? {
        Response { completion: 0, data } => match data.get(1..).and_then(|f| f.first_chunk()) {
            Some(factors) => Ok(Some(super::sdr::Factors::parse(factors))),
            None => Err(Cause::Malformed),
        },
        Response { completion, .. } => Err(sensor::refused(completion)),
    }
}
