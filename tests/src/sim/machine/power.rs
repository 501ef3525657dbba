//! Power supplies that share the load, and the voltages they make.

use super::noise::Noise;
use super::{Spec, Thermal};

/// A voltage that the board watches.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rail {
    /// Its name.
    pub name: &'static str,
    /// What it should be, in V.
    pub nominal: f64,
}

/// The voltages that the board watches.
pub const RAILS: [Rail; 5] = [
    Rail { name: "12V", nominal: 12.0 },
    Rail { name: "5V", nominal: 5.0 },
    Rail { name: "3.3V", nominal: 3.3 },
    Rail { name: "CPU1 VCore", nominal: 1.8 },
    Rail { name: "CPU2 VCore", nominal: 1.8 },
];

/// A power supply.
#[derive(Debug, Clone, PartialEq)]
pub struct Psu {
    /// Its serial number.
    pub serial: String,
    /// Whether its input has power.
    pub input_ok: bool,
    /// Voltage at its input, in V.
    pub input_volts: f64,
    /// Power drawn at its input, in W.
    pub input_watts: f64,
    /// Power given, in W.
    pub output_watts: f64,
}

impl Psu {
    /// What it can give, in W.
    pub const CAPACITY_WATTS: f64 = 900.0;

    pub(super) fn new(spec: &Spec, index: usize) -> Self {
        let serial = format!("PS{}{}", spec.serial, index + 1);
        Self { serial, input_ok: true, input_volts: 230.0, input_watts: 0.0, output_watts: 0.0 }
    }
}

/// The supplies with input share what processors and fans draw.
pub(super) fn share(psus: &mut [Psu], load: f64, thermal: &Thermal, time: f64, noise: Noise) {
    let fans: f64 = thermal.fans.iter().map(|f| 18.0 * (f.duty / 100.0).powi(3)).sum();
    let demand = 140.0 + 420.0 * load + fans;
    let fed = psus.iter().filter(|p| p.input_ok).count().max(1) as f64;
    for (i, psu) in psus.iter_mut().enumerate() {
        let channel = 50 + i as u64;
        if psu.input_ok {
            psu.input_volts = 230.0 + 1.2 * noise.at(channel, time);
            psu.output_watts = demand / fed * (1.0 + 0.01 * (noise.fixed(channel) - 0.5));
            psu.input_watts = psu.output_watts / 0.93;
        } else {
            (psu.input_volts, psu.output_watts, psu.input_watts) = (0.0, 0.0, 0.0);
        }
    }
}
