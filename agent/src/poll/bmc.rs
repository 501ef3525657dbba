//! What polling needs of a BMC. [`outband_bmc::client::Bmc`] is one; tests bring theirs.

use crate::clock::SystemClock;
use outband_bmc::client::Bmc;
use outband_bmc::ipmi::hub::Hub;
use outband_bmc::redfish::knowledge::Knowledge;
use outband_bmc::redfish::push::watch::Watch;
use outband_bmc::{Bookmark, ConnectError, Fingerprint, Target};
use outband_bmc::{PollError, Polled, Standing};
use outband_schemas::Section;
use tokio::time::Instant;

/// Opens sessions.
pub trait Connect: Clone + Send + Sync + 'static {
    /// An open session.
    type Session: Session;

    /// Climbs the ladder.
    fn connect(&self, target: &Target) -> impl Future<Output = Result<Self::Session, ConnectError>> + Send;
}

/// An open session, or a handle on one.
pub trait Session: Sized + Send + 'static {
    /// Polls one section, for no longer than until `until`: what was read by then is told, where the protocol allows it.
    fn poll(
        &mut self,
        section: Section,
        bookmark: Option<&Bookmark>,
        until: Instant,
    ) -> impl Future<Output = Result<Polled, PollError>> + Send;

    /// Another handle on the session, for a poll at the same time; `None` where the protocol does not allow that.
    fn share(&self) -> Option<Self>;

    /// A handle on the session for what the BMC tells by itself; `None` where it tells nothing.
    fn watch(&self) -> Option<Watch> {
        None
    }

    /// The certificate that the BMC offered.
    fn certificate(&self) -> Option<Fingerprint>;

    /// What this session has met that says how to go on with the BMC.
    fn standing(&self) -> Standing;

    /// Ends the session at the BMC, for every handle on it.
    fn close(self) -> impl Future<Output = Result<(), PollError>> + Send;
}

/// Real BMCs, over the network.
#[derive(Debug, Clone, Default)]
pub struct Network {
    /// Through which IPMI is spoken; without it every session has a socket of its own.
    hub: Option<Hub>,
    /// What BMCs of one platform showed of themselves, for the others.
    knowledge: Knowledge,
}

impl Network {
    /// BMCs of which those that speak IPMI do so through a hub.
    pub fn through(hub: Hub) -> Self {
        Self { hub: Some(hub), ..Self::default() }
    }
}

impl Connect for Network {
    type Session = Bmc;

    fn connect(&self, target: &Target) -> impl Future<Output = Result<Bmc, ConnectError>> + Send {
        Bmc::connect_through(self.hub.as_ref(), target, &self.knowledge)
    }
}

impl Session for Bmc {
    fn poll(
        &mut self,
        section: Section,
        bookmark: Option<&Bookmark>,
        until: Instant,
    ) -> impl Future<Output = Result<Polled, PollError>> + Send {
        Bmc::poll_until(self, section, bookmark, until, &SystemClock)
    }

    fn share(&self) -> Option<Self> {
        Bmc::share(self)
    }

    fn watch(&self) -> Option<Watch> {
        Bmc::watch(self)
    }

    fn certificate(&self) -> Option<Fingerprint> {
        Bmc::certificate(self)
    }

    fn standing(&self) -> Standing {
        Bmc::standing(self)
    }

    fn close(self) -> impl Future<Output = Result<(), PollError>> + Send {
        Bmc::close(self)
    }
}
