//! Collector time: it goes on by CLOCK_BOOTTIME, so that nobody who sets the wall clock moves an SLA clock.
//!
//! The wall clock is read once at the start. After that, [`SteadyClock::tick`] compares: what drifts apart by no more than
//! [`TOLERATED`] is followed; a step of more is reported and followed only once the system says that its clock is
//! synchronised. A restart reads the wall clock anew, which is how an operator confirms a step.

use nix::time::{ClockId, clock_gettime};
use outband_schemas::{Clock, Timestamp};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How far the wall clock may be off before it is a step.
pub const TOLERATED: Duration = Duration::from_secs(5);

/// What systemd-timesyncd makes once the clock was set from the network.
const SYNCHRONISED: &str = "/run/systemd/timesync/synchronized";

/// Milliseconds on two clocks, read together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sight {
    /// Since 1970, as somebody set it.
    wall: i64,
    /// Since the machine started, sleep included. Nobody sets it.
    boot: i64,
}

/// What a comparison found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// Nothing to tell.
    Steady,
    /// The wall clock stepped by so many milliseconds and is not followed.
    Held(i64),
    /// The wall clock stepped by so many milliseconds, is synchronised, and is followed from now on.
    Adopted(i64),
}

/// The rule, without a clock to read.
#[derive(Debug, Clone, Copy)]
struct Steady {
    base: Sight,
    /// What was answered last: time never runs backwards.
    last: i64,
}

impl Steady {
    fn now(&mut self, boot: i64) -> i64 {
        let now = self.base.wall.saturating_add(boot.saturating_sub(self.base.boot));
        self.last = self.last.max(now);
        self.last
    }

    fn compare(&mut self, sight: Sight, synchronised: bool) -> Finding {
        let ours = self.base.wall.saturating_add(sight.boot.saturating_sub(self.base.boot));
        let step = sight.wall.saturating_sub(ours);
        if step.unsigned_abs() <= TOLERATED.as_millis() as u64 {
            self.base = sight;
            return Finding::Steady;
        }
        if !synchronised {
            return Finding::Held(step);
        }
        self.base = sight;
        // A clock that was wrong in the future and is set right: staying at the wrong time until the right one catches up
        // would be worse than one step back.
        self.last = self.last.min(sight.wall);
        Finding::Adopted(step)
    }
}

/// The collector's clock.
#[derive(Debug)]
pub struct SteadyClock {
    steady: Mutex<Steady>,
}

impl SteadyClock {
    /// Reads the wall clock, once.
    pub fn start() -> Self {
        let base = look();
        Self { steady: Mutex::new(Steady { base, last: base.wall }) }
    }

    /// Compares with the wall clock. To be called every few seconds.
    pub fn tick(&self) -> Finding {
        let synchronised = Path::new(SYNCHRONISED).exists();
        self.steady.lock().unwrap_or_else(PoisonError::into_inner).compare(look(), synchronised)
    }
}

impl Clock for SteadyClock {
    fn now(&self) -> Timestamp {
        let boot = boot_millis();
        Timestamp::from_millis(self.steady.lock().unwrap_or_else(PoisonError::into_inner).now(boot))
    }
}

fn look() -> Sight {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Sight { wall: i64::try_from(wall.as_millis()).unwrap_or(i64::MAX), boot: boot_millis() }
}

fn boot_millis() -> i64 {
    // It fails only for a clock that the kernel does not have; Linux has this one since 2.6.39.
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(0, |t| t.tv_sec() * 1000 + t.tv_nsec() / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Sight = Sight { wall: 1_000_000_000, boot: 5_000 };

    fn steady() -> Steady {
        Steady { base: START, last: START.wall }
    }

    fn later(millis: i64, step: i64) -> Sight {
        Sight { wall: START.wall + millis + step, boot: START.boot + millis }
    }

    #[test]
    fn a_wall_clock_that_is_set_moves_nothing() {
        let mut steady = steady();
        assert_eq!(steady.compare(later(10_000, 3_600_000), false), Finding::Held(3_600_000));
        assert_eq!(steady.now(START.boot + 10_000), START.wall + 10_000);
        assert_eq!(steady.compare(later(20_000, -3_600_000), false), Finding::Held(-3_600_000));
        assert_eq!(steady.now(START.boot + 20_000), START.wall + 20_000);
    }

    #[test]
    fn drift_is_followed_and_time_never_runs_backwards() {
        let mut steady = steady();
        let before = steady.now(START.boot + 10_000);
        assert_eq!(steady.compare(later(10_000, -3_000), false), Finding::Steady);
        assert_eq!(steady.now(START.boot + 10_001), before);
        assert_eq!(steady.now(START.boot + 20_000), START.wall + 17_000);
    }

    #[test]
    fn a_step_of_a_synchronised_clock_is_adopted() {
        let mut steady = steady();
        assert_eq!(steady.compare(later(10_000, -86_400_000), true), Finding::Adopted(-86_400_000));
        assert_eq!(steady.now(START.boot + 10_000), START.wall + 10_000 - 86_400_000);
        assert_eq!(steady.compare(later(20_000, -86_400_000), true), Finding::Steady);
    }

    #[test]
    fn the_clock_agrees_with_the_wall_at_the_start() {
        let clock = SteadyClock::start();
        assert!(clock.now().as_millis().abs_diff(look().wall) < 1000);
        assert_eq!(clock.tick(), Finding::Steady);
    }
}
