//! What people are told: for every fault and every rule the operator's and the customer's wording, in zh-CN and en. Notices, call packs and
//! reports take their words from here, so that a fault is called the same wherever it is read.
//!
//! An operator's text names parts and figures; a customer's says what is felt and what is being done, and blames nobody.

mod advice;
mod ask;
mod brief;
mod evidence;
mod fault;
mod headroom;
mod rule;
pub mod triage;

pub use advice::advice;
pub use ask::{Topic, how, questions, questions_about};
pub use brief::brief;
pub use evidence::evidence;
pub use fault::fault;
pub use headroom::{date_text, headroom};
pub use rule::rule;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A language that people are written to in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Lang {
    /// English.
    #[default]
    #[serde(rename = "en")]
    En,
    /// Simplified Chinese.
    #[serde(rename = "zh-CN", alias = "zh")]
    ZhCn,
}

impl Lang {
    /// Every language.
    pub const ALL: [Lang; 2] = [Self::En, Self::ZhCn];

    /// Its tag (BCP 47).
    pub fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::ZhCn => "zh-CN",
        }
    }

    /// The language of a tag; `zh` and `zh_CN` are understood too.
    pub fn from_tag(tag: &str) -> Option<Self> {
        match tag.replace('_', "-").to_ascii_lowercase().as_str() {
            "en" => Some(Self::En),
            "zh" | "zh-cn" | "zh-hans" | "zh-hans-cn" => Some(Self::ZhCn),
            _ => None,
        }
    }
}

/// Who reads it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// Whoever repairs it.
    #[default]
    Operator,
    /// Whoever pays for the server, and may know nothing of hardware.
    Customer,
}

impl Audience {
    /// Every audience.
    pub const ALL: [Audience; 2] = [Self::Operator, Self::Customer];
}

/// A text in both languages.
#[derive(Debug, Clone, Copy)]
struct Text {
    en: &'static str,
    zh: &'static str,
}

impl Text {
    const fn new(en: &'static str, zh: &'static str) -> Self {
        Self { en, zh }
    }

    fn of(self, lang: Lang) -> &'static str {
        match lang {
            Lang::En => self.en,
            Lang::ZhCn => self.zh,
        }
    }
}

/// A text for both audiences.
#[derive(Debug, Clone, Copy)]
struct Pair {
    operator: Text,
    customer: Text,
}

impl Pair {
    fn of(self, audience: Audience, lang: Lang) -> &'static str {
        match audience {
            Audience::Operator => self.operator.of(lang),
            Audience::Customer => self.customer.of(lang),
        }
    }
}

/// Operator en, operator zh, customer en, customer zh.
const fn pair(oe: &'static str, oz: &'static str, ce: &'static str, cz: &'static str) -> Pair {
    Pair { operator: Text::new(oe, oz), customer: Text::new(ce, cz) }
}

#[cfg(test)]
mod tests;
