//! Collector time: it goes on by CLOCK_BOOTTIME, so that nobody who sets the wall clock moves an SLA clock.
//!
//! [`SteadyClock::tick`] compares with the wall clock: what drifts apart by no more than [`TOLERATED`] is followed; a step of
//! more is held, reported, and followed only once the system says that its clock was just synchronised, or an operator confirms
//! it. The time is kept in the store. A collector that starts again goes on from there: exactly, where the machine did not start
//! anew; else by the wall clock, unless the kept time lies in its future or more than [`AWAY`] in its past: then the kept
//! time goes on, and the wall clock is held as after a step.

use nix::time::{ClockId, clock_gettime};
use outband_schemas::{Clock, Timestamp};
use outband_store::StoreError;
use outband_store::deadline::{Deadlines, KeptTime};
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::task::JoinError;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// How far the wall clock may be off before it is a step.
pub const TOLERATED: Duration = Duration::from_secs(5);
/// How long a collector may have been away before the wall clock is doubted.
pub const AWAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How often the wall clock is compared and the time is kept.
const TICK: Duration = Duration::from_secs(5);

/// What systemd-timesyncd touches each time it has set the clock from the network.
const SYNCHRONISED: &str = "/run/systemd/timesync/synchronized";
/// A synchronisation no longer ago than that is what made the step.
const JUST: Duration = Duration::from_secs(60);

/// What is read of the machine, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight {
    /// Milliseconds since 1970, as somebody set it.
    pub wall: i64,
    /// Milliseconds since the machine started, sleep included. Nobody sets it.
    pub boot: i64,
    /// Which start of the machine.
    pub boot_id: String,
    /// Whether the wall clock was just set from the network.
    pub synchronised: bool,
}

/// What a comparison found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// Nothing to tell.
    Steady,
    /// The wall clock is ahead by so many milliseconds (behind, where negative) and is not followed.
    Held(i64),
    /// The wall clock stepped by so many milliseconds, and is followed from now on.
    Adopted(i64),
}

/// The rule, without a clock to read.
#[derive(Debug, Clone, Copy)]
struct Steady {
    /// Collector time at `boot`.
    at: i64,
    boot: i64,
    /// What was answered last: time never runs backwards.
    last: i64,
    held: Option<i64>,
}

impl Steady {
    fn start(sight: &Sight) -> Self {
        Self { at: sight.wall, boot: sight.boot, last: sight.wall, held: None }
    }

    fn resume(kept: &KeptTime, sight: &Sight) -> Self {
        let kept_at = kept.at.as_millis();
        let mut steady = if kept.boot_id == sight.boot_id {
            Self { at: kept_at, boot: kept.boot, last: kept_at, held: None }
        } else {
            let away = sight.wall.saturating_sub(kept_at);
            let doubtful = away < -millis(TOLERATED) || away > millis(AWAY);
            let at = if doubtful { kept_at } else { sight.wall };
            Self { at, boot: sight.boot, last: at, held: None }
        };
        steady.compare(sight, sight.synchronised);
        steady
    }

    fn ours(&self, boot: i64) -> i64 {
        self.at.saturating_add(boot.saturating_sub(self.boot))
    }

    fn now(&mut self, boot: i64) -> i64 {
        self.last = self.last.max(self.ours(boot));
        self.last
    }

    /// Compares, and follows a step where it is `believed`.
    fn compare(&mut self, sight: &Sight, believed: bool) -> Finding {
        let step = sight.wall.saturating_sub(self.ours(sight.boot));
        let small = step.unsigned_abs() <= millis(TOLERATED).unsigned_abs();
        self.held = (!small && !believed).then_some(step);
        if self.held.is_some() {
            return Finding::Held(step);
        }
        (self.at, self.boot) = (sight.wall, sight.boot);
        if small {
            return Finding::Steady;
        }
        // A clock that was wrong in the future and is set right: staying at the wrong time until the right one catches up
        // would be worse than one step back.
        self.last = self.last.min(sight.wall);
        Finding::Adopted(step)
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// The collector's clock.
pub struct SteadyClock {
    look: Box<dyn Fn() -> Sight + Send + Sync>,
    boot: fn() -> i64,
    steady: Mutex<Steady>,
}

impl fmt::Debug for SteadyClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SteadyClock").field("steady", &self.steady).finish_non_exhaustive()
    }
}

impl SteadyClock {
    /// Begins with the wall clock.
    pub fn start() -> Self {
        Self::resume(None)
    }

    /// Goes on from the time that was kept.
    pub fn resume(kept: Option<&KeptTime>) -> Self {
        Self::looking(kept, machine)
    }

    /// Like [`SteadyClock::resume`], with another wall clock than the machine's.
    pub fn looking(kept: Option<&KeptTime>, look: impl Fn() -> Sight + Send + Sync + 'static) -> Self {
        let sight = look();
        let steady = kept.map_or_else(|| Steady::start(&sight), |kept| Steady::resume(kept, &sight));
        Self { look: Box::new(look), boot: boot_millis, steady: Mutex::new(steady) }
    }

    fn steady(&self) -> std::sync::MutexGuard<'_, Steady> {
        self.steady.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Compares with the wall clock. To be called every few seconds.
    pub fn tick(&self) -> Finding {
        let sight = (self.look)();
        self.steady().compare(&sight, sight.synchronised)
    }

    /// The time as it is to be kept.
    pub fn kept(&self) -> KeptTime {
        let sight = (self.look)();
        let at = Timestamp::from_millis(self.steady().now(sight.boot));
        KeptTime { at, boot: sight.boot, boot_id: sight.boot_id }
    }
}

/// A clock that may doubt the machine's.
pub trait Timekeeper: Clock {
    /// By how many milliseconds the wall clock was ahead at the last comparison, where it is not followed.
    fn held(&self) -> Option<i64>;

    /// An operator says that the wall clock is right: it is followed, whatever the step.
    fn confirm(&self) -> Finding;
}

impl Timekeeper for SteadyClock {
    fn held(&self) -> Option<i64> {
        self.steady().held
    }

    fn confirm(&self) -> Finding {
        self.steady().compare(&(self.look)(), true)
    }
}

impl Clock for SteadyClock {
    fn now(&self) -> Timestamp {
        let boot = (self.boot)();
        Timestamp::from_millis(self.steady().now(boot))
    }
}

/// Compares with the wall clock and keeps the time, until `shutdown` is cancelled.
pub async fn run<S: Deadlines + Clone + Send + 'static>(
    store: S,
    clock: Arc<SteadyClock>,
    shutdown: CancellationToken,
) -> Result<(), JoinError> {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = None;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            _ = ticks.tick() => {}
        }
        match clock.tick() {
            Finding::Steady => told = None,
            // Once, not every few seconds for as long as it lasts.
            Finding::Held(step) if told.is_some_and(|t| step.abs_diff(t) <= millis(TOLERATED).unsigned_abs()) => {}
            Finding::Held(step_ms) => {
                told = Some(step_ms);
                tracing::error!(
                    step_ms,
                    "the wall clock is off from the collector's time and was not set from the network: SLA clocks go on as before; set it right, or confirm it with `outband time --confirm`"
                );
            }
            Finding::Adopted(step_ms) => {
                told = None;
                tracing::error!(
                    step_ms,
                    "the wall clock stepped and is synchronised: the collector follows it; clocks that were running may be off by as much"
                );
            }
        }
        let (store, kept) = (store.clone(), clock.kept());
        match tokio::task::spawn_blocking(move || store.keep_time(kept)).await? {
            Ok(()) | Err(StoreError::Closed) => {}
            Err(error) => tracing::warn!(%error, "the time is not kept; it is tried again"),
        }
    }
}

/// What this machine shows.
pub fn machine() -> Sight {
    let now = SystemTime::now();
    let wall = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    Sight { wall: millis(wall), boot: boot_millis(), boot_id, synchronised: just_synchronised(now) }
}

/// The mark is dated by the wall clock itself: one that somebody else moved since lies away from now.
fn just_synchronised(now: SystemTime) -> bool {
    let touched = Path::new(SYNCHRONISED).metadata().and_then(|m| m.modified());
    touched.is_ok_and(|at| match now.duration_since(at) {
        Ok(ago) => ago <= JUST,
        Err(ahead) => ahead.duration() <= TOLERATED,
    })
}

fn boot_millis() -> i64 {
    // It fails only for a clock that the kernel does not have; Linux has this one since 2.6.39.
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(0, |t| t.tv_sec() * 1000 + t.tv_nsec() / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WALL: i64 = 1_000_000_000_000;
    const BOOT: i64 = 5_000;
    const HOUR: i64 = 3_600_000;
    const YEAR: i64 = 365 * 24 * HOUR;

    fn later(millis: i64, step: i64) -> Sight {
        Sight { wall: WALL + millis + step, boot: BOOT + millis, boot_id: "one".to_owned(), synchronised: false }
    }

    fn steady() -> Steady {
        Steady::start(&later(0, 0))
    }

    fn kept() -> KeptTime {
        KeptTime { at: Timestamp::from_millis(WALL), boot: BOOT, boot_id: "one".to_owned() }
    }

    fn started_anew(away: i64) -> Sight {
        Sight { wall: WALL + away, boot: 100, boot_id: "two".to_owned(), synchronised: false }
    }

    #[test]
    fn a_wall_clock_that_is_set_moves_nothing() {
        let mut steady = steady();
        for (after, step) in [(10_000, 2 * HOUR), (20_000, -2 * HOUR), (30_000, YEAR)] {
            assert_eq!(steady.compare(&later(after, step), false), Finding::Held(step));
            assert_eq!(steady.held, Some(step));
            assert_eq!(steady.now(BOOT + after), WALL + after);
        }
        assert_eq!(steady.compare(&later(40_000, 0), false), Finding::Steady);
        assert_eq!(steady.held, None);
    }

    #[test]
    fn drift_is_followed_and_time_never_runs_backwards() {
        let mut steady = steady();
        let before = steady.now(BOOT + 10_000);
        assert_eq!(steady.compare(&later(10_000, -3_000), false), Finding::Steady);
        assert_eq!(steady.now(BOOT + 10_001), before);
        assert_eq!(steady.now(BOOT + 20_000), WALL + 17_000);
    }

    #[test]
    fn a_step_that_is_believed_is_adopted() {
        let mut steady = steady();
        assert_eq!(steady.compare(&later(10_000, -86_400_000), true), Finding::Adopted(-86_400_000));
        assert_eq!(steady.now(BOOT + 10_000), WALL + 10_000 - 86_400_000);
        assert_eq!(steady.compare(&later(20_000, -86_400_000), false), Finding::Steady);
    }

    #[test]
    fn a_collector_that_starts_again_on_a_running_machine_goes_on_exactly_whatever_the_wall_clock_says() {
        for step in [2 * HOUR, -2 * HOUR, YEAR] {
            let mut steady = Steady::resume(&kept(), &later(60_000, step));
            assert_eq!((steady.now(BOOT + 60_000), steady.held), (WALL + 60_000, Some(step)));
        }
    }

    #[test]
    fn a_machine_that_starts_anew_is_believed_unless_the_kept_time_lies_in_its_future_or_far_in_its_past() {
        let mut soon = Steady::resume(&kept(), &started_anew(HOUR));
        assert_eq!((soon.now(100), soon.held), (WALL + HOUR, None));
        for away in [-HOUR, 25 * HOUR] {
            let mut steady = Steady::resume(&kept(), &started_anew(away));
            assert_eq!((steady.now(1100), steady.held), (WALL + 1000, Some(away)));
        }
    }

    #[test]
    fn a_clock_that_was_just_synchronised_is_believed_at_the_start_too() {
        let sight = Sight { synchronised: true, ..started_anew(YEAR) };
        let mut steady = Steady::resume(&kept(), &sight);
        assert_eq!((steady.now(100), steady.held), (WALL + YEAR, None));
    }

    #[test]
    fn an_operator_who_confirms_a_step_has_it_followed() {
        let ahead = || Sight { wall: machine().wall + HOUR, ..machine() };
        let clock = SteadyClock::looking(Some(&SteadyClock::start().kept()), ahead);
        assert!(matches!(clock.tick(), Finding::Held(_)));
        assert!(clock.held().is_some());
        assert!(matches!(clock.confirm(), Finding::Adopted(_)));
        assert!(clock.now().as_millis().abs_diff(machine().wall + HOUR) < 1000);
        assert_eq!(clock.held(), None);
    }

    #[test]
    fn the_clock_agrees_with_the_wall_at_the_start() {
        let clock = SteadyClock::start();
        assert!(clock.now().as_millis().abs_diff(machine().wall) < 1000);
        assert_eq!(clock.tick(), Finding::Steady);
    }
}
