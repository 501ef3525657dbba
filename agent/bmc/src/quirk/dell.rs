//! Dell: iDRAC.

use super::{Maker, Platform};

impl Platform {
    /// SMART counters of SATA and SAS drives are only in the metric report `StorageDiskSMARTData` (iDRAC 9 telemetry reference guide). iDRAC 8 and older
    /// have no telemetry.
    pub(crate) fn reports_smart_as_metrics(self) -> bool {
        self.maker == Maker::Dell && self.generation.is_none_or(|g| g >= 9)
    }

    /// The system's `SKU` is the service tag, which is what names a server to its maker; `SerialNumber` is the board's (captured R750: SKU `F54P1G3`,
    /// SerialNumber `CNIVC0014M0388`; captured iDRAC 8: SKU `9W0WHK2`, SerialNumber `CNIVC0076B0735`).
    pub(crate) fn sku_is_serial(self) -> bool {
        self.maker == Maker::Dell
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_idrac_9_has_its_smart_in_metrics_and_its_tag_in_the_sku() {
        let root = json!({"Vendor": "Dell", "Product": "Integrated Dell Remote Access Controller", "RedfishVersion": "1.13.1"});
        let platform = Platform::of(&root).completed_by(&json!({"Model": "15G Monolithic"}));
        assert_eq!(platform.generation(), Some(9));
        assert!(platform.reports_smart_as_metrics() && platform.sku_is_serial());
    }

    #[test]
    fn an_idrac_8_has_its_tag_in_the_sku_and_no_metrics() {
        let platform = Platform::default().completed_by(&json!({"Id": "iDRAC.Embedded.1", "Model": "13G Monolithic"}));
        assert!(platform.sku_is_serial() && !platform.reports_smart_as_metrics());
    }
}
