//! The SMART attributes that the disk model knows (ATA; raw values).

/// A SMART attribute of a SATA disk whose raw value is a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attribute {
    /// 5: sectors remapped.
    ReallocatedSectors,
    /// 10: attempts to spin up again.
    SpinRetries,
    /// 12: times it was switched on.
    PowerCycles,
    /// 187: errors that ECC could not correct, told to the host.
    ReportedUncorrectable,
    /// 188: commands that timed out.
    CommandTimeouts,
    /// 189: writes with the head too far from the platter.
    HighFlyWrites,
    /// 196: remap operations, tried or done.
    ReallocationEvents,
    /// 197: sectors that wait to be remapped. The one that also falls.
    PendingSectors,
    /// 198: sectors that the drive's own scan could not read.
    OfflineUncorrectable,
}

impl Attribute {
    /// How many there are.
    pub const COUNT: usize = 9;

    /// All of them, by number.
    pub const ALL: [Attribute; Self::COUNT] = [
        Attribute::ReallocatedSectors,
        Attribute::SpinRetries,
        Attribute::PowerCycles,
        Attribute::ReportedUncorrectable,
        Attribute::CommandTimeouts,
        Attribute::HighFlyWrites,
        Attribute::ReallocationEvents,
        Attribute::PendingSectors,
        Attribute::OfflineUncorrectable,
    ];

    /// Its SMART number.
    pub const fn number(self) -> u8 {
        match self {
            Attribute::ReallocatedSectors => 5,
            Attribute::SpinRetries => 10,
            Attribute::PowerCycles => 12,
            Attribute::ReportedUncorrectable => 187,
            Attribute::CommandTimeouts => 188,
            Attribute::HighFlyWrites => 189,
            Attribute::ReallocationEvents => 196,
            Attribute::PendingSectors => 197,
            Attribute::OfflineUncorrectable => 198,
        }
    }

    /// What counts of a raw value. Seagate packs three counters into that of command timeouts; the low 16 bits are the timeouts, and
    /// all that agents send.
    pub fn counted(self, raw: f64) -> f64 {
        if self == Attribute::CommandTimeouts { raw % 65_536.0 } else { raw }
    }

    /// Whether a rise of it speaks of the medium.
    pub const fn is_medium(self) -> bool {
        matches!(
            self,
            Attribute::ReallocatedSectors
                | Attribute::ReportedUncorrectable
                | Attribute::ReallocationEvents
                | Attribute::PendingSectors
                | Attribute::OfflineUncorrectable
        )
    }
}
