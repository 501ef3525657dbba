//! A rack: servers in the same air, on the same two feeds, seen by one agent.

use super::climate::Climate;
use super::dice::Dice;
use super::plan::{Confounder, Happening, Plan, Span, Truth, during, spans};
use super::server::{Names, Server};

/// One reading.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// The server, counted within its rack.
    pub server: usize,
    /// The component, an index into [`Rack::names`].
    pub component: usize,
    /// `temperature`, `fan_speed`, `fan_duty`, `power`, `voltage`, `current` or `memory_ce_count`.
    pub kind: &'static str,
    /// When, by the clock that stamped it: hours since the simulation began.
    pub hour: i64,
    /// When it really was.
    pub true_hour: i64,
    /// The value.
    pub value: f64,
}

/// One rack, simulated hour by hour.
pub struct Rack {
    climate: Climate,
    servers: Vec<Server>,
    names: Vec<Names>,
    hours: i64,
    dead: [Vec<Span>; 2],
    blind: Vec<Span>,
    dice: Dice,
}

impl Rack {
    /// The rack of that number in a plan.
    pub fn new(plan: &Plan, number: usize) -> Self {
        let servers: Vec<Server> = (0..plan.servers).map(|n| Server::new(plan, number, n)).collect();
        let names = servers.iter().map(Server::names).collect();
        let mut dice = Dice::new(plan.seed, &[7, number as u64]);
        let dead = [0, 1].map(|_| spans(&mut dice, plan.hours, 0.04, (1.0, 10.0), (1.0, 1.0)));
        let blind = spans(&mut dice, plan.hours, 0.2, (2.0, 60.0), (1.0, 1.0));
        Self { climate: Climate::new(plan, number), servers, names, hours: plan.hours, dead, blind, dice }
    }

    /// The names of a server's components.
    pub fn names(&self, server: usize) -> &[String] {
        self.names.get(server).map_or(&[], |n| n.all.as_slice())
    }

    /// How many fans a server has.
    pub fn fans(&self, server: usize) -> usize {
        self.names.get(server).map_or(0, |n| n.fans)
    }

    /// What really fails within the time that is simulated, or wears at its end.
    pub fn truths(&self) -> Vec<Truth> {
        self.servers.iter().flat_map(Server::truths).collect()
    }

    /// When each feed was lost: from and to, in hours.
    pub fn feed_losses(&self) -> Vec<(usize, i64, i64)> {
        self.dead.iter().enumerate().flat_map(|(feed, spans)| spans.iter().map(move |s| (feed, s.from, s.to))).collect()
    }

    /// What looks like wear on a server and is none.
    pub fn confounders(&self, server: usize) -> Vec<Confounder> {
        let mut all = self.servers.get(server).map_or_else(Vec::new, Server::confounders);
        let mut add = |what, component: String, spans: &[Span]| {
            all.extend(spans.iter().map(|s| Confounder { what, component: component.clone(), from: s.from, to: s.to }));
        };
        add("hot aisle", String::new(), self.climate.hot());
        add("gap", String::new(), &self.blind);
        for (n, dead) in self.dead.iter().enumerate() {
            add("feed loss", format!("psu{}", n + 1), dead);
        }
        all
    }

    /// Runs all hours. `happening` is told before the readings of its hour.
    pub fn run(mut self, mut row: impl FnMut(Row), mut happening: impl FnMut(Happening)) {
        for hour in 0..self.hours {
            let inlet = self.climate.inlet(hour);
            let feeds = [0, 1].map(|f| during(&self.dead[f], hour) == 0.0);
            let blind = during(&self.blind, hour) > 0.0;
            for (number, server) in self.servers.iter_mut().enumerate() {
                server.happenings(hour, &mut happening);
                let stamped = hour + server.clock_off(hour);
                let dice = &mut self.dice;
                server.tell(hour, inlet, feeds, &mut |component, kind, value| {
                    // One reading in five hundred is lost on the way.
                    if !blind && !dice.chance(0.002) {
                        row(Row { server: number, component, kind, hour: stamped, true_hour: hour, value });
                    }
                });
            }
        }
    }
}
