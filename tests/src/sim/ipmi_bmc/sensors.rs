//! The sensors that an IPMI BMC of a [`Machine`] has, and how their values become the bytes of a reading.

use crate::sim::machine::{Limits, Machine, RAILS, Spec, Thermal};

/// Where a sensor's value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    Inlet,
    Exhaust,
    Cpu(usize),
    Memory,
    Chipset,
    FanSpeed(usize),
    FanDuty(usize),
    PsuInputVolts(usize),
    PsuInputWatts(usize),
    SystemWatts,
    Rail(usize),
    PsuStatus(usize),
    PowerRedundancy,
    DriveSlot(usize),
    DimmEcc(usize),
}

/// How a number becomes a byte: value = (m · raw + b·10^b_exp) · 10^r_exp (IPMI 2.0 §36.3).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    pub(super) m: i16,
    pub(super) b: i16,
    pub(super) b_exp: i8,
    pub(super) r_exp: i8,
}

impl Scale {
    const ONE: Scale = Scale { m: 1, b: 0, b_exp: 0, r_exp: 0 };

    pub(super) fn raw(self, value: f64) -> u8 {
        let b = f64::from(self.b) * 10f64.powi(i32::from(self.b_exp));
        ((value / 10f64.powi(i32::from(self.r_exp)) - b) / f64::from(self.m)).round().clamp(0.0, 255.0) as u8
    }
}

/// What kind of sensor it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Form {
    /// A number with limits.
    Analog { unit: u8, per_cent: bool, scale: Scale, upper: Option<Limits>, lower: Option<Limits> },
    /// States, one bit each (event/reading type code, bits that may be set).
    Discrete { reading_type: u8, mask: u16 },
}

/// One sensor. `kind` is the sensor type of table 42-3, `entity` the entity id of table 43-13.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sensor {
    pub(super) number: u8,
    pub(super) name: String,
    pub(super) kind: u8,
    pub(super) entity: (u8, u8),
    pub(super) form: Form,
    pub(super) from: From,
    /// What it belongs to is not there.
    pub(super) is_absent: bool,
}

/// Sensor types.
pub(super) const TEMPERATURE: u8 = 0x01;
pub(super) const FAN: u8 = 0x04;
pub(super) const POWER_SUPPLY: u8 = 0x08;
pub(super) const POWER_UNIT: u8 = 0x09;
pub(super) const MEMORY: u8 = 0x0c;
pub(super) const DRIVE_SLOT: u8 = 0x0d;
const VOLTAGE: u8 = 0x02;
const OTHER_UNITS: u8 = 0x0b;
/// Reading types.
pub(super) const THRESHOLD: u8 = 0x01;
pub(super) const REDUNDANCY: u8 = 0x0b;
pub(super) const SPECIFIC: u8 = 0x6f;

/// First sensor numbers of those that come in several.
pub(super) const FIRST_FAN: u8 = 0x30;
pub(super) const FIRST_PSU: u8 = 0x60;
pub(super) const FIRST_DRIVE: u8 = 0x80;
pub(super) const FIRST_DIMM: u8 = 0xa0;
pub(super) const INLET: u8 = 0x01;
pub(super) const POWER_REDUNDANCY: u8 = 0x68;

/// The sensors of a server.
pub(super) fn table(spec: &Spec) -> Vec<Sensor> {
    let mut all = Vec::new();
    let celsius = |upper| Form::Analog { unit: 1, per_cent: false, scale: Scale::ONE, upper: Some(upper), lower: None };
    let mut add = |number: u8, name: &str, kind, entity, form, from| {
        all.push(Sensor { number, name: name.to_owned(), kind, entity, form, from, is_absent: false });
    };
    add(INLET, "Inlet Temp", TEMPERATURE, (0x37, 1), celsius(Thermal::INLET), From::Inlet);
    add(2, "Exhaust Temp", TEMPERATURE, (0x38, 1), celsius(Thermal::EXHAUST), From::Exhaust);
    for i in 0..2u8 {
        let from = From::Cpu(i.into());
        add(3 + i, &format!("CPU{} Temp", i + 1), TEMPERATURE, (3, i + 1), celsius(Thermal::CPU), from);
    }
    add(5, "DIMM Temp", TEMPERATURE, (0x20, 1), celsius(Thermal::BOARD), From::Memory);
    add(6, "PCH Temp", TEMPERATURE, (7, 1), celsius(Thermal::BOARD), From::Chipset);
    for (i, rail) in (0u8..).zip(RAILS) {
        // Steps of a hundredth or of a twentieth of a volt, so that 255 of them reach far enough.
        let m = if rail.nominal > 10.0 {
            6
        } else if rail.nominal > 2.5 {
            3
        } else {
            1
        };
        let off = |share: f64| rail.nominal * share;
        let upper = Limits { caution: off(1.08), critical: off(1.1), fatal: off(1.15) };
        let lower = Limits { caution: off(0.92), critical: off(0.9), fatal: off(0.85) };
        let scale = Scale { m, b: 0, b_exp: 0, r_exp: -2 };
        let form = Form::Analog { unit: 4, per_cent: false, scale, upper: Some(upper), lower: Some(lower) };
        add(0x10 + i, rail.name, VOLTAGE, (7, 1), form, From::Rail(i.into()));
    }
    for i in 0..spec.fans as u8 {
        let rpm = Scale { m: 60, ..Scale::ONE };
        let form = Form::Analog { unit: 18, per_cent: false, scale: rpm, upper: None, lower: Some(Thermal::FAN) };
        add(FIRST_FAN + i, &format!("FAN{}", i + 1), FAN, (0x1d, i + 1), form, From::FanSpeed(i.into()));
        let form = Form::Analog { unit: 0, per_cent: true, scale: Scale::ONE, upper: None, lower: None };
        add(FIRST_FAN + 0x18 + i, &format!("FAN{} Duty", i + 1), FAN, (0x1d, i + 1), form, From::FanDuty(i.into()));
    }
    for i in 0..spec.psus as u8 {
        let status = Form::Discrete { reading_type: SPECIFIC, mask: 0x0f };
        add(
            FIRST_PSU + i,
            &format!("PSU{} Status", i + 1),
            POWER_SUPPLY,
            (10, i + 1),
            status,
            From::PsuStatus(i.into()),
        );
        let analog = |unit, m| Form::Analog {
            unit,
            per_cent: false,
            scale: Scale { m, ..Scale::ONE },
            upper: None,
            lower: None,
        };
        add(0x70 + i, &format!("PSU{} Vin", i + 1), VOLTAGE, (10, i + 1), analog(4, 2), From::PsuInputVolts(i.into()));
        add(
            0x78 + i,
            &format!("PSU{} Pin", i + 1),
            POWER_SUPPLY,
            (10, i + 1),
            analog(6, 5),
            From::PsuInputWatts(i.into()),
        );
    }
    let redundancy = Form::Discrete { reading_type: REDUNDANCY, mask: 0x03 };
    add(POWER_REDUNDANCY, "PS Redundancy", POWER_UNIT, (0x13, 1), redundancy, From::PowerRedundancy);
    let watts =
        Form::Analog { unit: 6, per_cent: false, scale: Scale { m: 8, ..Scale::ONE }, upper: None, lower: None };
    add(0x69, "Total Power", OTHER_UNITS, (7, 1), watts, From::SystemWatts);
    for i in 0..spec.drives as u8 {
        let slot = Form::Discrete { reading_type: SPECIFIC, mask: 0x07 };
        add(FIRST_DRIVE + i, &format!("Drive {i}"), DRIVE_SLOT, (4, i + 1), slot, From::DriveSlot(i.into()));
    }
    for i in 0..spec.dimms as u8 {
        let ecc = Form::Discrete { reading_type: SPECIFIC, mask: 0x63 };
        let half = (spec.dimms as u8 / 2).max(1);
        let name = format!("DIMM_{}{}", if i < half { 'A' } else { 'B' }, i % half + 1);
        add(FIRST_DIMM + i, &name, MEMORY, (0x20, i + 2), ecc, From::DimmEcc(i.into()));
    }
    all
}

/// What a sensor shows now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Shown {
    Number(f64),
    Bits(u16),
    Nothing,
}

impl Sensor {
    pub(super) fn read(&self, machine: &Machine) -> Shown {
        if self.is_absent {
            return Shown::Nothing;
        }
        let thermal = &machine.thermal;
        let number = |value: Option<f64>| value.map_or(Shown::Nothing, Shown::Number);
        match self.from {
            From::Inlet => Shown::Number(thermal.inlet),
            From::Exhaust => Shown::Number(thermal.exhaust),
            From::Cpu(i) => number(thermal.cpus.get(i).copied()),
            From::Memory => Shown::Number(thermal.memory),
            From::Chipset => Shown::Number(thermal.chipset),
            From::FanSpeed(i) => number(thermal.fans.get(i).map(|f| f.rpm)),
            From::FanDuty(i) => number(thermal.fans.get(i).map(|f| f.duty)),
            From::PsuInputVolts(i) => number(machine.psus.get(i).map(|p| p.input_volts)),
            From::PsuInputWatts(i) => number(machine.psus.get(i).map(|p| p.input_watts)),
            From::SystemWatts => Shown::Number(machine.input_watts()),
            From::Rail(i) => number(machine.volts.get(i).copied()),
            // Presence detected; input lost.
            From::PsuStatus(i) => {
                machine.psus.get(i).map_or(Shown::Nothing, |p| Shown::Bits(if p.input_ok { 1 } else { 1 | 1 << 3 }))
            }
            // Fully redundant; redundancy lost.
            From::PowerRedundancy => Shown::Bits(if machine.power_redundant() { 1 } else { 2 }),
            // Presence; predictive failure.
            From::DriveSlot(i) => machine
                .drives
                .get(i)
                .map_or(Shown::Nothing, |d| Shown::Bits(if d.failure_predicted { 1 | 1 << 2 } else { 1 })),
            // Presence detected (bit 6); correctable error logging limit reached (bit 5).
            From::DimmEcc(i) => machine
                .dimms
                .get(i)
                .map_or(Shown::Nothing, |d| Shown::Bits(if d.corrected >= 200 { 0x60 } else { 0x40 })),
        }
    }

    /// The limits as raw bytes in the order of Get Sensor Thresholds (LNC, LC, LNR, UNC, UC, UNR) and the mask of those that exist.
    pub(super) fn raw_limits(&self) -> (u8, [u8; 6]) {
        let Form::Analog { scale, upper, lower, .. } = self.form else { return (0, [0; 6]) };
        let mut raw = [0; 6];
        let mut mask = 0;
        for (limits, first) in [(lower, 0), (upper, 3)] {
            if let Some(limits) = limits {
                mask |= 0b111 << first;
                for (i, value) in [limits.caution, limits.critical, limits.fatal].into_iter().enumerate() {
                    raw[first + i] = scale.raw(value);
                }
            }
        }
        (mask, raw)
    }

    /// The answer to Get Sensor Reading (§35.14) after the completion code.
    pub(super) fn reading(&self, machine: &Machine) -> [u8; 4] {
        match (self.read(machine), self.form) {
            (Shown::Number(value), Form::Analog { scale, .. }) => {
                let raw = scale.raw(value);
                let (mask, limits) = self.raw_limits();
                let crossed = (0..6)
                    .filter(|i| mask >> i & 1 == 1)
                    .filter(|i| if *i < 3 { raw <= limits[*i] } else { raw >= limits[*i] });
                [raw, 0xc0, 0xc0 | crossed.fold(0, |bits, i| bits | 1 << i), 0]
            }
            (Shown::Bits(bits), Form::Discrete { .. }) => {
                let [low, high] = bits.to_le_bytes();
                [0, 0xc0, low, high | 0x80]
            }
            _ => [0, 0xe0, 0, 0],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_raw_value_is_never_further_off_than_half_a_step(m in 1i16..100, b in -50i16..50, r_exp in -2i8..=1, raw in 0u8..=255) {
            let scale = Scale { m, b, b_exp: 0, r_exp };
            let step = 10f64.powi(i32::from(r_exp));
            let value = (f64::from(m) * f64::from(raw) + f64::from(b)) * step;
            prop_assert_eq!(scale.raw(value), raw);
            prop_assert_eq!(scale.raw(value + 0.4 * f64::from(m) * step), raw);
        }
    }

    #[test]
    fn every_sensor_has_a_number_and_a_name_of_its_own_on_the_largest_server() {
        let spec = Spec { fans: 12, psus: 4, drives: 24, dimms: 32, ..Spec::new("a", "NG1", 1) };
        let all = table(&spec);
        let numbers: std::collections::BTreeSet<_> = all.iter().map(|s| s.number).collect();
        let names: std::collections::BTreeSet<_> = all.iter().map(|s| s.name.clone()).collect();
        assert_eq!((numbers.len(), names.len()), (all.len(), all.len()));
    }

    #[test]
    fn a_reading_beyond_a_limit_says_which() {
        let mut machine = Machine::new(Spec::new("a", "NG1", 1), Vec::new());
        machine.thermal.inlet = 41.0;
        let inlet = table(&machine.spec).into_iter().find(|s| s.number == INLET).unwrap();
        // Upper non-critical and upper critical; the two highest bits read as one.
        assert_eq!(inlet.reading(&machine), [41, 0xc0, 0xc0 | 0b01_1000, 0]);
    }
}
