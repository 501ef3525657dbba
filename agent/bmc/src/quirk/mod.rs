//! Where a maker's BMC departs from the others. The platform is classified once, from the service root; the rest of the code asks named questions.
//! What can be decided from the resource at hand is decided there and has no place here.

use crate::redfish::lenient::text;
use serde_json::Value;

/// Whose BMC it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Platform {
    /// iDRAC.
    Dell,
    /// iLO.
    Hpe,
    /// Any other.
    #[default]
    Other,
}

impl Platform {
    /// Classifies by the service root: `Vendor`, `Product`, and the names below `Oem` (iDRAC 8 and iLO 4 have no `Vendor`).
    pub fn of(root: &Value) -> Self {
        let words = ["Vendor", "Product", "Name"].iter().filter_map(|f| text(root, f));
        let oem = root.get("Oem").and_then(Value::as_object).into_iter().flat_map(|o| o.keys().cloned());
        for word in words.chain(oem) {
            let word = word.to_ascii_lowercase();
            if word.contains("dell") || word.contains("idrac") {
                return Self::Dell;
            }
            if matches!(word.as_str(), "hp" | "hpe") || word.contains("ilo ") || word.contains("proliant") {
                return Self::Hpe;
            }
        }
        Self::Other
    }

    /// SMART counters of SATA and SAS drives are only in the metric report `StorageDiskSMARTData` (iDRAC 9 telemetry reference guide).
    pub(crate) fn reports_smart_as_metrics(self) -> bool {
        self == Self::Dell
    }

    /// The system's `SKU` is the service tag, which is what names a server to its maker; `SerialNumber` is the board's (captured R750: SKU
    /// `F54P1G3`, SerialNumber `CNIVC0014M0388`).
    pub(crate) fn sku_is_serial(self) -> bool {
        self == Self::Dell
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_platform_is_known_by_vendor_or_by_its_oem_section() {
        assert_eq!(Platform::of(&json!({"Vendor": "Dell"})), Platform::Dell);
        assert_eq!(Platform::of(&json!({"Product": "Integrated Dell Remote Access Controller"})), Platform::Dell);
        assert_eq!(Platform::of(&json!({"Oem": {"Hp": {}}})), Platform::Hpe);
        assert_eq!(Platform::of(&json!({"Vendor": "Supermicro", "Oem": null})), Platform::Other);
    }
}
