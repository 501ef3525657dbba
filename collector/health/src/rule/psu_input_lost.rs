//! A power supply gets no input. It is well itself: the feed is not.

use super::{Rule, STATE_POLLS, evidence, finding};
use crate::window::{Place, Window};
use crate::{Fault, Finding, RuleId};
use outband_schemas::{ComponentClass, EventKind, Quality, SensorKind, State, Timestamp};

pub(super) struct PsuInputLost;

const ID: RuleId = RuleId::new("psu.input_lost");

impl Rule for PsuInputLost {
    fn id(&self) -> RuleId {
        ID
    }

    fn evaluate(&self, window: &Window, _now: Timestamp) -> Vec<Finding> {
        let supplies = window.of_class(ComponentClass::PowerSupply).filter(|(_, place)| !place.is_absent());
        supplies
            .filter_map(|(component, place)| {
                let lost = lost(place)?;
                let base = finding(ID, Fault::PowerInputLost, component, Some(place), lost.newest);
                let evidence = vec![evidence(lost.since, lost.text.clone())];
                Some(Finding { onset: lost.since, reason: lost.text, evidence, confirm: lost.confirm, ..base })
            })
            .collect()
    }
}

/// How a feed's loss shows.
pub(super) struct Lost {
    pub(super) text: String,
    pub(super) since: Timestamp,
    pub(super) newest: Timestamp,
    pub(super) confirm: u32,
}

/// Below this share of what it was at its best, an input voltage is none. A brown-out is not that low.
const DEAD: f64 = 0.2;

/// Whether a power supply has lost its input, and how that shows: by its state's words, its input voltage, its log.
pub(super) fn lost(place: &Place) -> Option<Lost> {
    let by_state = place.states().find_map(|(_, series, switch)| {
        let (state, text) = switch.now()?;
        let bad = matches!(state, State::Warning | State::Critical) && speaks_of_input(text);
        let (since, newest) = (switch.since()?, series.newest()?);
        let text = format!("the power supply says: {text}");
        (bad && matches!(series.quality, Quality::Good | Quality::Suspect(_))).then_some(Lost {
            text,
            since,
            newest,
            confirm: STATE_POLLS,
        })
    });
    by_state.or_else(|| by_voltage(place)).or_else(|| {
        let note = place.asserted(&[EventKind::PowerSupplyInputLost])?;
        // Where the input voltage is read, it says more than an old entry.
        let live = place.of_kind(SensorKind::InputVoltage).any(|(_, s)| s.newest().is_some_and(|n| n > note.at));
        let text = format!("log entry: {}", note.message);
        (!live).then_some(Lost { text, since: note.at, newest: note.at, confirm: 1 })
    })
}

fn by_voltage(place: &Place) -> Option<Lost> {
    place.of_kind(SensorKind::InputVoltage).find_map(|(_, series)| {
        let crate::window::Track::Gauge(gauge) = &series.track else { return None };
        let (volts, newest) = (gauge.settled()?, series.newest()?);
        let best = gauge.samples().map(|(_, v)| *v).fold(0.0, f64::max);
        // A feed that was never there is not lost: 80 V is below every mains.
        // Nor is one that was dead as long as is remembered, unless its supply complains, and of no failure of its own.
        let complains = || {
            place.asserted(&[EventKind::PowerSupplyFailed]).is_none()
                && place.states().filter_map(|(_, _, s)| s.now()).any(|(state, text)| {
                    matches!(state, State::Warning | State::Critical) && !text.to_lowercase().contains("fail")
                })
        };
        let was_fed = best >= 80.0
            || series.thresholds().lower_critical.is_some_and(|l| l > 0.0)
            || (volts < 10.0 && complains());
        let dead = volts <= best * DEAD && was_fed
            || series.thresholds().lower_critical.is_some_and(|l| l > 0.0 && volts < l * DEAD);
        let since = gauge.samples().rev().take_while(|(_, v)| *v <= best * DEAD).map(|(at, _)| *at).last();
        let text = format!("the input voltage is {} V", super::show(volts));
        dead.then_some(Lost { text, since: since.unwrap_or(newest), newest, confirm: STATE_POLLS })
    })
}

/// The words of IPMI 2.0 table 42-3 (sensor type 08h, offsets 3 to 5), of Redfish's `UnavailableOffline` messages and of the vendors.
fn speaks_of_input(text: &str) -> bool {
    let text = text.to_lowercase();
    [
        "input lost",
        "ac lost",
        "input loss",
        "ac loss",
        "no input",
        "no ac",
        "input out of range",
        "input out-of-range",
        "input voltage",
    ]
    .iter()
    .any(|word| text.contains(word))
}
