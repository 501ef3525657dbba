//! What came of a poll, as observation sets; and sets as spool entries.

use super::pins::Change;
use super::schedule::Job;
use crate::spooler::Body;
use outband_bmc::ConnectError;
use outband_bmc::PollError;
use outband_proto::pack::pack;
use outband_proto::telemetry;
use outband_schemas::{
    Cause, ComponentClass, ComponentId, Gap, Observation, ObservationSet, Section, Source, TargetId, Timestamp,
};
use prost::Message;

/// A set larger than this is sent in parts: a first look at a log of many thousand entries must fit the stream's messages.
const MAX_BODY: usize = 4 << 20;

/// About as many bytes has an observation.
const USUAL: usize = 80;

/// A single observation larger than this cannot be sent at all.
const MOST: usize = 12 << 20;

/// The gap that says that nothing of a section could be read: silence is data.
pub fn silent(target: &TargetId, cause: Cause, detail: String, at: Timestamp, source: String) -> Observation {
    Observation::Gap(Gap {
        component: Some(ComponentId::lenient(ComponentClass::Bmc, target.as_str())),
        cause,
        detail,
        observed_at: at,
        source: Source(source),
        span: None,
    })
}

/// The gap that says that polls were left out because earlier ones took too long.
pub fn overrun(job: &Job, first: Timestamp, now: Timestamp) -> Observation {
    let (section, missed) = (job.section.as_str(), job.missed);
    Observation::Gap(Gap {
        component: None,
        cause: Cause::Cancelled,
        detail: format!("{missed} polls of {section} were left out: the BMC was still busy with earlier ones"),
        observed_at: now,
        source: Source(format!("agent:{section}")),
        span: Some((first, now)),
    })
}

/// The gap that says what a poll left to the next, which follows soon.
pub fn put_off(section: Section, what: &str, now: Timestamp) -> Observation {
    Observation::Gap(Gap {
        component: None,
        cause: Cause::Cancelled,
        detail: format!("{what}: not read in this poll, to spare the BMC; the next one, which follows soon, goes on"),
        observed_at: now,
        source: Source(format!("agent:{}", section.as_str())),
        span: None,
    })
}

/// Why nothing is asked of a BMC whose certificate changed, and what to do.
pub(super) fn changed_certificate(target: &TargetId, change: Change) -> String {
    let Change { pinned, offered } = change;
    format!(
        "the certificate has changed: pinned {pinned}, now offered {offered}; nothing is asked of this BMC until the change is accepted. If the BMC or its certificate was replaced: outband-agent accept-cert --config agent.toml {target} {offered}; if not, somebody stands between"
    )
}

/// Whether the BMC refused user and password, so that trying again may lock the account.
pub fn is_login_refusal(error: &ConnectError) -> bool {
    error.is_login_refusal()
}

/// Whether a poll that failed in an old session may succeed in a new one: sessions expire, BMCs restart.
pub fn may_be_the_session(error: &PollError) -> bool {
    !matches!(error.cause, Cause::NotSupported | Cause::Certificate | Cause::Cancelled)
}

/// A set as spool entries: one, or several where it is large.
///
/// Each observation goes into the bytes by itself, since the message of a whole poll is more than a cache holds between two polls: a message is also what its
/// parts are one after the other (Protobuf's encoding, "Last One Wins").
pub fn bodies(set: ObservationSet) -> Vec<Body> {
    let ObservationSet { target, section, polled_at: at, observations } = set;
    let mut part =
        telemetry::ObservationSet::from(ObservationSet { target, section, polled_at: at, observations: Vec::new() });
    let head = part.encode_to_vec();
    part.clear();
    let mut bytes = Vec::with_capacity(head.len() + observations.len() * USUAL);
    bytes.extend_from_slice(&head);
    let mut done = Vec::new();
    for observation in observations {
        part.observations.push(observation.into());
        let mut more = part.encode_to_vec();
        if more.len() > MOST {
            part.observations = vec![too_large(section, at, more.len()).into()];
            more = part.encode_to_vec();
        }
        part.observations.clear();
        if bytes.len() > head.len() && bytes.len() + more.len() > MAX_BODY {
            done.push(Body { bytes: pack(std::mem::replace(&mut bytes, head.clone())), at });
        }
        bytes.extend_from_slice(&more);
    }
    done.push(Body { bytes: pack(bytes), at });
    done
}

/// What stands for an observation that no message of the stream could carry: it must not hold up those behind it.
fn too_large(section: Section, at: Timestamp, bytes: usize) -> Observation {
    Observation::Gap(Gap {
        component: None,
        cause: Cause::Malformed,
        detail: format!("one entry of {bytes} bytes was set aside: no more than {MOST} can be sent"),
        observed_at: at,
        source: Source(format!("agent:{}", section.as_str())),
        span: None,
    })
}

/// An observation set of one poll.
pub fn set(target: &TargetId, section: Section, at: Timestamp, observations: Vec<Observation>) -> ObservationSet {
    ObservationSet { target: target.clone(), section, polled_at: at, observations }
}

#[cfg(test)]
mod tests {
    use super::*;
    use outband_proto::convert::{DecodedSet, decode_set, encode_set};
    use outband_proto::pack::unpack;

    fn read(body: &Body) -> DecodedSet {
        decode_set(unpack(&body.bytes, &mut Vec::new()).unwrap()).unwrap()
    }

    #[test]
    fn an_observation_that_no_message_could_carry_is_told_as_a_gap_and_the_others_are_sent() {
        let id = TargetId::new("t").unwrap();
        let huge = silent(&id, Cause::Timeout, "x".repeat(MOST + 1), Timestamp::from_secs(1), String::new());
        let bodies = bodies(set(&id, Section::Log, Timestamp::from_secs(1), vec![gap(1), huge, gap(2)]));
        let said: Vec<Observation> = bodies.iter().flat_map(|b| read(b).set.observations).collect();
        assert_eq!((&said[0], &said[2]), (&gap(1), &gap(2)));
        assert!(matches!(&said[1], Observation::Gap(g) if g.detail.contains("set aside")), "{:?}", said[1]);
    }

    fn gap(n: usize) -> Observation {
        let id = TargetId::new("t").unwrap();
        silent(&id, Cause::Timeout, format!("{n:05} {}", "x".repeat(6000)), Timestamp::from_secs(1), String::new())
    }

    #[test]
    fn a_large_set_is_parted_in_order_and_nothing_is_lost() {
        let id = TargetId::new("t").unwrap();
        let all: Vec<Observation> = (0..3000).map(gap).collect();
        let bodies = bodies(set(&id, Section::Log, Timestamp::from_secs(1), all.clone()));
        let sizes: Vec<_> = bodies.iter().map(|b| unpack(&b.bytes, &mut Vec::new()).unwrap().len()).collect();
        assert!(sizes.iter().all(|size| *size <= MAX_BODY), "{sizes:?}");
        assert!(sizes.windows(2).all(|two| two[0] + two[1] > MAX_BODY), "no part is needless: {sizes:?}");
        let back: Vec<Observation> = bodies.iter().flat_map(|b| read(b).set.observations).collect();
        assert_eq!(back, all);
    }

    #[test]
    fn the_bytes_are_those_of_the_whole_message() {
        let id = TargetId::new("t").unwrap();
        let set = set(&id, Section::Log, Timestamp::from_secs(1), (0..20).map(gap).collect());
        let body = &bodies(set.clone())[0];
        assert_eq!(unpack(&body.bytes, &mut Vec::new()).unwrap(), encode_set(&set));
    }

    #[test]
    fn an_empty_set_is_still_told() {
        let id = TargetId::new("t").unwrap();
        assert_eq!(bodies(set(&id, Section::Log, Timestamp::from_secs(1), Vec::new())).len(), 1);
    }
}
