//! Drives and what they count.

use super::Spec;
use super::noise::Noise;

/// What a drive stores on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Medium {
    /// Rotating disks.
    Disk,
    /// Flash.
    Flash,
}

/// A drive with its counters. Numbers in brackets are ATA attributes.
#[derive(Debug, Clone, PartialEq)]
pub struct Drive {
    /// Its place, counted from 0.
    pub bay: usize,
    /// What it stores on.
    pub medium: Medium,
    /// Its model.
    pub model: String,
    /// Its serial number.
    pub serial: String,
    /// Its size in bytes.
    pub capacity_bytes: u64,
    /// Temperature in °C (194).
    pub celsius: f64,
    /// Hours with power (9).
    pub power_on_hours: f64,
    /// Power cycles (12).
    pub power_cycles: u64,
    /// Reallocated sectors (5).
    pub reallocated: u64,
    /// Sectors that wait to be reallocated (197).
    pub pending: u64,
    /// Sectors that no scan could read (198).
    pub offline_uncorrectable: u64,
    /// Errors that ECC could not correct (187).
    pub reported_uncorrectable: u64,
    /// Commands that timed out (188).
    pub command_timeouts: u64,
    /// Errors on the cable (199).
    pub crc_errors: u64,
    /// Life left in per cent; flash only.
    pub life_left: Option<f64>,
    /// Whether the drive itself says that it will fail.
    pub failure_predicted: bool,
}

impl Drive {
    pub(super) fn new(spec: &Spec, bay: usize, noise: Noise) -> Self {
        let fixed = |k: u64| noise.fixed(100 + bay as u64 * 8 + k);
        // The first two bays hold the boot mirror.
        let medium = if bay < 2 { Medium::Flash } else { Medium::Disk };
        let flash = medium == Medium::Flash;
        Self {
            bay,
            medium,
            model: if flash { "NG-SSD-480" } else { "NG-HDD-4000" }.to_owned(),
            serial: format!("{}{}{bay:02}", if flash { "SD" } else { "HD" }, spec.serial),
            capacity_bytes: if flash { 480_103_981_056 } else { 4_000_787_030_016 },
            celsius: 30.0,
            power_on_hours: (4_000.0 + 20_000.0 * fixed(0)).floor(),
            power_cycles: 20 + (30.0 * fixed(1)) as u64,
            // A few reallocated sectors long ago are no illness, and old drives have them.
            reallocated: if fixed(2) > 0.8 && !flash { (8.0 * fixed(3)) as u64 } else { 0 },
            pending: 0,
            offline_uncorrectable: 0,
            reported_uncorrectable: 0,
            command_timeouts: if fixed(4) > 0.85 { 1 } else { 0 },
            crc_errors: if fixed(5) > 0.85 { 2 } else { 0 },
            life_left: flash.then(|| (70.0 + 29.0 * fixed(6)).floor()),
            failure_predicted: false,
        }
    }

    pub(super) fn age(&mut self, dt: f64, inlet: f64, time: f64, noise: Noise) {
        self.power_on_hours += dt / 3600.0;
        let own = if self.medium == Medium::Flash { 5.0 } else { 9.0 };
        self.celsius = inlet + own + 0.2 * noise.at(80 + self.bay as u64, time);
    }
}
