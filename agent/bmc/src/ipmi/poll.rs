//! The polls of whole sections, written as straight-line code over [`Ask`]: nothing here knows a socket, and a test answers from a table.

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;

use super::message::{Request, Response};
use super::repository::{self, Repository, Stamp};
use super::session::RequestError;
use super::{convert, inventory, log, sensor};
use crate::{Bookmark, PollError, Polled};
use ipmi_rs_core::connection::NetFn;
use outband_schemas::{
    Cause, Clock, ComponentClass, ComponentId, Gap, Observation, Reading, Section, Source, Timestamp,
};
use std::future::Future;

/// The BMC's own slave address; sensors of other owners are behind a bridge.
pub(super) const BMC: u8 = 0x20;
/// After so many requests without any answer the rest of a poll is given up.
const MAX_TIMEOUTS: u32 = 2;
/// An incomplete repository is read again after 1, 2, 4 polls and so on, and then after so many.
const MOST_TO_MAKE_DO: u32 = 64;

/// Whoever can put a request to a BMC.
pub trait Ask {
    /// Puts one request and waits for its answer.
    fn ask(&mut self, request: Request) -> impl Future<Output = Result<Response, RequestError>> + Send;
}

impl RequestError {
    /// What kind of failure, for gaps and readings.
    pub fn cause(&self) -> Cause {
        match self {
            Self::Timeout(_) => Cause::Timeout,
            Self::Busy => Cause::Busy,
            Self::Denied => Cause::Denied,
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
pub(super) async fn require(ask: &mut impl Ask, what: &str, request: Request) -> Result<Vec<u8>, PollError> {
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
    repository: Option<Repository>,
    /// How many polls have made do with a repository of which something is missing, and how many may.
    made_do: u32,
    may_make_do: u32,
}

impl Poller {
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
            Section::Log => {
                // Events name sensors; without the repository they still come, with numbers instead of names.
                let unread = self.refresh(ask).await.err();
                let mut outcome = log::poll(ask, self.repository.as_ref(), bookmark, clock).await?;
                if let Some(failure) = unread {
                    outcome.observations.push(gap("SDR repository", failure, "sdr", clock.now()));
                }
                Ok(outcome)
            }
            Section::Inventory => {
                let unread = self.refresh(ask).await.err();
                let mut outcome = inventory::poll(ask, self.repository.as_ref(), clock).await?;
                if let Some(failure) = unread {
                    outcome.observations.push(gap("SDR repository", failure, "sdr", clock.now()));
                }
                Ok(outcome)
            }
            // Drive slots are discrete sensors, and IPMI knows no more of a drive.
            Section::Drives | Section::Host => Ok(Polled::default()),
        }
    }

    /// Reads the repository, unless the one at hand is still the BMC's.
    async fn refresh(&mut self, ask: &mut (impl Ask + Send)) -> Result<(), PollError> {
        let stamp = Stamp::read(ask).await?;
        if let Some(repository) = self.repository.as_ref().filter(|r| r.stamp == stamp) {
            if repository.is_complete() || self.made_do < self.may_make_do {
                self.made_do = self.made_do.saturating_add(1);
                return Ok(());
            }
            // A record that a starting BMC refuses comes later; one that never comes must not cost a whole reading with every poll.
            self.may_make_do = (self.may_make_do * 2).clamp(1, MOST_TO_MAKE_DO);
        } else {
            self.may_make_do = 1;
        }
        self.made_do = 0;
        self.repository = Some(repository::read(ask, stamp).await?);
        Ok(())
    }

    async fn sensors(&mut self, ask: &mut (impl Ask + Send), clock: &(impl Clock + Sync)) -> Result<Polled, PollError> {
        self.refresh(ask).await?;
        let Some(repository) = &self.repository else { return Ok(Polled::default()) };
        let mut observations = Vec::with_capacity(repository.sensors.len());
        for failure in &repository.unread {
            observations.push(gap("SDR repository", failure.clone(), "sdr", clock.now()));
        }
        if repository.sensors.is_empty() && repository.unread.is_empty() {
            let detail = "the sensor repository holds no sensor: the BMC may still be starting".to_owned();
            let failure = PollError { cause: Cause::NotSupported, detail };
            observations.push(gap("SDR repository", failure, "sdr", clock.now()));
        }
        let mut timeouts = 0;
        let mut given_up: Option<RequestError> = None;
        let mut answered = false;
        for named in &repository.sensors {
            let sensor = &named.sensor;
            let raw = if sensor.key.owner != BMC || sensor.key.channel != 0 {
                Err(Cause::NotReadable)
            } else if let Some(error) = &given_up {
                Err(error.cause())
            } else {
                let mut request = Request::new(NetFn::SensorEvent, 0x2D, [sensor.key.number]);
                request.lun = sensor.key.lun;
                let answer = ask.ask(request).await;
                match &answer {
                    Err(error @ RequestError::Timeout(_)) => {
                        timeouts += 1;
                        if timeouts >= MAX_TIMEOUTS {
                            given_up = Some(error.clone());
                        }
                    }
                    Err(error @ RequestError::Lost(_)) => given_up = Some(error.clone()),
                    Ok(_) | Err(_) => {
                        answered = true;
                        timeouts = 0;
                    }
                }
                sensor::raw(&answer)
            };
            let factors = match (&sensor.analog, raw) {
                (Some(analog), Ok(raw)) if convert::depends_on_reading(analog) => {
                    factors_at(ask, sensor.key.number, sensor.key.lun, raw.value).await
                }
                _ => Ok(None),
            };
            let (raw, factors) = match factors {
                Ok(factors) => (raw, factors),
                Err(cause) => (Err(cause), None),
            };
            let readings = sensor::readings(sensor, &named.name, raw, factors, named.thresholds, clock.now());
            // The repository knows the sensor's neighbours, and so a better place than the record alone.
            let placed = readings.into_iter().map(|r| Reading { component: named.component.clone(), ..r });
            observations.extend(placed.map(Observation::Reading));
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

/// Get Sensor Reading Factors (§35.5), for a sensor whose factors depend on its reading.
async fn factors_at(
    ask: &mut (impl Ask + Send),
    number: u8,
    lun: u8,
    raw: u8,
) -> Result<Option<super::sdr::Factors>, Cause> {
    let request = Request { lun, ..Request::new(NetFn::SensorEvent, 0x23, [number, raw]) };
    match ask.ask(request).await {
        Ok(Response { completion: 0, data }) => match data.get(1..).and_then(|f| f.first_chunk()) {
            Some(factors) => Ok(Some(super::sdr::Factors::parse(factors))),
            None => Err(Cause::Malformed),
        },
        Ok(Response { completion, .. }) => Err(sensor::refused(completion)),
        Err(error) => Err(error.cause()),
    }
}
