//! Fujitsu: iRMC.

use super::{Platform, Stack};

impl Platform {
    /// Whether the BMC refuses `$expand` whatever its root says: iRMC S5 answers `QueryNotSupportedOnResource` (github.com/bb-Ricardo/check_redfish, issue
    /// 20). Asking would cost a failed request at each collection.
    pub(crate) fn refuses_expand(self) -> bool {
        self.stack == Stack::Irmc
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_irmc_is_not_asked_to_expand() {
        let features = json!({"ExpandQuery": {"ExpandAll": true, "NoLinks": true}});
        let root = json!({"Vendor": "Fujitsu", "Product": "iRMC S5", "ProtocolFeaturesSupported": features});
        assert!(Platform::of(&root).refuses_expand());
        assert!(!Platform::of(&json!({"Vendor": "Dell"})).refuses_expand());
    }
}
