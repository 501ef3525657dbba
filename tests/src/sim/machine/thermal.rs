//! Temperatures that follow load and inlet, and fans that follow temperatures.

use super::noise::Noise;
use super::{Happening, Spec};

/// Upper or lower limits of a sensor, nearest first: non-critical, critical, non-recoverable.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Non-critical.
    pub caution: f64,
    /// Critical.
    pub critical: f64,
    /// Non-recoverable.
    pub fatal: f64,
}

/// A fan.
#[derive(Debug, Clone, PartialEq)]
pub struct Fan {
    /// The duty it is driven with, in per cent.
    pub duty: f64,
    /// Its speed.
    pub rpm: f64,
    /// The share of its proper speed that it still reaches.
    pub vigour: f64,
    low: bool,
}

/// Temperatures and fans.
#[derive(Debug, Clone, PartialEq)]
pub struct Thermal {
    /// Air at the front, in °C.
    pub inlet: f64,
    /// Air at the back.
    pub exhaust: f64,
    /// The processors.
    pub cpus: [f64; 2],
    /// The memory.
    pub memory: f64,
    /// The chip set.
    pub chipset: f64,
    /// The fans.
    pub fans: Vec<Fan>,
    /// What a hot rack adds to the inlet.
    pub extra_inlet: f64,
    settled: bool,
    inlet_high: bool,
}

impl Thermal {
    /// Limits of the inlet.
    pub const INLET: Limits = Limits { caution: 35.0, critical: 40.0, fatal: 45.0 };
    /// Limits of the exhaust.
    pub const EXHAUST: Limits = Limits { caution: 70.0, critical: 75.0, fatal: 80.0 };
    /// Limits of a processor.
    pub const CPU: Limits = Limits { caution: 85.0, critical: 95.0, fatal: 100.0 };
    /// Limits of the memory and of the chip set.
    pub const BOARD: Limits = Limits { caution: 80.0, critical: 85.0, fatal: 95.0 };
    /// Lower limits of a fan, in rpm.
    pub const FAN: Limits = Limits { caution: 2400.0, critical: 1500.0, fatal: 900.0 };
    /// The speed of a sound fan at full duty.
    pub const RATED_RPM: f64 = 14_000.0;

    pub(super) fn new(spec: &Spec) -> Self {
        let fan = Fan { duty: 40.0, rpm: 6_000.0, vigour: 1.0, low: false };
        Self {
            inlet: 23.0,
            exhaust: 36.0,
            cpus: [50.0; 2],
            memory: 42.0,
            chipset: 48.0,
            fans: vec![fan; spec.fans],
            extra_inlet: 0.0,
            settled: false,
            inlet_high: false,
        }
    }

    /// One step of `dt` seconds; what happened that belongs into the log.
    pub(super) fn step(&mut self, load: f64, dt: f64, time: f64, noise: Noise) -> Vec<(Happening, bool)> {
        // The first step begins where a server that has long been running would be.
        let dt = if self.settled { dt } else { 1e6 };
        self.settled = true;
        self.inlet = 22.0 + 2.0 * noise.fixed(10) + self.extra_inlet + 0.12 * noise.at(11, time);
        let flow = self.fans.iter().map(|f| f.rpm / Self::RATED_RPM).sum::<f64>() / self.fans.len().max(1) as f64;
        let cooling = (0.35 + flow).max(0.2);
        let inlet = self.inlet;
        for (i, cpu) in self.cpus.iter_mut().enumerate() {
            let channel = 12 + i as u64;
            let target = inlet + (14.0 + 38.0 * load + 1.5 * noise.fixed(channel)) * 0.8 / cooling;
            *cpu = relax(*cpu, target, dt, 8.0) + 0.15 * noise.at(channel, time);
        }
        self.memory = relax(self.memory, inlet + (10.0 + 14.0 * load) * 0.8 / cooling, dt, 15.0);
        self.chipset = relax(self.chipset, inlet + (18.0 + 10.0 * load) * 0.8 / cooling, dt, 15.0);
        self.exhaust = relax(self.exhaust, inlet + (6.0 + 16.0 * load) * 0.8 / cooling, dt, 10.0);
        let hottest = self.cpus.iter().copied().fold(f64::MIN, f64::max);
        let wanted = (34.0 + 1.1 * (hottest - 50.0) + 1.4 * (inlet - 24.0)).clamp(25.0, 100.0);
        let mut happened = Vec::new();
        for (i, fan) in self.fans.iter_mut().enumerate() {
            fan.duty = relax(fan.duty, wanted, dt.min(30.0), 12.0);
            let sound =
                Self::RATED_RPM * (0.06 + 0.94 * fan.duty / 100.0) * (1.0 + 0.01 * (noise.fixed(20 + i as u64) - 0.5));
            fan.rpm = (sound * fan.vigour * (1.0 + 0.003 * noise.at(30 + i as u64, time))).max(0.0);
            let low = fan.rpm < Self::FAN.critical;
            if low != fan.low {
                fan.low = low;
                happened.push((Happening::FanLow { fan: i, rpm: fan.rpm }, low));
            }
        }
        let high = self.inlet > Self::INLET.critical || (self.inlet_high && self.inlet > Self::INLET.critical - 2.0);
        if high != self.inlet_high {
            self.inlet_high = high;
            happened.push((Happening::InletHigh { celsius: self.inlet }, high));
        }
        happened
    }
}

/// What follows `target` with time constant `tau` is at after `dt`.
fn relax(value: f64, target: f64, dt: f64, tau: f64) -> f64 {
    target + (value - target) * (-dt / tau).exp()
}
