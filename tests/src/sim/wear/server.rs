//! A server: its load over the day and the week, what it takes, how it drives its fans, what its BMC tells of them.

use super::cooler::Cooler;
use super::dice::Dice;
use super::fan::{self, Fan};
use super::memory::Module;
use super::plan::{Class, Confounder, Happening, Plan, Span, Truth, spans};
use super::supply::Supply;

/// How a BMC tells of duties.
#[derive(Clone, Copy, PartialEq)]
enum Duties {
    Each,
    One,
    None,
}

/// How the fans are driven: duty at 20 Cel and no load, per Cel, per full load; a zone apart.
#[derive(Clone, Copy)]
struct Table {
    base: f64,
    per_cel: f64,
    per_load: f64,
    zone: f64,
}

pub(super) struct Server {
    number: usize,
    load: f64,
    swing: f64,
    phase: f64,
    wander: f64,
    idle: f64,
    most: f64,
    duties: Duties,
    table: Table,
    fans: Vec<Fan>,
    supplies: Vec<Supply>,
    coolers: Vec<Cooler>,
    modules: Vec<Module>,
    migrations: Vec<Span>,
    firmware: Vec<Span>,
    reboots: Vec<Span>,
    jumps: Vec<Span>,
    dice: Dice,
}

/// What a server's components are called, in the order in which [`Server::tell`] numbers them.
pub(super) struct Names {
    pub(super) fans: usize,
    pub(super) all: Vec<String>,
}

impl Names {
    fn of(server: &Server) -> Self {
        let mut all = vec!["server".to_owned(), "inlet".to_owned()];
        all.extend((1..=server.fans.len()).map(|n| format!("fan{n}")));
        all.extend((1..=server.supplies.len()).map(|n| format!("psu{n}")));
        all.extend((1..=server.coolers.len()).map(|n| format!("cpu{n}")));
        all.extend((1..=server.modules.len()).map(|n| format!("dimm{n}")));
        Self { fans: server.fans.len(), all }
    }
}

impl Server {
    pub(super) fn new(plan: &Plan, rack: usize, number: usize) -> Self {
        let mut dice = Dice::new(plan.seed, &[2, rack as u64, number as u64]);
        let part = |kind: u64, n: usize| Dice::new(plan.seed, &[kind, rack as u64, number as u64, n as u64]);
        let fans = if dice.chance(0.85) { 8 } else { 6 };
        let model = fan::MODELS[dice.within(0.0, 3.999) as usize];
        let duties = match dice.within(0.0, 1.0) {
            d if d < 0.4 => Duties::Each,
            d if d < 0.7 => Duties::One,
            _ => Duties::None,
        };
        let table = Table {
            base: dice.within(18.0, 30.0),
            per_cel: dice.within(0.8, 2.2),
            per_load: dice.within(15.0, 35.0),
            zone: dice.within(-6.0, 0.0),
        };
        let idle = dice.within(110.0, 190.0);
        Self {
            number,
            load: dice.within(0.1, 0.7),
            swing: dice.within(0.02, 0.2),
            phase: dice.within(0.0, 24.0),
            wander: 0.0,
            idle,
            most: idle + dice.within(200.0, 450.0),
            duties,
            table,
            fans: (0..fans).map(|n| Fan::new(part(3, n), model, plan.hours)).collect(),
            supplies: (0..2).map(|n| Supply::new(part(4, n), plan.hours)).collect(),
            coolers: (0..2).map(|n| Cooler::new(part(5, n), plan.hours)).collect(),
            modules: (0..8).map(|n| Module::new(part(6, n), plan.hours)).collect(),
            migrations: spans(&mut dice, plan.hours, 0.3, (1e6, 2e6), (-0.35, 0.35)),
            firmware: spans(&mut dice, plan.hours, 0.12, (1e6, 2e6), (-9.0, 12.0)),
            reboots: spans(&mut dice, plan.hours, 0.15, (1.0, 2.0), (1.0, 1.0)),
            jumps: spans(&mut dice, plan.hours, 0.02, (2.0, 9.0), (-40.0, 9000.0)),
            dice,
        }
    }

    pub(super) fn names(&self) -> Names {
        Names::of(self)
    }

    pub(super) fn truths(&self) -> Vec<Truth> {
        let mut all = Vec::new();
        let mut add = |fate: Option<super::plan::Fate>, name: String, class| {
            all.extend(fate.map(|f| f.truth(self.number, &name, class)));
        };
        for (n, fan) in self.fans.iter().enumerate() {
            add(fan.fate, format!("fan{}", n + 1), Class::Fan);
        }
        for (n, supply) in self.supplies.iter().enumerate() {
            add(supply.fate, format!("psu{}", n + 1), Class::Psu);
        }
        for (n, cooler) in self.coolers.iter().enumerate() {
            add(cooler.fate, format!("cpu{}", n + 1), Class::Thermal);
        }
        for (n, module) in self.modules.iter().enumerate() {
            add(module.fate, format!("dimm{}", n + 1), Class::Dimm);
        }
        all
    }

    /// What looks like wear on this server and is none.
    pub(super) fn confounders(&self) -> Vec<Confounder> {
        let mut all = Vec::new();
        let mut add = |what, component: String, spans: &[Span]| {
            all.extend(spans.iter().map(|s| Confounder { what, component: component.clone(), from: s.from, to: s.to }));
        };
        for (what, spans) in [
            ("load migration", &self.migrations),
            ("firmware duty table", &self.firmware),
            ("BMC reboot", &self.reboots),
            ("clock jump", &self.jumps),
        ] {
            add(what, String::new(), spans);
        }
        for (n, fan) in self.fans.iter().enumerate() {
            let name = format!("fan{}", n + 1);
            add("pulled fan", name.clone(), fan.pulled());
            add("tach misreads", name, fan.misread().as_slice());
        }
        for (n, module) in self.modules.iter().enumerate() {
            add("burst of errors", format!("dimm{}", n + 1), module.bursts());
        }
        all
    }

    /// How far this server's clock is off at an hour, in hours.
    pub(super) fn clock_off(&self, hour: i64) -> i64 {
        super::plan::during(&self.jumps, hour) as i64
    }

    /// What the log tells of this hour.
    pub(super) fn happenings(&self, hour: i64, told: &mut impl FnMut(Happening)) {
        let mut tell = |component: String, event| told(Happening { server: self.number, component, event, at: hour });
        for (n, fan) in self.fans.iter().enumerate() {
            if fan.is_out(hour) && !fan.is_out(hour - 1) {
                tell(format!("fan{}", n + 1), "removed");
            }
            if !fan.is_out(hour) && fan.is_out(hour - 1) {
                tell(format!("fan{}", n + 1), "inserted");
            }
        }
        for (n, supply) in self.supplies.iter().enumerate() {
            if supply.is_swapped(hour) {
                tell(format!("psu{}", n + 1), "replaced");
            }
        }
        if self.firmware.iter().any(|s| s.from == hour) {
            tell(String::new(), "firmware_update");
        }
        if self.reboots.iter().any(|s| s.from == hour) {
            tell(String::new(), "bmc_reboot");
        }
    }

    /// One hour: each reading as component number, kind, value. `feeds` says which feed is alive.
    pub(super) fn tell(
        &mut self,
        hour: i64,
        inlet: f64,
        feeds: [bool; 2],
        out: &mut impl FnMut(usize, &'static str, f64),
    ) {
        self.wander = 0.9 * self.wander + 0.03 * self.dice.normal();
        let day = ((hour as f64 + self.phase) / 24.0 * std::f64::consts::TAU).sin();
        let week = if (hour / 24) % 7 >= 5 { -0.5 * self.swing } else { 0.0 };
        let moved = super::plan::during(&self.migrations, hour);
        let load = (self.load + moved + self.swing * day + week + self.wander).clamp(0.02, 1.0);
        let alive: Vec<bool> = self.supplies.iter().zip(feeds).map(|(s, feed)| feed && !s.is_dead(hour)).collect();
        if !alive.contains(&true) {
            return;
        }
        let watts = self.idle + (self.most - self.idle) * load;
        let inlet_read = inlet + 0.3 * (self.number % 7) as f64 - 1.0;

        let out_fans = self.fans.iter().filter(|f| f.is_out(hour)).count();
        let shift: f64 = super::plan::during(&self.firmware, hour);
        let duty = |zone: f64| {
            let wanted = self.table.base
                + shift
                + self.table.per_cel * (inlet_read - 20.0)
                + self.table.per_load * load
                + self.table.zone * zone
                + 12.0 * out_fans as f64;
            wanted.clamp(12.0, 100.0).round()
        };
        let zones = [duty(0.0), duty(1.0 - shift / 20.0)];
        if self.duties == Duties::One {
            out(0, "fan_duty", zones[0]);
        }
        let (mut component, half) = (2, self.fans.len() / 2);
        for (n, fan) in self.fans.iter_mut().enumerate() {
            // Where there is one duty, there is one zone.
            let duty = if n < half || self.duties == Duties::One { zones[0] } else { zones[1] };
            if fan.is_out(hour) {
                if fan.is_swapped(hour) || hour % 2 == 0 {
                    out(component, "fan_speed", 0.0);
                }
            } else {
                out(component, "fan_speed", fan.speed(hour, duty, inlet_read));
                if self.duties == Duties::Each {
                    out(component, "fan_duty", duty);
                }
            }
            component += 1;
        }

        let mut taken = 0.0;
        let both = alive.iter().all(|a| *a);
        let shy = [self.supplies[0].shy(hour), self.supplies[1].shy(hour)];
        for (n, supply) in self.supplies.iter_mut().enumerate() {
            let share = match (both, alive[n]) {
                (true, _) => 0.5 - shy[n] / 2.0 + shy[1 - n] / 2.0,
                (false, true) => 1.0,
                (false, false) => 0.0,
            };
            if share > 0.0 {
                let told = supply.tell(hour, watts * share, inlet_read);
                taken += told.input_watts;
                out(component, "power", told.input_watts);
                out(component, "voltage", told.volts);
                out(component, "current", told.amperes);
                out(component, "temperature", told.temperature);
            } else {
                out(component, "power", 0.0);
                out(component, "temperature", (inlet_read + 3.0).round());
            }
            component += 1;
        }
        out(0, "power", taken);
        out(1, "temperature", (inlet_read + 0.3 * self.dice.normal()).round());

        let airflow =
            self.fans.iter().filter(|f| !f.is_out(hour)).count() as f64 / self.fans.len() as f64 * zones[0] / 100.0;
        for cooler in &mut self.coolers {
            let cpu = (watts - self.idle * 0.6) * 0.42;
            out(component, "temperature", cooler.temperature(hour, cpu, inlet_read, airflow));
            component += 1;
        }
        let reset = self.reboots.iter().chain(&self.firmware).any(|s| s.from == hour);
        for module in &mut self.modules {
            if reset {
                module.reset();
            }
            out(component, "memory_ce_count", module.counter(hour));
            component += 1;
        }
    }
}
