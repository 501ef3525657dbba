//! What the host's operating system has to do: processors and memory.

use outband_schemas::{
    Cause, ComponentClass, ComponentId, Observation, Quality, Reading, SensorKind, Source, Timestamp, Value,
};
use sysinfo::System;

/// Reads the load. That of the processors is between two reads, so one is kept.
#[derive(Debug)]
pub struct Load {
    system: Option<System>,
    is_first: bool,
}

impl Default for Load {
    fn default() -> Self {
        let mut system = System::new().ok();
        if let Some(system) = &mut system {
            system.refresh_cpu_usage();
        }
        Self { system, is_first: true }
    }
}

impl Load {
    /// What the host says now. The first look has nothing to compare with, and says nothing of the processors.
    pub fn read(&mut self, at: Timestamp) -> Vec<Observation> {
        let is_first = std::mem::take(&mut self.is_first);
        let (mut cpu, mut share, mut used) = (None, None, None);
        if let Some(system) = &mut self.system {
            system.refresh_cpu_usage();
            system.refresh_memory();
            cpu = Some(f64::from(system.global_cpu_usage()));
            let total = bytes(system.total_memory());
            used = Some(bytes(system.used_memory())).filter(|_| total > 0.0);
            share = used.map(|used| used * 100.0 / total);
        }
        let mut readings = vec![
            reading(SensorKind::Utilization, "memory", share, at),
            reading(SensorKind::MemoryUsed, "memory", used, at),
        ];
        if !is_first {
            readings.insert(0, reading(SensorKind::Utilization, "cpu", cpu, at));
        }
        readings
    }
}

#[expect(clippy::cast_precision_loss, reason = "no host has 2^53 bytes")]
fn bytes(count: u64) -> f64 {
    count as f64
}

fn reading(kind: SensorKind, sensor: &str, value: Option<f64>, at: Timestamp) -> Observation {
    let value = value.filter(|v| v.is_finite());
    Observation::Reading(Reading {
        component: ComponentId::lenient(ComponentClass::Server, "system"),
        kind,
        sensor: sensor.to_owned(),
        quality: if value.is_some() { Quality::Good } else { Quality::Unavailable(Cause::NoReading) },
        value: value.map(Value::Number),
        observed_at: at,
        source: Source(format!("host:{sensor}")),
        thresholds: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_load_is_in_the_units_of_the_catalogue_and_the_processors_wait_for_a_second_look() {
        let mut load = Load::default();
        let mut told = |secs| -> Vec<(SensorKind, String, f64)> {
            let seen = load.read(Timestamp::from_secs(secs)).into_iter();
            seen.filter_map(|o| match o {
                Observation::Reading(r) => Some((r.kind, r.sensor, r.value?.as_number()?)),
                _ => None,
            })
            .collect()
        };
        let first = told(1);
        assert!(first.iter().all(|(_, sensor, _)| sensor == "memory"));
        assert!(first.iter().any(|(k, _, v)| *k == SensorKind::MemoryUsed && *v > 1e6), "bytes: {first:?}");
        let second = told(61);
        let shares: Vec<f64> = second.iter().filter(|(k, ..)| *k == SensorKind::Utilization).map(|r| r.2).collect();
        assert_eq!(shares.len(), 2, "{second:?}");
        assert!(shares.iter().all(|share| (0.0..=100.5).contains(share)), "{shares:?}");
    }
}
