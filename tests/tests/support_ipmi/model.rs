//! A BMC with several hundred sensors, written as commands of OpenIPMI's emulator (which the shared Python BMC reads too): every linearisation and way of counting,
//! every set of thresholds, every generic and sensor-specific type of states. Raw values come from a formula, so that every run sees the same.

use std::fmt::Write as _;

const BMC: u8 = 0x20;
/// The order in which the emulator takes thresholds.
const ORDER: [usize; 6] = [5, 4, 3, 2, 1, 0];

/// A sensor as a record body, without header, number and unit, and its state.
#[derive(Clone)]
pub(crate) struct Modelled {
    kind: u8,
    lun: u8,
    number: u8,
    entity: (u8, u8),
    sensor_type: u8,
    event_type: u8,
    /// Of a full record, from the units to the exponents.
    analog: [u8; 10],
    tolerance: u8,
    hysteresis: (u8, u8),
    /// lnc, lc, lnr, unc, uc, unr.
    thresholds: [Option<u8>; 6],
    raw: u8,
    states: u16,
    scanning: bool,
    name: String,
}

/// A little spread over all bytes, the same with every run.
fn spread(n: usize) -> u8 {
    ((n * 73 + 41) % 256) as u8
}

impl Modelled {
    fn analog(name: String, number: usize) -> Self {
        Self {
            kind: 1,
            lun: 0,
            number: 0,
            entity: (7, 1 + (number % 60) as u8),
            sensor_type: 1,
            event_type: 1,
            analog: [0, 1, 0, 0, 1, 0, 0, 0, 0, 0],
            tolerance: 0,
            hysteresis: (0, 0),
            thresholds: [None; 6],
            raw: spread(number),
            states: 0,
            scanning: true,
            name,
        }
    }

    fn factors(mut self, m: i16, b: i16, b_exponent: i8, result_exponent: i8) -> Self {
        let ten = |v: i16| ((v & 0xFF) as u8, ((v >> 2) & 0xC0) as u8);
        let ((m_low, m_high), (b_low, b_high)) = (ten(m), ten(b));
        let exponents = (result_exponent as u8) << 4 | b_exponent as u8 & 0x0F;
        self.analog[4..].copy_from_slice(&[m_low, m_high, b_low, b_high, 0, exponents]);
        self
    }

    fn discrete(name: String, number: usize, sensor_type: u8, event_type: u8, states: u16) -> Self {
        Self { kind: 2, sensor_type, event_type, states, ..Self::analog(name, number) }
    }

    /// Whether it has numbers, evenly spaced, and its record says that hysteresis can be read and holds none.
    pub(crate) fn lacks_hysteresis(&self) -> bool {
        self.kind == 1 && self.event_type == 1 && self.hysteresis == (0, 0) && self.analog[3] == 0
    }

    fn record(&self) -> Vec<u8> {
        let mask = self.thresholds.iter().enumerate().fold(0, |m, (bit, t)| m | u8::from(t.is_some()) << bit);
        let mut body = vec![BMC, self.lun, self.number, self.entity.0, self.entity.1, 0x7F];
        let access = if mask == 0 { 0 } else { 2 };
        body.extend([0x40 | 2 << 4 | access << 2, self.sensor_type, self.event_type]);
        match self.kind {
            1 => {
                body.extend([0, (mask & 7) << 4, 0, (mask >> 3) << 4, mask, mask]);
                let mut analog = self.analog;
                analog[5] |= self.tolerance & 0x3F;
                body.extend(analog);
                body.extend([0, 0, 0, 0, 0xFF, 0]);
                body.extend(ORDER.map(|at| self.thresholds[at].unwrap_or(0)));
                body.extend([self.hysteresis.0, self.hysteresis.1, 0, 0, 0]);
            }
            _ => {
                body.extend([0xFF, 0x7F, 0xFF, 0x7F, 0xFF, 0x7F, 0xC0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
            }
        }
        body.push(0xC0 | self.name.len() as u8);
        body.extend(self.name.bytes());
        [&[0, 0, 0x51, self.kind, body.len() as u8][..], &body].concat()
    }

    fn commands(&self, out: &mut String) {
        let Self { lun, number, .. } = self;
        writeln!(out, "sensor_add 0x20 {lun} {number} {:#04x} {:#04x}", self.sensor_type, self.event_type).unwrap();
        if self.kind == 1 {
            writeln!(out, "sensor_set_value 0x20 {lun} {number} {:#04x} 0", self.raw).unwrap();
        }
        for bit in (0..15).filter(|bit| self.states >> bit & 1 == 1) {
            writeln!(out, "sensor_set_bit 0x20 {lun} {number} {bit} 1 0").unwrap();
        }
        if self.thresholds.iter().any(Option::is_some) {
            let mask: String = ORDER.map(|at| if self.thresholds[at].is_some() { '1' } else { '0' }).iter().collect();
            let values = ORDER.map(|at| format!("{:#04x}", self.thresholds[at].unwrap_or(0))).join(" ");
            writeln!(out, "sensor_set_threshold 0x20 {lun} {number} settable {mask} {values}").unwrap();
        }
        let scanning = if self.scanning { "scanning" } else { "no-scanning" };
        let none = "000000000000000";
        writeln!(
            out,
            "sensor_set_event_support 0x20 {lun} {number} enable {scanning} per-state {none} {none} {none} {none}"
        )
        .unwrap();
    }
}

/// All sensors, in the order in which they are given numbers.
pub(crate) fn sensors() -> Vec<Modelled> {
    let mut all = Vec::new();
    // Every linearisation, way of counting, and a few factors: negative, large, with exponents to either side.
    let factors = [(1, 0, 0, 0), (-3, 7, 1, -1), (511, -512, 2, -4), (-512, 511, -3, 1), (25, 100, 0, -2)];
    for linearization in 0..=0x0B {
        for format in 0..3u8 {
            for (at, (m, b, b_exponent, result_exponent)) in factors.into_iter().enumerate() {
                let n = all.len();
                let mut sensor = Modelled::analog(format!("L{linearization:X} F{format} V{at}"), n).factors(
                    m,
                    b,
                    b_exponent,
                    result_exponent,
                );
                sensor.analog[0] = format << 6;
                sensor.analog[3] = linearization;
                sensor.tolerance = (n % 64) as u8;
                sensor.hysteresis = ((n % 7) as u8, (n % 5) as u8);
                all.push(sensor);
            }
        }
    }
    // Every set of thresholds.
    for mask in 0..64usize {
        let n = all.len();
        let mut sensor = Modelled::analog(format!("Limits {mask:02X}"), n).factors(2, -5, 0, -1);
        sensor.thresholds = std::array::from_fn(|bit| (mask >> bit & 1 == 1).then(|| spread(mask * 6 + bit)));
        // A value within all of them, so that ipmitool's word for it is the same.
        all.push(sensor);
    }
    // Units that have a place in the catalogue; a percentage; no scanning.
    for (unit, percent) in [(1, 0), (4, 0), (5, 0), (6, 0), (17, 0), (18, 0), (0, 1)] {
        for scanning in [true, false] {
            let n = all.len();
            let mut sensor = Modelled::analog(format!("Unit {unit} {percent}{}", u8::from(scanning)), n);
            (sensor.analog[0], sensor.analog[1], sensor.scanning) = (percent, unit, scanning);
            sensor.raw = if scanning { 7 + unit } else { 0 };
            all.push(sensor);
        }
    }
    // Every state of every generic type, one at a time and two at once.
    for (event_type, count) in
        [(2u8, 3), (3, 2), (4, 2), (5, 2), (6, 2), (7, 9), (8, 2), (9, 2), (0x0A, 9), (0x0B, 8), (0x0C, 4)]
    {
        for state in 0..count {
            let second = 1 << ((state + 1) % count);
            for states in [1u16 << state, 1 << state | second] {
                let name = format!("G{event_type:X} {state} {states:04X}");
                all.push(Modelled::discrete(name, all.len(), 1, event_type, states));
            }
        }
    }
    // States of sensor-specific types: each table walked by a bit and its neighbour.
    for (sensor_type, count) in [
        (0x05u8, 7),
        (0x06, 6),
        (0x07, 11),
        (0x08, 7),
        (0x09, 8),
        (0x0B, 1),
        (0x0C, 9),
        (0x0D, 9),
        (0x10, 6),
        (0x11, 8),
        (0x12, 6),
        (0x13, 10),
        (0x14, 5),
        (0x19, 2),
        (0x1B, 2),
        (0x1D, 8),
        (0x1E, 5),
        (0x1F, 7),
        (0x20, 6),
        (0x21, 10),
        (0x22, 15),
        (0x23, 4),
        (0x24, 4),
        (0x25, 3),
        (0x27, 2),
        (0x28, 6),
        (0x29, 3),
        (0x2A, 2),
        (0x2B, 8),
        (0x2C, 8),
    ] {
        for state in 0..count {
            let states = 1u16 << state | if state % 3 == 2 { 1 } else { 0 };
            let name = format!("S{sensor_type:02X} {states:04X}");
            all.push(Modelled::discrete(name, all.len(), sensor_type, 0x6F, states));
        }
    }
    all
}

/// The emulator's commands for these sensors, so many on each of the logical units, with a short log and FRU data in a file.
pub(crate) fn emulator(sensors: &[Modelled], luns: &[u8], frus: &[(u8, std::path::PathBuf)]) -> String {
    let mut out = String::from(
        "mc_setbmc 0x20\nmc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02\npersist off\nsel_enable 0x20 1000 0x0a\n",
    );
    // Sensor 0 is the watchdog in the emulator.
    let numbered = sensors.chunks(PER_LUN).zip(luns).flat_map(|(some, lun)| {
        some.iter().zip(1u8..).map(|(sensor, number)| Modelled { lun: *lun, number, ..sensor.clone() })
    });
    for sensor in numbered {
        sensor.commands(&mut out);
        let bytes: Vec<_> = sensor.record().iter().map(|b| format!("{b:#04x}")).collect();
        writeln!(out, "main_sdr_add 0x20 {}", bytes.join(" ")).unwrap();
    }
    for (device, file) in frus {
        writeln!(out, "mc_add_fru_data 0x20 {device} 1024 file 0 \"{}\"", file.display()).unwrap();
    }
    out.push_str("mc_enable 0x20\n");
    out
}

/// So many sensors at most go on one logical unit.
pub(crate) const PER_LUN: usize = 240;

/// These commands, with a controller behind the BMC that has a sensor called `Behind`, which stands at 49.
pub(crate) fn behind(commands: String) -> String {
    let mut record = Modelled { number: 7, ..Modelled::analog("Behind".to_owned(), 0) }.record();
    record[5] = 0x2C;
    let bytes: Vec<_> = record.iter().map(|b| format!("{b:#04x}")).collect();
    let none = "000000000000000";
    format!(
        "{commands}main_sdr_add 0x20 {}\nmc_add 0x2c 0 no-device-sdrs 0x23 9 8 0x1 0x1291 0xf02\nsensor_add 0x2c 0 7 0x01 0x01\n\
         sensor_set_value 0x2c 0 7 0x31 0\n\
         sensor_set_event_support 0x2c 0 7 enable scanning per-state {none} {none} {none} {none}\nmc_enable 0x2c\n",
        bytes.join(" ")
    )
}
