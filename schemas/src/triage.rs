//! What kind of trouble something is: who has to look at it, and where.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What kind of trouble it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TriageClass {
    /// A part of this server.
    Hardware,
    /// Firmware, or how something is set up.
    FirmwareConfiguration,
    /// Parts that are well, and not made for each other.
    Compatibility,
    /// The room's cooling.
    EnvironmentCooling,
    /// The room's power.
    EnvironmentPower,
    /// The way to it.
    Network,
    /// What is known does not say.
    Unknown,
}

impl TriageClass {
    /// Every class.
    pub const ALL: [TriageClass; 7] = [
        Self::Hardware,
        Self::FirmwareConfiguration,
        Self::Compatibility,
        Self::EnvironmentCooling,
        Self::EnvironmentPower,
        Self::Network,
        Self::Unknown,
    ];

    /// The word on the wire, in configs and in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hardware => "hardware",
            Self::FirmwareConfiguration => "firmware_configuration",
            Self::Compatibility => "compatibility",
            Self::EnvironmentCooling => "environment_cooling",
            Self::EnvironmentPower => "environment_power",
            Self::Network => "network",
            Self::Unknown => "unknown",
        }
    }

    /// The class of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == word)
    }
}

impl fmt::Display for TriageClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How sure that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// Nothing speaks against it; little speaks for it.
    Weak,
    /// Something speaks for it.
    Likely,
    /// It was seen to be so.
    Strong,
    /// A person said so.
    Set,
}

impl Confidence {
    /// The word on the wire and in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Weak => "weak",
            Self::Likely => "likely",
            Self::Strong => "strong",
            Self::Set => "set",
        }
    }
}

/// What kind of trouble it is, how sure that is, and what it rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Triage {
    /// What kind.
    pub class: TriageClass,
    /// How sure.
    pub confidence: Confidence,
    /// The facts that it rests on, for people, the weightiest first.
    #[serde(default)]
    pub because: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_reads_back_from_its_word() {
        for class in TriageClass::ALL {
            assert_eq!(TriageClass::from_word(class.as_str()), Some(class));
            assert_eq!(serde_json::to_string(&class).unwrap(), format!("\"{class}\""));
        }
        assert_eq!(TriageClass::from_word("software"), None);
        assert!(
            Confidence::Set > Confidence::Strong
                && Confidence::Strong > Confidence::Likely
                && Confidence::Likely > Confidence::Weak
        );
    }
}
