//! What the fuzz targets share: a reader of scripts, a BMC to log in to, the first inputs of each target, and what must hold of every observation.

pub mod bmc;
pub mod script;
pub mod seeds;
pub mod session;

use outband_proto::convert;
use outband_schemas::{Clock, Observation, ObservationSet, Section, TargetId, Timestamp};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// When everything happens.
pub const AT: Timestamp = Timestamp::from_secs(1_800_000_000);

/// A clock that stands.
#[derive(Debug, Clone, Copy)]
pub struct Standing;

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        AT
    }
}

/// Whatever a BMC said, the collector must be able to read what the agent makes of it: an observation that the other side rejects is lost.
///
/// # Panics
/// Where that does not hold.
pub fn survive_the_wire(section: Section, observations: Vec<Observation>) {
    let target = TargetId::new("fuzz").expect("a word is a target's id");
    let set = ObservationSet { target, section, polled_at: AT, observations };
    let read = convert::decode_set(&convert::encode_set(&set)).expect("what was encoded is no poison");
    assert!(read.rejected.is_empty(), "{:?}", read.rejected);
    assert_eq!(read.set, set);
}

/// Runs what never waits.
///
/// # Panics
/// Where it waits.
pub fn run<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits for something that cannot come"),
    }
}
