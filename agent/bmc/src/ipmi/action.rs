//! What may be done over IPMI: the chassis' light, a cold reset of the BMC, and clearing the event log.

use super::message::{Data, Request, Response};
use super::poll::Ask;
use super::sel::Info;
use super::session::RequestError;
use crate::action::ActionError;
use ipmi_rs_core::connection::NetFn;
use outband_schemas::{Cause, LogEvent};
use std::time::Duration;

/// How long a light blinks at a BMC that cannot have it blink until it is told otherwise: the longest there is, in seconds.
const LONGEST_BLINK: u8 = 255;
/// How often erasing is looked at before it is taken to go on by itself.
const ERASURES_LOOKED_AT: u32 = 20;
const LOOK_EVERY: Duration = Duration::from_millis(250);

fn refused(what: &str, completion: u8) -> ActionError {
    match completion {
        0xD4 => ActionError::Denied(format!("{what}: insufficient privilege (0xd4)")),
        code => ActionError::Failed(format!("{what}: completion code {code:#04x}")),
    }
}

/// An answer, or why there is none. What is not answered may have been done.
async fn put(ask: &mut impl Ask, what: &str, request: Request) -> Result<Data, ActionError> {
    match ask.ask(request).await {
        Ok(Response { completion: 0, data }) => Ok(data),
        Ok(Response { completion, .. }) => Err(refused(what, completion)),
        Err(RequestError::Denied) => Err(ActionError::Denied(format!("{what}: {}", RequestError::Denied))),
        Err(error) => Err(ActionError::Unknown(format!("{what}: {error}"))),
    }
}

/// Chassis Identify (§28.5): until it is told otherwise, or for as long as the BMC can.
pub(crate) async fn identify(ask: &mut impl Ask, on: bool) -> Result<String, ActionError> {
    let what = "Chassis Identify";
    let chassis = |data: &[u8]| Request::new(NetFn::Chassis, 0x04, data);
    if !on {
        put(ask, what, chassis(&[0])).await?;
        return Ok("the identify light is off".to_owned());
    }
    match ask.ask(chassis(&[LONGEST_BLINK, 1])).await {
        Ok(Response { completion: 0, .. }) => Ok("the identify light is on until it is switched off".to_owned()),
        // The second byte is optional, and not known everywhere.
        Ok(Response { completion: 0xC7 | 0xC9 | 0xCC, .. }) => {
            put(ask, what, chassis(&[LONGEST_BLINK])).await?;
            Ok(format!("the identify light is on for {LONGEST_BLINK} s, the longest that this BMC can"))
        }
        Ok(Response { completion, .. }) => Err(refused(what, completion)),
        Err(RequestError::Denied) => Err(ActionError::Denied(format!("{what}: {}", RequestError::Denied))),
        Err(error) => Err(ActionError::Unknown(format!("{what}: {error}"))),
    }
}

/// Cold Reset (§20.2). Many BMCs do not answer it. The session is of no use afterwards, not even to be closed.
pub(crate) async fn reset(ask: &mut impl Ask) -> Result<String, ActionError> {
    put(ask, "Cold Reset", Request::new(NetFn::App, 0x02, [])).await?;
    Ok("the BMC takes the cold reset".to_owned())
}

async fn info(ask: &mut impl Ask) -> Result<Info, ActionError> {
    let what = "Get SEL Info";
    match ask.ask(Request::new(NetFn::Storage, 0x40, [])).await {
        Ok(Response { completion: 0, data }) => {
            Info::parse(&data).ok_or_else(|| ActionError::Failed(format!("{what}: the answer is too short")))
        }
        Ok(Response { completion, .. }) => Err(refused(what, completion)),
        Err(error) => Err(ActionError::unread(what, error.cause(), &error.to_string())),
    }
}

/// Clears the event log (§31.9) where it still holds `read`, and nothing else. The reservation is taken first: the BMC cancels it when an entry is
/// added, so that none can slip in between the last look and the erasure.
pub(crate) async fn clear(ask: &mut impl Ask, read: &[LogEvent]) -> Result<String, ActionError> {
    let what = "Clear SEL";
    let reserved = match ask.ask(Request::new(NetFn::Storage, 0x42, [])).await {
        Ok(Response { completion: 0, data }) => data.first_chunk().copied(),
        Ok(Response { completion, .. }) => return Err(refused("Reserve SEL", completion)),
        Err(error) => return Err(ActionError::unread("Reserve SEL", error.cause(), &error.to_string())),
    };
    let Some(reservation) = reserved else {
        return Err(ActionError::Failed("Reserve SEL: the answer is too short".to_owned()));
    };
    let found = info(ask).await?;
    if usize::from(found.entries) != read.len() {
        let detail = format!("the log holds {} entries, {} were read: it changed meanwhile", found.entries, read.len());
        return Err(ActionError::Failed(format!("nothing was cleared: {detail}")));
    }
    if !is_last(ask, read).await? {
        return Err(ActionError::Failed("nothing was cleared: the log's last entry changed meanwhile".to_owned()));
    }
    let [low, high] = reservation;
    let erase = |action: u8| Request::new(NetFn::Storage, 0x47, [low, high, b'C', b'L', b'R', action]);
    match ask.ask(erase(0xAA)).await {
        Ok(Response { completion: 0, .. }) => {}
        Ok(Response { completion: 0xC5, .. }) => {
            let detail = "nothing was cleared: the reservation was cancelled, so an entry came meanwhile".to_owned();
            return Err(ActionError::Failed(detail));
        }
        Ok(Response { completion, .. }) => return Err(refused(what, completion)),
        Err(RequestError::Denied) => return Err(ActionError::Denied(format!("{what}: {}", RequestError::Denied))),
        Err(error) => return Err(ActionError::Unknown(format!("{what}: {error}"))),
    }
    for _ in 0..ERASURES_LOOKED_AT {
        match ask.ask(erase(0)).await {
            // 1: completed. A BMC that gives no state, or forgets the reservation with the log, has cleared it.
            Ok(Response { completion: 0, data }) if data.first().is_some_and(|state| state & 0x0F == 0) => {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            Ok(_) | Err(_) => break,
        }
    }
    Ok(format!("the log was cleared; its {} entries are archived", read.len()))
}

/// Whether the last entry of the log is the last that was read.
async fn is_last(ask: &mut impl Ask, read: &[LogEvent]) -> Result<bool, ActionError> {
    let Some(last) = read.last() else { return Ok(true) };
    let what = "Get SEL Entry 0xffff";
    // Of the whole record, where the BMC gives records whole; else of its first part.
    for count in [0xFF, 8] {
        match ask.ask(Request::new(NetFn::Storage, 0x43, [0, 0, 0xFF, 0xFF, 0, count])).await {
            Ok(Response { completion: 0, data }) => {
                let hex: String = data.iter().skip(2).map(|b| format!("{b:02x}")).collect();
                return Ok(!hex.is_empty() && last.raw.starts_with(&hex));
            }
            Ok(Response { completion: 0xCA | 0xC7 | 0xC8, .. }) => {}
            Ok(Response { completion, .. }) => return Err(refused(what, completion)),
            Err(error) => return Err(ActionError::unread(what, error.cause(), &error.to_string())),
        }
    }
    Err(ActionError::unread(what, Cause::Malformed, "the BMC gives no part of it"))
}
