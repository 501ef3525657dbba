//! What an agent's certificate says.

use outband_schemas::enrol::{BACKDATED, identity_uri, read_identity_uri};
use outband_schemas::{AgentId, SiteId, Timestamp};
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

/// Who the bearer of a certificate is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentIdentity {
    /// The agent.
    pub agent: AgentId,
    /// The site that it watches.
    pub site: SiteId,
    /// The certificate's serial number, hexadecimal.
    pub serial: String,
    /// When it was issued, to the second.
    pub issued_at: Timestamp,
    /// When it ends.
    pub not_after: Timestamp,
}

impl AgentIdentity {
    /// The URI in the certificate's alternative names.
    pub fn uri(&self) -> String {
        identity_uri(&self.site, &self.agent)
    }

    /// What a certificate (DER) says that the TLS layer has verified; `None`: it is not an agent's.
    pub fn of_certificate(der: &[u8]) -> Option<Self> {
        let (_, certificate) = parse_x509_certificate(der).ok()?;
        let names = &certificate.subject_alternative_name().ok()??.value.general_names;
        let [GeneralName::URI(uri)] = names.as_slice() else { return None };
        let (site, agent) = read_identity_uri(uri)?;
        let validity = certificate.validity();
        Some(Self {
            agent,
            site,
            serial: serial(certificate.raw_serial()),
            issued_at: Timestamp::from_secs(validity.not_before.timestamp()).plus(BACKDATED),
            not_after: Timestamp::from_secs(validity.not_after.timestamp()),
        })
    }
}

/// A serial number as it is written down: DER puts a zero before a high bit.
pub fn serial(bytes: &[u8]) -> String {
    let bytes = bytes.iter().skip_while(|b| **b == 0);
    bytes.map(|b| format!("{b:02x}")).collect()
}
