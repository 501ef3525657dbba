//! How often strangers may ask.

use outband_schemas::Timestamp;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// So many calls at once from one address, and one more for each second that passes: an agent that waits for its approval asks every third.
const AT_ONCE: i64 = 30;
/// So many addresses are remembered; when they all have asked of late, no further one may.
const ADDRESSES: usize = 4096;

/// A bucket of calls for each address.
#[derive(Debug, Default)]
pub struct Throttle(Mutex<HashMap<IpAddr, Bucket>>);

#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: i64,
    at: i64,
}

impl Bucket {
    fn at(self, now: i64) -> Self {
        // A clock that went back gives nothing and takes nothing.
        let left = (self.left + (now - self.at).clamp(0, AT_ONCE)).min(AT_ONCE);
        Self { left, at: now }
    }
}

impl Throttle {
    /// Whether one more call from this address is answered.
    pub fn admits(&self, address: IpAddr, now: Timestamp) -> bool {
        let now = now.as_secs();
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= ADDRESSES && !buckets.contains_key(&address) {
            // A full bucket is as good as none.
            buckets.retain(|_, bucket| bucket.at(now).left < AT_ONCE);
            if buckets.len() >= ADDRESSES {
                return false;
            }
        }
        let bucket = buckets.entry(address).or_insert(Bucket { left: AT_ONCE, at: now });
        *bucket = bucket.at(now);
        if bucket.left == 0 {
            return false;
        }
        bucket.left -= 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn address(n: u32) -> IpAddr {
        IpAddr::from(n.to_be_bytes())
    }

    #[test]
    fn one_address_asks_so_often_and_not_more() {
        let throttle = Throttle::default();
        let admitted = |now| (0..100).filter(|_| throttle.admits(address(1), now)).count();
        assert_eq!(admitted(NOW), 30);
        assert_eq!(admitted(NOW.plus(Duration::from_secs(7))), 7);
        assert_eq!(admitted(NOW), 0, "a clock that went back gives nothing");
        assert!(throttle.admits(address(2), NOW), "others are not held up");
        assert_eq!(admitted(NOW.plus(Duration::from_secs(3600))), 30);
    }

    #[test]
    fn a_flood_of_addresses_takes_no_more_room() {
        let throttle = Throttle::default();
        let admitted = (0..10_000).filter(|n| throttle.admits(address(*n), NOW)).count();
        assert_eq!(admitted, ADDRESSES);
        assert!(throttle.admits(address(20_000), NOW.plus(Duration::from_secs(60))));
    }
}
