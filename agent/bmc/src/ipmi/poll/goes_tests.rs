//! How many goes a poll of the sensors takes, and that none of them trusts a repository that is no longer the BMC's.

use super::fake::{Noon, Says, Table, readings};
use super::*;
use outband_schemas::Value;

/// A table, and how many requests each go to it had.
struct Goes {
    table: Table,
    goes: Vec<usize>,
}

impl Ask for Goes {
    async fn ask(&mut self, request: Request) -> Result<Response, RequestError> {
        self.goes.push(1);
        self.table.ask(request).await
    }

    async fn ask_each(
        &mut self,
        requests: &Arc<[Request]>,
        patience: Patience,
        clock: &(impl Clock + Sync),
    ) -> Vec<Reply> {
        self.goes.push(requests.len());
        self.table.ask_each(requests, patience, clock).await
    }
}

impl Goes {
    fn to(table: Table) -> Self {
        Self { table, goes: Vec::new() }
    }

    /// Polls the sensors; what they say, and the goes that this took.
    async fn poll(&mut self, poller: &mut Poller) -> (Result<Vec<Option<Value>>, PollError>, Vec<usize>) {
        let polled = poller.poll(self, Section::Sensors, None, &Noon).await;
        let own = |polled: Polled| {
            let own =
                readings(&polled).into_iter().filter(|r| r.source.0.starts_with("ipmi:")).map(|r| r.value.clone());
            own.collect()
        };
        (polled.map(own), std::mem::take(&mut self.goes))
    }
}

fn two() -> Table {
    let says = |value| Says::Data(vec![value, 0xC0, 0, 0x80]);
    Table { chassis: Some(vec![1, 0, 0]), ..Table::new().temperature(1, says(21)).temperature(2, says(22)) }
}

/// A BMC that was polled once, and what has polled it.
async fn known(table: Table) -> (Goes, Poller) {
    let (mut bmc, mut poller) = (Goes::to(table), Poller::default());
    bmc.poll(&mut poller).await.0.unwrap();
    bmc.table.asked.clear();
    (bmc, poller)
}

fn numbers<const N: usize>(numbers: [f64; N]) -> Result<Vec<Option<Value>>, PollError> {
    Ok(numbers.map(|n| Some(Value::Number(n))).to_vec())
}

#[tokio::test]
async fn what_is_known_is_polled_in_one_go() {
    let (mut bmc, mut poller) = known(two()).await;
    // Get SDR Repository Info, two sensors, Get Chassis Status; the BMC has no DCMI.
    assert_eq!(bmc.poll(&mut poller).await, (numbers([21.0, 22.0]), vec![4]));
}

#[tokio::test]
async fn readings_are_never_made_with_records_that_have_changed() {
    let (mut bmc, mut poller) = known(two()).await;
    // Twice the factor M.
    bmc.table.sdrs.iter_mut().for_each(|record| record[24] = 2);
    bmc.table.sdr_stamp += 1;
    let (read, goes) = bmc.poll(&mut poller).await;
    assert_eq!((read, goes[0]), (numbers([42.0, 44.0]), 4));
    assert_eq!(bmc.poll(&mut poller).await, (numbers([42.0, 44.0]), vec![4]));
}

#[tokio::test]
async fn a_bmc_that_has_fallen_silent_costs_one_request() {
    let (mut bmc, mut poller) = known(two()).await;
    bmc.table.is_silent = true;
    let (read, _) = bmc.poll(&mut poller).await;
    assert_eq!((read.unwrap_err().cause, bmc.table.asked.len()), (Cause::Timeout, 1));
}

#[tokio::test]
async fn the_first_sensor_may_be_silent_as_well_as_any_other() {
    let (mut bmc, mut poller) = (Goes::to(two()), Poller::default());
    bmc.table.sensors[0].1 = Says::Nothing;
    for _ in 0..2 {
        let (read, _) = bmc.poll(&mut poller).await;
        assert_eq!(read, Ok(vec![None, Some(Value::Number(22.0))]));
    }
}

#[tokio::test]
async fn device_sdrs_are_asked_for_before_their_sensors() {
    let (mut bmc, mut poller) = known(Table { is_device: true, ..two() }).await;
    // Get SDR Repository Info, refused; Get Device SDR Info; the sensors; Get Chassis Status.
    assert_eq!(bmc.poll(&mut poller).await, (numbers([21.0, 22.0]), vec![1, 1, 2, 1]));
    bmc.table.sdrs.iter_mut().for_each(|record| record[24] = 2);
    bmc.table.sdr_stamp += 1;
    assert_eq!(bmc.poll(&mut poller).await.0, numbers([42.0, 44.0]));
}

#[tokio::test]
async fn a_repository_of_which_something_is_missing_is_not_polled_in_one_go() {
    let three = two().temperature(3, Says::Data(vec![23, 0xC0, 0, 0x80]));
    let (mut bmc, mut poller) = known(Table { refused_sdr: Some((2, 0xD2)), ..three }).await;
    assert_eq!(bmc.poll(&mut poller).await, (numbers([21.0, 23.0]), vec![1, 2, 1]));
    bmc.table.refused_sdr = None;
    assert_eq!(bmc.poll(&mut poller).await.0, numbers([21.0, 22.0, 23.0]));
}
