//! What waits to be sent, each address family by itself, in one piece of memory.

use std::net::SocketAddr;

/// Datagrams that wait to be sent.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pub(super) v4: Waiting,
    pub(super) v6: Waiting,
}

impl Outbox {
    pub(super) fn push(&mut self, peer: SocketAddr, datagram: &[u8]) {
        let waiting = if peer.is_ipv4() { &mut self.v4 } else { &mut self.v6 };
        waiting.bytes.extend_from_slice(datagram);
        waiting.list.push((peer, waiting.bytes.len()));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.v4.list.is_empty() && self.v6.list.is_empty()
    }
}

/// Datagrams of one family.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// To whom each goes, and where in `bytes` it ends.
    list: Vec<(SocketAddr, usize)>,
    bytes: Vec<u8>,
}

impl Waiting {
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// Some of them, from the `from`th on.
    pub(super) fn some(&self, from: usize, most: usize) -> impl Iterator<Item = (SocketAddr, &[u8])> {
        let mut begin = from.checked_sub(1).and_then(|before| self.list.get(before)).map_or(0, |(_, end)| *end);
        self.list.iter().skip(from).take(most).map(move |(peer, end)| {
            let datagram = self.bytes.get(begin..*end).unwrap_or_default();
            begin = *end;
            (*peer, datagram)
        })
    }

    /// The first so many are sent, or given up.
    pub(super) fn done(&mut self, count: usize) {
        if count >= self.list.len() {
            self.list.clear();
            self.bytes.clear();
            return;
        }
        let Some(to) = count.checked_sub(1).and_then(|last| self.list.get(last)).map(|(_, end)| *end) else { return };
        self.bytes.drain(..to);
        self.list.drain(..count);
        self.list.iter_mut().for_each(|(_, end)| *end -= to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_sent_stays_as_it_is() {
        let peer = |n: u8| SocketAddr::from(([127, 0, 0, n], 623));
        let mut outbox = Outbox::default();
        for n in 0..5 {
            outbox.push(peer(n), &vec![n; usize::from(n)]);
        }
        outbox.push(SocketAddr::from(([0; 16], 623)), &[9]);
        outbox.v4.done(0);
        outbox.v4.done(2);
        let left: Vec<_> = outbox.v4.some(1, 9).map(|(to, bytes)| (to, bytes.to_vec())).collect();
        assert_eq!(left, [(peer(3), vec![3; 3]), (peer(4), vec![4; 4])]);
        outbox.v4.done(3);
        assert_eq!((outbox.v4.len(), outbox.v6.len(), outbox.is_empty()), (0, 1, false));
    }
}
