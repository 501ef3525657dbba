//! The multirecord area of FRU data (Platform Management FRU Information Storage Definition §16 to §18): what a power supply can do, how a thing is managed.

/// Length of a record's header.
pub const RECORD_HEADER_LEN: usize = 5;
/// No FRU has so many records.
pub const MAX_RECORDS: usize = 64;

/// The header of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordHeader {
    /// What it is.
    pub kind: u8,
    /// Whether it is the last.
    pub last: bool,
    /// Bytes after the header.
    pub len: usize,
    /// What the bytes and this sum to zero with.
    checksum: u8,
}

impl RecordHeader {
    /// `None` where it is none: its own sum is wrong, or its version is not the one that there is.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let header: &[u8; RECORD_HEADER_LEN] = bytes.first_chunk()?;
        let &[kind, flags, len, checksum, _] = header;
        let holds = sum(header) == 0 && flags & 0x0F == 2;
        holds.then(|| Self { kind, last: flags & 0x80 != 0, len: usize::from(len), checksum })
    }
}

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0u8, |sum, b| sum.wrapping_add(*b))
}

/// One record, as far as it is of use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MultiRecord {
    /// Type 00h.
    Supply(Supply),
    /// Types 01h and 02h: what an output gives, or what a load takes.
    Direct(Direct),
    /// Type 03h: how it is managed; subtype and text.
    Management(ManagementAccess, String),
    /// Types from C0h: a maker's own, with the maker's number.
    Oem {
        /// The type.
        kind: u8,
        /// The maker's number in IANA's list of private enterprises.
        manufacturer: u32,
        /// What follows it, as it is.
        data: Vec<u8>,
    },
}

/// What a power supply can do (§18.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Supply {
    /// Rated power, W.
    pub capacity: u16,
    /// Peak apparent power, VA; `None` where it is not told.
    pub peak_va: Option<u16>,
    /// Lowest and highest input voltage of each range, in 10 mV.
    pub input_ranges: [(u16, u16); 2],
    /// Input frequency, Hz, lowest and highest.
    pub frequency: (u8, u8),
    /// How long it goes on without its feed, ms.
    pub dropout_tolerance: u8,
    /// Whether it can be changed while the server runs.
    pub hot_swap: bool,
    /// Peak power, W, and for how many seconds.
    pub peak: (u16, u8),
}

impl Supply {
    fn parse(body: &[u8]) -> Option<Self> {
        let body: &[u8; 24] = body.first_chunk()?;
        let le16 = |at: usize| u16::from_le_bytes([body[at], body[at + 1]]);
        Some(Self {
            capacity: le16(0) & 0x0FFF,
            peak_va: Some(le16(2)).filter(|va| *va != 0xFFFF),
            input_ranges: [(le16(6), le16(8)), (le16(10), le16(12))],
            frequency: (body[14], body[15]),
            dropout_tolerance: body[16],
            hot_swap: body[17] & 0x08 != 0,
            peak: (le16(18) & 0x0FFF, body[19] >> 4),
        })
    }
}

/// An output of direct current, or a load of it (§18.2, §18.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Direct {
    /// Whether it is a load.
    pub is_load: bool,
    /// Number of the output.
    pub output: u8,
    /// Nominal, lowest and highest voltage, in 10 mV.
    pub voltage: [i16; 3],
    /// Ripple and noise from peak to peak, mV.
    pub ripple: u16,
    /// Lowest and highest current, mA.
    pub current: (u16, u16),
}

impl Direct {
    fn parse(body: &[u8], is_load: bool) -> Option<Self> {
        let &[output, ref rest @ ..] = body.first_chunk::<13>()?;
        let le16 = |at: usize| u16::from_le_bytes([rest[at], rest[at + 1]]);
        Some(Self {
            is_load,
            output: output & 0x0F,
            voltage: [0, 2, 4].map(|at| le16(at) as i16),
            ripple: le16(6),
            current: (le16(8), le16(10)),
        })
    }
}

/// What a management access record holds (§18.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ManagementAccess {
    /// Where the system is managed.
    SystemUrl,
    /// The system's name.
    SystemName,
    /// Address at which the system answers.
    SystemAddress,
    /// Where the part is managed.
    ComponentUrl,
    /// The part's name.
    ComponentName,
    /// Address at which the part answers.
    ComponentAddress,
    /// The system's UUID.
    SystemId,
}

/// Reads the body of a record. `None` where it is too short, its sum is wrong, or its type is none that is read.
pub fn parse(header: RecordHeader, body: &[u8]) -> Option<MultiRecord> {
    if body.len() != header.len || sum(body).wrapping_add(header.checksum) != 0 {
        return None;
    }
    match header.kind {
        0x00 => Supply::parse(body).map(MultiRecord::Supply),
        0x01 | 0x02 => Direct::parse(body, header.kind == 0x02).map(MultiRecord::Direct),
        0x03 => {
            let (&subtype, text) = body.split_first()?;
            let what = match subtype {
                1 => ManagementAccess::SystemUrl,
                2 => ManagementAccess::SystemName,
                3 => ManagementAccess::SystemAddress,
                4 => ManagementAccess::ComponentUrl,
                5 => ManagementAccess::ComponentName,
                6 => ManagementAccess::ComponentAddress,
                7 => return super::uuid(text).map(|id| MultiRecord::Management(ManagementAccess::SystemId, id)),
                _ => return None,
            };
            super::meaningful(&super::super::sdr::text(3, text)).map(|text| MultiRecord::Management(what, text))
        }
        kind @ 0xC0.. => {
            let (&[a, b, c], data) = body.split_first_chunk()?;
            Some(MultiRecord::Oem { kind, manufacturer: u32::from_le_bytes([a, b, c & 0x0F, 0]), data: data.to_vec() })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(kind: u8, body: &[u8]) -> (RecordHeader, Vec<u8>) {
        let mut header = vec![kind, 0x82, body.len() as u8, sum(body).wrapping_neg()];
        header.push(sum(&header).wrapping_neg());
        (RecordHeader::parse(&header).unwrap(), body.to_vec())
    }

    #[test]
    fn a_power_supply_tells_its_rating() {
        let mut body = [0; 24];
        body[..4].copy_from_slice(&[0x78, 0x05, 0xFF, 0xFF]);
        body[6..10].copy_from_slice(&[0x28, 0x23, 0xB0, 0x36]);
        body[14..20].copy_from_slice(&[47, 63, 12, 0x09, 0x40, 0x56]);
        let (header, body) = record(0, &body);
        let Some(MultiRecord::Supply(supply)) = parse(header, &body) else { panic!() };
        assert!(header.last);
        assert_eq!((supply.capacity, supply.peak_va, supply.hot_swap), (1400, None, true));
        assert_eq!((supply.input_ranges[0], supply.frequency, supply.peak), ((9000, 14000), (47, 63), (0x640, 5)));
    }

    #[test]
    fn a_direct_current_can_be_below_zero() {
        let (header, body) = record(1, &[0x82, 0x50, 0xFB, 0x48, 0xFB, 0x58, 0xFB, 50, 0, 0, 0, 0xE8, 0x03]);
        let Some(MultiRecord::Direct(direct)) = parse(header, &body) else { panic!() };
        assert_eq!((direct.output, direct.voltage, direct.current), (2, [-1200, -1208, -1192], (0, 1000)));
    }

    #[test]
    fn a_name_given_for_management_is_read() {
        let (header, body) = record(3, b"\x02node-17");
        let expected = MultiRecord::Management(ManagementAccess::SystemName, "node-17".to_owned());
        assert_eq!(parse(header, &body), Some(expected));
    }

    #[test]
    fn a_makers_record_is_kept_as_it_is() {
        let (header, body) = record(0xC2, &[0xA2, 2, 0, 9, 8]);
        let expected = MultiRecord::Oem { kind: 0xC2, manufacturer: 674, data: vec![9, 8] };
        assert_eq!(parse(header, &body), Some(expected));
    }

    #[test]
    fn one_wrong_bit_makes_a_record_none() {
        let (header, body) = record(3, b"\x02node-17");
        for bit in 0..body.len() * 8 {
            let mut bent = body.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(parse(header, &bent), None, "bit {bit}");
        }
    }

    proptest! {
        #[test]
        fn random_records_never_panic(kind: u8, body in proptest::collection::vec(any::<u8>(), 0..64)) {
            let (header, body) = record(kind, &body);
            parse(header, &body);
            RecordHeader::parse(&body);
        }
    }
}
