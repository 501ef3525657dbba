//! One request to the BMC and its answer, blocking: through the kernel's driver, or through whatever a test brings.

use crate::ipmi::message::{Request, Response};
use ipmi_rs::connection::{Address, Channel, IpmiConnection, LogicalUnit, Message, RequestTargetAddress};
use ipmi_rs::connection::{NetFn, Request as Raw, Response as RawResponse};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// What carries a request to the BMC. It blocks, and may hang.
pub trait Wire: Send + 'static {
    /// Puts one request and waits for its answer, for so long at most.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] where there is no answer in time; any other error means that the device is of no more use and has to be opened anew.
    fn put(&mut self, request: &Request, within: Duration) -> io::Result<Response>;
}

/// How long one wait for the driver takes. The driver has time-outs of its own, after which it answers with a completion code.
const WAIT: Duration = Duration::from_secs(5);
const SEND_MESSAGE: u8 = 0x34;
/// Addresses, function, sequence, command and the first sum of an IPMB message, as Send Message carries it.
const CARRIED_HEAD: usize = 7;

/// The kernel's driver.
pub struct Driver(ipmi_rs::File);

impl Driver {
    /// Opens the device.
    ///
    /// # Errors
    /// As the system says: it is not there, or may not be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::FileTypeExt;
        // Any file would open; only a device answers.
        if !std::fs::metadata(path)?.file_type().is_char_device() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no character device"));
        }
        ipmi_rs::File::new(path, WAIT).map(Self)
    }
}

impl Wire for Driver {
    fn put(&mut self, request: &Request, within: Duration) -> io::Result<Response> {
        let until = now() + within;
        let (message, target, sequence) = match carried(request) {
            Some(carried) => carried,
            None => {
                let message = Message::new_request(request.netfn, request.command, request.data.clone());
                (message, RequestTargetAddress::Bmc(LogicalUnit::from_low_bits(request.lun)), None)
            }
        };
        let (netfn, command) = (message.netfn(), message.cmd());
        self.0.send(&mut Raw::new(message, target))?;
        loop {
            let answer = match self.0.recv() {
                // The answer to an earlier request, which was given up: the next one may be ours.
                Err(error) if error.kind() == io::ErrorKind::Other => None,
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => None,
                answer => Some(answer?),
            };
            if let Some(answer) =
                answer.filter(|a| a.netfn().response_value() == netfn.response_value() && a.cmd() == command)
            {
                return Ok(match (sequence, target) {
                    (Some(sequence), RequestTargetAddress::BmcOrIpmb(Address(controller), ..)) => {
                        delivered(&answer, controller, sequence)
                    }
                    _ => Response { completion: answer.cc(), data: answer.data().into() },
                });
            }
            if now() >= until {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
    }
}

/// What is within a Send Message, and for whom: the driver sends it on itself, since it alone sees what comes back over the bus.
fn carried(request: &Request) -> Option<(Message, RequestTargetAddress, Option<u8>)> {
    if request.netfn != NetFn::App || request.command != SEND_MESSAGE {
        return None;
    }
    let (head, rest) = request.data.split_at_checked(CARRIED_HEAD)?;
    let &[channel, controller, function, _, _, sequence, command] = head else { return None };
    let (_sum, data) = rest.split_last()?;
    let message = Message::new_request(NetFn::from(function >> 2), command, data.to_vec());
    let target = (Address(controller), Channel::new(channel & 0x0F)?, LogicalUnit::from_low_bits(function));
    Some((message, RequestTargetAddress::BmcOrIpmb(target.0, target.1, target.2), Some(sequence)))
}

/// What a controller answered, as the answer to the Send Message that would have carried it (§22.7).
fn delivered(answer: &RawResponse, controller: u8, sequence: u8) -> Response {
    let mut data = vec![0x20, answer.netfn().response_value() << 2, 0, controller, sequence, answer.cmd(), answer.cc()];
    data.extend(answer.data());
    // The sums were looked at by the driver.
    data.push(0);
    Response { completion: 0, data: data.into() }
}

#[expect(clippy::disallowed_methods, reason = "this waits for a device, and knows no other clock")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_send_message_carries_goes_to_its_controller_by_the_driver() {
        // Get Sensor Reading of sensor 7, to the controller at 2Ch on channel 0, as polls wrap it.
        let data = [0x40, 0x2C, 0x10, 0xC4, 0x20, 0x14, 0x2D, 0x07, 0x98];
        let (message, target, sequence) = carried(&Request::new(NetFn::App, SEND_MESSAGE, data)).unwrap();
        assert_eq!((message.netfn(), message.cmd(), message.data()), (NetFn::SensorEvent, 0x2D, &[7][..]));
        assert_eq!(target, RequestTargetAddress::BmcOrIpmb(Address(0x2C), Channel::Primary, LogicalUnit::Zero));
        let answer = RawResponse::new(Message::new_raw(0x05, 0x2D, vec![0, 42, 0xC0]), 1).unwrap();
        let back = delivered(&answer, 0x2C, sequence.unwrap());
        assert_eq!((back.completion, back.data.to_vec()), (0, vec![0x20, 0x14, 0, 0x2C, 0x14, 0x2D, 0, 42, 0xC0, 0]));
    }

    #[test]
    fn other_requests_go_to_the_bmc_itself_and_short_ones_harm_nobody() {
        assert!(carried(&Request::new(NetFn::App, 0x01, [])).is_none());
        for len in 0..8 {
            assert!(carried(&Request::new(NetFn::App, SEND_MESSAGE, vec![0x40; len])).is_none(), "{len}");
        }
    }

    #[test]
    fn a_plain_file_is_no_device() {
        let error = Driver::open(Path::new("/etc/passwd")).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}
