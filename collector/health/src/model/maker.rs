//! Who made a drive and what it is, from what a BMC calls it.

use super::{Drive, Vendor};

/// How the models of disks begin, without their maker's name; a digit comes next (`ST4000…`, not `STEC…`; `HUS726…`, not `HUSMM…`).
const DISKS: [(&str, Vendor); 15] = [
    ("ST", Vendor::Seagate),
    ("WD", Vendor::Wdc),
    ("WUH", Vendor::Wdc),
    ("WUS", Vendor::Wdc),
    ("HDE", Vendor::Hgst),
    ("HDN", Vendor::Hgst),
    ("HDP", Vendor::Hgst),
    ("HDS", Vendor::Hgst),
    ("HDT", Vendor::Hgst),
    ("HMS", Vendor::Hgst),
    ("HTE", Vendor::Hgst),
    ("HTS", Vendor::Hgst),
    ("HUA", Vendor::Hgst),
    ("HUH", Vendor::Hgst),
    ("HUS", Vendor::Hgst),
];

/// Series of Seagate's flash drives that are named as its disks are (`ST800FM0053`).
const FLASH: [&str; 3] = ["FM", "HM", "KN"];

/// Words before the model's own name.
const MAKERS: [&str; 8] = ["ATA", "SATA", "SEAGATE", "HITACHI", "HGST", "WDC", "WESTERN DIGITAL", "WD"];

impl Vendor {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Vendor::Seagate => "Seagate",
            Vendor::Hgst => "HGST",
            Vendor::Wdc => "WDC",
            Vendor::Other => "other",
        }
    }
}

impl Drive {
    /// From what a BMC says of it. `flash`: something that only a drive without platters has was read of it.
    pub fn of(manufacturer: Option<&str>, model: Option<&str>, bytes: Option<u64>, flash: bool) -> Self {
        let own = model.map(family).unwrap_or_default();
        let begins = |(begin, vendor): &(&str, Vendor)| {
            let rest = own.strip_prefix(begin).filter(|r| r.starts_with(|c: char| c.is_ascii_digit()))?;
            let series = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            (!FLASH.iter().any(|f| series.starts_with(f))).then_some(*vendor)
        };
        let known = DISKS.iter().find_map(begins);
        let maker = manufacturer.map(|m| m.trim().to_ascii_uppercase()).unwrap_or_default();
        let named = || match maker.as_str() {
            "SEAGATE" => Vendor::Seagate,
            "HGST" | "HITACHI" => Vendor::Hgst,
            "WDC" | "WD" | "WESTERN DIGITAL" => Vendor::Wdc,
            _ => Vendor::Other,
        };
        // A model that is told and not known says more than its maker's name, who makes other things, too.
        let vendor = known.unwrap_or_else(|| if own.is_empty() { named() } else { Vendor::Other });
        let says = |word: &str| model.is_some_and(|m| m.to_ascii_uppercase().contains(word));
        // Some BMCs tell of a disk, too, how much life it has left: its name counts more.
        let rotating = match known {
            Some(_) => Some(true),
            None => (flash || says("SSD") || own.starts_with("WDS")).then_some(false),
        };
        Drive { family: own, vendor, capacity: bytes.map(terabytes).filter(|tb| *tb > 0.0), rotating }
    }
}

/// Terabytes (10^12 bytes), to a tenth, as makers count them.
fn terabytes(bytes: u64) -> f64 {
    let tenths = (bytes.saturating_add(50_000_000_000)) / 100_000_000_000;
    u32::try_from(tenths).map_or(0.0, |t| f64::from(t) / 10.0)
}

/// A model's name as all BMCs and tables have it in common: upper case, without the maker's name before it and variants behind it
/// (`ATA     ST4000DM000-1F2168` and `ST4000DM000` are one).
pub fn family(model: &str) -> String {
    let upper = model.trim().to_ascii_uppercase();
    let mut rest = upper.as_str();
    while let Some(next) = MAKERS.iter().find_map(|m| rest.strip_prefix(m)?.strip_prefix([' ', '_', '-'])) {
        rest = next.trim_start();
    }
    rest.split([' ', '-', '_', '/']).next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(maker: &str, model: &str) -> Drive {
        Drive::of(Some(maker), Some(model), Some(4_000_787_030_016), false)
    }

    #[test]
    fn one_model_has_one_name_whoever_writes_it() {
        for written in ["ST4000DM000-1F2168", "ATA     ST4000DM000-1F21", "Seagate ST4000DM000", "st4000dm000 "] {
            assert_eq!(family(written), "ST4000DM000", "{written}");
        }
        assert_eq!(family("Hitachi HDS722020ALA330"), "HDS722020ALA330");
        assert_eq!(family("WDC WD30EFRX"), family("WD30EFRX-68AX9N0"));
        assert_eq!(family(""), "");
    }

    #[test]
    fn makers_are_known_by_the_model_and_by_name_only_where_there_is_none() {
        assert_eq!(of("SEAGATE", "ST4000DM000").vendor, Vendor::Seagate);
        assert_eq!(of("ATA", "HGST HUS726040ALE610").vendor, Vendor::Hgst);
        assert_eq!(of("", "WDC WD4003FZEX-00Z4SA0").vendor, Vendor::Wdc);
        assert_eq!(Drive::of(Some("Seagate "), None, None, false).vendor, Vendor::Seagate);
        assert_eq!(of("SEAGATE", "XA960LE10063").vendor, Vendor::Other, "a flash drive");
        for other in [
            "TOSHIBA MG04ACA400N",
            "MZ7KM960HAHP",
            "INTEL SSDSC2KB960G8",
            "STEC Z16",
            "HUSMM1640ASS204",
            "ST800FM0053",
            "",
        ] {
            assert_eq!(of("", other).vendor, Vendor::Other, "{other}");
        }
    }

    #[test]
    fn what_has_no_platters_is_told_by_its_name_or_by_what_it_reports() {
        assert_eq!(of("WDC", "WDS500G1R0A").rotating, Some(false));
        assert_eq!(of("INTEL", "INTEL SSDSC2KB960G8").rotating, Some(false));
        assert_eq!(Drive::of(None, Some("MZ7KM960HAHP"), None, true).rotating, Some(false));
        assert_eq!(
            Drive::of(None, Some("ST4000DM000"), None, true).rotating,
            Some(true),
            "a disk is known by its name"
        );
        assert_eq!(
            of("", "ST4000DM000"),
            Drive {
                family: "ST4000DM000".to_owned(),
                vendor: Vendor::Seagate,
                capacity: Some(4.0),
                rotating: Some(true)
            }
        );
        assert_eq!(of("", "MG04ACA400N").rotating, None);
    }
}
