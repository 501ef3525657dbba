//! A drive's endurance is used up.

use super::{ADVICE, Rule, evidence, finding, predicted, show};
use crate::config::DiskConfig;
use crate::window::Window;
use crate::{Fault, Finding, Level, RuleId};
use outband_schemas::{ComponentClass, SensorKind, Timestamp};

pub(super) struct DiskLifeLeft(pub(super) DiskConfig);

const ID: RuleId = RuleId::new("disk.life_left");

impl Rule for DiskLifeLeft {
    fn id(&self) -> RuleId {
        ID
    }

    fn evaluate(&self, window: &Window, _now: Timestamp) -> Vec<Finding> {
        let mut found = Vec::new();
        for (component, place) in window.of_class(ComponentClass::Disk).filter(|(_, place)| !place.is_absent()) {
            let lives = place.of_kind(SensorKind::LifeLeft).filter_map(|(_, s)| Some((s.number()?, s.newest()?)));
            let Some((life, newest)) = lives.min_by(|a, b| a.0.total_cmp(&b.0)) else { continue };
            let (limit, worn) = match life {
                l if l <= self.0.life_critical => (self.0.life_critical, true),
                l if l <= self.0.life_warning => (self.0.life_warning, false),
                _ => continue,
            };
            let base = finding(ID, Fault::DiskWear, component, Some(place), newest);
            let f = Finding {
                reason: format!("{} % of the drive's life is left", show(life)),
                evidence: vec![evidence(newest, format!("life left at or below {} %", show(limit)))],
                confirm: 2,
                ..base
            };
            found.push(if worn { predicted(f) } else { Finding { level: Level::Advice, penalty: ADVICE, ..f } });
        }
        found
    }
}
