//! The site that is fed: servers with 80 sensors each, as a Redfish BMC tells them. Quantised, mostly slow, a few wearing.

use outband_schemas::{
    ComponentClass, ComponentId, IdError, Identity, Inventory, Observation, ObservationSet, Part, Quality, Reading,
    Section, SensorKind, Source, State, TargetId, Thresholds, Timestamp, Value,
};
use std::error::Error;

/// Servers in a rack.
pub(crate) const RACK: usize = 40;
/// Servers of one agent.
pub(crate) const OF_AGENT: usize = 250;
/// Sensors of a server that are read every minute.
pub(crate) const SENSORS: usize = 80;

/// How a sensor's values go.
#[derive(Clone, Copy)]
enum Course {
    /// Around `level`, up by `swing` with the load of the day, in steps of `step`.
    Gauge { level: f64, swing: f64, step: f64 },
    /// Counts, seldom.
    Counter { start: f64, every: i64 },
    /// Well.
    State,
}

struct Sensor {
    component: ComponentId,
    kind: SensorKind,
    name: String,
    source: String,
    course: Course,
    thresholds: Option<Thresholds>,
}

/// What all servers have in common: the names.
pub(crate) struct Site {
    sensors: Vec<Sensor>,
    drives: Vec<Sensor>,
    seed: u64,
}

/// SplitMix64 of a few numbers: the same everywhere.
fn hash(parts: [u64; 4]) -> u64 {
    parts.into_iter().fold(0, |state: u64, part| {
        let mut z = (state ^ part).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    })
}

/// A number within 0..1 of a hash.
fn share(hash: u64) -> f64 {
    (hash >> 11) as f64 / (1_u64 << 53) as f64
}

/// What a server is called by its agent.
pub(crate) fn target(server: usize) -> String {
    format!("bmc-{server:05}")
}

/// The racks, feeds and zones of so many servers, as the collector takes them.
pub(crate) fn topology(servers: usize) -> String {
    let rows = (0..servers).map(|s| {
        let rack = s / RACK;
        format!("{},r{rack},{},f{}a;f{}b,z{}\n", target(s), s % RACK + 1, rack / 5, rack / 5, rack / 10)
    });
    std::iter::once("server,rack,unit,power_feed,cooling_zone\n".to_owned()).chain(rows).collect()
}

fn sensor(class: ComponentClass, slot: &str, kind: SensorKind, uri: &str, course: Course) -> Result<Sensor, IdError> {
    let upper = |a, b| Thresholds { upper_non_critical: Some(a), upper_critical: Some(b), ..Thresholds::default() };
    let thresholds = match kind {
        SensorKind::Temperature if class != ComponentClass::Disk => Some(upper(90.0, 100.0)),
        SensorKind::FanSpeed => Some(Thresholds { lower_critical: Some(600.0), ..Thresholds::default() }),
        _ => None,
    };
    let name = if kind == SensorKind::State { String::new() } else { slot.to_owned() };
    let source = format!("/redfish/v1/{uri}");
    Ok(Sensor { component: ComponentId::new(class, slot)?, kind, name, source, course, thresholds })
}

fn gauge(level: f64, swing: f64, step: f64) -> Course {
    Course::Gauge { level, swing, step }
}

const STILL: Course = Course::Counter { start: 0.0, every: i64::MAX };

/// What is read every minute.
fn minutely() -> Result<Vec<Sensor>, IdError> {
    use ComponentClass as C;
    use SensorKind as K;
    let mut all = Vec::with_capacity(SENSORS);
    let mut add = |class, slot: &str, uri: &str, kinds: &[(SensorKind, Course)]| {
        for (kind, course) in kinds {
            all.push(sensor(class, slot, *kind, uri, *course)?);
        }
        Ok::<_, IdError>(())
    };
    for n in 1..=8 {
        let uri = format!("Chassis/1/ThermalSubsystem/Fans/{n}");
        let kinds = [
            (K::FanSpeed, gauge(7200.0, 1800.0, 120.0)),
            (K::FanDuty, gauge(42.0, 10.0, 1.0)),
            (K::State, Course::State),
        ];
        add(C::Fan, &format!("Fan {n}A"), &uri, &kinds)?;
    }
    for n in 1..=2 {
        let uri = format!("Chassis/1/PowerSubsystem/PowerSupplies/{n}");
        let kinds = [
            (K::InputPower, gauge(190.0, 60.0, 4.0)),
            (K::OutputPower, gauge(175.0, 56.0, 4.0)),
            (K::InputVoltage, gauge(230.0, 1.0, 1.0)),
            (K::Temperature, gauge(34.0, 4.0, 1.0)),
            (K::State, Course::State),
        ];
        add(C::PowerSupply, &format!("PSU {n}"), &uri, &kinds)?;
        let kinds =
            [(K::Temperature, gauge(52.0, 14.0, 1.0)), (K::Power, gauge(95.0, 60.0, 1.0)), (K::State, Course::State)];
        add(C::Cpu, &format!("CPU {n}"), &format!("Systems/1/Processors/CPU{n}"), &kinds)?;
    }
    for n in 1..=16 {
        let kinds = [(K::CorrectableErrors, STILL), (K::State, Course::State)];
        add(C::Memory, &format!("DIMM A{n}"), &format!("Systems/1/Memory/DIMM{n}"), &kinds)?;
    }
    for (slot, level) in [("System Inlet", 23.0), ("System Exhaust", 36.0), ("Planar", 40.0)] {
        add(C::Board, slot, &format!("Chassis/1/Sensors/{slot}"), &[(K::Temperature, gauge(level, 3.0, 1.0))])?;
    }
    for (slot, level) in [("12V", 12.06), ("5V", 5.03), ("3V3", 3.31), ("VBAT", 3.05)] {
        add(C::Board, slot, &format!("Chassis/1/Sensors/{slot}"), &[(K::Voltage, gauge(level, 0.02, 0.03))])?;
    }
    add(C::Server, "system", "Chassis/1/EnvironmentMetrics", &[(K::Power, gauge(380.0, 120.0, 4.0))])?;
    Ok(all)
}

/// What is read of drives once an hour.
fn hourly() -> Result<Vec<Sensor>, IdError> {
    use SensorKind as K;
    let kinds = [
        (K::State, Course::State),
        (K::Temperature, gauge(33.0, 3.0, 1.0)),
        (K::PowerOnHours, Course::Counter { start: 21_000.0, every: 60 }),
        (K::PowerCycles, Course::Counter { start: 31.0, every: i64::MAX }),
        (K::ReallocatedSectors, STILL),
        (K::PendingSectors, STILL),
        (K::OfflineUncorrectable, STILL),
        (K::ReportedUncorrectable, STILL),
    ];
    let mut all = Vec::new();
    for n in 0..4 {
        let (slot, uri) = (format!("Bay {n}"), format!("Systems/1/Storage/1/Drives/{n}"));
        for (kind, course) in kinds {
            all.push(sensor(ComponentClass::Disk, &slot, kind, &uri, course)?);
        }
    }
    Ok(all)
}

impl Site {
    /// The site that follows from a seed.
    pub(crate) fn new(seed: u64) -> Result<Self, Box<dyn Error>> {
        let (sensors, drives) = (minutely()?, hourly()?);
        if sensors.len() != SENSORS {
            return Err(format!("{} sensors", sensors.len()).into());
        }
        Ok(Self { sensors, drives, seed })
    }

    /// One poll of the sensors of a server.
    pub(crate) fn sensors(&self, server: usize, at: Timestamp) -> Result<ObservationSet, Box<dyn Error>> {
        self.poll(server, Section::Sensors, &self.sensors, at)
    }

    /// One poll of its drives.
    pub(crate) fn drives(&self, server: usize, at: Timestamp) -> Result<ObservationSet, Box<dyn Error>> {
        self.poll(server, Section::Drives, &self.drives, at)
    }

    fn poll(
        &self,
        server: usize,
        section: Section,
        sensors: &[Sensor],
        at: Timestamp,
    ) -> Result<ObservationSet, Box<dyn Error>> {
        let readings = sensors.iter().enumerate().map(|(n, sensor)| {
            let observed_at = Timestamp::from_millis(at.as_millis() + n as i64 / 8);
            Observation::Reading(Reading {
                component: sensor.component.clone(),
                kind: sensor.kind,
                sensor: sensor.name.clone(),
                value: Some(self.value(server, n, sensor, at)),
                quality: Quality::Good,
                observed_at,
                source: Source(sensor.source.clone()),
                thresholds: sensor.thresholds,
            })
        });
        Ok(ObservationSet {
            target: TargetId::new(target(server))?,
            section,
            polled_at: at,
            observations: readings.collect(),
        })
    }

    fn value(&self, server: usize, n: usize, sensor: &Sensor, at: Timestamp) -> Value {
        let minute = at.as_millis().div_euclid(60_000);
        let own = |about: u64| share(hash([self.seed, server as u64, about, 0]));
        let dice = |about: u64| share(hash([self.seed ^ about, server as u64, n as u64, minute.unsigned_abs()]));
        match sensor.course {
            Course::Gauge { level, swing, step } => {
                // The load of a server: its own phase of the day, and a wander that holds for a quarter of an hour.
                let day = (minute as f64 / 1440.0 + own(1)) * std::f64::consts::TAU;
                let wander = share(hash([self.seed, server as u64, 2, minute.unsigned_abs() / 15]));
                let load = 0.5 + 0.3 * day.sin() + 0.2 * wander;
                // One fan in five hundred loses a percent of its speed an hour.
                let hours = minute as f64 / 60.0 % 48.0;
                let worn =
                    sensor.kind == SensorKind::FanSpeed && share(hash([self.seed, server as u64, 3, n as u64])) < 0.002;
                let value = level * (0.97 + 0.06 * own(n as u64 + 10)) + swing * load;
                let value = if worn { value * (1.0 - 0.01 * hours) } else { value };
                Value::Number(((value + step * 0.4 * (dice(4) - 0.5)) / step).round() * step)
            }
            Course::Counter { start, every } => {
                let started = (start * (0.5 + own(n as u64 + 10))).round();
                // One counter in a thousand rises now and then.
                let ill = share(hash([self.seed, server as u64, 5, n as u64])) < 0.001;
                let every = if ill && every == i64::MAX { 37 } else { every };
                Value::Number(started + (minute.rem_euclid(100_000) / every) as f64)
            }
            Course::State => {
                let ill = share(hash([self.seed, server as u64, 6, n as u64])) < 0.000_05;
                let (state, text) =
                    if ill { (State::Critical, "Enabled, Critical") } else { (State::Ok, "Enabled, OK") };
                Value::State { state, text: text.to_owned() }
            }
        }
    }

    /// What is in a server.
    pub(crate) fn inventory(&self, server: usize, at: Timestamp) -> Result<ObservationSet, Box<dyn Error>> {
        let mut seen = std::collections::BTreeSet::new();
        let places = self.sensors.iter().chain(&self.drives).filter(|s| {
            matches!(
                s.component.class(),
                ComponentClass::Disk | ComponentClass::Memory | ComponentClass::PowerSupply | ComponentClass::Cpu
            ) && seen.insert(s.component.clone())
        });
        let parts = places.map(|s| Part {
            component: s.component.clone(),
            manufacturer: Some("SEAGATE".to_owned()),
            model: Some(if s.component.class() == ComponentClass::Disk { "ST4000DM000" } else { "M-1" }.to_owned()),
            part_number: None,
            serial: Some(format!("SN{server:05}{}", s.component.slot().replace(' ', ""))),
            firmware: Some("1.2".to_owned()),
            capacity_bytes: None,
            source: Source(s.source.clone()),
        });
        let identity = Identity {
            serial: Some(format!("CH{server:06}")),
            model: Some("PowerEdge R750".to_owned()),
            manufacturer: Some("Dell Inc.".to_owned()),
            ..Identity::default()
        };
        let inventory = Inventory {
            identity,
            parts: parts.collect(),
            bmc_clock_offset_ms: Some(0),
            observed_at: at,
            source: Source("/redfish/v1/Systems/1".to_owned()),
        };
        Ok(ObservationSet {
            target: TargetId::new(target(server))?,
            section: Section::Inventory,
            polled_at: at,
            observations: vec![Observation::Inventory(inventory)],
        })
    }
}
