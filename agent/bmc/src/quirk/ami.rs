//! AMI's MegaRAC, under whatever name: Vendor `AMI` (DGX H100), or a section `Oem.Ami` below another maker's name (Lenovo GB300 tray, Gigabyte, Cray).

use super::{Maker, Platform, Stack};
use serde_json::{Value, json};

impl Platform {
    /// Members of an expanded collection lack fields that the resources themselves have (`Id`, `Name`, `ChassisType`): DGX H100 with Redfish 1.11, and the
    /// host BMC of the GB300 with `RtpVersion` 13.09 (github.com/NVIDIA/nv-redfish, `redfish/src/bmc_quirks.rs`, `expand_is_not_working_properly`; its pull
    /// request 118). What is missing there cannot be told from what is not there, so such a BMC is not asked to expand.
    pub(crate) fn expand_drops_fields(self) -> bool {
        self.stack == Stack::MegaRac && (self.redfish == Some((1, 11)) || self.rtp == Some((13, 9)))
    }

    /// The root may lack links to collections that are there: DGX H100 before its BMC is reset, and the Liteon power shelf, which names no maker and says
    /// Redfish 1.9 (same file, `bug_missing_root_nav_properties`).
    pub(crate) fn root_forgets_links(self) -> bool {
        let anonymous = self.maker == Maker::Other && self.stack == Stack::Other && self.redfish == Some((1, 9));
        anonymous || self.stack == Stack::MegaRac && self.redfish == Some((1, 11))
    }

    /// The service root, with the usual links put in where the platform may have forgotten them.
    pub(crate) fn whole_root(self, root: &Value) -> Value {
        let mut root = root.clone();
        if let Some(fields) = root.as_object_mut().filter(|_| self.root_forgets_links()) {
            for name in ["Chassis", "Systems", "Managers", "UpdateService"] {
                fields.entry(name).or_insert_with(|| json!({"@odata.id": format!("/redfish/v1/{name}")}));
            }
        }
        root
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boards_whose_expansion_drops_fields_are_told_from_others_of_the_same_firmware() {
        let dgx = json!({"Vendor": "AMI", "RedfishVersion": "1.11.0"});
        let tray = json!({"Vendor": "Lenovo", "RedfishVersion": "1.21.0", "Oem": {"Ami": {"RtpVersion": "13.09.1"}}});
        let gigabyte = json!({"Product": "AMI Redfish Server", "RedfishVersion": "1.6.0", "Oem": {"Ami": {"RtpVersion": "1.8.a"}}});
        let supermicro = json!({"Oem": {"Supermicro": {}}, "RedfishVersion": "1.11.0"});
        let drops = |root: &Value| Platform::of(root).expand_drops_fields();
        assert!(drops(&dgx) && drops(&tray) && !drops(&gigabyte) && !drops(&supermicro));
    }

    #[test]
    fn a_link_that_the_root_forgot_is_put_in_and_one_that_it_has_stays() {
        let dgx = json!({"Vendor": "AMI", "RedfishVersion": "1.11.0", "Chassis": {"@odata.id": "/redfish/v1/Odd"}});
        let whole = Platform::of(&dgx).whole_root(&dgx);
        assert_eq!(whole["Chassis"]["@odata.id"], "/redfish/v1/Odd");
        assert_eq!(whole["Systems"]["@odata.id"], "/redfish/v1/Systems");
        let other = json!({"Vendor": "Dell"});
        assert_eq!(Platform::of(&other).whole_root(&other), other);
    }

    #[test]
    fn a_root_may_forget_its_links_only_where_that_was_seen() {
        let forgets = |root: Value| Platform::of(&root).root_forgets_links();
        assert!(forgets(json!({"Vendor": "AMI", "RedfishVersion": "1.11.0"})));
        assert!(forgets(json!({"RedfishVersion": "1.9.0", "Name": "Root Service"})));
        assert!(!forgets(json!({"RedfishVersion": "1.9.0", "Vendor": "NVIDIA"})));
        assert!(!forgets(json!({"RedfishVersion": "1.15.0", "Name": "Root Service"})));
    }
}
