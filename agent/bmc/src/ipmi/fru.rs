//! FRU data (Platform Management FRU Information Storage Definition 1.0): what a part calls itself. Nothing here can panic.

pub mod multirecord;

use super::sdr;
use multirecord::{ManagementAccess, MultiRecord, Supply};

/// Length of the common header.
pub const HEADER_LEN: usize = 8;

/// Where the areas lie, in bytes from the start; 0 where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Areas {
    /// The chassis info area.
    pub chassis: usize,
    /// The board info area.
    pub board: usize,
    /// The product info area.
    pub product: usize,
    /// The multirecord area.
    pub records: usize,
}

impl Areas {
    /// Reads the common header (§8). `None` where it is none: an EEPROM that was never written, or a wrong checksum.
    pub fn parse(header: &[u8]) -> Option<Self> {
        let header: &[u8; HEADER_LEN] = header.first_chunk()?;
        let sums_to_zero = header.iter().fold(0u8, |sum, b| sum.wrapping_add(*b)) == 0;
        (header[0] & 0x0F == 1 && sums_to_zero).then(|| Self {
            chassis: usize::from(header[2]) * 8,
            board: usize::from(header[3]) * 8,
            product: usize::from(header[4]) * 8,
            records: usize::from(header[5]) * 8,
        })
    }
}

/// The length of an area in bytes, from its first two.
pub fn area_len(start: &[u8]) -> Option<usize> {
    match *start {
        [version, len, ..] if version & 0x0F == 1 && len > 0 => Some(usize::from(len) * 8),
        _ => None,
    }
}

/// What stands in the areas.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fru {
    /// Chassis part number.
    pub chassis_part_number: Option<String>,
    /// Chassis serial number.
    pub chassis_serial: Option<String>,
    /// Board maker.
    pub board_manufacturer: Option<String>,
    /// Board name.
    pub board_name: Option<String>,
    /// Board serial number.
    pub board_serial: Option<String>,
    /// Board part number.
    pub board_part_number: Option<String>,
    /// Product maker.
    pub product_manufacturer: Option<String>,
    /// Product name.
    pub product_name: Option<String>,
    /// Product part or model number.
    pub product_part_number: Option<String>,
    /// Product version.
    pub product_version: Option<String>,
    /// Product serial number.
    pub product_serial: Option<String>,
    /// Asset tag.
    pub asset_tag: Option<String>,
    /// What it can do as a power supply.
    pub supply: Option<Supply>,
    /// The name of the system that it manages or is in.
    pub system_name: Option<String>,
}

impl Fru {
    /// Takes in a chassis info area (§10).
    pub fn read_chassis(&mut self, area: &[u8]) {
        let mut fields = Fields::new(area, 3);
        self.chassis_part_number = fields.next_text();
        self.chassis_serial = fields.next_text();
    }

    /// Takes in a board info area (§11).
    pub fn read_board(&mut self, area: &[u8]) {
        let mut fields = Fields::new(area, 6);
        self.board_manufacturer = fields.next_text();
        self.board_name = fields.next_text();
        self.board_serial = fields.next_text();
        self.board_part_number = fields.next_text();
    }

    /// Takes in a product info area (§12).
    pub fn read_product(&mut self, area: &[u8]) {
        let mut fields = Fields::new(area, 3);
        self.product_manufacturer = fields.next_text();
        self.product_name = fields.next_text();
        self.product_part_number = fields.next_text();
        self.product_version = fields.next_text();
        self.product_serial = fields.next_text();
        self.asset_tag = fields.next_text();
    }

    /// Takes in a record of the multirecord area.
    pub fn take(&mut self, record: MultiRecord) {
        match record {
            MultiRecord::Supply(supply) => self.supply = Some(supply),
            MultiRecord::Management(ManagementAccess::SystemName, name) => self.system_name = Some(name),
            // Nothing in an inventory has a place for these.
            MultiRecord::Management(..) | MultiRecord::Direct(_) | MultiRecord::Oem { .. } => {}
        }
    }
}

/// The fields of an area, each a type/length byte and its bytes, up to the end mark C1h.
struct Fields<'a>(Option<&'a [u8]>);

impl<'a> Fields<'a> {
    fn new(area: &'a [u8], at: usize) -> Self {
        Self(area.get(at..))
    }

    fn next_text(&mut self) -> Option<String> {
        let (&type_len, rest) = self.0?.split_first()?;
        if type_len == 0xC1 {
            self.0 = None;
            return None;
        }
        let (field, rest) = rest.split_at_checked(usize::from(type_len & 0x3F)).unwrap_or((rest, &[]));
        self.0 = Some(rest);
        let text = match type_len >> 6 {
            // Unlike in an SDR, type 0 is binary here.
            0 => field.iter().map(|b| format!("{b:02x}")).collect(),
            code => sdr::text(code, field),
        };
        meaningful(&text)
    }
}

/// A text that says something: makers leave fillers where nothing was programmed.
pub fn meaningful(text: &str) -> Option<String> {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let clean = clean.trim();
    let lower = clean.to_ascii_lowercase();
    let is_filler = matches!(
        lower.as_str(),
        "none" | "n/a" | "na" | "unknown" | "null" | "default string" | "not specified" | "not available" | "empty"
    ) || lower.starts_with("to be filled")
        || lower == "0123456789"
        || lower == "123456789"
        || clean.chars().all(|c| matches!(c, '0' | 'x' | 'X' | '.' | '-' | ' ' | '\u{ff}'))
        || (clean.len() > 3 && lower.chars().all(|c| c == 'f'));
    (!clean.is_empty() && !is_filler).then(|| clean.to_owned())
}

/// The system's UUID from Get System GUID (§22.14), or `None` where it is all zeros or all ones.
///
/// BMCs send it in three orders. The one that gives a version and a variant of RFC 4122 is taken, SMBIOS order (which Redfish shows) first.
pub fn uuid(guid: &[u8]) -> Option<String> {
    let guid: [u8; 16] = *guid.first_chunk()?;
    if guid.iter().all(|b| *b == 0) || guid.iter().all(|b| *b == 0xFF) {
        return None;
    }
    let [a, b, c, d, e, f, g, h, rest @ ..] = guid;
    let mut smbios = [d, c, b, a, f, e, h, g, 0, 0, 0, 0, 0, 0, 0, 0];
    smbios[8..].copy_from_slice(&rest);
    let mut reversed = guid;
    reversed.reverse();
    let is_rfc_4122 = |u: &[u8; 16]| (1..=5).contains(&(u[6] >> 4)) && u[8] & 0xC0 == 0x80;
    let found = [smbios, reversed, guid].into_iter().find(is_rfc_4122).unwrap_or(smbios);
    let hex: String = found.iter().map(|b| format!("{b:02x}")).collect();
    Some(format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_product_area_gives_its_fields() {
        let mut area = vec![1, 0, 0x19];
        for text in ["Simcorp", "Server 1", "P-1", "A00", "SN1"] {
            area.push(0xC0 | text.len() as u8);
            area.extend(text.as_bytes());
        }
        area.push(0xC1);
        let mut fru = Fru::default();
        fru.read_product(&area);
        assert_eq!(fru.product_serial.as_deref(), Some("SN1"));
        assert_eq!(fru.asset_tag, None);
    }

    #[test]
    fn fillers_are_no_serial_numbers() {
        for filler in ["", "  ", "0000000", "To be filled by O.E.M.", "N/A", "XXXXXXXX", "FFFFFFFF"] {
            assert_eq!(meaningful(filler), None, "{filler:?}");
        }
        assert_eq!(meaningful(" J7X1234 "), Some("J7X1234".to_owned()));
    }

    #[test]
    fn a_uuid_is_shown_as_redfish_shows_it() {
        // 4c4c4544-0051-3510-8052-b4c04f4d3732 as SMBIOS stores it.
        let smbios = [0x44, 0x45, 0x4C, 0x4C, 0x51, 0x00, 0x10, 0x35, 0x80, 0x52, 0xB4, 0xC0, 0x4F, 0x4D, 0x37, 0x32];
        assert_eq!(uuid(&smbios).as_deref(), Some("4c4c4544-0051-3510-8052-b4c04f4d3732"));
        assert_eq!(uuid(&[0xFF; 16]), None);
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Some(areas) = Areas::parse(&bytes) {
                prop_assert!(areas.board <= 255 * 8);
            }
            let mut fru = Fru::default();
            fru.read_chassis(&bytes);
            fru.read_board(&bytes);
            fru.read_product(&bytes);
            uuid(&bytes);
            area_len(&bytes);
        }
    }
}
