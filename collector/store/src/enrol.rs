//! How agents got their certificates: invites, what was issued, and whose certificates are refused.

use crate::StoreError;
use crate::audit::{Noted, Sha256Hash};
use outband_schemas::{AgentId, SiteId, Timestamp};

/// What lets one agent in, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invite {
    /// Its number.
    pub id: u64,
    /// The site of whoever uses it.
    pub site: SiteId,
    /// Who may use it; `None`: whoever chooses a name that nobody has.
    pub agent: Option<AgentId>,
    /// Who made it.
    pub who: String,
    /// When (the collector's clock).
    pub created_at: Timestamp,
    /// Until when it is good.
    pub expires_at: Timestamp,
    /// When it was used or revoked.
    pub ended_at: Option<Timestamp>,
    /// Which agent used it.
    pub used_by: Option<AgentId>,
}

impl Invite {
    /// Whether it lets somebody in now.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.ended_at.is_none() && now < self.expires_at
    }
}

/// A certificate that was issued to an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentCertificate {
    /// Its serial number, hexadecimal.
    pub serial: String,
    /// Whose it is.
    pub agent: AgentId,
    /// At which site.
    pub site: SiteId,
    /// When it was issued (the collector's clock).
    pub issued_at: Timestamp,
    /// When it ends.
    pub not_after: Timestamp,
}

/// Keeps invites and what became of them. Each change is one transaction with its entry in the audit log. Verbs block, as those of
/// [`crate::Store`].
pub trait Enrolments {
    /// Gives out the number that a new invite is to have.
    fn reserve_invite(&self) -> Result<u64, StoreError>;

    /// Writes a new invite. `digest`: of its secret.
    fn add_invite(&self, invite: Invite, digest: Sha256Hash, noted: Noted) -> Result<(), StoreError>;

    /// Ends an invite that nobody used. [`StoreError::Conflict`] where it has ended, or there is none.
    fn revoke_invite(&self, id: u64, at: Timestamp, noted: Noted) -> Result<(), StoreError>;

    /// Invites by number, those of the last months that are over included.
    fn invites(&self) -> Result<Vec<Invite>, StoreError>;

    /// The invite of a secret.
    fn invite_of(&self, digest: Sha256Hash) -> Result<Option<Invite>, StoreError>;

    /// Uses up an invite for this certificate. [`StoreError::Conflict`] where it has ended meanwhile: of many who come with it at a time, one
    /// gets in.
    fn redeem(&self, invite: u64, certificate: AgentCertificate, noted: Noted) -> Result<(), StoreError>;

    /// Writes down a certificate that was approved or renewed.
    fn certify(&self, certificate: AgentCertificate, noted: Noted) -> Result<(), StoreError>;

    /// The newest certificate of each agent, by name.
    fn certificates(&self) -> Result<Vec<AgentCertificate>, StoreError>;

    /// Refuses what was issued to an agent until then.
    fn revoke_agent(&self, agent: &AgentId, at: Timestamp, noted: Noted) -> Result<(), StoreError>;

    /// Whose certificates are refused if they were issued until when.
    fn revocations(&self) -> Result<Vec<(AgentId, Timestamp)>, StoreError>;
}
