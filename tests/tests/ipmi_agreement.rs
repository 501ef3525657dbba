//! Several hundred sensors of every kind, every field of FRU data: what we say against what `ipmitool` says, value for value.
#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]

mod support_ipmi;

use outband_bmc::CipherSuite;
use outband_bmc::ipmi::fru::multirecord::{self, RecordHeader};
use outband_bmc::ipmi::fru::{self, Areas, Fru};
use outband_bmc::ipmi::sensor::Precision;
use outband_schemas::{Observation, Quality, Reading, Section, SensorKind, Source, Thresholds, Value};
use std::collections::HashMap;
use std::path::Path;
use support_ipmi::model::{self, Modelled};
use support_ipmi::shown::{cells, is_rounded};
use support_ipmi::{IpmiSim, Login, PythonBmc, have};

/// What was compared, and what differs.
#[derive(Default)]
struct Tally {
    compared: usize,
    differ: Vec<String>,
    /// States for which ipmitool has no words.
    wordless: usize,
}

impl Tally {
    fn check(&mut self, is_same: bool, what: impl FnOnce() -> String) {
        self.compared += 1;
        if !is_same {
            self.differ.push(what());
        }
    }

    fn end(self, of: &str) {
        let (compared, differ, wordless) = (self.compared, self.differ.len(), self.wordless);
        eprintln!(
            "{of}: {compared} values compared with ipmitool's, {differ} differ; {wordless} states it has no words for"
        );
        assert!(self.differ.is_empty(), "{}", self.differ.join("\n"));
        assert!(self.compared > 0);
    }
}

/// Our readings of sensors by number, one for each sensor.
fn by_sensor(observations: &[Observation]) -> HashMap<String, Reading> {
    let reading = |o: &Observation| if let Observation::Reading(r) = o { Some(r.clone()) } else { None };
    observations.iter().filter_map(reading).map(|r| (r.source.0.clone(), r)).collect()
}

/// The sensors in the order of their records.
fn in_order<'a>(model: &[Modelled], luns: &[u8], ours: &'a HashMap<String, Reading>) -> Vec<&'a Reading> {
    let keys = model.chunks(model::PER_LUN).zip(luns).flat_map(|(some, lun)| (1..=some.len()).map(move |n| (lun, n)));
    keys.map(|(lun, n)| ours.get(&format!("ipmi:20.{lun:x}.{n:02x}")).unwrap_or_else(|| panic!("no {lun} {n}")))
        .collect()
}

fn compare_sensors(login: &Login, ours: &[&Reading], tally: &mut Tally) {
    let text = login.ipmitool(&["sdr", "elist", "all"]);
    let lines: Vec<_> = text.lines().map(cells).filter(|c| c[4] != "Event-Only" && !c[4].contains(" FRU @")).collect();
    assert_eq!(lines.len(), ours.len());
    for (line, reading) in lines.iter().zip(ours) {
        let &[name, number, _, _, text] = line.as_slice() else { panic!("{line:?}") };
        let ours_number = reading.source.0.rsplit('.').next().unwrap().to_uppercase();
        tally.check(number.trim_end_matches('h') == ours_number, || format!("{line:?}: {reading:?}"));
        tally.check(reading.sensor == name, || format!("{line:?}: {}", reading.sensor));
        // It has no words for some states of the specification, nor we for those beyond it.
        if matches!(&reading.value, Some(Value::State { .. })) && text.is_empty() {
            tally.wordless += 1;
            continue;
        }
        let is_same = match (&reading.value, &reading.quality) {
            (Some(Value::Number(number)), _) => is_rounded(text.split(' ').next().unwrap(), *number),
            (Some(Value::State { text: ours, .. }), _) => text == ours,
            // Nothing is shown, or what is no number.
            (None, Quality::Unavailable(_)) => {
                matches!(text, "Disabled" | "No Reading")
                    || text.starts_with("inf")
                    || text.starts_with("-inf")
                    || text.contains("nan")
            }
            _ => false,
        };
        tally.check(is_same, || format!("{line:?}: {:?} {:?}", reading.value, reading.quality));
    }
}

fn compare_thresholds(login: &Login, ours: &[&Reading], tally: &mut Tally) {
    let text = login.ipmitool(&["sensor"]);
    let lines: Vec<_> = text.lines().map(cells).collect();
    assert_eq!(lines.len(), ours.len());
    for (line, reading) in lines.iter().zip(ours).filter(|(_, r)| r.kind != SensorKind::State) {
        let Thresholds {
            lower_non_recoverable,
            lower_critical,
            lower_non_critical,
            upper_non_critical,
            upper_critical,
            upper_non_recoverable,
        } = reading.thresholds.unwrap_or_default();
        let ours = [
            reading.value.as_ref().and_then(Value::as_number),
            lower_non_recoverable,
            lower_critical,
            lower_non_critical,
            upper_non_critical,
            upper_critical,
            upper_non_recoverable,
        ];
        for (shown, ours) in [line[1]].iter().chain(&line[4..]).zip(ours) {
            let is_same = match ours {
                None => matches!(*shown, "na" | "inf" | "-inf" | "nan" | "-nan"),
                Some(value) => is_rounded(shown, value),
            };
            tally.check(is_same, || format!("{line:?}: {shown} is not {ours:?}"));
        }
    }
}

/// The tolerance and hysteresis of every sensor whose steps are even; ipmitool puts those of the others through the same curve as a reading.
fn compare_precisions(login: &Login, ours: &[&Reading], precisions: &HashMap<Source, Precision>, tally: &mut Tally) {
    let text = login.ipmitool(&["-v", "sdr", "list", "full"]);
    let blocks: Vec<_> = text.split("\n\n").filter(|b| b.contains("Sensor ID")).collect();
    let full: Vec<_> = ours.iter().filter(|r| r.kind != SensorKind::State).collect();
    assert_eq!(blocks.len(), full.len());
    for (block, reading) in blocks.iter().zip(full) {
        let Some(precision) = precisions.get(&reading.source) else { continue };
        let shown: HashMap<_, _> =
            block.lines().filter_map(|l| l.split_once(':')).map(|(word, text)| (word.trim(), text.trim())).collect();
        if let Some((_, tolerance)) = shown.get("Sensor Reading").and_then(|text| text.split_once("(+/- ")) {
            let tolerance = tolerance.split(')').next().unwrap();
            // Where a sensor counts down it puts a minus before distances.
            let tolerance = tolerance.trim_start_matches('-');
            tally.check(is_rounded(tolerance, precision.tolerance), || format!("{block}: {precision:?}"));
        }
        for (word, hysteresis) in
            [("Positive", precision.positive_hysteresis), ("Negative", precision.negative_hysteresis)]
        {
            let shown = shown.get(format!("{word} Hysteresis").as_str());
            let is_same = match (shown, hysteresis) {
                // It takes none for "not told".
                (Some(&"Unspecified") | None, hysteresis) => hysteresis.is_none_or(|h| h == 0.0),
                (Some(shown), hysteresis) => hysteresis.is_some_and(|h| is_rounded(shown.trim_start_matches('-'), h)),
            };
            tally.check(is_same, || format!("{block}: {precision:?}"));
        }
    }
}

/// FRU data with every field in it, a second with a power supply's rating, in files of this folder.
fn write_frus(dir: &Path) -> Vec<(u8, std::path::PathBuf)> {
    let area = |head: &[u8], fields: &[&[u8]]| {
        let mut out = [&[1, 0][..], head, &fields.concat(), &[0xC1]].concat();
        out.resize((out.len() + 1).div_ceil(8) * 8 - 1, 0);
        out[1] = ((out.len() + 1) / 8) as u8;
        out.push(out.iter().fold(0u8, |s, b| s.wrapping_add(*b)).wrapping_neg());
        out
    };
    let plain = |text: &str| [&[0xC0 | text.len() as u8], text.as_bytes()].concat();
    let record = |kind: u8, last: bool, body: &[u8]| {
        let sum = |bytes: &[u8]| bytes.iter().fold(0u8, |s, b| s.wrapping_add(*b)).wrapping_neg();
        let mut out = vec![kind, if last { 0x82 } else { 2 }, body.len() as u8, sum(body)];
        out.push(sum(&out));
        [&out, body].concat()
    };
    let whole = |areas: [Vec<u8>; 4]| {
        let mut out = vec![1u8, 0, 0, 0, 0, 0, 0];
        let mut at = 8;
        for (place, area) in (2..).zip(&areas) {
            if !area.is_empty() {
                out[place] = (at / 8) as u8;
                at += area.len();
            }
        }
        out.push(out.iter().fold(0u8, |s, b| s.wrapping_add(*b)).wrapping_neg());
        out.extend(areas.concat());
        out.resize(1024, 0);
        out
    };
    // "SN 12-34.5" in BCD plus, "SERVER 1" in six bits, an empty field.
    let bcd = [0x45, 0x12, 0xB3, 0x4C, 0x5A, 0xA7].to_vec();
    let six_bit = {
        let packed = b"SERVER 1".chunks(4).flat_map(|c| {
            let bits = c.iter().rev().fold(0u32, |bits, b| bits << 6 | u32::from(b - 0x20));
            bits.to_le_bytes().into_iter().take(3).collect::<Vec<_>>()
        });
        let packed: Vec<_> = packed.collect();
        [&[0x80 | packed.len() as u8][..], &packed].concat()
    };
    let chassis = area(&[0x17], &[&plain("CH-PN-1"), &plain("CH-SN-77"), &plain("chassis extra")]);
    let board = area(
        &[0, 1, 2, 3],
        &[&plain("Boardmaker"), &six_bit, &bcd, &plain("BPN-7"), &plain("file 1"), &plain("board extra")],
    );
    let product = area(
        &[0],
        &[
            &plain("Maker & Co."),
            &plain("Server One"),
            &plain("P-1/2"),
            &plain("A 00"),
            &plain("SN-4711"),
            &plain("tag 9"),
            &[0xC0],
        ],
    );
    let supply =
        [0x78, 5, 0xFF, 0xFF, 30, 5, 0x28, 0x23, 0xB0, 0x36, 0, 0, 0, 0, 47, 63, 12, 9, 0x40, 0x56, 0, 0, 0, 0];
    let output = [2, 0xB0, 4, 0xA8, 4, 0xB8, 4, 50, 0, 0, 0, 0xE8, 3];
    let records =
        [record(0, false, &supply), record(1, false, &output), record(0xC2, true, &[0xA2, 2, 0, 9, 8])].concat();
    let none = Vec::new;
    let board_of_supply =
        area(&[25, 1, 2, 3], &[&plain("PSU Co"), &plain("PWR 1400"), &plain("PS-1"), &plain("PP-1"), &[0xC0]]);
    [whole([chassis, board, product, none()]), whole([none(), board_of_supply, none(), records])]
        .iter()
        .zip(0u8..)
        .map(|(bytes, device)| {
            let file = dir.join(format!("fru{device}.bin"));
            std::fs::write(&file, bytes).unwrap();
            (device, file)
        })
        .collect()
}

/// The fields of the FRU data as we read them, under ipmitool's words for them.
fn fields(bytes: &[u8]) -> Vec<(&'static str, String)> {
    let areas = Areas::parse(bytes).unwrap();
    let mut found = Fru::default();
    let area = |at: usize| bytes.get(at..at + fru::area_len(&bytes[at..]).unwrap_or(0)).unwrap_or_default();
    for (at, read) in [
        (areas.chassis, Fru::read_chassis as fn(&mut Fru, &[u8])),
        (areas.board, Fru::read_board),
        (areas.product, Fru::read_product),
    ] {
        if at > 0 {
            read(&mut found, area(at));
        }
    }
    let mut at = areas.records;
    while at > 0 {
        let header = RecordHeader::parse(&bytes[at..]).unwrap();
        let body = &bytes[at + multirecord::RECORD_HEADER_LEN..][..header.len];
        found.take(multirecord::parse(header, body).unwrap());
        at = if header.last { 0 } else { at + multirecord::RECORD_HEADER_LEN + header.len };
    }
    let texts = [
        ("Chassis Part Number", found.chassis_part_number),
        ("Chassis Serial", found.chassis_serial),
        ("Board Mfg", found.board_manufacturer),
        ("Board Product", found.board_name),
        ("Board Serial", found.board_serial),
        ("Board Part Number", found.board_part_number),
        ("Product Manufacturer", found.product_manufacturer),
        ("Product Name", found.product_name),
        ("Product Part Number", found.product_part_number),
        ("Product Version", found.product_version),
        ("Product Serial", found.product_serial),
        ("Product Asset Tag", found.asset_tag),
    ];
    let mut out: Vec<_> = texts.into_iter().filter_map(|(word, text)| Some((word, text?))).collect();
    if let Some(supply) = found.supply {
        let (low, high) = supply.input_ranges[0];
        out.extend([
            ("Capacity", format!("{} W", supply.capacity)),
            ("Input Voltage Range 1", format!("{}-{} V", low / 100, high / 100)),
            ("Input Frequency Range", format!("{}-{} Hz", supply.frequency.0, supply.frequency.1)),
            ("A/C Dropout Tolerance", format!("{} ms", supply.dropout_tolerance)),
            ("Peak capacity", format!("{} W", supply.peak.0)),
            ("Peak capacity holdup", format!("{} s", supply.peak.1)),
        ]);
    }
    out
}

fn compare_frus(login: &Login, frus: &[(u8, std::path::PathBuf)], tally: &mut Tally) {
    for (device, file) in frus {
        let printed = login.ipmitool(&["-v", "fru", "print", &device.to_string()]);
        let mut shown: HashMap<&str, &str> = HashMap::new();
        for (word, text) in printed.lines().filter_map(|line| line.split_once(':')) {
            shown.entry(word.trim()).or_insert(text.trim());
        }
        let ours = fields(&std::fs::read(file).unwrap());
        for (word, text) in &ours {
            tally.check(shown.get(word).is_some_and(|s| s == text), || {
                format!("FRU {device}: {word} is {text}: {printed}")
            });
        }
        // And nothing that it shows is missing.
        let known = ["Chassis ", "Board ", "Product "].map(|area| shown.keys().filter(|w| w.starts_with(area)).count());
        let extra = ["Chassis Type", "Chassis Extra", "Board Mfg Date", "Board Extra", "Board FRU ID"];
        let extra = extra.iter().filter(|word| shown.contains_key(*word)).count();
        let texts =
            ours.iter().filter(|(w, _)| ["Chassis", "Board", "Product"].iter().any(|a| w.starts_with(a))).count();
        tally
            .check(known.iter().sum::<usize>() == texts + extra, || format!("FRU {device}: {shown:?} is not {ours:?}"));
    }
}

#[test]
fn hundreds_of_sensors_of_every_kind_read_as_ipmitool_reads_them_on_ipmi_sim() {
    if !have(&["ipmi_sim", "ipmitool"]) {
        return;
    }
    let (model, luns) = (model::sensors(), [0, 1, 3]);
    assert!(model.len() >= 300);
    let dir = tempfile::TempDir::new().unwrap();
    let frus = write_frus(dir.path());
    let sim = IpmiSim::emulating(&model::emulator(&model, &luns, &frus));
    let mut polling = sim.login.connect().unwrap();
    let ours = by_sensor(&polling.poll(Section::Sensors));
    let ours = in_order(&model, &luns, &ours);
    let mut tally = Tally::default();
    compare_sensors(&sim.login, &ours, &mut tally);
    compare_thresholds(&sim.login, &ours, &mut tally);
    compare_precisions(&sim.login, &ours, &polling.precisions(), &mut tally);
    compare_frus(&sim.login, &frus, &mut tally);
    tally.end(&format!("ipmi_sim, suite 3, {} sensors", ours.len()));
    polling.close();
}

#[test]
fn hundreds_of_sensors_of_every_kind_read_as_ipmitool_reads_them_with_either_suite() {
    if !have(&["ipmitool"]) {
        return;
    }
    let model = model::sensors();
    let dir = tempfile::TempDir::new().unwrap();
    let frus = write_frus(dir.path());
    let suites = [CipherSuite::Three, CipherSuite::Seventeen];
    for (some, suite) in model.chunks(model::PER_LUN).flat_map(|some| suites.map(|suite| (some, suite))) {
        let file = dir.path().join("model.emu");
        std::fs::write(&file, model::emulator(some, &[0], &frus)).unwrap();
        let Some(bmc) = PythonBmc::emulating(&file, &[]) else { return };
        let login = Login { suite: Some(suite), ..bmc.login.clone() };
        let mut polling = login.connect().unwrap();
        let ours = by_sensor(&polling.poll(Section::Sensors));
        let ours = in_order(some, &[0], &ours);
        let mut tally = Tally::default();
        compare_sensors(&login, &ours, &mut tally);
        compare_thresholds(&login, &ours, &mut tally);
        compare_precisions(&login, &ours, &polling.precisions(), &mut tally);
        compare_frus(&login, &frus, &mut tally);
        tally.end(&format!("bmcsim.py, {suite:?}, {} sensors", ours.len()));
        polling.close();
    }
}

#[test]
fn hysteresis_that_only_the_sensor_knows_is_what_it_tells_ipmitool() {
    if !have(&["ipmi_sim", "ipmitool"]) {
        return;
    }
    // Records that hold none, of sensors that have some.
    let model: Vec<_> = model::sensors().into_iter().filter(Modelled::lacks_hysteresis).take(6).collect();
    assert_eq!(model.len(), 6);
    let tell = |n: usize| format!("sensor_set_hysteresis 0x20 0 {n} 2 {} {}\n", n + 4, 2 * n);
    let told: String = (1..=model.len()).map(tell).collect();
    let commands = model::emulator(&model, &[0], &[]).replace("mc_enable 0x20", &format!("{told}mc_enable 0x20"));
    let sim = IpmiSim::emulating(&commands);
    let mut polling = sim.login.connect().unwrap();
    polling.poll(Section::Sensors);
    let precisions = polling.precisions();
    for n in 1..=model.len() {
        let shown = sim.login.ipmitool(&["raw", "4", "0x25", &n.to_string(), "0xff"]);
        let shown: Vec<_> = shown.split_whitespace().map(|b| f64::from(u8::from_str_radix(b, 16).unwrap())).collect();
        assert_eq!(shown, [(n + 4) as f64, (2 * n) as f64]);
        let ours = precisions[&Source(format!("ipmi:20.0.{n:02x}"))];
        let counts = [ours.positive_hysteresis, ours.negative_hysteresis].map(|h| h.unwrap() / ours.resolution);
        assert!(
            counts.iter().zip(&shown).all(|(ours, shown)| (ours - shown).abs() < 1e-6),
            "{n}: {counts:?}, {shown:?}"
        );
    }
    polling.close();
}

#[test]
fn a_sensor_of_a_controller_behind_the_bmc_reads_as_ipmitool_reads_it() {
    if !have(&["ipmi_sim", "ipmitool"]) {
        return;
    }
    let sim = IpmiSim::emulating(&model::behind(model::emulator(&model::sensors()[..1], &[0], &[])));
    let mut polling = sim.login.connect().unwrap();
    let observations = polling.poll(Section::Sensors);
    let gaps: Vec<_> = observations.iter().filter(|o| matches!(o, Observation::Gap(_))).collect();
    assert!(gaps.is_empty(), "{gaps:?}");
    let ours = by_sensor(&observations);
    let shown = sim.login.ipmitool(&["sdr", "elist", "full"]);
    let shown = shown.lines().map(cells).find(|c| c[0] == "Behind").unwrap();
    assert_eq!(shown[4], "49 degrees C");
    let reading = &ours["ipmi:2c.0.07"];
    assert_eq!((&reading.value, &reading.quality), (&Some(Value::Number(49.0)), &Quality::Good));
    // It costs no new session, and is read again with every poll.
    for value in [50.0, 51.0] {
        sim.command(&format!("sensor_set_value 0x2c 0 7 {value} 0"));
        assert_eq!(by_sensor(&polling.poll(Section::Sensors))["ipmi:2c.0.07"].value, Some(Value::Number(value)));
    }
    polling.close();
}
