//! A fan wears: it turns slower than it did at the same duty, or than its siblings do.

use super::{Rule, evidence, finding, predicted, show};
use crate::config::FanConfig;
use crate::window::{FanTrack, Place, SeriesKey, Window};
use crate::{Fault, Finding, RuleId};
use outband_schemas::{ComponentClass, ComponentId, Timestamp};

pub(super) struct FanDecay(pub(super) FanConfig);

const ID: RuleId = RuleId::new("fan.decay");

impl Rule for FanDecay {
    fn id(&self) -> RuleId {
        ID
    }

    fn evaluate(&self, window: &Window, _now: Timestamp) -> Vec<Finding> {
        let fans: Vec<(&ComponentId, &Place, &SeriesKey, &FanTrack)> = window
            .of_class(ComponentClass::Fan)
            .filter(|(_, place)| !place.is_absent())
            .flat_map(|(component, place)| place.fans().map(move |(key, track)| (component, place, key, track)))
            .collect();
        let losses: Vec<Option<f64>> = fans.iter().map(|(.., track)| track.share().map(|s| 1.0 - s)).collect();
        let mut found = Vec::new();
        for (fan, loss) in fans.iter().zip(&losses) {
            let Some(loss) = loss.filter(|loss| *loss * 100.0 >= self.0.decay_percent) else { continue };
            // What befalls many fans alike is a change of speed (new firmware, another zone, hot air), not wear.
            let alike = losses.iter().flatten().filter(|other| **other >= loss / 2.0).count();
            if alike > 1 && alike * 3 > losses.len() {
                continue;
            }
            found.extend(self.tell(fan, loss));
        }
        found
    }
}

impl FanDecay {
    fn tell(
        &self,
        (component, place, key, track): &(&ComponentId, &Place, &SeriesKey, &FanTrack),
        loss: f64,
    ) -> Option<Finding> {
        let slow = |share: f64| (1.0 - share) * 100.0 >= self.0.decay_percent;
        let run: Vec<Timestamp> = track.shares().rev().take_while(|(_, s)| slow(*s)).map(|(at, _)| at).collect();
        let lasted = u32::try_from(run.len()).unwrap_or(u32::MAX) >= self.0.decay_polls.min(16);
        let (newest, onset) = (*run.first()?, *run.last()?);
        if !lasted {
            return None;
        }
        let than = if track.by_duty() { "than it did at the same duty" } else { "than it did against its siblings" };
        let reason = format!("{} turns {} % slower {than}", key.sensor, show((loss * 1000.0).round() / 10.0));
        // One fact for each ten percent lost, so that the ticket tells how it went on.
        let tens = (1..=9).map(|n| f64::from(n) * 10.0).rfind(|tens| loss * 100.0 >= *tens);
        let fact = tens.unwrap_or(self.0.decay_percent);
        let base = predicted(finding(ID, Fault::FanFailure, component, Some(place), newest));
        let evidence = vec![evidence(onset, format!("{} more than {} % slower {than}", key.sensor, show(fact)))];
        Some(Finding { onset, evidence, reason, ..base })
    }
}
