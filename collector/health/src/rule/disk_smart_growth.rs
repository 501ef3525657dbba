//! A drive's error counters grow, again and again. One burst is common on drives that then run for years; what goes on growing
//! does not stop.

use super::{Rule, evidence, finding, predicted, show};
use crate::config::DiskConfig;
use crate::window::{Place, Step, Track, Window};
use crate::{Evidence, Fault, Finding, RuleId};
use outband_schemas::{ComponentClass, ComponentId, SensorKind, Timestamp};

pub(super) struct DiskSmartGrowth(pub(super) DiskConfig);

const ID: RuleId = RuleId::new("disk.smart_growth");

/// What speaks for a dying medium. Errors of the cable (CRC) and time-outs do not.
const KINDS: [SensorKind; 6] = [
    SensorKind::ReallocatedSectors,
    SensorKind::PendingSectors,
    SensorKind::OfflineUncorrectable,
    SensorKind::ReportedUncorrectable,
    SensorKind::MediaErrors,
    SensorKind::ReallocationEvents,
];

impl Rule for DiskSmartGrowth {
    fn id(&self) -> RuleId {
        ID
    }

    fn evaluate(&self, window: &Window, _now: Timestamp) -> Vec<Finding> {
        let disks = window.of_class(ComponentClass::Disk).filter(|(_, place)| !place.is_absent());
        disks.filter_map(|(component, place)| self.judge(component, place)).collect()
    }
}

impl DiskSmartGrowth {
    fn judge(&self, component: &ComponentId, place: &Place) -> Option<Finding> {
        let mut steps: Vec<(SensorKind, Step)> = Vec::new();
        let mut parts = Vec::new();
        for kind in KINDS {
            // The same counter read by two protocols is one witness: the one that saw more.
            let witness = place
                .of_kind(kind)
                .filter_map(|(_, series)| match &series.track {
                    Track::Counter(counter) => {
                        let oldest = series.polls.saturating_sub(self.0.memory_polls);
                        let new: Vec<Step> = counter.steps().filter(|s| s.poll >= oldest).copied().collect();
                        Some((new, counter.value()?))
                    }
                    Track::Gauge(_) | Track::Switch(_) | Track::Text => None,
                })
                .max_by_key(|(steps, _)| steps.len());
            if let Some((new, value)) = witness
                && let Some(first) = new.first()
            {
                parts.push(format!("{kind} {} -> {} in {} increases", show(first.from), show(value), new.len()));
                steps.extend(new.into_iter().map(|s| (kind, s)));
            }
        }
        // Two counters that move in one poll are one event: a reallocation moves both its counters.
        let mut moments: Vec<Timestamp> = steps.iter().map(|(_, s)| s.at).collect();
        moments.sort_unstable();
        moments.dedup();
        if moments.len() < usize::try_from(self.0.increases.max(1)).unwrap_or(usize::MAX) {
            return None;
        }
        let (onset, newest) = (*moments.first()?, *moments.last()?);
        steps.sort_by_key(|(kind, step)| (step.at, *kind));
        let evidence: Vec<Evidence> = steps.iter().map(|(kind, step)| told(*kind, step)).collect();
        let extra = u8::try_from(moments.len().saturating_mul(2).min(30)).unwrap_or(30);
        let base = predicted(finding(ID, Fault::DiskFailure, component, Some(place), newest));
        let reason = format!("error counters keep growing: {}", parts.join(", "));
        Some(Finding { onset, evidence, reason, penalty: base.penalty + extra, ..base })
    }
}

fn told(kind: SensorKind, step: &Step) -> Evidence {
    evidence(step.at, format!("{kind} {} -> {}", show(step.from), show(step.to)))
}
