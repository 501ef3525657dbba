//! What polling needs of a BMC. [`outband_bmc::client::Bmc`] is one; tests bring theirs.

use crate::clock::SystemClock;
use outband_bmc::client::Bmc;
use outband_bmc::{Bookmark, ConnectError, Fingerprint, Target};
use outband_bmc::{PollError, Polled};
use outband_schemas::Section;

/// Opens sessions.
pub trait Connect: Clone + Send + Sync + 'static {
    /// An open session.
    type Session: Session;

    /// Climbs the ladder.
    fn connect(&self, target: &Target) -> impl Future<Output = Result<Self::Session, ConnectError>> + Send;
}

/// An open session.
pub trait Session: Send + 'static {
    /// Polls one section.
    fn poll(
        &mut self,
        section: Section,
        bookmark: Option<&Bookmark>,
    ) -> impl Future<Output = Result<Polled, PollError>> + Send;

    /// The certificate that the BMC offered.
    fn certificate(&self) -> Option<Fingerprint>;

    /// Ends the session at the BMC.
    fn close(self) -> impl Future<Output = Result<(), PollError>> + Send;
}

/// Real BMCs, over the network.
#[derive(Debug, Clone, Copy, Default)]
pub struct Network;

impl Connect for Network {
    type Session = Bmc;

    fn connect(&self, target: &Target) -> impl Future<Output = Result<Bmc, ConnectError>> + Send {
        Bmc::connect(target)
    }
}

impl Session for Bmc {
    fn poll(
        &mut self,
        section: Section,
        bookmark: Option<&Bookmark>,
    ) -> impl Future<Output = Result<Polled, PollError>> + Send {
        Bmc::poll(self, section, bookmark, &SystemClock)
    }

    fn certificate(&self) -> Option<Fingerprint> {
        Bmc::certificate(self)
    }

    fn close(self) -> impl Future<Output = Result<(), PollError>> + Send {
        Bmc::close(self)
    }
}
