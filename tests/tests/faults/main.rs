//! Faults that befall the real programs: killed, on disks that are full or lie, with clocks that jump, among strangers.
//!
//! What is acknowledged is never lost and never doubled; of what is lost before that there is a gap; damage is told, and no value that was never
//! measured comes of it. `OUTBAND_FAULT_ROUNDS` and `OUTBAND_FAULT_SEED` make the seeded ones longer and others.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "tests say at once what went wrong")]

mod care;
mod clock;
mod damage;
mod ground;
mod metrics;
mod strangers;
mod torn;
