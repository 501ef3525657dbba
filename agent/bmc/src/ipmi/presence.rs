//! IPMI without a session: the presence ping (ASF 2.0 §3.2.4) and Get Channel Authentication Capabilities (IPMI 2.0 §22.13), which every BMC answers to
//! anybody.

use super::message::{self, Packet, Request};
use ipmi_rs_core::connection::NetFn;

/// What a BMC says to anybody.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Presence {
    /// It answered a presence ping and says that it speaks IPMI.
    pub pong: bool,
    /// It told what its channel can do, which only a BMC does.
    pub channel: bool,
    /// It speaks IPMI 2.0 (RMCP+); with 1.5 alone it cannot be polled.
    pub rmcp_plus: bool,
    /// The maker's IANA enterprise number, where the BMC gives one.
    pub enterprise: Option<u32>,
}

impl Presence {
    /// Both answers as one.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            pong: self.pong || other.pong,
            channel: self.channel || other.channel,
            rmcp_plus: self.rmcp_plus || other.rmcp_plus,
            enterprise: self.enterprise.or(other.enterprise),
        }
    }

    /// The maker, where its number is one of those that are met.
    pub fn maker(self) -> Option<&'static str> {
        self.enterprise.and_then(maker)
    }
}

/// The datagrams to send to an address: a ping with this tag, and the question for the channel's capabilities.
pub fn questions(tag: u8) -> [Vec<u8>; 2] {
    // The channel in use, with RMCP+ asked for, at the privilege of a user.
    let request = Request::new(NetFn::App, 0x38, [0x8E, 0x02]);
    [message::ping(tag), message::wrap_v15(&message::encode(&request, tag & 0x3F))]
}

/// What an answer tells; `None` where it is none.
pub fn answer(datagram: &[u8]) -> Option<Presence> {
    match message::parse(datagram)? {
        Packet::Pong { ipmi } => {
            // Bytes 8 to 11 of the pong's data are the maker's number (ASF 2.0 §3.2.4.3); most write ASF's own 4542 there.
            let number = datagram.get(12..16).and_then(|b| b.first_chunk()).map(|b| u32::from_be_bytes(*b));
            ipmi.then(|| Presence {
                pong: true,
                enterprise: number.filter(|n| *n != 4542 && *n != 0),
                ..Presence::default()
            })
        }
        Packet::V15(packet) => {
            let answer = message::decode(packet.payload)?;
            if answer.command != 0x38 || answer.response.completion != 0 {
                return None;
            }
            let &[_channel, types, _login, extended, a, b, c, ..] = answer.response.data.as_slice() else {
                return None;
            };
            let number = u32::from_le_bytes([a, b, c, 0]);
            Some(Presence {
                channel: true,
                rmcp_plus: (types & 0x80 != 0 || extended != 0) && extended & 0x02 != 0,
                enterprise: Some(number).filter(|n| *n != 0 && *n != 0xFF_FFFF),
                ..Presence::default()
            })
        }
        Packet::Plus(_) => None,
    }
}

/// Makers by their numbers in IANA's list of private enterprises.
fn maker(number: u32) -> Option<&'static str> {
    Some(match number {
        2 | 20301 => "IBM",
        11 | 47196 => "HPE",
        42 => "Oracle",
        119 => "NEC",
        343 => "Intel",
        674 => "Dell",
        2011 => "Huawei",
        3902 => "ZTE",
        5703 => "NVIDIA",
        5771 => "Cisco",
        6653 => "Tyan",
        7244 => "Quanta",
        10368 => "Fujitsu",
        10876 | 47488 => "Supermicro",
        11129 => "Google",
        15370 => "Gigabyte",
        19046 => "Lenovo",
        20974 => "AMI",
        25506 => "H3C",
        37945 => "Inspur",
        49769 => "YADRO",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_questions_are_byte_exact() {
        let [ping, capabilities] = questions(7);
        assert_eq!(ping, [6, 0, 0xFF, 6, 0, 0, 0x11, 0xBE, 0x80, 7, 0, 0]);
        // Wrapper of IPMI 1.5 without a session; message 20 18 c8 | 81 1c 38 8e 02 with its checksum.
        let expected =
            [6, 0, 0xFF, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0x20, 0x18, 0xC8, 0x81, 0x1C, 0x38, 0x8E, 0x02, 0x9B];
        assert_eq!(capabilities, expected);
    }

    #[test]
    fn a_pong_counts_only_where_it_claims_ipmi() {
        let mut pong = vec![
            6, 0, 0xFF, 6, 0, 0, 0x11, 0xBE, 0x40, 7, 0, 16, 0, 0, 0x02, 0xA2, 0, 0, 0, 0, 0x81, 0, 0, 0, 0, 0, 0, 0,
        ];
        let found = answer(&pong).unwrap();
        assert!(found.pong && !found.channel);
        assert_eq!(found.maker(), Some("Dell"));
        pong[20] = 0x01;
        assert_eq!(answer(&pong), None);
    }

    #[test]
    fn a_channel_tells_its_generation_and_maker() {
        // 81 1c 63 | 20 1c 38 00 | 01 80 04 02 a2 02 00 00 and a checksum.
        let message = [0x81, 0x1C, 0x63, 0x20, 0x1C, 0x38, 0x00, 0x01, 0x80, 0x04, 0x02, 0xA2, 0x02, 0x00, 0x00, 0x61];
        let found = answer(&message::wrap_v15(&message)).unwrap();
        assert!(found.channel && found.rmcp_plus);
        assert_eq!(found.maker(), Some("Dell"));
        let both = found.and(Presence { pong: true, ..Presence::default() });
        assert!(both.pong && both.rmcp_plus);
    }

    proptest! {
        #[test]
        fn any_datagram_is_read_or_left(bytes in proptest::collection::vec(any::<u8>(), 0..64), class in 5u8..9) {
            answer(&bytes);
            let mut rmcp = vec![6, 0, 0xFF, class];
            rmcp.extend(&bytes);
            answer(&rmcp);
        }
    }
}
