//! What the chassis says as a whole: its status (IPMI 2.0 §28.2), why it last started (§28.11), and what it draws by DCMI (DCMI 1.5 §6.6.1).

use super::message::{Request, Response};
use super::poll::{Ask, Reply};
use super::sensor;
use ipmi_rs_core::connection::NetFn;
use outband_schemas::{
    Cause, Clock, ComponentClass, ComponentId, Quality, Reading, SensorKind, Source, State, Timestamp, Value,
};

/// Power readings of DCMI are behind this number of its group.
const DCMI: u8 = 0xDC;
const GROUP_EXTENSION: u8 = 0x2C;

/// What the chassis of one BMC is worth being asked for. What it does not have it is asked for once.
#[derive(Debug, Default)]
pub(super) struct Chassis {
    lacks_status: bool,
    power: Dcmi,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Dcmi {
    #[default]
    Untried,
    Works,
    Fails,
}

fn reading(kind: SensorKind, sensor: &str, value: Result<Value, Cause>, source: &str, at: Timestamp) -> Reading {
    let (value, quality) = match value {
        Ok(value) => (Some(value), Quality::Good),
        Err(cause) => (None, Quality::Unavailable(cause)),
    };
    Reading {
        component: ComponentId::lenient(ComponentClass::Chassis, "Chassis"),
        kind,
        sensor: sensor.to_owned(),
        value,
        quality,
        observed_at: at,
        source: Source(source.to_owned()),
        thresholds: None,
    }
}

/// Get Chassis Status (§28.2).
pub(super) fn ask_status() -> Request {
    Request::new(NetFn::Chassis, 0x01, [])
}

impl Chassis {
    /// Whether it is worth being asked for its status.
    pub(super) fn has_status(&self) -> bool {
        !self.lacks_status
    }

    /// Whether it is on, and what is wrong with it, by its answer to [`ask_status`].
    pub(super) fn status(&mut self, answer: Reply) -> Vec<Reading> {
        self.lacks_status = matches!(&answer.result, Ok(r) if matches!(r.completion, 0xC1 | 0xC2));
        status(answer.result.map_err(|e| e.cause()), self.lacks_status, answer.at)
    }

    /// What it draws.
    pub(super) async fn power(&mut self, ask: &mut (impl Ask + Send), clock: &(impl Clock + Sync)) -> Option<Reading> {
        if self.power == Dcmi::Fails {
            return None;
        }
        let request = Request::new(NetFn::from(GROUP_EXTENSION), 0x02, [DCMI, 0x01, 0, 0]);
        let watts = match ask.ask(request).await {
            Ok(Response { completion: 0, data }) => drawn(&data),
            Ok(Response { completion, .. }) => Err(sensor::refused(completion)),
            Err(error) => Err(error.cause()),
        };
        if self.power == Dcmi::Untried {
            // Many a BMC has no DCMI, or one that fails (Huawei 2288H V5): that is no fault of it.
            self.power = if watts.is_ok() { Dcmi::Works } else { Dcmi::Fails };
            if watts.is_err() {
                return None;
            }
        }
        Some(reading(SensorKind::Power, "DCMI power", watts.map(Value::Number), "dcmi:power", clock.now()))
    }
}

/// Get Power Reading: watts now, where it is being measured.
fn drawn(data: &[u8]) -> Result<f64, Cause> {
    let &[DCMI, low, high, ..] = data else { return Err(Cause::Malformed) };
    match data.get(17) {
        Some(state) if state & 0x40 != 0 => Ok(f64::from(u16::from_le_bytes([low, high]))),
        Some(_) => Err(Cause::Disabled),
        None => Err(Cause::Malformed),
    }
}

/// What stands in which byte and bit of the status, and what it means.
const FAULTS: [(usize, u8, &str, State); 8] = [
    (0, 1, "Power overload", State::Critical),
    (0, 2, "Power interlock", State::Warning),
    (0, 3, "Main power fault", State::Critical),
    (0, 4, "Power control fault", State::Critical),
    (2, 0, "Chassis intrusion", State::Warning),
    (2, 1, "Front-panel lockout", State::Ok),
    (2, 2, "Drive fault", State::Critical),
    (2, 3, "Cooling/fan fault", State::Critical),
];

fn status(answer: Result<Response, Cause>, is_lacking: bool, at: Timestamp) -> Vec<Reading> {
    if is_lacking {
        return Vec::new();
    }
    let bytes = match answer {
        Ok(Response { completion: 0, data }) => data.first_chunk::<3>().copied().ok_or(Cause::Malformed),
        Ok(Response { completion, .. }) => Err(sensor::refused(completion)),
        Err(cause) => Err(cause),
    };
    let power = bytes.map(|b| if b[0] & 1 == 1 { "On" } else { "Off" });
    let faults = bytes.map(|bytes| {
        let set = FAULTS.iter().filter(|(at, bit, ..)| bytes.get(*at).is_some_and(|b| b >> bit & 1 == 1));
        let set: Vec<_> = set.collect();
        let state = set.iter().map(|(.., state)| *state).max().unwrap_or(State::Ok);
        let words: Vec<_> = set.iter().map(|(_, _, word, _)| *word).collect();
        Value::State { state, text: if words.is_empty() { "no fault".to_owned() } else { words.join(", ") } }
    });
    // That it is switched off is no verdict on its health.
    let power = power.map(|text| Value::State { state: State::Ok, text: text.to_owned() });
    let of = |sensor, value| reading(SensorKind::State, sensor, value, "chassis:status", at);
    vec![of("power_state", power), of("chassis_status", faults)]
}

/// Why the system last started, as the chassis has it; `None` where it does not say.
pub(super) async fn restart_cause(ask: &mut (impl Ask + Send), clock: &(impl Clock + Sync)) -> Option<Reading> {
    let Ok(Response { completion: 0, data }) = ask.ask(Request::new(NetFn::Chassis, 0x07, [])).await else {
        return None;
    };
    let (text, state) = match data.first()? & 0x0F {
        1 => ("Chassis control command", State::Ok),
        2 => ("Reset by push button", State::Ok),
        3 => ("Power-up by push button", State::Ok),
        4 => ("Watchdog expired", State::Warning),
        5 => ("OEM", State::Ok),
        6 => ("Power restored: always on", State::Ok),
        7 => ("Power restored: previous state", State::Ok),
        8 => ("Reset by PEF", State::Warning),
        9 => ("Power cycle by PEF", State::Warning),
        0xA => ("Soft reset", State::Ok),
        0xB => ("Power-up by real-time clock", State::Ok),
        // 0 is "unknown", the rest reserved.
        _ => return None,
    };
    let value = Ok(Value::State { state, text: text.to_owned() });
    Some(reading(SensorKind::State, "restart_cause", value, "chassis:restart-cause", clock.now()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn said(data: &[u8]) -> Vec<(String, Option<Value>)> {
        let answer = Ok(Response { completion: 0, data: data.into() });
        status(answer, false, AT).into_iter().map(|r| (r.sensor, r.value)).collect()
    }

    fn state(sensor: &str, state: State, text: &str) -> (String, Option<Value>) {
        (sensor.to_owned(), Some(Value::State { state, text: text.to_owned() }))
    }

    #[test]
    fn a_chassis_that_is_off_is_well() {
        assert_eq!(
            said(&[0x60, 0, 0]),
            [state("power_state", State::Ok, "Off"), state("chassis_status", State::Ok, "no fault")]
        );
    }

    #[test]
    fn each_fault_is_named_and_the_gravest_counts() {
        assert_eq!(
            said(&[0x01, 0, 0x0D, 0])[1],
            state("chassis_status", State::Critical, "Chassis intrusion, Drive fault, Cooling/fan fault")
        );
        assert_eq!(said(&[0x05, 0, 0])[1], state("chassis_status", State::Warning, "Power interlock"));
    }

    #[test]
    fn a_status_that_is_cut_is_no_status() {
        let answer = Ok(Response { completion: 0, data: [1].as_slice().into() });
        let qualities: Vec<_> = status(answer, false, AT).into_iter().map(|r| r.quality).collect();
        assert_eq!(qualities, [Quality::Unavailable(Cause::Malformed), Quality::Unavailable(Cause::Malformed)]);
    }

    #[test]
    fn dcmi_gives_watts_only_while_it_measures() {
        let mut data = [DCMI, 0xF4, 0x01, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x40];
        assert_eq!(drawn(&data), Ok(500.0));
        data[17] = 0;
        assert_eq!(drawn(&data), Err(Cause::Disabled));
        assert_eq!(drawn(&data[..9]), Err(Cause::Malformed));
        assert_eq!(drawn(&[0, 1, 2]), Err(Cause::Malformed));
    }
}
