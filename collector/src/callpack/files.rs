//! A pack as a file.

use super::case::Case;
use super::pack::Pack;
use super::timeline::Sources;
use super::{html, speech};
pub use crate::record::zip::TooLarge;
use crate::record::zip::Zip;
use outband_schemas::{EventKind, LogEvent};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How a pack is handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// To be read aloud.
    Text,
    /// To be printed.
    Html,
    /// For programs.
    Json,
    /// All of these, and the raw entries of the server's log.
    Zip,
}

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It does not fit into a zip file.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// It cannot be written down.
    #[error("a call pack cannot be written down: {0}")]
    Encode(#[from] serde_json::Error),
}

/// The file.
pub fn write(case: &Case, pack: &Pack, format: Format) -> Result<Vec<u8>, Error> {
    match format {
        Format::Text => Ok(speech::text(pack).into_bytes()),
        Format::Html => Ok(html::html(pack).into_bytes()),
        Format::Json => json(pack),
        Format::Zip => zip(case, pack),
    }
}

fn json(pack: &Pack) -> Result<Vec<u8>, Error> {
    let mut text = serde_json::to_vec_pretty(pack)?;
    text.push(b'\n');
    Ok(text)
}

fn zip(case: &Case, pack: &Pack) -> Result<Vec<u8>, Error> {
    let mut zip = Zip::default();
    let mut out = zip.file("callpack.json", &json(pack)?)?;
    out.extend(zip.file("callpack.html", html::html(pack).as_bytes())?);
    out.extend(zip.file("callpack.txt", speech::text(pack).as_bytes())?);
    for (name, content) in logs(&case.sources)? {
        out.extend(zip.file(&name, &content)?);
    }
    out.extend(zip.end()?);
    Ok(out)
}

/// The entries of each log as they came, one a line, oldest first; and the SEL's records one behind the other, as `ipmitool sel readraw` reads
/// them. Entries about somebody's login are not among them, and of others personal data is taken out: such a line says so.
fn logs(sources: &Sources) -> Result<BTreeMap<String, Vec<u8>>, Error> {
    let scrub = sources.scrubber();
    let mut events: Vec<&LogEvent> = sources.events.iter().map(|record| &record.event).collect();
    events.sort_by_key(|event| (sources.when(event).0, event.log.clone(), event.natural_key()));
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for event in events {
        let stem = format!("log/{}", file_name(&event.log));
        let (raw, redacted) = match (event.kind, serde_json::from_str::<Value>(&event.raw)) {
            (EventKind::Audit, _) => (Value::Null, true),
            (_, Ok(value @ (Value::Object(_) | Value::Array(_)))) => {
                let (clean, changed) = scrub.clean_json(&value);
                // What is as it came is handed on byte for byte.
                (if changed { clean } else { Value::String(event.raw.clone()) }, changed)
            }
            (_, _) => {
                let clean = scrub.clean(&event.raw);
                let changed = clean != event.raw;
                (Value::String(clean), changed)
            }
        };
        let line = json!({
            "log": event.log, "id": event.id, "kind": event.kind.as_str(), "bmc_time_ms": event.bmc_time.map(|t| t.as_millis()),
            "at_ms": sources.when(event).0.as_millis(), "clock": sources.when(event).1.as_str(), "observed_at_ms": event.observed_at.as_millis(),
            "redacted": redacted, "raw": raw,
        });
        let file = files.entry(format!("{stem}.jsonl")).or_default();
        file.extend(serde_json::to_vec(&line)?);
        file.push(b'\n');
        if let Some(record) = sel_record(&event.raw).filter(|_| !redacted) {
            files.entry(format!("{stem}.bin")).or_default().extend(record);
        }
    }
    Ok(files)
}

/// The 16 bytes of a SEL record that was stored in hex.
fn sel_record(raw: &str) -> Option<[u8; 16]> {
    let mut record = [0; 16];
    if raw.len() != 32 || !raw.is_ascii() {
        return None;
    }
    for (i, byte) in record.iter_mut().enumerate() {
        *byte = u8::from_str_radix(raw.get(2 * i..2 * i + 2)?, 16).ok()?;
    }
    Some(record)
}

/// A name that is one on every system and leads nowhere else.
fn file_name(log: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '_' };
    let name: String = log.chars().take(80).map(safe).collect();
    if name.is_empty() { "log".to_owned() } else { name }
}
