//! Which BMC has which firmware, and since when.

use outband_health::FoldingConfig;
use outband_schemas::{ComponentClass, Inventory, Part, Timestamp};
use std::time::Duration;

/// A BMC's firmware.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Firmware {
    pub(super) model: String,
    pub(super) version: String,
    /// When it was seen to have changed; `None`: it was like that from the first.
    pub(super) since: Option<Timestamp>,
}

impl Firmware {
    /// What an inventory says of it, after what was known before.
    pub(super) fn after(before: Option<&Firmware>, inventory: &Inventory) -> Option<Self> {
        let version = inventory.parts.iter().find_map(of_bmc)?.to_owned();
        let model = inventory.identity.model.clone().unwrap_or_default();
        let since = match before {
            Some(before) if before.version == version => before.since,
            Some(_) => Some(inventory.observed_at),
            None => None,
        };
        Some(Self { model, version, since })
    }

    /// Model and version, where that is new.
    pub(super) fn is_new(&self, now: Timestamp, config: &FoldingConfig) -> Option<String> {
        let since = self.since?;
        let fresh = now.since(since) <= Duration::from_secs(config.firmware_secs);
        fresh.then(|| format!("{} {}", self.model, self.version).trim().to_owned())
    }
}

/// The version of the BMC's own firmware, of the part that is the BMC or of the image that is named like one.
pub(super) fn of_bmc(part: &Part) -> Option<&str> {
    let slot = part.component.slot().to_lowercase();
    let named = ["bmc", "idrac", "ilo", "xcc", "ibmc", "hdm"].iter().any(|name| slot.starts_with(name));
    let is_bmc = match part.component.class() {
        ComponentClass::Bmc => true,
        ComponentClass::Firmware => named && !slot.contains("backup"),
        _ => false,
    };
    part.firmware.as_deref().filter(|v| is_bmc && !v.is_empty())
}
