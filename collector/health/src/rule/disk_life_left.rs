//! A drive's endurance is used up.

use super::disk_wearout::{day, life};
use super::{ADVICE, Rule, evidence, finding, predicted, show};
use crate::config::DiskConfig;
use crate::outlook::Foresight;
use crate::window::Window;
use crate::{Fault, Finding, Level, RuleId};
use outband_schemas::{ComponentClass, ComponentId, Timestamp};

pub(super) struct DiskLifeLeft(pub(super) DiskConfig);

const ID: RuleId = RuleId::new("disk.life_left");

impl Rule for DiskLifeLeft {
    fn id(&self) -> RuleId {
        ID
    }

    fn evaluate(&self, window: &Window, _now: Timestamp) -> Vec<Finding> {
        let mut found = Vec::new();
        for (component, place) in window.of_class(ComponentClass::Disk).filter(|(_, place)| !place.is_absent()) {
            let Some((life, newest)) = life(place) else { continue };
            let (limit, worn) = match life {
                l if l <= self.0.life_critical => (self.0.life_critical, true),
                l if l <= self.0.life_warning => (self.0.life_warning, false),
                _ => continue,
            };
            // That endurance ends is foretold, not seen: a drive at 0 % may work on for long.
            let f = Finding {
                reason: format!("{} % of the drive's life is left; {}", show(life), date(window, component)),
                evidence: vec![evidence(newest, format!("life left at or below {} %", show(limit)))],
                confirm: 2,
                ..predicted(finding(ID, Fault::DiskWear, component, Some(place), newest))
            };
            found.push(if worn { f } else { Finding { level: Level::Advice, penalty: ADVICE, ..f } });
        }
        found
    }
}

/// When it will be used up, or why nothing can be said of that.
fn date(window: &Window, component: &ComponentId) -> String {
    let own = window.outlooks().iter().filter(|o| o.component == *component);
    let told = own.filter_map(|outlook| match &outlook.foresight {
        Foresight::WearOut(wear) => {
            Some(format!("used up about {} (80 of 100: {} to {})", day(wear.expected), day(wear.early), day(wear.late)))
        }
        Foresight::NoDate(why) => Some(format!("no date is foretold: {why}")),
        Foresight::Rise(_) => None,
    });
    told.reduce(|_, last| last)
        .unwrap_or_else(|| "no date is foretold: it has not been watched for a day yet".to_owned())
}
