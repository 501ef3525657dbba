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
    /// Whether its locator light blinks.
    pub identify: bool,
    /// How often its BMC was restarted.
    pub bmc_resets: u64,
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
            identify: false,
            bmc_resets: 0,
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

    /// Nothing goes wrong any more from now on. What has gone wrong stays as it is: a part wears no further, and is not mended.
    pub fn end_faults(&mut self) {
        self.faults.clear();
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn machine(kind: Option<FaultKind>) -> Machine {
        let faults = kind.map(|kind| Fault { kind, onset: 10.0, over: 10.0 }).into_iter().collect();
        Machine::new(Spec::new("a", "NG1", 5), faults)
    }

    fn run(machine: &mut Machine, until: u32) {
        (0..=until).for_each(|t| machine.advance(f64::from(t)));
    }

    #[test]
    fn a_sound_machine_stays_within_its_limits_for_an_hour() {
        let mut machine = machine(None);
        for t in 0..3600 {
            machine.advance(f64::from(t));
            let thermal = &machine.thermal;
            assert!(thermal.inlet < Thermal::INLET.caution && thermal.cpus.iter().all(|c| *c < Thermal::CPU.caution));
            assert!(thermal.fans.iter().all(|f| f.rpm > Thermal::FAN.caution && f.duty < 60.0), "{thermal:?}");
        }
        assert_eq!(machine.log.len(), 1);
    }

    #[test]
    fn a_worn_fan_turns_slower_than_its_siblings_at_equal_duty_then_stalls_and_is_logged() {
        let mut machine = machine(Some(FaultKind::FanWears { fan: 2 }));
        run(&mut machine, 18);
        let share = |m: &Machine| m.thermal.fans[2].rpm / m.thermal.fans[0].rpm;
        assert!((machine.thermal.fans[2].duty - machine.thermal.fans[0].duty).abs() < 1e-6);
        assert!((0.6..0.8).contains(&share(&machine)), "{}", share(&machine));
        run(&mut machine, 30);
        assert_eq!(machine.thermal.fans[2].rpm, 0.0);
        let low = |e: &Entry| matches!(e.happening, Happening::FanLow { fan: 2, .. });
        assert_eq!(machine.log.entries().filter(|e| low(e)).count(), 1);
    }

    #[test]
    fn the_supply_that_is_left_takes_the_whole_load() {
        let mut machine = machine(Some(FaultKind::PsuInputLost { psu: 0 }));
        let before = machine.input_watts();
        run(&mut machine, 12);
        assert_eq!((machine.psus[0].input_volts, machine.psus[0].input_watts), (0.0, 0.0));
        assert!((machine.psus[1].input_watts / before - 1.0).abs() < 0.15);
        assert!(!machine.power_redundant());
    }

    #[test]
    fn a_hot_rack_is_logged_once_when_it_passes_the_limit() {
        let mut machine = machine(Some(FaultKind::InletRunsHot));
        run(&mut machine, 200);
        assert!(machine.thermal.inlet > Thermal::INLET.critical);
        assert_eq!(machine.log.entries().filter(|e| matches!(e.happening, Happening::InletHigh { .. })).count(), 1);
    }

    #[test]
    fn a_full_log_loses_its_oldest_entry_and_says_so() {
        let mut log = Log::new(3);
        (0..5).for_each(|t| {
            log.append(t, Happening::SystemBoot, true);
        });
        assert_eq!(log.entries().map(|e| e.id).collect::<Vec<_>>(), [3, 4, 5]);
        assert!(log.stamps().2 && log.free() == 0);
    }

    proptest! {
        #[test]
        fn counters_of_a_wearing_drive_never_fall_however_time_is_cut(steps in prop::collection::vec(0.0..5.0f64, 1..60)) {
            let mut machine = machine(Some(FaultKind::DiskWears { bay: 3 }));
            let counters = |m: &Machine| {
                let d = &m.drives[3];
                [d.reallocated, d.offline_uncorrectable, d.reported_uncorrectable, d.power_on_hours as u64]
            };
            let mut time = 0.0;
            let mut before = counters(&machine);
            for step in steps {
                time += step;
                machine.advance(time);
                let now = counters(&machine);
                prop_assert!(before.iter().zip(&now).all(|(b, n)| b <= n), "{:?} then {:?}", before, now);
                before = now;
            }
        }

        #[test]
        fn the_same_seed_shows_the_same_values(seed: u64, time in 0.0..1000.0f64) {
            let at = |time| {
                let mut machine = Machine::new(Spec::new("a", "NG1", seed), Vec::new());
                machine.advance(time);
                (machine.thermal, machine.psus, machine.drives)
            };
            prop_assert_eq!(at(time), at(time));
        }
    }
}
