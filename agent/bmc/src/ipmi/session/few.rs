//! A queue that holds one thing nearly always. That one lies in the queue itself: a session is found in the cache or it is not, and each piece of memory that belongs
//! to it elsewhere is waited for once more.

use std::collections::VecDeque;

/// First in, first out.
#[derive(Debug)]
pub(super) struct Few<T> {
    /// Nothing only where `rest` has nothing either.
    first: Option<T>,
    rest: VecDeque<T>,
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self { first: None, rest: VecDeque::new() }
    }
}

impl<T> Few<T> {
    pub(super) fn push(&mut self, item: T) {
        match self.first {
            None => self.first = Some(item),
            Some(_) => self.rest.push_back(item),
        }
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        let first = self.first.take();
        // The rest has memory only where there was more than one.
        if !self.rest.is_empty() {
            self.first = self.rest.pop_front();
        }
        first
    }

    pub(super) fn first(&self) -> Option<&T> {
        self.first.as_ref()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// All of it; nothing is left.
    pub(super) fn take(&mut self) -> impl Iterator<Item = T> + use<T> {
        self.first.take().into_iter().chain(std::mem::take(&mut self.rest))
    }

    /// Gives back memory that is not needed.
    pub(super) fn shrink(&mut self) {
        self.rest.shrink_to_fit();
    }
}

impl<T> Extend<T> for Few<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, items: I) {
        items.into_iter().for_each(|item| self.push(item));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn things_come_out_in_the_order_in_which_they_went_in(steps in proptest::collection::vec(proptest::option::of(any::<u8>()), 0..60)) {
            let (mut few, mut plain) = (Few::default(), VecDeque::new());
            for step in steps {
                match step {
                    Some(item) => {
                        few.push(item);
                        plain.push_back(item);
                    }
                    None => prop_assert_eq!(few.pop(), plain.pop_front()),
                }
                prop_assert_eq!((few.first(), few.is_empty()), (plain.front(), plain.is_empty()));
            }
            few.shrink();
            prop_assert_eq!(few.take().collect::<VecDeque<_>>(), plain);
            prop_assert!(few.is_empty());
        }
    }
}
