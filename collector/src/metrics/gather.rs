//! Looks at everything that can fill up, and writes it down.

use super::text::{Kind, Page};
use crate::clock::Timekeeper;
use crate::ingest::Registry;
use crate::serve::door::Door;
use nix::sys::resource::{Resource, getrlimit};
use outband_schemas::Timestamp;
use outband_store::fill::Fill;
use outband_store::history::History;
use outband_store::{Outbox, Store, StoreError};
use std::path::PathBuf;
use std::sync::Arc;

/// Where the figures come from.
#[derive(Debug)]
pub struct Sources<S, C> {
    /// The store.
    pub store: S,
    /// The clock.
    pub clock: Arc<C>,
    /// Who is connected.
    pub registry: Registry,
    /// The data directory, for its disk.
    pub dir: PathBuf,
    /// What is to stay free of it, in bytes; 0: nothing.
    pub keep_free: u64,
    /// The listeners' doors, by whom they are for.
    pub doors: Vec<(&'static str, Door)>,
    /// When the server certificate ends.
    pub certificate_ends: Timestamp,
}

impl<S: Clone, C> Clone for Sources<S, C> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            clock: Arc::clone(&self.clock),
            registry: self.registry.clone(),
            dir: self.dir.clone(),
            keep_free: self.keep_free,
            doors: self.doors.clone(),
            certificate_ends: self.certificate_ends,
        }
    }
}

/// A value and its labels.
type Row<'a, V> = (&'a [(&'a str, &'a str)], V);

impl<S: Store + Fill + History + Outbox, C: Timekeeper> Sources<S, C> {
    /// All of it, as text.
    pub fn page(&self) -> Result<String, StoreError> {
        let mut page = Page::default();
        let version: &[(&str, &str)] = &[("version", env!("CARGO_PKG_VERSION"))];
        page.put("outband_collector_info", Kind::Gauge, "The collector that answers.", &[(version, 1)]);
        self.disk(&mut page);
        self.of_store(&mut page)?;
        self.history(&mut page)?;
        self.agents(&mut page)?;
        self.connections(&mut page);
        self.of_process(&mut page);
        Ok(page.into_text())
    }

    fn disk(&self, page: &mut Page) {
        match nix::sys::statvfs::statvfs(&self.dir) {
            Ok(s) => {
                let free = s.blocks_available().saturating_mul(s.fragment_size());
                let size = s.blocks().saturating_mul(s.fragment_size());
                page.gauge(
                    "outband_collector_disk_free_bytes",
                    "Free for the collector on the disk of its data directory.",
                    free,
                );
                page.gauge("outband_collector_disk_size_bytes", "Size of the disk of the data directory.", size);
            }
            Err(error) => tracing::warn!(%error, "the room on the disk of the store is not known"),
        }
        page.gauge(
            "outband_collector_disk_keep_free_bytes",
            "What [data] keep_free_mib asks to stay free.",
            self.keep_free,
        );
    }

    fn of_store(&self, page: &mut Page) -> Result<(), StoreError> {
        let fill = self.store.filling()?;
        let (main, free, wal) = ([("file", "main")], [("file", "main_free")], [("file", "wal")]);
        page.put(
            "outband_collector_store_size_bytes",
            Kind::Gauge,
            "The store's own files; main_free is the part of main that is free for the next rows.",
            &[(&main[..], fill.main_bytes), (&free[..], fill.free_bytes), (&wal[..], fill.wal_bytes)],
        );
        page.gauge("outband_collector_ingest_log_rows", "Bodies from agents that are kept.", fill.log_rows);
        page.gauge(
            "outband_collector_ingest_log_waiting_rows",
            "Of them, those that wait to be assessed.",
            fill.waiting_rows,
        );
        if let Some(bytes) = fill.waiting_bytes {
            page.gauge(
                "outband_collector_ingest_log_waiting_bytes",
                "Bytes of the bodies that wait; not told while there are too many to add up.",
                bytes,
            );
        }
        page.gauge("outband_collector_head_readings", "Readings in memory, not sealed yet.", fill.head_points);
        page.gauge("outband_collector_head_bytes", "Bytes of memory that they take.", fill.head_bytes);
        page.gauge(
            "outband_collector_head_limit_bytes",
            "With more bytes than these, sealing does not wait.",
            fill.max_head_bytes,
        );
        page.gauge(
            "outband_collector_writer_queue_jobs",
            "Batches and hellos of agents that wait for the store's writer.",
            fill.queued,
        );
        page.put(
            "outband_collector_store_commits_total",
            Kind::Counter,
            "Transactions that the store made durable.",
            &[(&[], fill.commits)],
        );
        page.gauge(
            "outband_collector_quarantine_rows",
            "Bodies that could not be understood, and are kept.",
            fill.quarantined,
        );
        page.gauge("outband_collector_outbox_unsent_notices", "Notices that are to be sent.", fill.unsent);
        let now = self.clock.now();
        let unsent = self.store.oldest_unsent(now)?;
        let labels: Vec<[(&str, &str); 1]> = unsent.iter().map(|u| [("channel", u.channel.as_str())]).collect();
        let ages: Vec<Row<'_, f64>> =
            labels.iter().zip(&unsent).map(|(l, u)| (&l[..], now.since(u.since).as_secs_f64())).collect();
        page.put(
            "outband_collector_outbox_oldest_seconds",
            Kind::Gauge,
            "For how long the oldest notice of a channel is overdue.",
            &ages,
        );
        let damaged = u8::from(self.store.damage().is_some());
        page.gauge(
            "outband_collector_store_damaged",
            "1 where something stored is not what was written; the log says what.",
            damaged,
        );
        Ok(())
    }

    fn history(&self, page: &mut Page) -> Result<(), StoreError> {
        let held = self.store.holdings()?;
        let labels: Vec<[(&str, &str); 1]> = held.iter().map(|h| [("resolution", h.class.as_str())]).collect();
        let of = |value: fn(&outband_store::history::Holding) -> u64| -> Vec<Row<'_, u64>> {
            labels.iter().zip(&held).map(|(l, h)| (&l[..], value(h))).collect()
        };
        let help = "The files of history, by resolution.";
        page.put("outband_collector_history_size_bytes", Kind::Gauge, help, &of(|h| h.bytes));
        page.put(
            "outband_collector_history_files",
            Kind::Gauge,
            help,
            &of(|h| u64::try_from(h.files).unwrap_or(u64::MAX)),
        );
        Ok(())
    }

    fn agents(&self, page: &mut Page) -> Result<(), StoreError> {
        let now = self.clock.now();
        let records = self.store.agents()?;
        let lanes: Vec<_> = records.iter().flat_map(|r| r.lanes.iter().map(move |l| (r, l))).collect();
        let names: Vec<[(&str, &str); 2]> =
            lanes.iter().map(|(r, l)| [("agent", r.agent.as_str()), ("lane", l.lane.as_str())]).collect();
        let behind: Vec<Row<'_, i64>> = names
            .iter()
            .zip(&lanes)
            .map(|(n, (_, l))| (&n[..], l.announced.saturating_sub(l.committed).max(0)))
            .collect();
        page.put(
            "outband_collector_agent_lag_entries",
            Kind::Gauge,
            "Entries that an agent announced and that are not stored yet.",
            &behind,
        );
        let late: Vec<Row<'_, f64>> = names
            .iter()
            .zip(&lanes)
            .filter_map(|(n, (_, l))| l.newest_observed.map(|t| (&n[..], now.since(t).as_secs_f64())))
            .collect();
        page.put(
            "outband_collector_agent_lag_seconds",
            Kind::Gauge,
            "How old the newest observation of an agent is that was assessed.",
            &late,
        );
        let agents: Vec<[(&str, &str); 1]> = records.iter().map(|r| [("agent", r.agent.as_str())]).collect();
        let connected: Vec<Row<'_, u8>> = agents
            .iter()
            .zip(&records)
            .map(|(n, r)| (&n[..], u8::from(self.registry.connected_since(&r.agent).is_some())))
            .collect();
        page.put("outband_collector_agent_connected", Kind::Gauge, "1 while the agent is connected.", &connected);
        let silent: Vec<Row<'_, f64>> =
            agents.iter().zip(&records).map(|(n, r)| (&n[..], now.since(r.last_heard).as_secs_f64())).collect();
        page.put(
            "outband_collector_agent_silent_seconds",
            Kind::Gauge,
            "For how long nothing was heard of the agent.",
            &silent,
        );
        let ahead = self.clock.held().unwrap_or(0).unsigned_abs() as f64 / 1000.0;
        page.gauge(
            "outband_collector_clock_held_seconds",
            "By so much the machine's clock stepped without being followed; 0 while it is trusted.",
            ahead,
        );
        let left = self.certificate_ends.as_millis().saturating_sub(now.as_millis()) as f64 / 1000.0;
        page.gauge("outband_collector_certificate_remaining_seconds", "So long the server certificate is valid.", left);
        Ok(())
    }

    fn connections(&self, page: &mut Page) {
        let figures: Vec<_> = self.doors.iter().map(|(whom, door)| (*whom, door.figures())).collect();
        let two = |word: &'static str, values: [&'static str; 2]| -> Vec<[(&str, &str); 2]> {
            figures.iter().flat_map(|(whom, _)| values.map(|value| [("listener", *whom), (word, value)])).collect()
        };
        let labels = two("peer", ["known", "stranger"]);
        let open: Vec<Row<'_, usize>> =
            labels.iter().map(|l| &l[..]).zip(figures.iter().flat_map(|(_, f)| [f.known, f.strangers])).collect();
        page.put(
            "outband_collector_connections",
            Kind::Gauge,
            "Open connections: known are those on which a call was let in.",
            &open,
        );
        let labels = two("reason", ["crowded", "silent"]);
        let refused: Vec<Row<'_, u64>> =
            labels.iter().map(|l| &l[..]).zip(figures.iter().flat_map(|(_, f)| [f.crowded, f.silent])).collect();
        page.put(
            "outband_collector_connections_refused_total",
            Kind::Counter,
            "Strangers' connections that were closed: there was no room for more, or no call was let in in time.",
            &refused,
        );
        let listeners: Vec<[(&str, &str); 1]> = figures.iter().map(|(whom, _)| [("listener", *whom)]).collect();
        let failed: Vec<Row<'_, u64>> = listeners.iter().zip(&figures).map(|(l, (_, f))| (&l[..], f.failed)).collect();
        page.put(
            "outband_collector_connections_failed_total",
            Kind::Counter,
            "Times at which the system could give no connection (files, memory).",
            &failed,
        );
    }

    fn of_process(&self, page: &mut Page) {
        if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
            page.gauge("outband_collector_open_files", "Open files and connections of the process.", open.count());
        }
        if let Ok((limit, _)) = getrlimit(Resource::RLIMIT_NOFILE) {
            page.gauge("outband_collector_open_files_limit", "How many it may have.", limit);
        }
    }
}
