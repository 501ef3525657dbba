//! Addresses in turn, streams that end for new ones, lines that carry nothing any more, collectors of other versions and slow ones.

use super::*;
use outband_proto::pack;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const PATIENCE: Duration = Duration::from_secs(30);

fn closed_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn at(port: u16) -> String {
    format!("https://localhost:{port}")
}

async fn connected(site: &mut Site, port: u16) {
    let there = site.link.wait_for(|l| l.connected.as_ref().is_some_and(|e| *e == at(port)));
    tokio::time::timeout(PATIENCE, there).await.unwrap_or_else(|_| panic!("not connected to {port}")).unwrap();
}

#[tokio::test]
async fn a_first_address_that_answers_and_refuses_is_passed_over() {
    let (collector, pem) = (Collector::default(), certificate());
    let refuses = Collector { mood: Mood::Refuses, ..Collector::default() };
    let ((first, one), (second, two)) = (serve(refuses, &pem, 0).await, serve(collector.clone(), &pem, 0).await);
    let mut site = Site::begin(vec![at(first), at(second)], &pem.0, TOKEN);
    site.append(Lane::Event, b"x").await;
    site.delivered().await;
    connected(&mut site, second).await;
    assert_eq!(collector.stored(Lane::Event), [b"x"]);
    one.abort();
    two.abort();
}

#[tokio::test]
async fn when_its_stream_has_aged_an_agent_goes_back_to_its_first_address_at_once_and_sends_nothing_twice() {
    let (mut collector, pem) = (Collector::default(), certificate());
    let first = closed_port();
    let (second, standby) = serve(collector.clone(), &pem, 0).await;
    let mut site = Site::begin(vec![at(first), at(second)], &pem.0, TOKEN);
    site.append(Lane::Telemetry, b"a").await;
    site.delivered().await;
    let aged = std::mem::take(&mut collector.aged);
    let (_, again) = serve(collector.clone(), &pem, first).await;
    let begun = tokio::time::Instant::now();
    aged.cancel();
    connected(&mut site, first).await;
    assert!(begun.elapsed() < backoff_or_more(), "it waited {:?}", begun.elapsed());
    site.append(Lane::Telemetry, b"b").await;
    site.delivered().await;
    assert_eq!(collector.stored(Lane::Telemetry), [b"a", b"b"]);
    assert!(site.link.borrow().last_error.is_none());
    standby.abort();
    again.abort();
}

/// Far more than a new stream takes on the loopback; a back-off that grew is longer.
fn backoff_or_more() -> Duration {
    Duration::from_secs(10)
}

#[tokio::test]
async fn a_collector_that_is_older_refuses_by_name_and_the_spool_keeps_what_comes() {
    let (collector, pem) = (Collector { mood: Mood::Older, ..Collector::default() }, certificate());
    let (port, server) = serve(collector, &pem, 0).await;
    let mut site = Site::begin(vec![at(port)], &pem.0, TOKEN);
    site.append(Lane::Event, b"x").await;
    let error = site.failed().await;
    assert!(error.contains("upgrade the collector first") && error.contains("protocol 1"), "{error}");
    let held = *site.spooler.held().borrow();
    assert_eq!((held.lanes.event.next, held.lanes.event.released), (2, 0));
    server.abort();
}

#[tokio::test]
async fn packed_bodies_go_as_they_are_where_the_collector_reads_them_and_unpacked_where_not() {
    let body = b"/redfish/v1/Chassis/1/Sensors/Fan".repeat(20);
    let packed = pack::pack(body.clone());
    assert!(pack::is_packed(&packed));
    for (mood, expected) in [(Mood::Packed, &packed), (Mood::Kind, &body)] {
        let (collector, pem) = (Collector { mood, ..Collector::default() }, certificate());
        let (port, server) = serve(collector.clone(), &pem, 0).await;
        let site = Site::begin(vec![at(port)], &pem.0, TOKEN);
        site.append(Lane::Telemetry, &packed).await;
        site.delivered().await;
        assert_eq!(collector.stored(Lane::Telemetry), [expected.as_slice()], "{mood:?}");
        server.abort();
    }
}

#[tokio::test]
async fn while_acks_are_withheld_no_more_than_a_window_is_sent_and_an_event_still_passes() {
    let (collector, pem) = (Collector { mood: Mood::Withholds, ..Collector::default() }, certificate());
    let (port, server) = serve(collector.clone(), &pem, 0).await;
    let site = Site::begin(vec![at(port)], &pem.0, TOKEN);
    for i in 0..100u8 {
        site.append(Lane::Telemetry, &[i; 300]).await;
    }
    let until = tokio::time::Instant::now() + PATIENCE;
    let bytes = || collector.stored(Lane::Telemetry).iter().map(Vec::len).sum::<usize>();
    // Three quarters of the window of 4000 bytes are for telemetry.
    while bytes() < 2700 {
        assert!(tokio::time::Instant::now() < until, "{} bytes came", bytes());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    site.append(Lane::Event, b"urgent").await;
    while collector.stored(Lane::Event).is_empty() {
        assert!(tokio::time::Instant::now() < until, "the event waits behind telemetry");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(bytes() <= 3000, "{} bytes are on their way", bytes());
    server.abort();
}

/// Like [`Tls`], with less patience for silence.
struct Hasty;

impl Dial for Hasty {
    async fn dial(&self, endpoint: &str, options: &Options) -> Result<(Channel, Option<MetadataValue<Ascii>>), Error> {
        let address = pinged(secured(endpoint, options).await?, Duration::from_millis(100), Duration::from_millis(200));
        let channel = address.connect().await.map_err(|e| Error::Connect(chain(&e)))?;
        Ok((channel, token(&options.credential).await?))
    }
}

/// Hands bytes on both ways until it is told to swallow them; the lines stay open.
async fn proxy(to: u16, swallow: CancellationToken) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], to))).await.unwrap();
            let (near, far) = (near.into_split(), far.into_split());
            tokio::spawn(hand_on(near.0, far.1, swallow.clone()));
            tokio::spawn(hand_on(far.0, near.1, swallow.clone()));
        }
    });
    port
}

async fn hand_on(mut from: impl AsyncReadExt + Unpin, mut to: impl AsyncWriteExt + Unpin, swallow: CancellationToken) {
    let mut bytes = vec![0; 4096];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if !swallow.is_cancelled() && to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
    // An end that was swallowed is not told either.
    swallow.cancelled().await;
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_line_that_is_silently_gone_is_noticed_by_its_pings_and_what_was_on_it_is_sent_again() {
    let (collector, pem) = (Collector::default(), certificate());
    let (port, server) = serve(collector.clone(), &pem, 0).await;
    let swallow = CancellationToken::new();
    let gone = proxy(port, swallow.clone()).await;
    let mut site = Site::begin_over(Hasty, vec![at(gone), at(port)], &pem.0, TOKEN);
    site.append(Lane::Telemetry, b"a").await;
    site.delivered().await;
    connected(&mut site, gone).await;
    swallow.cancel();
    site.append(Lane::Telemetry, b"b").await;
    connected(&mut site, port).await;
    site.delivered().await;
    assert_eq!(collector.stored(Lane::Telemetry), [b"a", b"b"]);
    server.abort();
}
