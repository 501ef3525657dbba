//! What BMCs of the field do otherwise than the specification says, by maker, with where it was reported.

use super::sensors::{Form, Sensor};

/// How a BMC deviates. Nothing: [`Quirks::default`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Quirks {
    /// The maker's peculiarities that are on.
    on: Vec<Quirk>,
}

/// One peculiarity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quirk {
    /// The last record of the repository is always refused with 0xC3 (Dell FC830).
    LastRecordTimesOut,
    /// The last record names a next one that is not there, instead of the end (Inspur).
    NoEndOfList,
    /// The repository's info announces another number of records than there are (Fujitsu, Loongson).
    WrongRecordCount,
    /// Records are said to be longer than they are (HP, Intel S2600).
    WrongRecordLength,
    /// Records of no known type, with nothing in them that makes sense (Supermicro X9).
    JunkRecords,
    /// Another reader takes the reservation away with every third record (ipmiutil PR #2).
    ReservationsLost,
    /// The checksums of messages in sessions are wrong (Supermicro X9).
    WrongChecksums,
    /// Sequence numbers of a session go up by two (ASRock).
    SequenceSkips,
    /// A cipher suite is advertised and refused when a session is opened with it (ipmitool #363).
    SuiteOnPaper,
    /// Get Channel Cipher Suites is not answered (ipmitool #199).
    SilentAboutSuites,
    /// A sensor without a reading is refused with a code of the maker's choice, each with another one of those seen (FreeIPMI).
    RefusesAbsentReadings,
    /// A sensor without a reading is answered with nothing after the completion code.
    EmptyAbsentReadings,
    /// The bit "scanning disabled" is set although the reading is good (Dell).
    ScanningBitWrong,
    /// Sensors of one kind have one name (drives, fans).
    SameNames,
    /// Every entry of the event log can be read under its own id and under another one.
    EntryUnderTwoIds,
}

/// Codes by which sensors without a reading are refused.
const ABSENT: [u8; 7] = [0xc9, 0xcb, 0xcd, 0xce, 0xd3, 0xd5, 0xff];

impl Quirks {
    /// A BMC with these.
    pub fn of(on: impl Into<Vec<Quirk>>) -> Self {
        Self { on: on.into() }
    }

    /// Dell's.
    pub fn dell() -> Self {
        Self::of([Quirk::LastRecordTimesOut, Quirk::ScanningBitWrong])
    }

    /// Supermicro's, of the X9 generation.
    pub fn supermicro_x9() -> Self {
        Self::of([Quirk::JunkRecords, Quirk::WrongChecksums, Quirk::RefusesAbsentReadings])
    }

    /// Inspur's.
    pub fn inspur() -> Self {
        Self::of([Quirk::NoEndOfList, Quirk::SuiteOnPaper])
    }

    /// Fujitsu's.
    pub fn fujitsu() -> Self {
        Self::of([Quirk::WrongRecordCount, Quirk::EmptyAbsentReadings])
    }

    /// HP's, and those of Intel's S2600 boards.
    pub fn hp() -> Self {
        Self::of([Quirk::WrongRecordLength, Quirk::SameNames])
    }

    /// ASRock's.
    pub fn asrock() -> Self {
        Self::of([Quirk::SequenceSkips, Quirk::SilentAboutSuites])
    }

    /// Every maker's, by name.
    pub fn all() -> [(&'static str, Self); 6] {
        [
            ("Dell", Self::dell()),
            ("Supermicro X9", Self::supermicro_x9()),
            ("Inspur", Self::inspur()),
            ("Fujitsu", Self::fujitsu()),
            ("HP", Self::hp()),
            ("ASRock", Self::asrock()),
        ]
    }

    /// Whether it does that.
    pub(super) fn has(&self, quirk: Quirk) -> bool {
        self.on.contains(&quirk)
    }

    /// Gives sensors of one kind one name.
    pub(super) fn rename(&self, sensors: &mut [Sensor]) {
        if self.has(Quirk::SameNames) {
            for sensor in sensors.iter_mut() {
                let kind = sensor.name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
                if kind > 2 {
                    sensor.name.truncate(kind);
                }
            }
        }
    }

    /// Spoils the repository.
    pub(super) fn spoil(&self, records: &mut Vec<Vec<u8>>) {
        if self.has(Quirk::JunkRecords) {
            // A type that nobody knows; a full record that is cut off; one that is all ones.
            records.push(vec![0, 0, 0x51, 0xee, 4, 1, 2, 3, 4]);
            records.push(vec![0, 0, 0x51, 0x01, 6, 0x20, 0, 0xfe, 7, 1, 0x7f]);
            records.push([&[0, 0, 0x51, 0xff, 20][..], &[0xff; 20]].concat());
        }
        for (id, record) in (1u16..).zip(records.iter_mut()) {
            if let Some(place) = record.first_chunk_mut() {
                *place = id.to_le_bytes();
            }
            if self.has(Quirk::WrongRecordLength) && record.get(3) == Some(&0x01) {
                record[4] = record[4].saturating_add(3);
            }
        }
    }

    /// How many records the repository's info announces.
    pub(super) fn announced(&self, records: usize) -> u16 {
        let wrong = if self.has(Quirk::WrongRecordCount) { 7 } else { 0 };
        (records + wrong) as u16
    }

    /// What follows the last record.
    pub(super) fn after_the_last(&self, records: usize) -> u16 {
        if self.has(Quirk::NoEndOfList) { records as u16 + 1 } else { 0xffff }
    }

    /// The answer to Get Sensor Reading of this kind of BMC.
    pub(super) fn reading(&self, sensor: &Sensor, reading: [u8; 4]) -> Result<Vec<u8>, u8> {
        let is_absent = reading[1] & 0x20 != 0;
        if is_absent && self.has(Quirk::RefusesAbsentReadings) {
            return Err(ABSENT[usize::from(sensor.number) % ABSENT.len()]);
        }
        if is_absent && self.has(Quirk::EmptyAbsentReadings) {
            return Ok(Vec::new());
        }
        let mut reading = reading.to_vec();
        if self.has(Quirk::ScanningBitWrong) && matches!(sensor.form, Form::Analog { .. }) {
            reading[1] &= !0x40;
        }
        Ok(reading)
    }

    /// By how much a session's sequence numbers go up.
    pub(super) fn step(&self) -> u32 {
        if self.has(Quirk::SequenceSkips) { 2 } else { 1 }
    }
}
