//! The simulated racks as files, in the form in which `outband-collector backtest --readings` and other programs read histories.

use super::{Plan, Rack, at, server};
use std::cell::RefCell;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Writes `readings.csv`, `events.csv`, `topology.csv` and `truth.csv` of a plan into a directory. Readings stand rack by rack, in the order in
/// which they came; they bear the time that the server's clock said.
pub fn write(plan: &Plan, dir: &Path) -> io::Result<()> {
    let file = |name: &str, head: &str| -> io::Result<BufWriter<File>> {
        let mut file = BufWriter::new(File::create(dir.join(name))?);
        writeln!(file, "{head}")?;
        Ok(file)
    };
    let mut readings = file("readings.csv", "server,component,kind,at,value")?;
    let mut events = file("events.csv", "server,component,event,at")?;
    let mut topology = file("topology.csv", "server,rack,power_feed,cooling_zone,model")?;
    let mut truth = file("truth.csv", "server,component,class,onset,fails_at")?;
    for number in 0..plan.racks {
        let rack = Rack::new(plan, number);
        let name = |n: usize| server(number, n);
        for n in 0..plan.servers {
            writeln!(topology, "{},rack-{number},feed-{number}a;feed-{number}b,,", name(n))?;
        }
        for t in rack.truths() {
            let class = t.class.as_str();
            writeln!(truth, "{},{},{class},{},{}", name(t.server), t.component, at(t.onset), at(t.fails))?;
        }
        for (feed, from, to) in rack.feed_losses() {
            for n in 0..plan.servers {
                writeln!(events, "{},psu{},feed_lost,{}", name(n), feed + 1, at(from))?;
                writeln!(events, "{},psu{},feed_restored,{}", name(n), feed + 1, at(to))?;
            }
        }
        let names: Vec<Vec<String>> = (0..plan.servers).map(|n| rack.names(n).to_vec()).collect();
        let result = RefCell::new(Ok(()));
        let keep = |written: io::Result<()>| {
            if written.is_err() && result.borrow().is_ok() {
                *result.borrow_mut() = written;
            }
        };
        rack.run(
            |row| {
                let component = names.get(row.server).and_then(|n| n.get(row.component)).map_or("", String::as_str);
                let (server, time) = (name(row.server), at(row.hour));
                keep(writeln!(readings, "{server},{component},{},{time},{}", row.kind, row.value));
            },
            |h| keep(writeln!(events, "{},{},{},{}", name(h.server), h.component, h.event, at(h.at))),
        );
        result.into_inner()?;
    }
    for mut file in [readings, events, topology, truth] {
        file.flush()?;
    }
    Ok(())
}
