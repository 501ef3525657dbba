//! The shell of a Redfish client: a thin loop over `reqwest`.

use crate::client::{PollError, Polled};
use crate::{Bookmark, ConnectError, Fingerprint, PollStats, Rung, RungReport, Target};
use outband_schemas::{Cause, Clock, Section};

/// A BMC with an open Redfish session.
#[derive(Debug)]
pub struct Client {
    climbed: Vec<RungReport>,
    certificate: Option<Fingerprint>,
    stats: PollStats,
}

impl Client {
    /// Climbs the ladder up to and including the privilege rung.
    pub async fn connect(target: &Target) -> Result<Self, ConnectError> {
        Err(ConnectError {
            rung: Rung::Reach,
            cause: Cause::NotSupported,
            detail: format!("{} is not yet spoken to", target.address),
            remedy: "use IPMI".to_owned(),
            climbed: Vec::new(),
        })
    }

    /// Polls one section.
    pub async fn poll(
        &mut self,
        section: Section,
        _bookmark: Option<&Bookmark>,
        _clock: &(impl Clock + Sync),
    ) -> Result<Polled, PollError> {
        Err(PollError { cause: Cause::NotSupported, detail: format!("{} is not read", section.as_str()) })
    }

    /// The rungs that held while connecting.
    pub fn climbed(&self) -> &[RungReport] {
        &self.climbed
    }

    /// The certificate that the BMC offered.
    pub fn certificate(&self) -> Option<Fingerprint> {
        self.certificate
    }

    /// What was sent and received so far.
    pub fn stats(&self) -> PollStats {
        self.stats
    }

    /// Ends the session at the BMC.
    pub async fn close(self) -> Result<(), PollError> {
        Ok(())
    }
}
