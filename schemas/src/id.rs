//! Names of things. Each is validated once, where it enters, and can be trusted after that.

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Nothing was given.
    #[error("{what} must not be empty")]
    Empty {
        /// The kind of name.
        what: &'static str,
    },
    /// More than 128 bytes.
    #[error("{what} has at most 128 bytes, this one has {len}")]
    TooLong {
        /// The kind of name.
        what: &'static str,
        /// Its length in bytes.
        len: usize,
    },
    /// A character that the name must not hold.
    #[error("{what} may not hold {found:?} (in {text:?})")]
    BadCharacter {
        /// The kind of name.
        what: &'static str,
        /// The first offending character.
        found: char,
        /// The whole text.
        text: String,
    },
    /// The text has not the shape of this name.
    #[error("{text:?} is no {what}")]
    BadShape {
        /// The kind of name.
        what: &'static str,
        /// The whole text.
        text: String,
    },
}

const MAX_BYTES: usize = 128;

fn check(what: &'static str, text: &str, allowed: fn(char) -> bool) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty { what });
    }
    if text.len() > MAX_BYTES {
        return Err(IdError::TooLong { what, len: text.len() });
    }
    match text.chars().find(|c| !allowed(*c)) {
        Some(found) => Err(IdError::BadCharacter { what, found, text: text.to_owned() }),
        None => Ok(()),
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

macro_rules! word_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Accepts 1 to 128 bytes of ASCII letters, digits, `.`, `_` and `-`.
            pub fn new(text: impl Into<String>) -> Result<Self, IdError> {
                let text = text.into();
                check($what, &text, is_word)?;
                Ok(Self(text))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
    };
}

word_id!(
    /// An agent: one process at one site. Chosen in its config.
    AgentId, "agent id");
word_id!(
    /// A site: a datacenter or a room that one agent watches.
    SiteId, "site id");
word_id!(
    /// A target: one BMC as an agent's config names it. Unique within the agent.
    TargetId, "target id");
word_id!(
    /// A server, issued by the collector: matched by chassis serial, then system UUID, then target.
    ServerId, "server id");

/// One life of a spool file. A new file, or one rebuilt after damage, gets a new id, so that sequence numbers never
/// mean two things. Text form: 32 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SpoolId(u128);

impl SpoolId {
    /// Wraps 128 random bits; the caller brings the randomness.
    pub fn from_bits(bits: u128) -> Self {
        Self(bits)
    }

    /// The 128 bits.
    pub fn bits(self) -> u128 {
        self.0
    }
}

impl fmt::Debug for SpoolId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpoolId({self})")
    }
}

impl fmt::Display for SpoolId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for SpoolId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let bad = || IdError::BadShape { what: "spool id (32 hex digits)", text: text.to_owned() };
        if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(bad());
        }
        u128::from_str_radix(text, 16).map(Self).map_err(|_| bad())
    }
}

impl TryFrom<String> for SpoolId {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<SpoolId> for String {
    fn from(id: SpoolId) -> String {
        id.to_string()
    }
}

/// What sort of part a component place holds (MISSION rows 2 and 3). The number is stable: it goes over the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u16)]
pub enum ComponentClass {
    /// The server as a whole.
    Server = 1,
    /// The management controller itself.
    Bmc = 2,
    /// A processor.
    Cpu = 3,
    /// A memory module.
    Memory = 4,
    /// A drive: disk, SSD, NVMe.
    Disk = 5,
    /// A RAID or host bus adapter.
    StorageController = 6,
    /// A power supply.
    PowerSupply = 7,
    /// A fan.
    Fan = 8,
    /// The main board and what is soldered to it.
    Board = 9,
    /// A network adapter or port.
    Network = 10,
    /// A GPU or another accelerator.
    Gpu = 11,
    /// A chassis, its intrusion switch, its air.
    Chassis = 12,
    /// A logical volume.
    Volume = 13,
    /// A firmware image.
    Firmware = 14,
    /// A battery (CMOS, RAID cache).
    Battery = 15,
    /// The agent's own host.
    Agent = 16,
    /// Cable, slot, riser and all that has no class of its own.
    Other = 99,
}

impl ComponentClass {
    /// Every class, in the order of its number.
    pub const ALL: [ComponentClass; 17] = [
        Self::Server,
        Self::Bmc,
        Self::Cpu,
        Self::Memory,
        Self::Disk,
        Self::StorageController,
        Self::PowerSupply,
        Self::Fan,
        Self::Board,
        Self::Network,
        Self::Gpu,
        Self::Chassis,
        Self::Volume,
        Self::Firmware,
        Self::Battery,
        Self::Agent,
        Self::Other,
    ];

    /// The stable number.
    pub fn number(self) -> u16 {
        self as u16
    }

    /// The class of a stable number.
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.number() == number)
    }

    /// The word used in component paths, e.g. `fan` in `fan/Fan 1A`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Bmc => "bmc",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::StorageController => "storage_controller",
            Self::PowerSupply => "psu",
            Self::Fan => "fan",
            Self::Board => "board",
            Self::Network => "network",
            Self::Gpu => "gpu",
            Self::Chassis => "chassis",
            Self::Volume => "volume",
            Self::Firmware => "firmware",
            Self::Battery => "battery",
            Self::Agent => "agent",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for ComponentClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ComponentClass {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::ALL
            .into_iter()
            .find(|c| c.as_str() == text)
            .ok_or_else(|| IdError::BadShape { what: "component class", text: text.to_owned() })
    }
}

/// A place in a server: its class and its slot, e.g. `disk/Bay 3` or `fan/Fan1A`. The part in the place may change
/// ([`crate::Part`]); the place does not. Text form: `class/slot`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ComponentId {
    class: ComponentClass,
    slot: String,
}

impl ComponentId {
    /// Accepts a slot of 1 to 128 bytes of UTF-8 without control characters. Surrounding blanks are cut.
    pub fn new(class: ComponentClass, slot: impl AsRef<str>) -> Result<Self, IdError> {
        Self::of(class, slot.as_ref().trim().to_owned())
    }

    /// The same of a text that is handed over: it is copied only where blanks have to be cut.
    pub fn of(class: ComponentClass, slot: String) -> Result<Self, IdError> {
        let trimmed = slot.trim();
        check("component slot", trimmed, |c| !c.is_control())?;
        let slot = if trimmed.len() == slot.len() { slot } else { trimmed.to_owned() };
        Ok(Self { class, slot })
    }

    /// Like [`ComponentId::new`] for names that a BMC made up: control characters become blanks, a long name is cut at
    /// 128 bytes and an empty one becomes `unnamed`. Never fails, so a strange name loses no reading.
    pub fn lenient(class: ComponentClass, slot: impl AsRef<str>) -> Self {
        let clean: String = slot.as_ref().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let mut slot = clean.trim().to_owned();
        while slot.len() > MAX_BYTES {
            slot.pop();
        }
        if slot.trim().is_empty() {
            slot = "unnamed".to_owned();
        }
        Self { class, slot: slot.trim_end().to_owned() }
    }

    /// The class of part that this place holds.
    pub fn class(&self) -> ComponentClass {
        self.class
    }

    /// The slot's name as the BMC gives it.
    pub fn slot(&self) -> &str {
        &self.slot
    }

    /// The slot's name, handed over.
    pub fn into_slot(self) -> String {
        self.slot
    }
}

impl fmt::Display for ComponentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.class.as_str())?;
        f.write_str("/")?;
        f.write_str(&self.slot)
    }
}

impl FromStr for ComponentId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let (class, slot) = text
            .split_once('/')
            .ok_or_else(|| IdError::BadShape { what: "component (class/slot)", text: text.to_owned() })?;
        Self::new(class.parse()?, slot)
    }
}

/// Its text, without a copy of it on the way: what is known of ten thousand servers is packed and unpacked a place at a time.
impl Serialize for ComponentId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ComponentId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = ComponentId;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a component (class/slot)")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<ComponentId, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// Where in a BMC a value was read: `ipmi:<owner>.<lun>.<number>` in hex (e.g. `ipmi:20.0.3b`), `sel:<record id>`, or a
/// Redfish URI with a JSON pointer after `#`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Source(pub String);

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_word_id_refuses_blanks_and_slashes() {
        assert!(AgentId::new("dc1-agent.a").is_ok());
        assert!(matches!(AgentId::new("a b"), Err(IdError::BadCharacter { found: ' ', .. })));
        assert!(matches!(AgentId::new("a/b"), Err(IdError::BadCharacter { found: '/', .. })));
        assert!(matches!(AgentId::new(""), Err(IdError::Empty { .. })));
    }

    #[test]
    fn a_spool_id_reads_back_what_it_prints() {
        let id = SpoolId::from_bits(0xdead_beef);
        assert_eq!(id.to_string().parse::<SpoolId>(), Ok(id));
        assert!("+0000000000000000000000000000001".parse::<SpoolId>().is_err());
    }

    #[test]
    fn a_slot_that_is_handed_over_is_checked_and_cut_as_any() {
        for text in ["Bay 3", " Bay 3\t", "", "  ", "a\u{1}", &"x".repeat(129)] {
            assert_eq!(
                ComponentId::of(ComponentClass::Disk, text.to_owned()),
                ComponentId::new(ComponentClass::Disk, text),
                "{text:?}"
            );
        }
        assert_eq!(ComponentId::of(ComponentClass::Disk, " Bay 3 ".to_owned()).unwrap().slot(), "Bay 3");
    }

    #[test]
    fn class_numbers_and_words_are_unique_and_read_back() {
        for class in ComponentClass::ALL {
            assert_eq!(ComponentClass::from_number(class.number()), Some(class));
            assert_eq!(class.as_str().parse::<ComponentClass>(), Ok(class));
        }
    }

    proptest! {
        #[test]
        fn a_lenient_component_always_reads_back_from_its_text(slot in ".*") {
            let id = ComponentId::lenient(ComponentClass::Fan, &slot);
            prop_assert_eq!(id.to_string().parse::<ComponentId>(), Ok(id.clone()));
            let json = serde_json::to_string(&id).unwrap();
            prop_assert_eq!(&json, &serde_json::to_string(&id.to_string()).unwrap());
            prop_assert_eq!(serde_json::from_str::<ComponentId>(&json).unwrap(), id);
        }
    }
}
