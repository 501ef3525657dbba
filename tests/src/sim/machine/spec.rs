//! What a simulated server is.

/// What a server is and what is in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// Its name within the site, e.g. `r1-u07`.
    pub name: String,
    /// The rack it stands in, counted from 0.
    pub rack: usize,
    /// The maker.
    pub manufacturer: String,
    /// The model.
    pub model: String,
    /// The chassis serial.
    pub serial: String,
    /// The system UUID, in the order in which it is written.
    pub uuid: [u8; 16],
    /// How many fans.
    pub fans: usize,
    /// How many power supplies.
    pub psus: usize,
    /// How many drives.
    pub drives: usize,
    /// How many memory modules.
    pub dimms: usize,
    /// How many entries its event log holds.
    pub log_capacity: usize,
    /// How far its BMC's clock is ahead, in seconds.
    pub clock_offset_s: i64,
    /// What its noise is made from.
    pub seed: u64,
}

impl Spec {
    /// A server of ordinary size.
    pub fn new(name: impl Into<String>, serial: impl Into<String>, seed: u64) -> Self {
        let serial = serial.into();
        let mut uuid = [0x4c; 16];
        for (i, byte) in uuid.iter_mut().enumerate() {
            let from_serial = serial.as_bytes().get(i % serial.len().max(1)).copied().unwrap_or(0);
            *byte = from_serial.rotate_left(i as u32 % 7) ^ (seed >> (i % 8 * 8)) as u8;
        }
        // Version 4, variant 1 of RFC 9562.
        uuid[6] = uuid[6] & 0x0f | 0x40;
        uuid[8] = uuid[8] & 0x3f | 0x80;
        Self {
            name: name.into(),
            rack: 0,
            manufacturer: "Northgate".to_owned(),
            model: "NG-2288".to_owned(),
            serial,
            uuid,
            fans: 6,
            psus: 2,
            drives: 6,
            dimms: 8,
            log_capacity: 512,
            clock_offset_s: 0,
            seed,
        }
    }

    /// The UUID as it is written.
    pub fn uuid_text(&self) -> String {
        let hex: String = self.uuid.iter().map(|b| format!("{b:02x}")).collect();
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }
}
