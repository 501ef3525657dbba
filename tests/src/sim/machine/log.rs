//! A BMC's event log: bounded, the oldest entry goes first.

use std::collections::VecDeque;

/// What a BMC writes down.
#[derive(Debug, Clone, PartialEq)]
pub enum Happening {
    /// The server was switched on.
    SystemBoot,
    /// The log was cleared.
    LogCleared,
    /// A fan fell under its critical limit.
    FanLow {
        /// The fan.
        fan: usize,
        /// Its speed.
        rpm: f64,
    },
    /// The inlet passed its critical limit.
    InletHigh {
        /// Its temperature.
        celsius: f64,
    },
    /// A power supply lost its input.
    PsuInputLost {
        /// The supply.
        psu: usize,
    },
    /// The supplies are no longer redundant.
    PowerRedundancyLost,
    /// A drive says that it will fail.
    DrivePredicted {
        /// Its bay.
        bay: usize,
    },
    /// Memory errors were corrected.
    EccCorrected {
        /// The module.
        dimm: usize,
    },
    /// As many memory errors were corrected as the BMC will write down.
    EccLimit {
        /// The module.
        dimm: usize,
    },
    /// A whole SEL record as somebody added it; id and time are replaced.
    Raw(
        /// The record.
        [u8; 16],
    ),
}

/// An entry of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// 1 to 0xfffe; begins again at 1.
    pub id: u16,
    /// The BMC's time, in seconds since the Unix epoch.
    pub time: i64,
    /// What happened.
    pub happening: Happening,
    /// Whether it began, rather than ended.
    pub asserted: bool,
}

/// The log.
#[derive(Debug, Clone)]
pub struct Log {
    entries: VecDeque<Entry>,
    capacity: usize,
    next: u16,
    added: i64,
    erased: i64,
    overflowed: bool,
    written: u64,
}

impl Log {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            capacity: capacity.max(1),
            next: 1,
            added: 0,
            erased: 0,
            overflowed: false,
            written: 0,
        }
    }

    /// Writes an entry; its id.
    pub fn append(&mut self, time: i64, happening: Happening, asserted: bool) -> u16 {
        let id = self.next;
        self.next = if id >= 0xfffe { 1 } else { id + 1 };
        if self.entries.len() >= self.capacity {
            self.entries.pop_front();
            self.overflowed = true;
        }
        self.entries.push_back(Entry { id, time, happening, asserted });
        self.added = time;
        self.written += 1;
        id
    }

    /// Empties it, as an operator may; what remains is an entry that says so.
    pub fn clear(&mut self, time: i64) {
        self.entries.clear();
        (self.next, self.erased, self.overflowed) = (1, time, false);
        self.append(time, Happening::LogCleared, true);
    }

    /// Every entry, oldest first.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many entries were ever written, those included that are gone.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many more it holds.
    pub fn free(&self) -> usize {
        self.capacity - self.entries.len()
    }

    /// When it was last added to and last cleared, and whether entries were lost.
    pub fn stamps(&self) -> (i64, i64, bool) {
        (self.added, self.erased, self.overflowed)
    }
}
