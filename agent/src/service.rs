//! What systemd wants to know (`Type=notify-reload`, `WatchdogSec=`). Without systemd every call does nothing.

use sd_notify::NotifyState;
use std::time::Duration;

/// Everything runs.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// A reload begins; end it by [`ready`].
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!(%error, "systemd is not told of the reload"),
    }
}

/// The end begins.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// All is well, in a line.
pub fn alive(status: &str) {
    tell(&[NotifyState::Watchdog, NotifyState::Status(status)]);
}

/// How often [`alive`] must be called: well within systemd's patience, or at a pace for status lines without it.
pub fn heartbeat() -> Duration {
    let patience = sd_notify::watchdog_enabled().unwrap_or(Duration::from_secs(60));
    (patience / 3).max(Duration::from_millis(100))
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd could not be told");
    }
}
