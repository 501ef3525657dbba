//! Faults that develop: each begins at a moment and takes its time.

use super::{Happening, Machine};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// A drive reallocates more and more sectors, then says itself that it will fail.
    DiskWears {
        /// The drive's bay.
        bay: usize,
    },
    /// A fan turns slower at equal duty, then stalls.
    FanWears {
        /// The fan.
        fan: usize,
    },
    /// A power supply loses its input.
    PsuInputLost {
        /// The supply.
        psu: usize,
    },
    /// The air at the inlet gets hotter, as it does for all of a rack.
    InletRunsHot,
    /// A memory module corrects more and more errors.
    EccBursts {
        /// The module.
        dimm: usize,
    },
    /// The BMC stops answering; the server runs on.
    BmcSilent,
}

/// A fault in time. Seconds are those of the machine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// When it begins, in seconds after the start.
    pub onset: f64,
    /// How many seconds it takes to develop fully.
    pub over: f64,
}

impl Fault {
    /// How far it has come: 0 before its onset, 1 when fully developed, growing on.
    fn progress(self, time: f64) -> f64 {
        if time < self.onset { 0.0 } else { (time - self.onset) / self.over.max(1e-3) }
    }

    pub(super) fn apply(self, machine: &mut Machine) {
        let progress = self.progress(machine.time);
        if progress <= 0.0 {
            return;
        }
        match self.kind {
            FaultKind::DiskWears { bay } => disk_wears(machine, bay, progress.min(1.5)),
            FaultKind::FanWears { fan } => {
                if let Some(fan) = machine.thermal.fans.get_mut(fan) {
                    // Bearings wear slowly, then seize.
                    fan.vigour = if progress < 1.6 { 1.0 - 0.38 * progress } else { 0.0 };
                }
            }
            FaultKind::PsuInputLost { psu } => {
                if machine.psus.get(psu).is_some_and(|p| p.input_ok) {
                    machine.psus[psu].input_ok = false;
                    machine.log(Happening::PsuInputLost { psu }, true);
                    machine.log(Happening::PowerRedundancyLost, true);
                }
            }
            FaultKind::InletRunsHot => machine.thermal.extra_inlet = 22.0 * progress.min(1.0),
            FaultKind::EccBursts { dimm } => ecc_bursts(machine, dimm, progress.min(1.5)),
            FaultKind::BmcSilent => machine.silent = true,
        }
    }
}

fn disk_wears(machine: &mut Machine, bay: usize, progress: f64) {
    let Some(drive) = machine.drives.get_mut(bay) else { return };
    let grown = |most: f64, power: f64| (most * progress.powf(power)).floor() as u64;
    drive.reallocated = drive.reallocated.max(grown(480.0, 1.4));
    drive.pending = grown(32.0, 1.0);
    drive.offline_uncorrectable = drive.offline_uncorrectable.max(grown(16.0, 1.5));
    drive.reported_uncorrectable = drive.reported_uncorrectable.max(grown(12.0, 2.0));
    if progress >= 1.2 && !drive.failure_predicted {
        drive.failure_predicted = true;
        machine.log(Happening::DrivePredicted { bay }, true);
    }
}

fn ecc_bursts(machine: &mut Machine, dimm: usize, progress: f64) {
    /// As many errors a BMC gathers before it writes an entry.
    const AN_ENTRY: u64 = 10;
    let Some(module) = machine.dimms.get_mut(dimm) else { return };
    let before = module.corrected / AN_ENTRY;
    module.corrected = module.corrected.max((240.0 * progress * progress) as u64);
    let after = module.corrected / AN_ENTRY;
    for _ in before..after {
        machine.log(Happening::EccCorrected { dimm }, true);
    }
    if before < 20 && after >= 20 {
        machine.log(Happening::EccLimit { dimm }, true);
    }
}
