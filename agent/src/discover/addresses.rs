//! Ranges of addresses, as people write them.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

/// More than a /16: what is meant by such a range is mostly a slip of the hand.
const MOST: u64 = 65_536;

/// Addresses from the first to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    first: IpAddr,
    last: IpAddr,
}

/// The text is no range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// No address at all.
    #[error("{0:?} is no address or range; write 10.0.0.0/24, 10.0.0.5-10.0.0.90 or 10.0.0.7")]
    NotOne(String),
    /// The prefix is not one of the address' family.
    #[error("{0:?}: the prefix of an IPv4 address is 0 to 32, of an IPv6 address 112 to 128")]
    Prefix(String),
    /// It ends before it begins.
    #[error("{0:?} ends before it begins")]
    Backwards(String),
    /// It is too large.
    #[error("{0:?} holds {1} addresses; at most {MOST} are looked at in one go: give smaller ranges")]
    Large(String, u64),
}

impl FromStr for Range {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, RangeError> {
        let not_one = || RangeError::NotOne(text.to_owned());
        let address = |part: &str| part.trim().parse::<IpAddr>().map_err(|_| not_one());
        let range = if let Some((net, prefix)) = text.split_once('/') {
            let prefix: u32 = prefix.trim().parse().map_err(|_| RangeError::Prefix(text.to_owned()))?;
            network(address(net)?, prefix).ok_or_else(|| RangeError::Prefix(text.to_owned()))?
        } else if let Some((first, last)) = text.split_once('-') {
            let first = address(first)?;
            // 10.0.0.5-90 is what many write.
            let last = match (first, last.trim().parse::<u8>()) {
                (IpAddr::V4(v4), Ok(end)) => {
                    let [a, b, c, _] = v4.octets();
                    IpAddr::V4(Ipv4Addr::new(a, b, c, end))
                }
                _ => address(last)?,
            };
            Self { first, last }
        } else {
            Self { first: address(text)?, last: address(text)? }
        };
        match range.count() {
            None => Err(RangeError::Backwards(text.to_owned())),
            Some(count) if count > MOST => Err(RangeError::Large(text.to_owned(), count)),
            Some(_) => Ok(range),
        }
    }
}

/// All addresses of a network but, in IPv4 networks with more than two, its own and its broadcast address.
fn network(address: IpAddr, prefix: u32) -> Option<Range> {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32u32.checked_sub(prefix)?).unwrap_or(0);
            let (low, high) = (u32::from(v4) & mask, u32::from(v4) | !mask);
            let (low, high) = if prefix < 31 { (low + 1, high - 1) } else { (low, high) };
            Some(Range { first: IpAddr::V4(low.into()), last: IpAddr::V4(high.into()) })
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128u32.checked_sub(prefix)?).unwrap_or(0);
            let (low, high) = (u128::from(v6) & mask, u128::from(v6) | !mask);
            (prefix >= 112).then(|| Range { first: IpAddr::V6(low.into()), last: IpAddr::V6(high.into()) })
        }
    }
}

impl Range {
    /// How many addresses; `None` where it ends before it begins or mixes families.
    fn count(&self) -> Option<u64> {
        let span = match (self.first, self.last) {
            (IpAddr::V4(a), IpAddr::V4(b)) => u128::from(u32::from(b).checked_sub(u32::from(a))?),
            (IpAddr::V6(a), IpAddr::V6(b)) => u128::from(b).checked_sub(u128::from(a))?,
            _ => return None,
        };
        Some(u64::try_from(span).unwrap_or(u64::MAX - 1).saturating_add(1))
    }

    fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let (first, last) = (*self, self.last);
        let next = move |a: &IpAddr| match (*a, last) {
            (a, last) if a == last => None,
            (IpAddr::V4(a), _) => u32::from(a).checked_add(1).map(|n| IpAddr::V4(n.into())),
            (IpAddr::V6(a), _) => u128::from(a).checked_add(1).map(|n| IpAddr::V6(n.into())),
        };
        std::iter::successors(Some(first.first), next)
    }
}

/// Every address of some ranges, once; an error where they are too many together.
pub(super) fn all(ranges: &[Range]) -> Result<BTreeSet<IpAddr>, RangeError> {
    let count = ranges.iter().filter_map(Range::count).fold(0u64, u64::saturating_add);
    if count > MOST {
        return Err(RangeError::Large("all ranges together".to_owned(), count));
    }
    Ok(ranges.iter().flat_map(Range::addresses).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(text: &str) -> Vec<String> {
        all(&[text.parse().unwrap()]).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_network_leaves_out_its_own_and_its_broadcast_address() {
        assert_eq!(of("10.0.0.0/30"), ["10.0.0.1", "10.0.0.2"]);
        assert_eq!(of("10.0.0.77/24").len(), 254);
        assert_eq!(of("10.0.0.4/31"), ["10.0.0.4", "10.0.0.5"]);
        assert_eq!(of("10.0.0.4/32"), ["10.0.0.4"]);
        assert_eq!(of("10.0.0.0/16").len(), 65_534);
    }

    #[test]
    fn a_range_may_be_written_in_full_or_by_its_last_number() {
        assert_eq!(of("10.0.0.9-11"), ["10.0.0.9", "10.0.0.10", "10.0.0.11"]);
        assert_eq!(of("10.0.0.255-10.0.1.1"), ["10.0.0.255", "10.0.1.0", "10.0.1.1"]);
        assert_eq!(of("fd00::fe-fd00::100").len(), 3);
        assert_eq!(of("255.255.255.254-255.255.255.255").len(), 2);
    }

    #[test]
    fn what_is_none_or_too_much_is_refused_with_a_reason() {
        let refused = |text: &str| text.parse::<Range>().unwrap_err().to_string();
        assert!(refused("ten").contains("no address"));
        assert!(refused("10.0.0.0/33").contains("prefix"));
        assert!(refused("fd00::/64").contains("112"));
        assert!(refused("10.0.0.9-10.0.0.1").contains("before"));
        assert!(refused("10.0.0.9-fd00::1").contains("before"));
        assert!(refused("10.0.0.0/8").contains("16777214"));
        let two: Vec<Range> = ["10.0.0.0/16", "10.1.0.0/16"].iter().map(|r| r.parse().unwrap()).collect();
        assert!(all(&two).is_err());
    }

    proptest! {
        #[test]
        fn a_networks_addresses_are_all_of_it_and_none_else(net: u32, prefix in 17u32..=32) {
            let mask = u32::MAX << (32 - prefix);
            let text = format!("{}/{prefix}", Ipv4Addr::from(net));
            for address in all(&[text.parse().unwrap()]).unwrap() {
                let IpAddr::V4(v4) = address else { panic!("{address}") };
                prop_assert_eq!(u32::from(v4) & mask, net & mask);
            }
        }
    }
}
