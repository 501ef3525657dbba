//! What an agent may be asked to do at a BMC. Nothing else is ever done there.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The word on the wire by which an agent is asked to read a BMC now, all sections of it. It does so anyway, only later: nothing is changed, and so it is none of the
/// kinds that have to be allowed and approved. An agent that does not know it yet refuses it, as any unknown word.
pub const READ_NOW: &str = "poll";

/// Something that an agent may be asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderKind {
    /// Has the server's locator light blink.
    Identify,
    /// Ends that.
    IdentifyOff,
    /// Reads all logs, raw, and the inventory.
    Collect,
    /// Restarts the BMC; the server runs on.
    ResetBmc,
    /// Empties the system event log, once every entry of it is stored at the collector.
    ClearSel,
}

/// The word names nothing that an agent may be asked to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} is no order; there are {}", OrderKind::ALL.map(OrderKind::as_str).join(", "))]
pub struct UnknownOrder {
    /// The word.
    pub word: String,
}

impl OrderKind {
    /// Every kind.
    pub const ALL: [OrderKind; 5] = [Self::Identify, Self::IdentifyOff, Self::Collect, Self::ResetBmc, Self::ClearSel];

    /// The word in configs, on the wire and in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Identify => "identify",
            Self::IdentifyOff => "identify_off",
            Self::Collect => "collect",
            Self::ResetBmc => "reset_bmc",
            Self::ClearSel => "clear_sel",
        }
    }

    /// Whether it changes anything at the BMC.
    pub fn changes(self) -> bool {
        self != Self::Collect
    }
}

impl fmt::Display for OrderKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for OrderKind {
    type Err = UnknownOrder;

    fn from_str(word: &str) -> Result<Self, UnknownOrder> {
        let found = Self::ALL.into_iter().find(|k| k.as_str() == word);
        found.ok_or_else(|| UnknownOrder { word: word.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_reads_back_from_its_word_and_any_other_word_is_none() {
        for kind in OrderKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{kind}\""));
        }
        let error = "power_off".parse::<OrderKind>().unwrap_err().to_string();
        assert!(error.contains("\"power_off\" is no order") && error.contains("reset_bmc"), "{error}");
        assert!(READ_NOW.parse::<OrderKind>().is_err(), "to read needs nobody's leave");
    }
}
