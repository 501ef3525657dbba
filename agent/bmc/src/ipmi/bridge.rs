//! Requests to controllers behind the BMC, such as a power supply's or Intel's ME: carried by Send Message (IPMI 2.0 §22.7) over the channel that their sensors
//! name, tracked by the BMC, so that the answer comes back in the same session.
//!
//! BMCs give the answer in two ways: within the answer to Send Message, or after an empty one as a message of its own. Both come out as the data of the answer
//! to Send Message.

use super::message::{Request, Response};
use ipmi_rs_core::connection::NetFn;

const SEND_MESSAGE: u8 = 0x34;
/// The BMC sends the request on as its own.
const BMC_ADDRESS: u8 = 0x20;
/// "Track request": the BMC remembers whose answer it will be.
const TRACKED: u8 = 0x40;
/// Addresses, function, sequence, command and the sum over the first two bytes.
const HEAD: usize = 6;

fn checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0u8, |sum, b| sum.wrapping_add(*b)).wrapping_neg()
}

/// A request, wrapped for the controller with this slave address. `sequence` tells its answer from late ones of others.
pub(super) fn wrap(request: &Request, channel: u8, controller: u8, sequence: u8) -> Request {
    let head = [controller, request.netfn.request_value() << 2 | request.lun & 3];
    let body = [&[BMC_ADDRESS, sequence << 2, request.command], request.data.as_slice()].concat();
    let sums = [checksum(&head), checksum(&body)];
    let data = [&[TRACKED | channel & 0x0F], &head[..], &sums[..1], &body, &sums[1..]].concat();
    Request::new(NetFn::App, SEND_MESSAGE, data)
}

/// Whether a request is one that was wrapped.
pub(super) fn is_wrapped(request: &Request) -> bool {
    request.netfn == NetFn::App && request.command == SEND_MESSAGE
}

/// Whether a message is what the controller answers to a request that was wrapped. It is numbered as that request was, or as Send Message was in its session, which
/// is `token`.
pub(super) fn answers(wrapped: &Request, token: u8, message: &[u8]) -> bool {
    let number = message.get(4).map(|number| number >> 2);
    let own = wrapped.data.get(5).map(|sequence| sequence >> 2);
    is_from_controller(wrapped, message) && (number == own || number == Some(token))
}

/// Whether a message has the address, function and command of the answer that is awaited.
fn is_from_controller(wrapped: &Request, message: &[u8]) -> bool {
    let (Some(&[_, to, function, _, us, _, command]), Some(&[for_us, answer, _, from, _, same])) =
        (wrapped.data.first_chunk(), message.first_chunk::<HEAD>())
    else {
        return false;
    };
    is_wrapped(wrapped) && (for_us, from, same) == (us, to, command) && answer >> 2 == function >> 2 | 1
}

/// What the controller answered, from the answer to a request that was wrapped; an error is the BMC's own word for why it did not carry it.
pub(super) fn unwrap(wrapped: &Request, carried: Response) -> Result<Response, Undelivered> {
    if carried.completion != 0 {
        return Err(Undelivered::Refused(carried.completion));
    }
    let message = carried.data.as_slice();
    match message.get(HEAD..).and_then(|rest| rest.split_first()) {
        // A checksum stands at the end.
        Some((&completion, [data @ .., _])) if is_from_controller(wrapped, message) => {
            Ok(Response { completion, data: data.into() })
        }
        _ => Err(Undelivered::Strange),
    }
}

/// Why a request did not get to its controller, or its answer back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Undelivered {
    /// The BMC does not carry it.
    #[error("Send Message is answered with completion code {:#04x}{}", .0, meaning(*.0))]
    Refused(u8),
    /// What came is no answer to it.
    #[error("Send Message is answered with something else than the controller's answer")]
    Strange,
}

/// What a refusal of Send Message means (table 22-18). A record names an owner's address and the channel to it, and of controllers in between says nothing: a
/// request that would have to be carried twice cannot be made, and fails here.
fn meaning(completion: u8) -> &'static str {
    match completion {
        0x80 => ", invalid session handle",
        0x81 => ", lost arbitration on the bus",
        0x82 => ", a bus error",
        0x83 => {
            ", nobody at its address on that channel: either it is off, or it is behind yet another controller, and records do not say which"
        }
        0xC1 => ", the BMC carries nothing",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reading() -> Request {
        wrap(&Request::new(NetFn::SensorEvent, 0x2D, [7]), 0, 0x2C, 5)
    }

    fn carried(data: &[u8]) -> Response {
        Response { completion: 0, data: data.into() }
    }

    #[test]
    fn a_wrapped_request_is_byte_exact() {
        // As ipmitool sends it to the same address with the same sequence.
        assert_eq!(reading().data, [0x40, 0x2C, 0x10, 0xC4, 0x20, 0x14, 0x2D, 0x07, 0x98]);
    }

    #[test]
    fn the_controllers_answer_is_unwrapped() {
        // From OpenIPMI's simulator.
        let message = [0x20, 0x14, 0xCC, 0x2C, 0x14, 0x2D, 0x00, 0x31, 0xC0, 0x00, 0x00, 0xA2];
        assert!(answers(&reading(), 9, &message));
        // Some number it as Send Message was.
        let mut renumbered = message;
        renumbered[4] = 6 << 2;
        assert!(answers(&reading(), 6, &renumbered) && !answers(&reading(), 9, &renumbered));
        let expected = Response { completion: 0, data: [0x31, 0xC0, 0, 0].as_slice().into() };
        assert_eq!(unwrap(&reading(), carried(&message)), Ok(expected));
    }

    #[test]
    fn an_answer_to_another_request_is_none() {
        let message = [0x20, 0x14, 0xCC, 0x2C, 0x14, 0x2D, 0x00, 0x31, 0xC0, 0x00, 0x00, 0xA2];
        // Address, function, sender, sequence, command.
        for at in [0, 1, 3, 4, 5] {
            let mut other = message;
            other[at] ^= 0x08;
            assert!(!answers(&reading(), 9, &other), "byte {at}");
            // Within the answer to Send Message the number says nothing more.
            assert_eq!(unwrap(&reading(), carried(&other)).is_err(), at != 4, "byte {at}");
        }
    }

    #[test]
    fn a_refusal_of_the_bmc_is_not_one_of_the_controller() {
        let nobody = Response { completion: 0x83, data: [].as_slice().into() };
        assert_eq!(unwrap(&reading(), nobody), Err(Undelivered::Refused(0x83)));
        assert_eq!(unwrap(&reading(), carried(&[])), Err(Undelivered::Strange));
    }

    proptest! {
        #[test]
        fn any_answer_is_unwrapped_or_strange(data in proptest::collection::vec(any::<u8>(), 0..20)) {
            let is_one = is_from_controller(&reading(), &data) && data.len() > 7;
            prop_assert_eq!(unwrap(&reading(), carried(&data)).is_ok(), is_one);
        }
    }
}
