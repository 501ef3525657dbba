//! Which sequence numbers of the BMC were seen (§6.12.13): a packet that comes twice is taken once, and one that was overtaken is taken still.

/// The highest number seen, and a bit for each of those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ipmi) struct Window {
    highest: u32,
    /// Bit n: the number n below the highest was seen.
    seen: u32,
    reach: Reach,
}

/// How far from the highest number a packet may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reach {
    back: u32,
    /// `None`: as far as it likes. Of an authenticated packet the number is as sure as the rest of it, and a BMC whose answers were lost for a while, or that skips
    /// numbers, is none the worse for it. An unauthenticated one could else end the session for whoever comes after it.
    ahead: Option<u32>,
}

impl Reach {
    /// RMCP+, by whether packets are authenticated.
    pub(super) fn plus(authenticated: bool) -> Self {
        Self { back: 15, ahead: (!authenticated).then_some(16) }
    }

    /// IPMI 1.5, by whether packets are authenticated by more than a word that anybody can read.
    pub(super) fn v15(authenticated: bool) -> Self {
        Self { back: 8, ahead: (!authenticated).then_some(8) }
    }
}

impl Window {
    /// Whose first number will be the one after `before`.
    pub(super) fn after(before: u32, reach: Reach) -> Self {
        Self { highest: before, seen: u32::MAX, reach }
    }

    /// Whether a number is new and near enough; if so it counts as seen from now on. Numbers go round, and 0 is never one of them.
    pub(super) fn take(&mut self, number: u32) -> bool {
        if number == 0 {
            return false;
        }
        let ahead = number.wrapping_sub(self.highest);
        if ahead != 0 && ahead <= u32::MAX / 2 {
            if self.reach.ahead.is_some_and(|most| ahead > most) {
                return false;
            }
            self.seen = self.seen.checked_shl(ahead).unwrap_or(0) | 1;
            self.highest = number;
            return true;
        }
        let behind = self.highest.wrapping_sub(number);
        if behind > self.reach.back || self.seen >> behind & 1 == 1 {
            return false;
        }
        self.seen |= 1 << behind;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_number_that_was_overtaken_is_taken_once() {
        let mut window = Window::after(0, Reach::plus(true));
        assert!(window.take(1) && window.take(4) && window.take(2));
        assert!(!window.take(2) && !window.take(4) && !window.take(1) && window.take(3));
    }

    #[test]
    fn nothing_is_taken_from_before_the_session() {
        let mut window = Window::after(100, Reach::v15(true));
        assert!(!window.take(100) && !window.take(99) && !window.take(0) && window.take(101) && !window.take(100));
    }

    #[test]
    fn only_an_authenticated_packet_may_jump_ahead() {
        assert!(Window::after(0, Reach::plus(true)).take(1_000));
        let mut window = Window::after(0, Reach::plus(false));
        assert!(!window.take(17) && window.take(16) && window.take(32));
        let mut window = Window::after(0, Reach::v15(false));
        assert!(!window.take(9) && window.take(8));
    }

    #[test]
    fn numbers_go_round() {
        let mut window = Window::after(u32::MAX - 1, Reach::plus(true));
        assert!(window.take(u32::MAX) && window.take(2) && !window.take(u32::MAX) && window.take(1));
    }

    proptest! {
        #[test]
        fn no_number_is_taken_twice_and_none_from_too_far_back(numbers in proptest::collection::vec(1u32..200, 1..300)) {
            let mut window = Window::after(0, Reach::plus(true));
            let (mut taken, mut highest) = (BTreeSet::new(), 0);
            for number in numbers {
                let new = !taken.contains(&number) && number + 15 >= highest;
                prop_assert_eq!(window.take(number), new);
                if new {
                    taken.insert(number);
                    highest = highest.max(number);
                }
            }
        }
    }
}
