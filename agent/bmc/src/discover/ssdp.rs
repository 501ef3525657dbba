//! Redfish services that announce themselves by SSDP (DSP0266 §12.2, UPnP device architecture 1.1 §1.3).

use std::net::IpAddr;

/// Where a search is sent, by multicast.
pub const GROUP: &str = "239.255.255.250:1900";
/// What is searched for.
const SEARCH_TARGET: &str = "urn:dmtf-org:service:redfish-rest:1";

/// A service that answered a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    /// The address that its URL names.
    pub address: IpAddr,
    /// The port.
    pub port: u16,
    /// The service root's UUID, in lower case, from `USN`.
    pub uuid: Option<String>,
}

/// The datagram of a search; services answer within `seconds`.
pub fn search(seconds: u8) -> Vec<u8> {
    format!(
        "M-SEARCH * HTTP/1.1\r\nHOST: {GROUP}\r\nMAN: \"ssdp:discover\"\r\nMX: {seconds}\r\nST: {SEARCH_TARGET}\r\n\r\n"
    )
    .into_bytes()
}

/// Reads an answer; `None` where it is not one of a Redfish service reached by an address.
pub fn answer(datagram: &[u8]) -> Option<Announced> {
    let text = std::str::from_utf8(datagram).ok()?;
    let mut lines = text.split("\r\n").flat_map(|l| l.split('\n'));
    let first = lines.next()?;
    if !first.starts_with("HTTP/1.") || first.split(' ').nth(1) != Some("200") {
        return None;
    }
    let headers: Vec<(String, &str)> =
        lines.filter_map(|l| l.split_once(':')).map(|(k, v)| (k.trim().to_ascii_uppercase(), v.trim())).collect();
    let header = |name: &str| headers.iter().find(|(k, _)| k == name).map(|(_, v)| *v);
    if !header("ST")?.starts_with("urn:dmtf-org:service:redfish-rest:") {
        return None;
    }
    let url = header("AL").or_else(|| header("LOCATION"))?;
    let url = url::Url::parse(url.trim_matches(['<', '>'])).ok().filter(|u| u.scheme() == "https")?;
    let address = match url.host()? {
        url::Host::Ipv4(v4) => IpAddr::V4(v4),
        url::Host::Ipv6(v6) => IpAddr::V6(v6),
        // Only addresses can be held against the ranges that were asked for.
        url::Host::Domain(_) => return None,
    };
    let uuid = header("USN").and_then(|usn| usn.strip_prefix("uuid:")).and_then(|u| u.split("::").next());
    Some(Announced { address, port: url.port().unwrap_or(443), uuid: uuid.map(str::to_ascii_lowercase) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ANSWER: &str = "HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=1800\r\nST: urn:dmtf-org:service:redfish-rest:1:9\r\n\
        USN: uuid:12345678-90AB-cdef-1234-567890abcdef::urn:dmtf-org:service:redfish-rest:1:9\r\nAL: https://10.0.0.7/redfish/v1\r\nEXT:\r\n\r\n";

    #[test]
    fn an_answer_names_address_port_and_uuid() {
        let found = answer(ANSWER.as_bytes()).unwrap();
        assert_eq!((found.address, found.port), ("10.0.0.7".parse().unwrap(), 443));
        assert_eq!(found.uuid.as_deref(), Some("12345678-90ab-cdef-1234-567890abcdef"));
        let other = ANSWER.replace("AL: https://10.0.0.7", "Location: https://[fd00::7]:8443");
        assert_eq!(answer(other.as_bytes()).map(|a| (a.address, a.port)), Some(("fd00::7".parse().unwrap(), 8443)));
    }

    #[test]
    fn other_services_and_plain_http_are_left_alone() {
        for (from, to) in
            [("redfish-rest", "printer"), ("https://", "http://"), ("200 OK", "404 No"), ("10.0.0.7", "bmc.example")]
        {
            assert_eq!(answer(ANSWER.replace(from, to).as_bytes()), None, "{to}");
        }
    }

    #[test]
    fn a_search_asks_for_redfish() {
        let text = String::from_utf8(search(3)).unwrap();
        assert!(text.starts_with("M-SEARCH * HTTP/1.1\r\n") && text.ends_with("\r\n\r\n") && text.contains("MX: 3"));
    }

    proptest! {
        #[test]
        fn any_datagram_is_read_or_left(bytes in proptest::collection::vec(any::<u8>(), 0..200), cut in 0usize..300) {
            answer(&bytes);
            answer(&ANSWER.as_bytes()[..cut.min(ANSWER.len())]);
        }
    }
}
