//! Everything that a BMC has in its logs, raw, and what is in the server, in one file.

use super::Done;
use super::judge::Given;
use crate::clock::SystemClock;
use outband_bmc::client::Bmc;
use outband_proto::order::Outcome;
use outband_schemas::{Clock, Gap, Inventory, LogEvent, Observation, Section, Timestamp};
use serde::Serialize;

/// So often the log is read on at most: a reading takes a few thousand entries.
const READINGS: usize = 20;
/// What of the file is no log entry, at most.
const RESERVE: usize = 64 << 10;

/// The file.
#[derive(Debug, Serialize)]
struct Bundle {
    target: String,
    address: String,
    read_at: Timestamp,
    /// Oldest entries that had no room.
    left_out: usize,
    inventory: Vec<Inventory>,
    log: Vec<LogEvent>,
    /// What could not be read.
    gaps: Vec<Gap>,
}

/// Reads it; where nothing at all can be read, it failed.
pub(super) async fn collect(bmc: &mut Bmc, order: &Given) -> Done {
    let mut bundle = Bundle {
        target: order.target.id.to_string(),
        address: order.target.target.address.to_string(),
        read_at: SystemClock.now(),
        left_out: 0,
        inventory: Vec::new(),
        log: Vec::new(),
        gaps: Vec::new(),
    };
    let mut failed = Vec::new();
    let mut bookmark = None;
    for _ in 0..READINGS {
        match bmc.poll(Section::Log, bookmark.as_ref(), &SystemClock).await {
            Ok(polled) => {
                let before = bundle.log.len();
                bundle.take(polled.observations);
                bookmark = polled.bookmark;
                if bundle.log.len() == before && polled.more.is_none() {
                    break;
                }
            }
            Err(error) => {
                failed.push(format!("log: {error}"));
                break;
            }
        }
    }
    match bmc.poll(Section::Inventory, None, &SystemClock).await {
        Ok(polled) => bundle.take(polled.observations),
        Err(error) => failed.push(format!("inventory: {error}")),
    }
    if failed.len() == 2 {
        return Done::said(Outcome::Failed, failed.join("; "));
    }
    bundle.fit(order.max_bytes);
    let mut said = format!("{} log entries, {} gaps", bundle.log.len(), bundle.gaps.len());
    if bundle.left_out > 0 {
        said.push_str(&format!("; the oldest {} had no room", bundle.left_out));
    }
    failed.iter().for_each(|f| said.push_str(&format!("; not read: {f}")));
    match serde_json::to_vec(&bundle) {
        Ok(bytes) if bytes.len() <= order.max_bytes => {
            Done { content: Some(("application/json", bytes)), ..Done::said(Outcome::Done, said) }
        }
        Ok(bytes) => {
            let detail = format!("{} bytes even without log entries, {} are allowed", bytes.len(), order.max_bytes);
            Done::said(Outcome::Failed, detail)
        }
        Err(error) => Done::said(Outcome::Failed, format!("it cannot be written: {error}")),
    }
}

impl Bundle {
    fn take(&mut self, observations: Vec<Observation>) {
        for observation in observations {
            match observation {
                Observation::Event(event) => self.log.push(event),
                Observation::Inventory(inventory) => self.inventory.push(inventory),
                Observation::Gap(gap) => self.gaps.push(gap),
                Observation::Reading(_) => {}
            }
        }
    }

    /// Leaves out the oldest entries until the file has no more than `most` bytes.
    fn fit(&mut self, most: usize) {
        self.log.sort_by_key(|e| e.bmc_time.map(Timestamp::as_millis));
        let rest = size(&self.inventory) + size(&self.gaps) + RESERVE.min(most / 8);
        let mut room = most.saturating_sub(rest);
        let kept = self
            .log
            .iter()
            .rev()
            .take_while(|entry| {
                let bytes = size(*entry) + 1;
                let fits = bytes <= room;
                room = room.saturating_sub(bytes);
                fits
            })
            .count();
        self.left_out = self.log.len() - kept;
        self.log.drain(..self.left_out);
    }
}

/// How much of the file something takes, in bytes.
fn size(of: &impl Serialize) -> usize {
    serde_json::to_vec(of).map_or(0, |bytes| bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use outband_schemas::{ComponentClass, ComponentId, EventKind, Severity, Source};

    #[test]
    fn what_has_no_room_are_the_oldest_entries_and_the_file_says_how_many() {
        let event = |n: i64| LogEvent {
            component: ComponentId::lenient(ComponentClass::Server, "system"),
            log: "sel".to_owned(),
            id: n.to_string(),
            kind: EventKind::Other,
            severity: Severity::Ok,
            deasserted: false,
            message: "x".repeat(200),
            code: String::new(),
            bmc_time: Some(Timestamp::from_secs(n)),
            observed_at: Timestamp::from_secs(1),
            source: Source(String::new()),
            raw: "y".repeat(200),
        };
        let mut bundle = Bundle {
            target: "t".to_owned(),
            address: String::new(),
            read_at: Timestamp::from_secs(1),
            left_out: 0,
            inventory: Vec::new(),
            // Newest first, as some BMCs list them.
            log: (0..1000).rev().map(event).collect(),
            gaps: Vec::new(),
        };
        bundle.fit(100_000);
        assert!(serde_json::to_vec(&bundle).unwrap().len() <= 100_000);
        assert!(bundle.log.len() > 100 && bundle.left_out + bundle.log.len() == 1000, "{}", bundle.log.len());
        assert_eq!(bundle.log.last().map(|e| e.id.as_str()), Some("999"));
        assert_eq!(bundle.log.first().map(|e| e.id.clone()), Some(bundle.left_out.to_string()));
    }
}
