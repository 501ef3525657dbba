use super::*;
use std::future::poll_fn;
use std::io::{Seek, SeekFrom, Write};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(1_700_000_000)
    }
}

fn start(dir: &tempfile::TempDir) -> (Spooler, std::thread::JoinHandle<()>) {
    start_gathering(dir, Duration::ZERO)
}

fn start_gathering(dir: &tempfile::TempDir, gather: Duration) -> (Spooler, std::thread::JoinHandle<()>) {
    let options = Options { path: dir.path().join("spool.db"), spool: spool::Options::default(), gather };
    let mut ids = 0;
    let (spooler, _, thread) = Spooler::start(options, Fixed, move || {
        ids += 1;
        ids
    })
    .unwrap();
    (spooler, thread)
}

fn body(byte: u8, bytes: usize) -> Body {
    Body { bytes: vec![byte; bytes], at: Fixed.now() }
}

#[tokio::test]
async fn appends_of_many_tasks_are_all_kept_and_told() {
    let dir = tempfile::tempdir().unwrap();
    let (spooler, thread) = start(&dir);
    let tasks: Vec<_> = (0..200u8)
        .map(|i| {
            let spooler = spooler.clone();
            tokio::spawn(async move {
                let lane = if i % 4 == 0 { Lane::Event } else { Lane::Telemetry };
                spooler.append(lane, vec![body(i, 10)], vec![(format!("k{i}"), vec![i])]).await
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let held = *spooler.held().borrow();
    assert_eq!((held.lanes.event.next, held.lanes.telemetry.next), (51, 151));
    for i in 0..200u8 {
        assert_eq!(spooler.bookmark(format!("k{i}")).await.unwrap(), Some(vec![i]));
    }
    let mut seen: Vec<u8> = Vec::new();
    for lane in Lane::ALL {
        seen.extend(spooler.peek(held.id, lane, 0, 1 << 20).await.unwrap().bodies.iter().map(|b| b[0]));
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..200).collect::<Vec<u8>>());
    drop(spooler);
    thread.join().unwrap();
}

/// Asks, and sees that there is no answer yet.
async fn waits<T>(mut asked: Pin<&mut impl Future<Output = T>>) {
    poll_fn(|cx| match asked.as_mut().poll(cx) {
        Poll::Pending => Poll::Ready(()),
        Poll::Ready(_) => panic!("it was answered"),
    })
    .await;
}

/// So long from one transaction to the next that no test sees the end of it.
const HOURS: Duration = Duration::from_secs(9 * 3600);

#[tokio::test]
async fn appends_that_come_thick_wait_for_each_other_and_who_asks_what_they_set_finds_it() {
    let dir = tempfile::tempdir().unwrap();
    let (spooler, _) = start_gathering(&dir, HOURS);
    spooler.append(Lane::Event, vec![body(1, 1)], Vec::new()).await.unwrap();
    let append = |byte: u8| spooler.append(Lane::Event, vec![body(byte, 1)], vec![(format!("k{byte}"), vec![byte])]);
    let (mut second, mut third) = (pin!(append(2)), pin!(append(3)));
    waits(second.as_mut()).await;
    waits(third.as_mut()).await;
    // A bookmark that neither of them sets is told at once, and they go on waiting.
    assert_eq!(spooler.bookmark("other").await.unwrap(), None);
    waits(second.as_mut()).await;
    assert_eq!(spooler.held().borrow().lanes.event.next, 2);
    assert_eq!(spooler.bookmark("k3").await.unwrap(), Some(vec![3]));
    second.await.unwrap();
    third.await.unwrap();
    assert_eq!(spooler.held().borrow().lanes.event.next, 4);
}

#[tokio::test]
async fn what_still_gathers_when_the_last_handle_goes_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let (spooler, thread) = start_gathering(&dir, HOURS);
    spooler.append(Lane::Event, vec![body(1, 1)], Vec::new()).await.unwrap();
    // Whoever asked does not wait for it.
    waits(Box::pin(spooler.append(Lane::Event, vec![body(2, 1)], Vec::new())).as_mut()).await;
    drop(spooler);
    thread.join().unwrap();
    assert_eq!(start(&dir).0.held().borrow().lanes.event.next, 3);
}

#[tokio::test]
async fn the_file_is_free_again_once_the_last_handle_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let (spooler, thread) = start(&dir);
    spooler.append(Lane::Event, vec![body(1, 1)], Vec::new()).await.unwrap();
    drop(spooler);
    thread.join().unwrap();
    let (spooler, _) = start(&dir);
    assert_eq!(spooler.held().borrow().lanes.event.next, 2);
}

#[tokio::test]
async fn a_file_that_turns_out_damaged_is_replaced_and_the_work_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (spooler, _) = start(&dir);
    let before = spooler.held().borrow().id;
    for i in 0..10 {
        let bodies = (0..1000).map(|_| body(i, 1000)).collect();
        spooler.append(Lane::Telemetry, bodies, Vec::new()).await.unwrap();
    }
    let mut file = std::fs::OpenOptions::new().write(true).open(dir.path().join("spool.db")).unwrap();
    file.seek(SeekFrom::Start(4096 * 12)).unwrap();
    file.write_all(&vec![0xa5; 4096 * 100]).unwrap();
    drop(file);
    let mut after = 0;
    let error = loop {
        match spooler.peek(before, Lane::Telemetry, after, 100_000).await {
            Ok(peek) => after = peek.first_seq + peek.bodies.len() as i64 - 1,
            Err(error) => break error,
        }
        assert!(after < 10_000, "the damage went unseen");
    };
    assert!(matches!(error, Error::Replaced), "{error}");
    spooler.append(Lane::Telemetry, vec![body(1, 1)], Vec::new()).await.unwrap();
    let held = *spooler.held().borrow();
    assert_ne!(held.id, before);
    assert_eq!(held.lanes.telemetry.next, 3, "number 1 stands for what was lost");
    assert!(matches!(spooler.peek(before, Lane::Telemetry, 0, 1).await, Err(Error::Replaced)));
}
