//! The connections that come through a [`Door`].

use super::{Door, Seat};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Sleep;
use tokio_stream::Stream;
use tonic::transport::server::{Connected, TcpConnectInfo};

/// So long nobody is let in after the system had no more files or memory for a connection.
const REST: Duration = Duration::from_millis(100);

/// All of a listener.
#[derive(Debug)]
pub struct Guests {
    listener: TcpListener,
    door: Door,
    rest: Option<Pin<Box<Sleep>>>,
}

impl Guests {
    /// Those of this listener.
    pub fn new(listener: TcpListener, door: Door) -> Self {
        Self { listener, door, rest: None }
    }
}

impl Stream for Guests {
    type Item = io::Result<Guest>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(rest) = &mut self.rest {
                ready!(rest.as_mut().poll(cx));
                self.rest = None;
            }
            match ready!(self.listener.poll_accept(cx)) {
                Ok((io, peer)) => {
                    if let Err(error) = io.set_nodelay(true) {
                        tracing::debug!(%error, "small messages to {peer} may wait");
                    }
                    return Poll::Ready(Some(Ok(Guest::new(io, peer, self.door.clone()))));
                }
                // Of that one connection; the next one is as good as any.
                Err(e) if is_of_peer(&e) => {}
                Err(e) => {
                    self.door.short(&e);
                    self.rest = Some(Box::pin(tokio::time::sleep(REST)));
                }
            }
        }
    }
}

fn is_of_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted, WouldBlock};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted | WouldBlock)
}

/// One connection. Reading from it fails once it is turned away.
pub struct Guest {
    io: TcpStream,
    seat: Arc<Seat>,
    door: Door,
    /// Ends when a stranger has to go; `None` once he is known.
    end: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl std::fmt::Debug for Guest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guest").field("seat", &self.seat).finish_non_exhaustive()
    }
}

impl Guest {
    fn new(io: TcpStream, peer: SocketAddr, door: Door) -> Self {
        let seat = door.enter(peer);
        let (cut, patience) = (seat.cut.clone(), door.shared.limits.patience);
        let end = async move {
            tokio::select! {
                () = cut.cancelled_owned() => {}
                () = tokio::time::sleep(patience) => {}
            }
        };
        Self { io, seat, door, end: Some(Box::pin(end)) }
    }

    /// An error once this one has to go.
    fn stays(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let Some(end) = &mut self.end else { return Ok(()) };
        if self.seat.known.load(Ordering::Relaxed) {
            self.end = None;
            return Ok(());
        }
        if end.as_mut().poll(cx).is_pending() {
            return Ok(());
        }
        self.end = Some(Box::pin(std::future::ready(())));
        if !self.seat.cut.is_cancelled() {
            self.seat.cut.cancel();
            self.door.shared.silent.fetch_add(1, Ordering::Relaxed);
        }
        Err(io::Error::new(io::ErrorKind::ConnectionAborted, "no call that is let in"))
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.door.leave(&self.seat);
    }
}

impl AsyncRead for Guest {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.stays(cx)?;
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Guest {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.stays(cx)?;
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stays(cx)?;
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

impl Connected for Guest {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.io.connect_info()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Figures, Limits};
    use super::*;

    #[tokio::test]
    async fn a_stranger_who_says_nothing_is_shown_out_and_a_known_one_may_be_quiet() {
        use tokio::io::AsyncReadExt;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let patience = Duration::from_millis(100);
        let door = Door::new("agents", Limits { patience, ..Limits::default() });
        let mut guests = Guests::new(listener, door.clone());
        let (_quiet, friend) = (TcpStream::connect(addr).await.unwrap(), TcpStream::connect(addr).await.unwrap());
        let friends = friend.local_addr().unwrap();
        for _ in 0..2 {
            let mut guest = tokio_stream::StreamExt::next(&mut guests).await.unwrap().unwrap();
            let known = guest.seat.peer == friends;
            if known {
                door.know(friends);
            }
            let mut byte = [0; 1];
            let read =
                tokio::time::timeout(if known { patience * 3 } else { patience * 300 }, guest.read(&mut byte)).await;
            match known {
                true => assert!(read.is_err(), "{read:?}"),
                false => assert_eq!(read.unwrap().unwrap_err().kind(), io::ErrorKind::ConnectionAborted),
            }
        }
        assert_eq!(door.figures(), Figures { silent: 1, ..Figures::default() });
    }
}
