//! Sensors of controllers behind the BMC, asked one after the other through it.

use super::{Ask, Repository, gap};
use crate::PollError;
use crate::ipmi::bridge::{self, Undelivered};
use crate::ipmi::message::{Request, Response};
use crate::ipmi::repository;
use crate::ipmi::sdr::SensorKey;
use crate::ipmi::sensor::{self, Raw};
use crate::ipmi::session::RequestError;
use outband_schemas::{Cause, Clock, Observation, Timestamp};
use std::collections::HashMap;

/// A controller that cannot be reached is left alone for so many polls, then for twice as many, and so on: a silent one costs a deadline, and a BMC that
/// carries nothing seldom learns to.
const FIRST_REST: u32 = 16;
const LONGEST_REST: u32 = 1024;

/// What is known of the controllers behind a BMC, by channel and slave address.
#[derive(Debug, Default)]
pub(super) struct Controllers(HashMap<(u8, u8), Rest>);

#[derive(Debug, Clone, Copy)]
struct Rest {
    polls_left: u32,
    next: u32,
}

/// What a sensor of another controller said, and when.
pub(super) type Said = (Result<Raw, Cause>, Timestamp);

impl Controllers {
    fn is_due(&mut self, controller: (u8, u8)) -> bool {
        match self.0.get_mut(&controller) {
            Some(rest) if rest.polls_left > 0 => {
                rest.polls_left -= 1;
                false
            }
            _ => true,
        }
    }

    fn rest(&mut self, controller: (u8, u8)) {
        let rest = self.0.entry(controller).or_insert(Rest { polls_left: 0, next: FIRST_REST });
        rest.polls_left = rest.next;
        rest.next = (rest.next * 2).min(LONGEST_REST);
    }

    /// Asks every sensor that is not the BMC's own: what each said, in their order, and a gap for each controller that was tried and not reached.
    pub(super) async fn read(
        &mut self,
        ask: &mut (impl Ask + Send),
        repository: &Repository,
        clock: &(impl Clock + Sync),
    ) -> (Vec<Said>, Vec<Observation>) {
        let (mut said, mut gaps) = (Vec::new(), Vec::new());
        let mut reached: HashMap<(u8, u8), bool> = HashMap::new();
        for sensor in repository.sensors.iter().map(|named| &named.sensor).filter(|s| !repository::is_asked(s)) {
            let key = sensor.key;
            let controller = (key.channel, key.owner);
            // An odd number is that of a program: it has no address.
            let worth_it = key.owner & 1 == 0 && *reached.entry(controller).or_insert_with(|| self.is_due(controller));
            let answer = if worth_it { carry(ask, key, sensor::ask(key)).await } else { Err(Failure::NotTried) };
            let raw = match answer {
                Ok(response) => {
                    self.0.remove(&controller);
                    sensor::raw(&Ok(response))
                }
                Err(Failure::NotTried) => Err(Cause::NotReadable),
                Err(failure) => {
                    reached.insert(controller, false);
                    // That the time of the poll is over says nothing of a controller.
                    let out_of_time = matches!(failure, Failure::Unanswered(RequestError::OutOfTime));
                    if !out_of_time {
                        self.rest(controller);
                    }
                    let cause = if out_of_time { Cause::Cancelled } else { Cause::NotReadable };
                    let detail = format!("the controller {:#04x} behind the BMC cannot be asked: {failure}", key.owner);
                    let failure = PollError { cause, detail };
                    let place = format!("controller {:02x}", key.owner);
                    gaps.push(gap(&place, failure, &key.to_string(), clock.now()));
                    Err(cause)
                }
            };
            said.push((raw, clock.now()));
        }
        (said, gaps)
    }
}

/// Why a request to another controller has no answer.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("it was not tried")]
    NotTried,
    #[error(transparent)]
    Undelivered(#[from] Undelivered),
    #[error(transparent)]
    Unanswered(#[from] RequestError),
}

async fn carry(ask: &mut (impl Ask + Send), key: SensorKey, request: Request) -> Result<Response, Failure> {
    let wrapped = bridge::wrap(&request, key.channel, key.owner, key.number & 0x3F);
    let carried = ask.ask(wrapped.clone()).await?;
    Ok(bridge::unwrap(&wrapped, carried)?)
}

/// Puts a request about a sensor to whoever it belongs to.
pub(super) async fn put(ask: &mut (impl Ask + Send), key: SensorKey, request: Request) -> Result<Response, Cause> {
    if repository::is_own(key) {
        return ask.ask(request).await.map_err(|e| e.cause());
    }
    carry(ask, key, request).await.map_err(|failure| match failure {
        Failure::Unanswered(error) => error.cause(),
        Failure::NotTried | Failure::Undelivered(_) => Cause::NotReadable,
    })
}
