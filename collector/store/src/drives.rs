//! Drives as the disk model knows them: what takes months to learn, and what it says of each.

use crate::StoreError;
use outband_health::model::{Cohorts, Day, Drive, History, Pattern, Polled, Said, Vendor, Watch};
use outband_health::outlook::{Endurance, Outlook};
use outband_health::{Names, Packed};
use outband_schemas::{ComponentId, ServerId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What is known of one drive.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DriveRecord {
    /// The server and the place in it where it was last read.
    pub place: Option<(ServerId, ComponentId)>,
    /// The server that it was in before it was taken out; `None` as long as it is in one.
    pub left: Option<ServerId>,
    /// The days on which it lately came from one server into another, oldest first (the collector's clock).
    pub hops: Vec<Day>,
    /// Its serial, where it is known.
    pub serial: Option<String>,
    /// Its maker.
    pub manufacturer: Option<String>,
    /// Its model.
    pub model: Option<String>,
    /// Its size in bytes.
    pub bytes: Option<u64>,
    /// Whether something was read of it that only drives without platters have.
    pub flash: bool,
    /// What it showed, day by day.
    pub history: Packed<History>,
    /// What it showed on the day that is not over.
    pub polled: Packed<Polled>,
    /// When it was last read, in milliseconds since 1970 (the agent's clock, or the collector's where that was behind).
    pub read_ms: i64,
    /// The newest day that is in its history.
    pub read_on: Option<Day>,
    /// The newest day of it that was judged.
    pub judged_on: Option<Day>,
    /// The day on which it was seen to have failed.
    pub failed_on: Option<Day>,
    /// What is said of it.
    pub said: Said,
    /// Patterns that it was counted for.
    pub patterns: BTreeSet<Pattern>,
    /// What it told of its endurance.
    pub endurance: Packed<Endurance>,
    /// The day on which it last told of it (the collector's clock).
    pub worn_on: Option<Day>,
    /// What is foreseen of its endurance.
    pub outlook: Option<Outlook>,
}

impl DriveRecord {
    /// Packs what of it is looked at once an hour, or once a day.
    pub fn rest(&mut self, names: &Names) {
        self.history.rest(names);
        self.polled.rest(names);
        self.endurance.rest(names);
    }

    /// The server that it is in, or was in last.
    pub fn server(&self) -> Option<&ServerId> {
        self.place.as_ref().map(|(server, _)| server).or(self.left.as_ref())
    }

    /// What does not change of it.
    pub fn drive(&self) -> Drive {
        Drive::of(self.manufacturer.as_deref(), self.model.as_deref(), self.bytes, self.flash)
    }
}

/// A drive that showed a pattern for the first time, of which it is not known yet what comes of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    /// The drive.
    pub key: String,
    /// The day.
    pub day: Day,
    /// Its model, as tables of cohorts write it.
    pub family: String,
    /// Its maker.
    pub vendor: Vendor,
    /// What rose.
    pub pattern: Pattern,
}

/// What is learnt of all drives.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DriveFleet {
    /// The model that this was learnt with.
    pub model: String,
    /// What thresholds cost, and who was scored.
    pub watch: Option<Watch<String>>,
    /// The newest day that was judged.
    pub day: Option<Day>,
    /// What became of the own drives, by what they showed.
    pub cohorts: Cohorts,
    /// Of whom it is not known yet, oldest first.
    pub waiting: Vec<Waiting>,
    /// Verdicts on its own tickets are known that were given before this, in milliseconds since 1970 (the collector's clock).
    pub heard_to_ms: i64,
    /// Serials that several drives have, each of which is known by its place.
    pub shared: BTreeSet<String>,
    /// Whether everything was kept when the program last ended.
    pub in_order: bool,
}

/// All that is kept.
#[derive(Debug, Clone, Default)]
pub struct KeptDrives {
    /// The drives by their keys.
    pub drives: Vec<(String, DriveRecord)>,
    /// What is learnt of all.
    pub fleet: Option<DriveFleet>,
    /// Keys of drives whose rows cannot be read, and `fleet` where that cannot: these have to be learnt anew.
    pub damaged: Vec<String>,
}

/// Keeps drives. Verbs block, as those of [`crate::Store`].
pub trait Drives {
    /// Everything that is kept.
    fn drives(&self) -> Result<KeptDrives, StoreError>;

    /// The drives that are in places of a server; those that cannot be read are left out.
    fn drives_of(&self, server: &ServerId) -> Result<Vec<DriveRecord>, StoreError>;

    /// Keeps what is known of some drives in the place of what was, forgets others, and keeps what is learnt of all: all of it, or nothing.
    fn keep_drives(
        &self,
        drives: &[(String, &DriveRecord)],
        gone: &[String],
        fleet: Option<&DriveFleet>,
    ) -> Result<(), StoreError>;
}
