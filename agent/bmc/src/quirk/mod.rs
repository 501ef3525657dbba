//! Where a maker's BMC departs from the others. The platform is classified once, from the service root, and completed once from its manager where the
//! root is silent; the rest of the code asks named questions. Each question stands in its maker's file, with the evidence for it.
//!
//! What can be decided from the resource at hand is decided there and has no place here: limits of 0 °C, RPM where a percentage belongs, sensors without a
//! unit, a `Health` that holds the `State`, times of zeros, ids that repeat.

mod ami;
mod dell;
mod fujitsu;

use crate::redfish::lenient::text;
use serde_json::Value;
use std::fmt;

/// Who made the server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Maker {
    /// Dell.
    Dell,
    /// Hewlett Packard Enterprise, and HP before it.
    Hpe,
    /// Lenovo.
    Lenovo,
    /// Supermicro.
    Supermicro,
    /// Huawei and xFusion.
    Huawei,
    /// Cisco.
    Cisco,
    /// Inspur.
    Inspur,
    /// H3C.
    H3c,
    /// NVIDIA.
    Nvidia,
    /// Cray, now of HPE, with a BMC of its own.
    Cray,
    /// Fujitsu.
    Fujitsu,
    /// Intel.
    Intel,
    /// One that is not known, or not said.
    #[default]
    Other,
}

impl Maker {
    /// The name for people; `None` of one that is not known.
    pub fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::Dell => "Dell",
            Self::Hpe => "HPE",
            Self::Lenovo => "Lenovo",
            Self::Supermicro => "Supermicro",
            Self::Huawei => "Huawei",
            Self::Cisco => "Cisco",
            Self::Inspur => "Inspur",
            Self::H3c => "H3C",
            Self::Nvidia => "NVIDIA",
            Self::Cray => "Cray",
            Self::Fujitsu => "Fujitsu",
            Self::Intel => "Intel",
            Self::Other => return None,
        })
    }
}

/// Whose firmware the BMC runs. One maker has several: Lenovo's GB300 tray runs AMI's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stack {
    /// Dell's iDRAC.
    Idrac,
    /// HPE's iLO.
    Ilo,
    /// Lenovo's XClarity Controller.
    Xcc,
    /// AMI's MegaRAC.
    MegaRac,
    /// OpenBMC's bmcweb.
    OpenBmc,
    /// Fujitsu's iRMC.
    Irmc,
    /// Huawei's iBMC.
    Ibmc,
    /// Cisco's IMC.
    Cimc,
    /// One that is not known, or the maker's only one.
    #[default]
    Other,
}

/// What a BMC is, as far as its quirks go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Platform {
    maker: Maker,
    stack: Stack,
    /// The generation of the stack, where the BMC names it: iLO 5, iDRAC 9.
    generation: Option<u8>,
    /// `RedfishVersion`, the first two numbers.
    redfish: Option<(u16, u16)>,
    /// AMI's `RtpVersion` 13.9: the host BMC of the GB300.
    rtp: Option<(u16, u16)>,
}

impl Platform {
    /// Classifies by the service root: `Vendor`, `Product`, `Name`, the names below `Oem`, and the ids in its links (iDRAC 8 says nothing else of itself).
    pub fn of(root: &Value) -> Self {
        let words = ["Vendor", "Product", "Name"].iter().filter_map(|f| text(root, f));
        let links = root.as_object().into_iter().flat_map(|o| o.values()).filter_map(|v| text(v, "@odata.id"));
        let all: Vec<String> = words.chain(oem_names(root)).chain(links).map(|w| w.to_ascii_lowercase()).collect();
        let ami = root.get("Oem").and_then(|o| o.get("Ami"));
        Self {
            maker: all.iter().find_map(|w| maker_in(w)).unwrap_or_default(),
            stack: all.iter().find_map(|w| stack_in(w)).unwrap_or_default(),
            generation: ilo_generation(root),
            redfish: text(root, "RedfishVersion").as_deref().and_then(two_numbers),
            rtp: ami.and_then(|a| text(a, "RtpVersion")).as_deref().and_then(two_numbers),
        }
        .settled()
    }

    /// Completed by what the manager says of itself; what the root said stays.
    #[must_use]
    pub fn completed_by(self, manager: &Value) -> Self {
        let words: Vec<String> = ["Manufacturer", "Model", "Id", "Name", "FirmwareVersion"]
            .iter()
            .filter_map(|f| text(manager, f))
            .chain(oem_names(manager))
            .map(|w| w.to_ascii_lowercase())
            .collect();
        let maker = words.iter().find_map(|w| maker_in(w)).unwrap_or_default();
        let stack = words.iter().find_map(|w| stack_in(w)).unwrap_or_default();
        let found = Self { maker, stack, ..Self::default() }.settled();
        let fits = self.maker == Maker::Other || found.maker == Maker::Other || self.maker == found.maker;
        if !fits {
            return self;
        }
        Self {
            maker: if self.maker == Maker::Other { found.maker } else { self.maker },
            stack: if self.stack == Stack::Other { found.stack } else { self.stack },
            generation: self.generation.or_else(|| text(manager, "Model").as_deref().and_then(generation_of_model)),
            ..self
        }
    }

    /// Whether anything is known of whose it is.
    pub fn is_known(self) -> bool {
        self.maker != Maker::Other || self.stack != Stack::Other
    }

    /// Who made the server.
    pub fn maker(self) -> Maker {
        self.maker
    }

    /// Whose firmware the BMC runs.
    pub fn stack(self) -> Stack {
        self.stack
    }

    /// The generation of that firmware, where the BMC names it.
    pub fn generation(self) -> Option<u8> {
        self.generation
    }

    /// A stack that only one maker has names the maker, and the other way round.
    fn settled(mut self) -> Self {
        let of_one = [
            (Maker::Dell, Stack::Idrac),
            (Maker::Hpe, Stack::Ilo),
            (Maker::Fujitsu, Stack::Irmc),
            (Maker::Huawei, Stack::Ibmc),
            (Maker::Cisco, Stack::Cimc),
        ];
        for (maker, stack) in of_one {
            if self.maker == Maker::Other && self.stack == stack {
                self.maker = maker;
            }
            if self.maker == maker && self.stack == Stack::Other {
                self.stack = stack;
            }
        }
        if self.maker == Maker::Lenovo && self.stack == Stack::Other {
            self.stack = Stack::Xcc;
        }
        self
    }
}

impl fmt::Display for Platform {
    /// For people: `Dell iDRAC 9`, `Lenovo XCC`, `AMI MegaRAC`; `unknown` where the BMC does not say.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stack = match self.stack {
            Stack::Idrac => "iDRAC",
            Stack::Ilo => "iLO",
            Stack::Xcc => "XCC",
            Stack::MegaRac => "AMI MegaRAC",
            Stack::OpenBmc => "OpenBMC",
            Stack::Irmc => "iRMC",
            Stack::Ibmc => "iBMC",
            Stack::Cimc => "CIMC",
            Stack::Other => "",
        };
        let words: Vec<String> = [self.maker.name().unwrap_or_default().to_owned(), stack.to_owned()]
            .into_iter()
            .chain(self.generation.map(|g| g.to_string()))
            .filter(|w| !w.is_empty())
            .collect();
        f.write_str(if self.is_known() { "" } else { "unknown" })?;
        f.write_str(&words.join(" "))
    }
}

/// The names below `Oem`, annotations left out.
fn oem_names(resource: &Value) -> Vec<String> {
    let names = resource.get("Oem").and_then(Value::as_object).into_iter().flat_map(|o| o.keys());
    names.filter(|n| !n.contains('@')).cloned().collect()
}

/// The maker that a word in lower case speaks of.
fn maker_in(word: &str) -> Option<Maker> {
    let has = |parts: &[&str]| parts.iter().any(|p| word.contains(p));
    let is = |names: &[&str]| names.contains(&word);
    Some(match () {
        () if has(&["dell", "idrac"]) => Maker::Dell,
        () if is(&["hp", "hpe"]) || has(&["hpe ", "ilo ", "proliant", "hewlett"]) => Maker::Hpe,
        () if has(&["lenovo", "thinksystem"]) => Maker::Lenovo,
        () if has(&["supermicro", "super micro"]) || is(&["smc"]) => Maker::Supermicro,
        () if has(&["huawei", "xfusion"]) || is(&["ibmc"]) => Maker::Huawei,
        () if has(&["cisco"]) => Maker::Cisco,
        () if has(&["inspur"]) => Maker::Inspur,
        () if has(&["h3c"]) => Maker::H3c,
        () if has(&["nvidia"]) => Maker::Nvidia,
        () if has(&["cray"]) => Maker::Cray,
        () if has(&["fujitsu", "irmc", "primergy"]) => Maker::Fujitsu,
        () if is(&["intel", "intel corporation"]) => Maker::Intel,
        () => return None,
    })
}

/// The firmware that a word in lower case speaks of.
fn stack_in(word: &str) -> Option<Stack> {
    let has = |parts: &[&str]| parts.iter().any(|p| word.contains(p));
    Some(match () {
        () if has(&["idrac", "integrated dell remote access"]) => Stack::Idrac,
        () if has(&["ilo "]) => Stack::Ilo,
        () if has(&["xclarity controller"]) => Stack::Xcc,
        () if word == "ami" || has(&["megarac", "ami redfish"]) => Stack::MegaRac,
        () if has(&["openbmc"]) => Stack::OpenBmc,
        () if has(&["irmc"]) => Stack::Irmc,
        () if word == "ibmc" => Stack::Ibmc,
        () if word == "cimc" => Stack::Cimc,
        () => return None,
    })
}

/// iLO names itself in the root: `Oem.Hpe.Manager[0].ManagerType` is `iLO 5`.
fn ilo_generation(root: &Value) -> Option<u8> {
    let oem = root.get("Oem")?;
    let own = ["Hpe", "Hp"].iter().find_map(|o| oem.get(*o))?;
    // An array in newer firmware.
    let manager = own.get("Manager").map(|m| m.get(0).unwrap_or(m))?;
    generation_of_model(&text(manager, "ManagerType")?)
}

/// `iLO 5` is 5; iDRAC names the server's generation instead: 12 and 13 are iDRAC 7 and 8, 14 to 16 iDRAC 9, 17 iDRAC 10.
fn generation_of_model(model: &str) -> Option<u8> {
    let model = model.trim().to_ascii_lowercase();
    if let Some(number) = model.strip_prefix("ilo ") {
        return number.split_whitespace().next()?.parse().ok();
    }
    let (number, _) = model.split_once("g monolithic").or_else(|| model.split_once("g modular"))?;
    match number.trim().parse::<u8>().ok()? {
        12 => Some(7),
        13 => Some(8),
        14..=16 => Some(9),
        17 => Some(10),
        _ => None,
    }
}

/// The first two numbers of a version.
fn two_numbers(version: &str) -> Option<(u16, u16)> {
    let mut numbers = version.trim().split('.').map(|n| n.parse::<u16>().ok());
    Some((numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shown(root: &Value) -> String {
        Platform::of(root).to_string()
    }

    #[test]
    fn a_platform_is_known_by_vendor_product_or_its_oem_section() {
        assert_eq!(shown(&json!({"Vendor": "Dell"})), "Dell iDRAC");
        assert_eq!(shown(&json!({"Product": "Integrated Dell Remote Access Controller"})), "Dell iDRAC");
        assert_eq!(shown(&json!({"Oem": {"Hp": {"Manager": [{"ManagerType": "iLO 4"}]}}})), "HPE iLO 4");
        assert_eq!(shown(&json!({"Vendor": "Supermicro", "Oem": null})), "Supermicro");
        assert_eq!(shown(&json!({"Vendor": "Cisco Systems Inc.", "Name": "Cisco RESTful Root Service"})), "Cisco CIMC");
        assert_eq!(
            shown(&json!({"Vendor": "Lenovo", "Oem": {"Ami": {"RtpVersion": "13.09.1"}}})),
            "Lenovo AMI MegaRAC"
        );
        assert_eq!(shown(&json!({"Vendor": "Contoso", "Name": "Root Service"})), "unknown");
        assert_eq!(shown(&json!({"Vendor": {"odd": 1}, "Oem": [], "Product": 7})), "unknown");
    }

    #[test]
    fn an_old_idrac_is_known_by_a_link_in_its_root_and_by_its_manager() {
        let root = json!({"RedfishVersion": "1.0.2", "AccountService": {"@odata.id": "/redfish/v1/Managers/iDRAC.Embedded.1/AccountService"}});
        assert_eq!(shown(&root), "Dell iDRAC");
        let manager = json!({"Id": "iDRAC.Embedded.1", "Model": "13G Monolithic", "FirmwareVersion": "2.40.40.40"});
        assert_eq!(Platform::of(&root).completed_by(&manager).to_string(), "Dell iDRAC 8");
        assert_eq!(Platform::default().completed_by(&manager).to_string(), "Dell iDRAC 8");
    }

    #[test]
    fn what_the_root_said_is_not_overruled_by_a_manager() {
        let root = json!({"Vendor": "Supermicro", "Product": "GB NVL"});
        let foreign = json!({"Model": "Lenovo XClarity Controller"});
        assert_eq!(Platform::of(&root).completed_by(&foreign), Platform::of(&root));
    }
}
