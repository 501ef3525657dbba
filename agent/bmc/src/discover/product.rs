//! What a Redfish service root says of the BMC to strangers.

use crate::quirk::Platform;
use crate::redfish::lenient::text;
use serde_json::Value;

/// Who made it and what it is, as far as the root tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Product {
    /// The maker.
    pub vendor: Option<String>,
    /// The server's model, where the root names it (iLO), else none.
    pub model: Option<String>,
    /// The BMC, e.g. `iLO 5` or `Integrated Dell Remote Access Controller`.
    pub bmc: Option<String>,
    /// The BMC's firmware, where the root names it.
    pub firmware: Option<String>,
    /// The service tag or serial number, where the root names it (iDRAC).
    pub serial: Option<String>,
    /// The service's UUID, in lower case.
    pub uuid: Option<String>,
    /// The version of Redfish.
    pub redfish: Option<String>,
}

impl Product {
    /// Reads a service root.
    pub fn of(root: &Value) -> Self {
        let oem = root.get("Oem").and_then(Value::as_object);
        let oem_name = oem.and_then(|o| o.keys().find(|k| !k.contains('@'))).cloned();
        let named = text(root, "Product");
        let hpe = ["Hpe", "Hp"].iter().find_map(|name| oem?.get(*name));
        // iLO tells its own name, version and generation below its OEM section: an array in newer firmware.
        let manager = hpe.and_then(|h| h.get("Manager")).map(|m| m.get(0).unwrap_or(m));
        let moniker = hpe.and_then(|h| h.get("Moniker"));
        let dell = oem.and_then(|o| o.get("Dell"));
        let bmc_words = ["remote access controller", "bmc", "ilo", "controller", "redfish"];
        let product_is_bmc =
            named.as_ref().is_some_and(|p| bmc_words.iter().any(|w| p.to_ascii_lowercase().contains(w)));
        let (bmc, model) = if product_is_bmc { (named, None) } else { (None, named) };
        let of_manager = |fields: &[&str]| fields.iter().find_map(|f| text(manager?, f));
        Self {
            vendor: text(root, "Vendor")
                .or_else(|| Platform::of(root).maker().name().map(str::to_owned))
                .or_else(|| vendor_of(oem_name.as_deref())),
            model,
            bmc: bmc.or_else(|| of_manager(&["ManagerType"])).or_else(|| moniker.and_then(|m| text(m, "PRODGEN"))),
            firmware: of_manager(&["ManagerFirmwareVersion"]),
            serial: dell.and_then(|d| text(d, "ServiceTag")),
            uuid: text(root, "UUID")
                .map(|u| u.to_ascii_lowercase())
                .filter(|u| u.bytes().any(|b| !matches!(b, b'0' | b'-'))),
            redfish: text(root, "RedfishVersion"),
        }
    }
}

/// Old roots have no `Vendor`, but a section of their maker's.
fn vendor_of(oem: Option<&str>) -> Option<String> {
    Some(match oem? {
        "Ami" => "AMI".to_owned(),
        other => other.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_ilo_names_the_servers_model_and_its_own_version() {
        let root = json!({"Vendor": "HPE", "Product": "ProLiant DL385 Gen10 Plus v2", "RedfishVersion": "1.13.0",
            "Oem": {"Hpe": {"Manager": [{"ManagerType": "iLO 5", "ManagerFirmwareVersion": "2.72"}]}}});
        let found = Product::of(&root);
        assert_eq!(found.model.as_deref(), Some("ProLiant DL385 Gen10 Plus v2"));
        assert_eq!((found.bmc.as_deref(), found.firmware.as_deref()), (Some("iLO 5"), Some("2.72")));
    }

    #[test]
    fn an_idrac_names_itself_and_the_service_tag() {
        let root = json!({"Vendor": "Dell", "Product": "Integrated Dell Remote Access Controller", "UUID": "00000000-0000-0000-0000-000000000000",
            "Oem": {"Dell": {"ServiceTag": "F54P1G3"}}});
        let found = Product::of(&root);
        assert_eq!((found.model, found.serial.as_deref(), found.uuid), (None, Some("F54P1G3"), None));
        assert!(found.bmc.is_some());
    }

    #[test]
    fn a_root_without_a_vendor_is_known_by_its_oem_section() {
        assert_eq!(
            Product::of(&json!({"Oem": {"Hp": {"Manager": {"ManagerType": "iLO 4"}}}})).vendor.as_deref(),
            Some("HPE")
        );
        let idrac_8 = json!({"AccountService": {"@odata.id": "/redfish/v1/Managers/iDRAC.Embedded.1/AccountService"}});
        assert_eq!(Product::of(&idrac_8).vendor.as_deref(), Some("Dell"));
        assert_eq!(Product::of(&json!({"Oem": 7, "Vendor": null, "Product": []})), Product::default());
    }
}
