//! A model of a server: what its BMC would measure. The protocols only translate it, so that an IPMI and a Redfish BMC of one server agree.
//!
//! Every number is a function of seed, time and faults; nothing here knows who will look at it.

mod drive;
mod fault;
mod log;
mod noise;
mod power;
mod spec;
mod thermal;

pub use drive::{Drive, Medium};
pub use fault::{Fault, FaultKind};
pub use log::{Entry, Happening, Log};
pub use power::{Psu, RAILS, Rail};
pub use spec::Spec;
pub use thermal::{Fan, Limits, Thermal};

use noise::Noise;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A memory module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dimm {
    /// Its place, e.g. `A1`.
    pub slot: String,
    /// Its serial number.
    pub serial: String,
    /// Errors corrected since the start.
    pub corrected: u64,
}

/// A server at one moment.
#[derive(Debug, Clone)]
pub struct Machine {
    /// What it is.
    pub spec: Spec,
    /// Seconds since its start, on its own time-scale.
    pub time: f64,
    /// Share of its processors in use, 0 to 1.
    pub load: f64,
    /// Temperatures and fans.
    pub thermal: Thermal,
    /// Power supplies.
    pub psus: Vec<Psu>,
    /// Voltages, in the order of [`RAILS`].
    pub volts: Vec<f64>,
    /// Drives.
    pub drives: Vec<Drive>,
    /// Memory modules.
    pub dimms: Vec<Dimm>,
    /// The event log.
    pub log: Log,
    /// Whether its BMC has stopped answering.
    pub silent: bool,
    faults: Vec<Fault>,
    noise: Noise,
}

impl Machine {
    /// A server that has just been switched on.
    pub fn new(spec: Spec, faults: Vec<Fault>) -> Self {
        let noise = Noise::new(spec.seed);
        let drives = (0..spec.drives).map(|bay| Drive::new(&spec, bay, noise)).collect();
        let dimms = (0..spec.dimms)
            .map(|i| Dimm {
                slot: format!("{}{}", if i < spec.dimms / 2 { 'A' } else { 'B' }, i % (spec.dimms / 2).max(1) + 1),
                serial: format!("DM{}{i:02}", spec.serial),
                corrected: 0,
            })
            .collect();
        let mut machine = Self {
            thermal: Thermal::new(&spec),
            psus: (0..spec.psus).map(|i| Psu::new(&spec, i)).collect(),
            volts: RAILS.iter().map(|r| r.nominal).collect(),
            drives,
            dimms,
            log: Log::new(spec.log_capacity),
            silent: false,
            time: 0.0,
            load: 0.4,
            faults,
            noise,
            spec,
        };
        machine.log(Happening::SystemBoot, true);
        machine.advance(0.0);
        machine
    }

    /// Lets time pass up to `time` seconds after the start. Time never runs backwards.
    pub fn advance(&mut self, time: f64) {
        let dt = (time - self.time).max(0.0);
        self.time = self.time.max(time);
        let slow = (self.time / 240.0 + self.noise.fixed(1) * 10.0).sin();
        self.load = (0.42 + 0.06 * slow + 0.02 * self.noise.at(2, self.time)).clamp(0.0, 1.0);
        for fault in self.faults.clone() {
            fault.apply(self);
        }
        let happened = self.thermal.step(self.load, dt, self.time, self.noise);
        for (happening, asserted) in happened {
            self.log(happening, asserted);
        }
        power::share(&mut self.psus, self.load, &self.thermal, self.time, self.noise);
        for (i, (volts, rail)) in self.volts.iter_mut().zip(RAILS).enumerate() {
            *volts = rail.nominal * (1.0 + 0.004 * self.noise.at(60 + i as u64, self.time));
        }
        for drive in &mut self.drives {
            drive.age(dt, self.thermal.inlet, self.time, self.noise);
        }
    }

    /// Writes into the event log, with the BMC's own idea of the time.
    pub fn log(&mut self, happening: Happening, asserted: bool) {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() as i64;
        self.log.append(unix + self.spec.clock_offset_s, happening, asserted);
    }

    /// The BMC's own idea of the time, in seconds since the Unix epoch.
    pub fn bmc_time(&self) -> i64 {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() as i64 + self.spec.clock_offset_s
    }

    /// Lets one more thing go wrong.
    pub fn add_fault(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    /// What goes wrong with it, now or later.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// Power drawn at the inputs, in W.
    pub fn input_watts(&self) -> f64 {
        self.psus.iter().map(|p| p.input_watts).sum()
    }

    /// Whether every power supply has its input.
    pub fn power_redundant(&self) -> bool {
        self.psus.iter().all(|p| p.input_ok)
    }
}

/// A running server that several protocols may serve at once. Time passes whenever somebody looks.
#[derive(Debug, Clone)]
pub struct Shared {
    machine: Arc<Mutex<Machine>>,
    start: Instant,
    scale: f64,
}

impl Shared {
    /// Starts a server's time now; `scale` seconds pass for it in each second.
    pub fn new(machine: Machine, scale: f64) -> Self {
        Self { machine: Arc::new(Mutex::new(machine)), start: Instant::now(), scale }
    }

    /// The server as it is now.
    pub fn now(&self) -> MutexGuard<'_, Machine> {
        let mut machine = self.machine.lock().unwrap_or_else(PoisonError::into_inner);
        let time = self.start.elapsed().as_secs_f64() * self.scale;
        if time - machine.time > 0.05 {
            machine.advance(time);
        }
        machine
    }

    /// How long it has been running.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }
}
