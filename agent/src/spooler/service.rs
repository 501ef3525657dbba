//! The service: takes what waits, groups the appends, answers.

use super::{Bookmark, Error, Found, Held, Options, Reply, Request, Spooler};
use outband_schemas::{Clock, SpoolId};
use outband_spool::{self as spool, Opened, Spool};
use std::time::Duration;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

/// So many requests may wait before askers have to.
const WAITING: usize = 256;
/// So many bytes of bodies go into one transaction at most, so that a peek need not wait long.
const GROUP_BYTES: usize = 4 << 20;
/// What comes while appends gather is looked at this often.
const NAP: Duration = Duration::from_millis(20);

pub(super) fn open<C, N>(
    options: Options,
    clock: C,
    mut new_id: N,
) -> Result<(Spooler, Found, impl Future<Output = ()> + Send + 'static), Error>
where
    C: Clock + Send + 'static,
    N: FnMut() -> u128 + Send + 'static,
{
    let gather = options.gather;
    let Opened { spool, fresh, set_aside } =
        Spool::open(options.path, options.spool, new_id(), clock.now().as_millis())?;
    let (requests, inbox) = mpsc::channel(WAITING);
    let (tell, held) = watch::channel(held(&spool));
    let service = Service { spool: Some(spool), clock, new_id, tell, gather };
    Ok((Spooler { requests, held }, Found { fresh, set_aside }, service.run(inbox)))
}

fn held(spool: &Spool) -> Held {
    Held { id: SpoolId::from_bits(spool.id()), lanes: spool.lanes() }
}

struct Service<C, N> {
    /// `None` once the file is damaged beyond replacing: every request is then answered with [`Error::Closed`].
    spool: Option<Spool>,
    clock: C,
    new_id: N,
    tell: watch::Sender<Held>,
    gather: Duration,
}

/// Appends that go into one transaction.
#[derive(Default)]
struct Group {
    appends: Vec<(spool::Lane, Vec<spool::Entry>, Vec<Bookmark>)>,
    replies: Vec<Reply<()>>,
    bytes: usize,
}

impl Group {
    /// Takes an append; another request is given back.
    fn take(&mut self, request: Request) -> Option<Request> {
        match request {
            Request::Append { lane, entries, bookmarks, reply } => {
                self.bytes += entries.iter().map(|e| e.body.len()).sum::<usize>();
                self.appends.push((lane, entries, bookmarks));
                self.replies.push(reply);
                None
            }
            other => Some(other),
        }
    }

    /// Whether one of its appends sets this bookmark.
    fn sets(&self, key: &str) -> bool {
        self.appends.iter().any(|(_, _, bookmarks)| bookmarks.iter().any(|(mark, _)| mark == key))
    }
}

/// What comes until then; without a time, or after it, what is there. Looks only now and then, since being woken for each request costs, too.
async fn next(inbox: &mut mpsc::Receiver<Request>, until: Option<Instant>) -> Option<Request> {
    loop {
        match inbox.try_recv() {
            Ok(request) => return Some(request),
            Err(TryRecvError::Disconnected) => return None,
            Err(TryRecvError::Empty) => {}
        }
        let now = Instant::now();
        let at = until.filter(|at| *at > now)?;
        sleep_until(at.min(now + NAP)).await;
    }
}

impl<C: Clock, N: FnMut() -> u128> Service<C, N> {
    async fn run(mut self, mut inbox: mpsc::Receiver<Request>) {
        let (mut waiting, mut next_group) = (None, None);
        loop {
            let request = match waiting.take() {
                Some(request) => request,
                None => match inbox.recv().await {
                    Some(request) => request,
                    None => return,
                },
            };
            let mut group = Group::default();
            if let Some(other) = group.take(request) {
                self.serve(other);
                continue;
            }
            while group.bytes < GROUP_BYTES {
                match next(&mut inbox, next_group).await {
                    Some(Request::Bookmark { key, reply }) if !group.sets(&key) => {
                        self.serve(Request::Bookmark { key, reply });
                    }
                    Some(request) => waiting = group.take(request),
                    None => break,
                }
                // What is no append may be about what the group holds: it is served after it.
                if waiting.is_some() {
                    break;
                }
            }
            // Without a gap there need not be a clock either.
            next_group = (!self.gather.is_zero()).then(|| Instant::now() + self.gather);
            self.append(group);
        }
    }

    /// Whoever gets an answer finds it in [`Spooler::held`] already.
    fn answer<T>(&self, reply: Reply<T>, result: Result<T, Error>) {
        self.publish();
        // Whoever asked may have been cancelled: then nobody wants the answer.
        if reply.send(result).is_err() {
            tracing::debug!("the asker of a spool request is gone");
        }
    }

    fn publish(&self) {
        if let Some(spool) = &self.spool {
            let held = held(spool);
            self.tell.send_if_modified(|known| std::mem::replace(known, held) != held);
        }
    }

    fn append(&mut self, group: Group) {
        let Group { appends, replies, .. } = group;
        let together: Vec<_> = appends
            .iter()
            .map(|(lane, entries, bookmarks)| spool::Append { lane: *lane, entries, bookmarks })
            .collect();
        match self.with(|s, _| s.append_all(&together)) {
            Ok(()) => replies.into_iter().for_each(|r| self.answer(r, Ok(()))),
            // One that is too big must not hold up the others, and a replaced spool takes them as well.
            Err(_) => {
                for (append, reply) in together.iter().zip(replies) {
                    let result = self.with(|s, _| s.append_all(&[*append]));
                    self.answer(reply, result);
                }
            }
        }
    }

    fn serve(&mut self, request: Request) {
        match request {
            // Only `run` takes appends out of the queue, and it groups them.
            Request::Append { lane, entries, bookmarks, reply } => {
                let result = self.with(|s, _| s.append(lane, &entries, &bookmarks).map(|_| ()));
                self.answer(reply, result);
            }
            Request::Bookmark { key, reply } => {
                let result = self.with(|s, _| s.bookmark(&key));
                self.answer(reply, result);
            }
            Request::Peek { id, lane, after, max_bytes, reply } => {
                let result = self.of(id, |s, _| s.peek(lane, after, max_bytes));
                self.answer(reply, result);
            }
            Request::Release { id, lane, through, reply } => {
                let result = self.of(id, |s, now_ms| s.release(lane, through, now_ms));
                self.answer(reply, result);
            }
            Request::OrderSeen { id, reply } => {
                let result = self.with(|s, now_ms| s.order_seen(&id, now_ms));
                self.answer(reply, result);
            }
            Request::OrdersUnanswered { reply } => {
                let result = self.with(|s, _| s.orders_unanswered());
                self.answer(reply, result);
            }
            Request::Renew { id, reply } => {
                let new_id = (self.new_id)();
                let result = self.of(id, |s, now_ms| s.renew(new_id, now_ms));
                self.answer(reply, result);
            }
        }
    }

    /// Like [`Service::with`], but only if the spool is still the one that the asker means.
    fn of<T>(
        &mut self,
        id: SpoolId,
        work: impl FnOnce(&mut Spool, i64) -> Result<T, spool::Error>,
    ) -> Result<T, Error> {
        match &self.spool {
            Some(spool) if spool.id() != id.bits() => Err(Error::Replaced),
            _ => self.with(work),
        }
    }

    /// Does the work; where the file turns out damaged, begins a new one and says so.
    fn with<T>(&mut self, work: impl FnOnce(&mut Spool, i64) -> Result<T, spool::Error>) -> Result<T, Error> {
        let now_ms = self.clock.now().as_millis();
        let mut spool = self.spool.take().ok_or(Error::Closed)?;
        match work(&mut spool, now_ms) {
            Err(spool::Error::Damaged { path, detail }) => {
                tracing::error!(path = %path.display(), detail, "the spool is damaged; setting it aside and beginning a new one");
                self.spool = Some(spool.set_aside((self.new_id)(), now_ms)?.spool);
                Err(Error::Replaced)
            }
            done => {
                self.spool = Some(spool);
                Ok(done?)
            }
        }
    }
}
