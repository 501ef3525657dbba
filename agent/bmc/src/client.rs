//! One client for every BMC: connect, poll a section, close.

use crate::action::{ActionError, archived};
use crate::redfish::knowledge::Knowledge;
use crate::{Address, Bookmark, ConnectError, Fingerprint, PollError, PollStats, Polled, RungReport, Standing, Target};
use crate::{ipmi, redfish};
use outband_schemas::{Cause, Clock, Section};
use std::collections::BTreeSet;
use tokio::time::Instant;

/// A BMC with an open session. [`Bmc::close`] it: leaked sessions lock a BMC's door.
#[derive(Debug)]
pub enum Bmc {
    /// Over RMCP+.
    Ipmi(Box<ipmi::transport::Client>),
    /// Over HTTPS.
    Redfish(Box<redfish::transport::Client>),
}

impl Bmc {
    /// Climbs the ladder up to and including [`crate::Rung::Privilege`].
    pub async fn connect(target: &Target) -> Result<Self, ConnectError> {
        Self::connect_knowing(target, &Knowledge::default()).await
    }

    /// The same, with what BMCs of the same platform showed of themselves; what this one shows is added.
    pub async fn connect_knowing(target: &Target, knowledge: &Knowledge) -> Result<Self, ConnectError> {
        match target.address {
            Address::Ipmi { .. } => ipmi::transport::Client::connect(target).await.map(|c| Self::Ipmi(Box::new(c))),
            Address::Redfish { .. } => {
                redfish::transport::Client::connect(target, knowledge).await.map(|c| Self::Redfish(Box::new(c)))
            }
        }
    }

    /// Polls one section. `bookmark` is the one of the last [`Section::Log`] poll that was stored, if any.
    pub async fn poll(
        &mut self,
        section: Section,
        bookmark: Option<&Bookmark>,
        clock: &(impl Clock + Sync),
    ) -> Result<Polled, PollError> {
        match self {
            Self::Ipmi(client) => client.poll(section, bookmark, clock).await,
            Self::Redfish(client) => client.poll(section, bookmark, None, clock).await,
        }
    }

    /// Polls one section, for no longer than until `until`. Over Redfish, what was read by then is told and the rest is a gap; over IPMI the poll fails.
    pub async fn poll_until(
        &mut self,
        section: Section,
        bookmark: Option<&Bookmark>,
        until: Instant,
        clock: &(impl Clock + Sync),
    ) -> Result<Polled, PollError> {
        match self {
            Self::Ipmi(client) => {
                let poll = tokio::time::timeout_at(until, client.poll(section, bookmark, clock));
                poll.await.unwrap_or_else(|_| {
                    Err(PollError {
                        cause: Cause::Cancelled,
                        detail: "the poll was given up: its time was over".to_owned(),
                    })
                })
            }
            Self::Redfish(client) => client.poll(section, bookmark, Some(until), clock).await,
        }
    }

    /// A second handle on the same session, for a poll at the same time (at most two at once); `None` where the protocol does not allow it (IPMI).
    /// Drop it when done: [`Bmc::close`] of either handle ends the session for both.
    pub fn share(&self) -> Option<Self> {
        match self {
            Self::Ipmi(_) => None,
            Self::Redfish(client) => Some(Self::Redfish(Box::new(client.share()))),
        }
    }

    /// A handle on the same session for what the BMC tells by itself; `None` for IPMI.
    pub fn watch(&self) -> Option<redfish::push::watch::Watch> {
        match self {
            Self::Ipmi(_) => None,
            Self::Redfish(client) => Some(client.watch()),
        }
    }

    /// Has the server's locator light blink, or not; says what it shows then.
    pub async fn identify(&mut self, on: bool) -> Result<String, ActionError> {
        match self {
            Self::Ipmi(client) => client.identify(on).await,
            Self::Redfish(client) => client.hand().identify(on).await,
        }
    }

    /// Restarts the BMC, once. The session is of no use afterwards: drop it.
    pub async fn reset(&mut self) -> Result<String, ActionError> {
        match self {
            Self::Ipmi(client) => client.reset().await,
            Self::Redfish(client) => client.hand().reset().await,
        }
    }

    /// Empties the system event log, where all that it holds is in the archive: it is read now, whole, and each entry looked for there.
    pub async fn clear_sel(
        &mut self,
        archive: &BTreeSet<String>,
        clock: &(impl Clock + Sync),
    ) -> Result<String, ActionError> {
        let (uri, log) = match self {
            Self::Ipmi(_) => (String::new(), ipmi::sel::LOG.to_owned()),
            Self::Redfish(client) => client.hand().sel().await?,
        };
        let polled = self.poll(Section::Log, None, clock).await;
        let polled = polled.map_err(|e| ActionError::unread("the log cannot be read", e.cause, &e.detail))?;
        let entries = archived(&polled, &log, archive)?;
        match self {
            Self::Ipmi(client) => client.clear_log(&entries.into_iter().cloned().collect::<Vec<_>>()).await,
            Self::Redfish(client) => client.hand().clear(&uri, &entries).await,
        }
    }

    /// The rungs that held while connecting.
    pub fn climbed(&self) -> &[RungReport] {
        match self {
            Self::Ipmi(client) => client.climbed(),
            Self::Redfish(client) => client.climbed(),
        }
    }

    /// The certificate that the BMC offered; `None` for IPMI.
    pub fn certificate(&self) -> Option<Fingerprint> {
        match self {
            Self::Ipmi(_) => None,
            Self::Redfish(client) => client.certificate(),
        }
    }

    /// What this session has met that says how to go on with the BMC.
    pub fn standing(&self) -> Standing {
        match self {
            Self::Ipmi(client) => client.standing(),
            Self::Redfish(client) => client.standing(),
        }
    }

    /// What was sent and received so far.
    pub fn stats(&self) -> PollStats {
        match self {
            Self::Ipmi(client) => client.stats(),
            Self::Redfish(client) => client.stats(),
        }
    }

    /// Ends the session at the BMC. A failure is of no consequence to us, but the BMC keeps the session until it expires.
    pub async fn close(self) -> Result<(), PollError> {
        match self {
            Self::Ipmi(client) => client.close().await,
            Self::Redfish(client) => client.close().await,
        }
    }
}
