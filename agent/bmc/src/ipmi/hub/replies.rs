//! The replies to a list of requests, side by side: a poll of a slow BMC takes minutes, and there are many.

use super::super::message::Response;
use super::super::session::RequestError;
use std::time::{Duration, Instant};

/// Replies in the order of their requests.
#[derive(Debug)]
pub(super) struct Replies {
    begun: Instant,
    list: Vec<Entry>,
    /// The data of all answers, one after the other.
    data: Vec<u8>,
    /// Those that are no answers, by their number.
    failed: Vec<(usize, RequestError)>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    /// Where its data ends.
    end: u32,
    /// Milliseconds after the list's beginning.
    after: u32,
    completion: u8,
}

/// About as many bytes of data has the answer to Get Sensor Reading.
const USUAL: usize = 4;
/// A longer one or two are among them.
const BEYOND: usize = 16;

impl Replies {
    /// Room for the replies to so many requests, the first of which is put now.
    pub(super) fn of(requests: usize, now: Instant) -> Self {
        Self {
            begun: now,
            list: Vec::with_capacity(requests),
            data: Vec::with_capacity(requests * USUAL + BEYOND),
            failed: Vec::new(),
        }
    }

    /// Notes a reply that came now.
    pub(super) fn push(&mut self, result: Result<Response, RequestError>, now: Instant) {
        let completion = match result {
            Ok(Response { completion, data }) => {
                self.data.extend_from_slice(&data);
                completion
            }
            Err(error) => {
                self.failed.push((self.list.len(), error));
                0
            }
        };
        let after = now.saturating_duration_since(self.begun).as_millis();
        self.list.push(Entry {
            end: u32::try_from(self.data.len()).unwrap_or(u32::MAX),
            after: u32::try_from(after).unwrap_or(u32::MAX),
            completion,
        });
    }

    /// Reads where the next one will stand.
    pub(super) fn touch(&self) -> usize {
        let (entry, byte) = (self.list.last().map_or(0, |e| e.completion), self.data.last().copied().unwrap_or(0));
        usize::from(entry ^ byte)
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Each of them, with the moment at which it came, to the millisecond.
    pub(super) fn into_each(self) -> impl Iterator<Item = (Result<Response, RequestError>, Instant)> {
        let Self { begun, list, data, failed } = self;
        let (mut from, mut failed) = (0, failed.into_iter().peekable());
        list.into_iter().enumerate().map(move |(number, entry)| {
            let to = usize::try_from(entry.end).unwrap_or(usize::MAX);
            let bytes = data.get(from..to).unwrap_or_default();
            from = to;
            let result = match failed.next_if(|(at, _)| *at == number) {
                Some((_, error)) => Err(error),
                None => Ok(Response { completion: entry.completion, data: bytes.into() }),
            };
            (result, begun + Duration::from_millis(entry.after.into()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::timing::some_time;
    use super::*;
    use proptest::prelude::*;

    fn reply() -> impl Strategy<Value = Result<Response, RequestError>> {
        let answer = (any::<u8>(), proptest::collection::vec(any::<u8>(), 0..20));
        prop_oneof![
            answer.prop_map(|(completion, data)| Ok(Response { completion, data: data.into() })),
            Just(Err(RequestError::Busy)),
            (0u64..9).prop_map(|s| Err(RequestError::Timeout(Duration::from_secs(s)))),
        ]
    }

    proptest! {
        #[test]
        fn what_is_noted_comes_back_in_order_each_with_its_time(replies in proptest::collection::vec((reply(), 0u64..1000), 0..20)) {
            let begun = some_time();
            let mut kept = Replies::of(3, begun);
            let (mut now, mut expected) = (begun, Vec::new());
            for (result, wait) in replies {
                now += Duration::from_millis(wait);
                kept.push(result.clone(), now);
                expected.push((result, now));
            }
            prop_assert_eq!(kept.len(), expected.len());
            prop_assert_eq!(kept.into_each().collect::<Vec<_>>(), expected);
        }
    }
}
