//! One client for every BMC: connect, poll a section, close.

use crate::action::{ActionError, archived};
use crate::ipmi::hub::Hub;
use crate::ipmi::sensor::Precision;
use crate::redfish::knowledge::Knowledge;
use crate::{Address, Bookmark, ConnectError, Fingerprint, PollError, PollStats, Polled, RungReport, Standing, Target};
use crate::{ipmi, local, redfish};
use outband_schemas::{Clock, Section, Source};
use std::collections::{BTreeSet, HashMap};
use tokio::time::Instant;

/// A BMC with an open session. [`Bmc::close`] it: leaked sessions lock a BMC's door.
#[derive(Debug)]
pub enum Bmc {
    /// Over RMCP+.
    Ipmi(Box<ipmi::transport::Client>),
    /// Over HTTPS.
    Redfish(Box<redfish::transport::Client>),
    /// The agent's own server.
    Local(local::Client),
}

impl Bmc {
    /// Climbs the ladder up to and including [`crate::Rung::Privilege`].
    pub async fn connect(target: &Target) -> Result<Self, ConnectError> {
        Self::connect_knowing(target, &Knowledge::default()).await
    }

    /// The same, with what BMCs of the same platform showed of themselves; what this one shows is added.
    pub async fn connect_knowing(target: &Target, knowledge: &Knowledge) -> Result<Self, ConnectError> {
        Self::connect_through(None, target, knowledge).await
    }

    /// The same; over IPMI by a line of a hub, where one is given. Its loop has to run meanwhile.
    pub async fn connect_through(
        hub: Option<&Hub>,
        target: &Target,
        knowledge: &Knowledge,
    ) -> Result<Self, ConnectError> {
        match target.address {
            Address::Ipmi { .. } => {
                let client = match hub {
                    Some(hub) => ipmi::transport::Client::connect_through(hub, target).await,
                    None => ipmi::transport::Client::connect(target).await,
                };
                client.map(|c| Self::Ipmi(Box::new(c)))
            }
            Address::Redfish { .. } => {
                let connecting = Box::pin(redfish::transport::Client::connect(target, knowledge));
                connecting.await.map(|c| Self::Redfish(Box::new(c)))
            }
            Address::Local { .. } => {
                let connecting = local::Client::connect(target, hub.map(Hub::library));
                Box::pin(connecting).await.map(Self::Local)
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
            Self::Ipmi(client) => client.poll(section, bookmark, None, clock).await,
            Self::Redfish(client) => Box::pin(client.poll(section, bookmark, None, clock)).await,
            Self::Local(client) => Box::pin(client.poll(section, bookmark, None, clock)).await,
        }
    }

    /// Polls one section, for no longer than until `until`: what was read by then is told, and the rest is a gap.
    pub async fn poll_until(
        &mut self,
        section: Section,
        bookmark: Option<&Bookmark>,
        until: Instant,
        clock: &(impl Clock + Sync),
    ) -> Result<Polled, PollError> {
        match self {
            Self::Ipmi(client) => client.poll(section, bookmark, Some(until.into_std()), clock).await,
            // Much larger than what IPMI takes, of which thousands wait.
            Self::Redfish(client) => Box::pin(client.poll(section, bookmark, Some(until), clock)).await,
            Self::Local(client) => Box::pin(client.poll(section, bookmark, Some(until), clock)).await,
        }
    }

    /// A second handle on the same session, for a poll at the same time (at most two at once); `None` where the protocol does not allow it (IPMI).
    /// Drop it when done: [`Bmc::close`] of either handle ends the session for both.
    pub fn share(&self) -> Option<Self> {
        match self {
            Self::Ipmi(_) => None,
            Self::Redfish(client) => Some(Self::Redfish(Box::new(client.share()))),
            Self::Local(client) => Some(Self::Local(client.clone())),
        }
    }

    /// A handle on the same session for what the BMC tells by itself; `None` for IPMI.
    pub fn watch(&self) -> Option<redfish::push::watch::Watch> {
        match self {
            Self::Ipmi(_) | Self::Local(_) => None,
            Self::Redfish(client) => Some(client.watch()),
        }
    }

    /// Has the server's locator light blink, or not; says what it shows then.
    pub async fn identify(&mut self, on: bool) -> Result<String, ActionError> {
        match self {
            Self::Ipmi(client) => client.identify(on).await,
            Self::Redfish(client) => client.hand().identify(on).await,
            Self::Local(client) => client.identify(on).await,
        }
    }

    /// Restarts the BMC, once. The session is of no use afterwards: drop it.
    pub async fn reset(&mut self) -> Result<String, ActionError> {
        match self {
            Self::Ipmi(client) => client.reset().await,
            Self::Redfish(client) => client.hand().reset().await,
            Self::Local(client) => client.reset().await,
        }
    }

    /// Empties the system event log, where all that it holds is in the archive: it is read now, whole, and each entry looked for there.
    pub async fn clear_sel(
        &mut self,
        archive: &BTreeSet<String>,
        clock: &(impl Clock + Sync),
    ) -> Result<String, ActionError> {
        let (uri, log) = match self {
            Self::Ipmi(_) | Self::Local(_) => (String::new(), ipmi::sel::LOG.to_owned()),
            Self::Redfish(client) => client.hand().sel().await?,
        };
        let polled = self.poll(Section::Log, None, clock).await;
        let polled = polled.map_err(|e| ActionError::unread("the log cannot be read", e.cause, &e.detail))?;
        let entries = archived(&polled, &log, archive)?;
        match self {
            Self::Ipmi(client) => client.clear_log(&entries.into_iter().cloned().collect::<Vec<_>>()).await,
            Self::Redfish(client) => client.hand().clear(&uri, &entries).await,
            Self::Local(client) => client.clear_log(&entries.into_iter().cloned().collect::<Vec<_>>()).await,
        }
    }

    /// The rungs that held while connecting.
    pub fn climbed(&self) -> &[RungReport] {
        match self {
            Self::Ipmi(client) => client.climbed(),
            Self::Redfish(client) => client.climbed(),
            Self::Local(client) => client.climbed(),
        }
    }

    /// How exact the sensors are that were polled, by the source that their readings name. Redfish does not say.
    pub fn precisions(&self) -> HashMap<Source, Precision> {
        match self {
            Self::Ipmi(client) => client.precisions().map(|(source, precision)| (source.clone(), precision)).collect(),
            Self::Redfish(_) => HashMap::new(),
            Self::Local(client) => client.precisions(),
        }
    }

    /// The certificate that the BMC offered; `None` for IPMI.
    pub fn certificate(&self) -> Option<Fingerprint> {
        match self {
            Self::Ipmi(_) | Self::Local(_) => None,
            Self::Redfish(client) => client.certificate(),
        }
    }

    /// What this session has met that says how to go on with the BMC.
    pub fn standing(&self) -> Standing {
        match self {
            Self::Ipmi(client) => client.standing(),
            Self::Redfish(client) => client.standing(),
            Self::Local(_) => Standing::default(),
        }
    }

    /// What was sent and received so far.
    pub fn stats(&self) -> PollStats {
        match self {
            Self::Ipmi(client) => client.stats(),
            Self::Redfish(client) => client.stats(),
            Self::Local(client) => client.stats(),
        }
    }

    /// Ends the session at the BMC. A failure is of no consequence to us, but the BMC keeps the session until it expires.
    pub async fn close(self) -> Result<(), PollError> {
        match self {
            Self::Ipmi(client) => client.close().await,
            Self::Redfish(client) => client.close().await,
            // The device stays open for whoever comes next.
            Self::Local(_) => Ok(()),
        }
    }
}
