//! `backtest --readings`: what the detectors of slow wear would have said of a history of readings, day by day.

use super::names::{self, Meaning, Place};
use super::order::{Came, Order};
use super::rack::{self, Event, Server};
use super::report::Report;
use super::spill::{Row, Rows, Spill};
use super::table::{Style, Table, Times};
use super::{Error, Readings};
use crate::outfile::OutFile;
use outband_health::drift::SignClass;
use outband_health::drift::judge::Failure;
use outband_schemas::{ComponentClass, ComponentId, SensorKind, Timestamp};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// The part of a server: its name, the component's.
pub(super) type Part = (String, String);

/// So often progress is told.
const TELL: Duration = Duration::from_secs(5);

/// A server as the readings name it.
#[derive(Default)]
struct Known {
    name: Vec<u8>,
    numbers: HashMap<Vec<u8>, usize>,
    components: Vec<Component>,
    /// By channel: the component, what is measured.
    channels: Vec<(usize, SensorKind)>,
    /// The component of the last reading: most often the next one is of it, too.
    last: usize,
    order: Order,
}

/// A component as the readings name it.
struct Component {
    name: String,
    /// What is measured of it, and the channel of each.
    kinds: Vec<(SensorKind, u32)>,
}

impl Component {
    fn place(&self, kind: SensorKind) -> Place {
        let kinds: Vec<SensorKind> = self.kinds.iter().map(|k| k.0).collect();
        names::place(&self.name, kind, &kinds)
    }

    fn places(&self) -> impl Iterator<Item = (SensorKind, Place)> {
        self.kinds.iter().map(|(kind, _)| (*kind, self.place(*kind)))
    }
}

impl Known {
    /// The channel of a kind of reading of a component.
    fn channel(&mut self, name: &[u8], kind: SensorKind) -> u32 {
        if self.components.get(self.last).is_none_or(|c| c.name.as_bytes() != name) {
            self.last = match self.numbers.get(name) {
                Some(number) => *number,
                None => {
                    self.numbers.insert(name.to_owned(), self.components.len());
                    let name = String::from_utf8_lossy(name).into_owned();
                    self.components.push(Component { name, kinds: Vec::new() });
                    self.components.len() - 1
                }
            };
        }
        let Some(component) = self.components.get_mut(self.last) else { return u32::MAX };
        if let Some((_, channel)) = component.kinds.iter().find(|(k, _)| *k == kind) {
            return *channel;
        }
        let channel = u32::try_from(self.channels.len()).unwrap_or(u32::MAX);
        component.kinds.push((kind, channel));
        self.channels.push((self.last, kind));
        channel
    }

    /// The component of a place, as the input names it: the place's name may be cut or cleaned.
    fn plain<'a>(&'a self, place: &'a ComponentId) -> &'a str {
        let of = || self.components.iter().filter(|c| c.places().any(|(_, p)| p.component == *place));
        // Several names may be of one part: the one by which it is judged first of all.
        let first = of().min_by_key(|c| !c.kinds.iter().any(|(kind, _)| *kind == SensorKind::FanSpeed));
        first.map_or(place.slot(), |c| &c.name)
    }

    /// How many parts it has of each class.
    fn parts(&self) -> BTreeMap<SignClass, u32> {
        let of = |c: &Component| c.places().map(|(kind, p)| (watched(kind, &p), p.component)).collect::<Vec<_>>();
        let parts_of: BTreeSet<(SignClass, ComponentId)> =
            self.components.iter().flat_map(of).filter_map(|(class, part)| Some((class?, part))).collect();
        let mut parts = BTreeMap::new();
        for (class, _) in parts_of {
            *parts.entry(class).or_default() += 1;
        }
        parts
    }
}

/// What a kind of reading of a place is watched for.
fn watched(kind: SensorKind, place: &Place) -> Option<SignClass> {
    use ComponentClass as C;
    match (place.component.class(), kind) {
        (C::Fan, SensorKind::FanSpeed) => Some(SignClass::Fan),
        (C::PowerSupply, _) => Some(SignClass::Psu),
        (C::Memory, SensorKind::CorrectableErrors) => Some(SignClass::Dimm),
        (C::Cpu | C::Gpu | C::Board | C::Server | C::Memory | C::Other, SensorKind::Temperature) => {
            place.sensor.is_empty().then_some(SignClass::Thermal)
        }
        _ => None,
    }
}

/// All that was read, by server.
struct History {
    servers: Vec<Known>,
    spill: Spill,
    style: Style,
    rows: u64,
}

/// Replays the readings, writes the alarms, and tells what they were worth.
pub(super) fn run(ask: &Readings, alarms: &Path, say: &mut dyn FnMut(&str)) -> Result<String, Error> {
    let dir = alarms.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let unwritten = |source| Error::Write { path: alarms.to_owned(), source };
    // What cannot be written is known before an hour's work.
    let mut out = OutFile::new(alarms).map_err(unwritten)?;
    let mut history = read(&ask.readings, dir, say)?;
    if history.rows == 0 {
        return Err(Error::Empty(ask.readings.clone()));
    }
    let mut events = ask.events.as_deref().map(|path| happenings(path, say)).transpose()?.unwrap_or_default();
    let racks = racks(&history.servers, ask.topology.as_deref(), say)?;
    let failures = ask.truth.as_deref().map(|path| truth(path, say)).transpose()?;

    let mut report = Report::new(history.rows, racks.len());
    let mut told = Instant::now();
    let mut lines = Vec::new();
    for (number, members) in racks.iter().enumerate() {
        for member in members {
            if history.servers.get(*member).is_some_and(|known| known.order.is_shuffled()) {
                history.spill.sort(*member).map_err(Error::Spill)?;
            }
        }
        history.spill.flush().map_err(Error::Spill)?;
        let mut servers = Vec::new();
        for member in members {
            let Some(known) = history.servers.get(*member) else { continue };
            let came = came(known, history.spill.rows(*member)).map_err(Error::Spill)?;
            let Some(span) = came.span().or(known.order.span()) else { continue };
            let happened = events.remove(&known.name).unwrap_or_default();
            let channels = known.channels.iter().filter_map(|(c, kind)| Some(known.components.get(*c)?.place(*kind)));
            let rows = history.spill.rows(*member);
            let server = Server::new(channels.collect(), rows, came, span, of_server(known, &happened));
            report.see(&known.parts(), span);
            servers.push(server.map_err(Error::Spill)?);
        }
        let replayed = rack::replay(servers, |alarm| {
            if let Some(known) = members.get(alarm.server).and_then(|m| history.servers.get(*m)) {
                let server = String::from_utf8_lossy(&known.name).into_owned();
                lines.push(((server, known.plain(&alarm.component).to_owned()), alarm));
            }
        });
        replayed.map_err(Error::Spill)?;
        if told.elapsed() > TELL {
            told = Instant::now();
            say(&format!("{} of {} racks replayed", number + 1, racks.len()));
        }
    }
    if !events.is_empty() {
        say(&format!("events of {} servers were left out: there is no reading of them", events.len()));
    }
    lines.sort_by(|(a, x), (b, y)| (x.at, a, x.class).cmp(&(y.at, b, y.class)));
    writeln!(out, "server,component,class,at,score").map_err(unwritten)?;
    let mut csv = csv::WriterBuilder::new().from_writer(out);
    for (part, alarm) in &lines {
        let at = history.style.write(alarm.at);
        let score = format!("{:.4}", alarm.score);
        csv.write_record([&part.0, &part.1, alarm.class.as_str(), &at, &score]).map_err(|e| unwritten(e.into()))?;
    }
    let out = csv.into_inner().map_err(|e| unwritten(e.into_error()))?;
    out.keep().map_err(unwritten)?;
    for (part, alarm) in lines {
        report.alarm(alarm.class, part, Timestamp::from_secs(i64::from(alarm.at)));
    }
    Ok(report.table(failures.as_deref()))
}

/// When a server's readings came. Only times are kept of them, and only where its clock was off for a while.
fn came(known: &Known, mut rows: Rows<'_>) -> io::Result<Came> {
    if known.order.is_sorted() || known.order.is_shuffled() {
        return Ok(Came::AsSaid);
    }
    let mut said: Vec<(u64, u32)> = Vec::new();
    while let Some(row) = rows.next()? {
        match said.last_mut() {
            Some((count, at)) if *at == row.at => *count += 1,
            _ => said.push((1, row.at)),
        }
    }
    Ok(Came::of(&said))
}

/// Reads all readings into a file by server.
fn read(path: &Path, dir: &Path, say: &mut dyn FnMut(&str)) -> Result<History, Error> {
    let columns = [("server", true), ("component", true), ("kind", true), ("at", true), ("value", true)];
    let mut table = Table::open(path, &columns)?;
    let mut history =
        History { servers: Vec::new(), spill: Spill::new(dir).map_err(Error::Spill)?, style: Style::Text, rows: 0 };
    let mut numbers: HashMap<Vec<u8>, usize> = HashMap::new();
    let (mut times, mut last, mut told, mut lines) = (Times::default(), 0, Instant::now(), 0_u64);
    while table.next()? {
        lines += 1;
        if lines.is_multiple_of(1 << 18) && told.elapsed() > TELL {
            told = Instant::now();
            let share = 100.0 * table.share();
            say(&format!(
                "{:.1} million readings of {} servers, {share:.0} %",
                lines as f64 / 1e6,
                history.servers.len()
            ));
        }
        let value = table.bytes(4);
        if value.is_empty() {
            // No reading is no reading: absence moves nothing.
            continue;
        }
        let Some(value) = std::str::from_utf8(value).ok().and_then(|v| v.parse::<f64>().ok()) else {
            table.bad("the value is no number");
            continue;
        };
        if !value.is_finite() {
            continue;
        }
        let Some(kind) = names::kind(table.bytes(2)) else {
            table.bad("the kind is not known");
            continue;
        };
        let Some(at) = times.read(table.bytes(3)) else {
            table.bad("the time is neither RFC 3339 nor seconds since 1970");
            continue;
        };
        let (server, component) = (table.bytes(0), table.bytes(1));
        if server.is_empty() {
            table.bad("there is no server");
            continue;
        }
        let same = history.servers.get(last).is_some_and(|s| s.name == server);
        let number = if same {
            last
        } else if let Some(number) = numbers.get(server) {
            *number
        } else {
            let number = history.servers.len();
            numbers.insert(server.to_owned(), number);
            history.servers.push(Known { name: server.to_owned(), ..Known::default() });
            number
        };
        last = number;
        let Some(known) = history.servers.get_mut(number) else { continue };
        let channel = known.channel(component, kind);
        known.order.see(channel, at);
        history.spill.push(number, Row { at, channel, value }).map_err(Error::Spill)?;
        history.rows += 1;
    }
    history.style = times.style;
    for complaint in table.complaints() {
        say(&complaint);
    }
    Ok(history)
}

/// Something that happened to a server: when, to which component, what it means.
type Happened = (u32, String, Meaning);

/// Reads `server,component,event,at`.
fn happenings(path: &Path, say: &mut dyn FnMut(&str)) -> Result<BTreeMap<Vec<u8>, Vec<Happened>>, Error> {
    let columns = [("server", true), ("component", false), ("event", true), ("at", true)];
    let mut table = Table::open(path, &columns)?;
    let (mut all, mut unknown) = (BTreeMap::<Vec<u8>, Vec<Happened>>::new(), BTreeMap::<String, u32>::new());
    let mut times = Times::default();
    while table.next()? {
        let Some(at) = times.read(table.bytes(3)) else {
            table.bad("the time is neither RFC 3339 nor seconds since 1970");
            continue;
        };
        let word = table.text(2);
        match names::meaning(&word) {
            Some(Meaning::Nothing) => {}
            Some(meaning) => {
                all.entry(table.bytes(0).to_owned()).or_default().push((at, table.text(1), meaning));
            }
            None => *unknown.entry(word).or_default() += 1,
        }
    }
    for complaint in table.complaints() {
        say(&complaint);
    }
    for (word, times) in unknown {
        say(&format!("{}: {times} events {word:?} mean nothing here and were left out", path.display()));
    }
    Ok(all)
}

fn of_server(known: &Known, happened: &[Happened]) -> Vec<Event> {
    let places = |name: &str| -> Vec<ComponentId> {
        let of = known.components.iter().filter(|c| names::is_same(&c.name, name));
        let mut places: Vec<ComponentId> = of.flat_map(Component::places).map(|p| p.1.component).collect();
        places.sort();
        places.dedup();
        // A server in which a board was changed has no fewer fans that were known.
        places
            .retain(|p| !matches!(p.class(), ComponentClass::Server | ComponentClass::Board | ComponentClass::Chassis));
        places
    };
    let event = |(at, name, meaning): &Happened| Event { at: *at, meaning: *meaning, places: places(name) };
    happened.iter().map(event).collect()
}

/// Which servers share a rack, by `server,rack`. A server whose rack is not known is alone.
fn racks(servers: &[Known], path: Option<&Path>, say: &mut dyn FnMut(&str)) -> Result<Vec<Vec<usize>>, Error> {
    let mut rack_of: HashMap<Vec<u8>, String> = HashMap::new();
    if let Some(path) = path {
        let mut table = Table::open(path, &[("server", true), ("rack", false), ("cooling_zone", false)])?;
        while table.next()? {
            // Servers of one cooling zone breathe the same air, too.
            let rack = [1, 2].map(|column| table.text(column)).into_iter().find(|name| !name.is_empty());
            if let Some(rack) = rack {
                rack_of.entry(table.bytes(0).to_owned()).or_insert(rack);
            }
        }
        let unplaced = servers.iter().filter(|s| !rack_of.contains_key(&s.name)).count();
        if unplaced > 0 {
            say(&format!("{unplaced} servers have no rack: what moves a rack alike is not taken out of theirs"));
        }
    }
    let mut racks: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let mut alone = Vec::new();
    for (number, server) in servers.iter().enumerate() {
        match rack_of.get(&server.name) {
            Some(rack) => racks.entry(rack).or_default().push(number),
            None => alone.push(vec![number]),
        }
    }
    // By name, so that the order of the input changes nothing.
    for members in racks.values_mut() {
        members.sort_by_key(|n| servers.get(*n).map(|s| &s.name));
    }
    Ok(racks.into_values().chain(alone).collect())
}

/// Reads `server,component,class,onset,fails_at`: what really failed.
fn truth(path: &Path, say: &mut dyn FnMut(&str)) -> Result<Vec<Failure<Part>>, Error> {
    let columns = [("server", true), ("component", true), ("class", true), ("onset", true), ("fails_at", true)];
    let mut table = Table::open(path, &columns)?;
    let (mut all, mut times) = (Vec::new(), Times::default());
    while table.next()? {
        let Some(class) = SignClass::ALL.into_iter().find(|c| c.as_str() == table.text(2)) else {
            table.bad("the class is none of fan, psu, thermal, dimm");
            continue;
        };
        let mut time =
            |column: usize| times.read(table.bytes(column)).map(|secs| Timestamp::from_secs(i64::from(secs)));
        let fails = time(4);
        // A failure without a sign has no onset.
        let onset = if table.bytes(3).is_empty() { fails } else { time(3) };
        let Some((onset, fails)) = onset.zip(fails) else {
            table.bad("a time is neither RFC 3339 nor seconds since 1970");
            continue;
        };
        all.push(Failure { part: (table.text(0), table.text(1)), class, onset, fails });
    }
    for complaint in table.complaints() {
        say(&complaint);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};
    use std::fs;

    /// Four fans, of which the third loses half a percent of its speed a day from day 20 on.
    fn history() -> String {
        let mut text = "value,kind,server,at,component\n".to_owned();
        for hour in 0..40 * 24_i64 {
            for n in 0..4 {
                let worn = if n == 2 { 0.005 * (hour as f64 / 24.0 - 20.0).max(0.0) } else { 0.0 };
                let noise = 1.0 + 0.003 * ((hour * 7 + n * 13) as f64).sin();
                let (duty, at) = (40 + hour % 7, 1_800_000_000 + hour * 3600);
                text += &format!("{duty},fan_duty,s1,{at},FAN_{n}A\n");
                text += &format!("{:.0},fan_speed,s1,{at},FAN_{n}A\n", 100.0 * duty as f64 * (1.0 - worn) * noise);
            }
        }
        text
    }

    fn alarms(dir: &Path, name: &str, bytes: &[u8]) -> Result<Vec<String>, Error> {
        let (readings, out) = (dir.join(name), dir.join("alarms.csv"));
        fs::write(&readings, bytes).unwrap();
        let ask = Readings { readings, events: None, topology: None, truth: None };
        run(&ask, &out, &mut |_| {})?;
        Ok(fs::read_to_string(out).unwrap().lines().map(str::to_owned).collect())
    }

    #[test]
    fn a_fan_that_wears_is_told_each_day_by_its_own_name_whether_the_file_is_compressed_or_not() {
        let dir = tempfile::tempdir().unwrap();
        let plain = alarms(dir.path(), "r.csv", history().as_bytes()).unwrap();
        assert_eq!(plain[0], "server,component,class,at,score");
        assert!(plain.len() > 5 && plain[1..].iter().all(|l| l.starts_with("s1,FAN_2A,fan,18")), "{plain:?}");
        let at = |line: &str| line.split(',').nth(3).unwrap().parse::<i64>().unwrap();
        assert!(plain[1..].windows(2).all(|w| at(&w[1]) - at(&w[0]) <= 86_400), "each day: {plain:?}");
        let packed = compress_to_vec(history().as_bytes(), CompressionLevel::Fastest);
        assert_eq!(alarms(dir.path(), "r.csv.zst", &packed).unwrap(), plain);
        assert!(alarms(dir.path(), "r.csv.zst", &packed[..packed.len() / 2]).is_err(), "half a file is no history");
    }

    #[test]
    fn readings_that_cannot_be_read_to_their_end_leave_the_last_alarms_as_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let before = alarms(dir.path(), "r.csv", history().as_bytes()).unwrap();
        let packed = compress_to_vec(history().as_bytes(), CompressionLevel::Fastest);
        assert!(alarms(dir.path(), "r.csv.zst", &packed[..packed.len() / 2]).is_err());
        let after = fs::read_to_string(dir.path().join("alarms.csv")).unwrap();
        assert_eq!(after.lines().collect::<Vec<_>>(), before);
    }

    #[test]
    fn a_file_without_a_column_or_without_readings_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let refused = |text: &str| alarms(dir.path(), "r.csv", text.as_bytes()).unwrap_err().to_string();
        assert!(refused("server,component,kind,at\n").contains("value is missing"));
        assert!(refused("server,component,kind,at,value\n").contains("holds no reading"));
    }
}
