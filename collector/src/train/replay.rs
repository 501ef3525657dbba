//! History, day by day, as a collector would have seen it.

use super::source::{Days, Histories, InMemory, Life};
use outband_health::model::{self, Day};
use std::collections::BTreeSet;

/// A fleet as it was known at the end of a day.
#[derive(Debug)]
pub struct Replay<'a, D = InMemory<'a>> {
    lives: &'a [Life],
    days: D,
    known: Vec<model::History>,
    /// Drives whose medium has shown something new of late.
    awake: BTreeSet<usize>,
    /// The next day to be read.
    next: Option<Day>,
}

impl<'a> Replay<'a> {
    /// Before the first day of a history in memory.
    pub fn new(history: &'a Histories) -> Self {
        Self::of(&history.lives, history.days())
    }

    /// The days of the history: the first with a reading, and the newest on which a drive was seen.
    pub fn days(history: &Histories) -> Option<(Day, Day)> {
        Some((history.readings.first()?.day, history.lives.iter().map(|l| l.last).max()?))
    }

    /// Goes on to the end of `day`.
    pub fn advance(&mut self, day: Day) {
        match self.go_on(day) {
            Ok(()) => {}
            Err(never) => match never {},
        }
    }
}

impl<'a, D: Days> Replay<'a, D> {
    /// Before the first day.
    pub fn of(lives: &'a [Life], days: D) -> Self {
        let known = vec![model::History::default(); lives.len()];
        Replay { lives, next: days.first(), days, known, awake: BTreeSet::new() }
    }

    /// Goes on to the end of `day`.
    pub fn go_on(&mut self, day: Day) -> Result<(), D::Error> {
        let Replay { lives, days, known, awake, next } = self;
        while let Some(today) = next.filter(|n| *n <= day) {
            days.day(today, &mut |reading| {
                let Some(known) = known.get_mut(reading.drive) else { return };
                known.read(reading.day, &reading.smart);
                if known.is_awake(reading.day) {
                    awake.insert(reading.drive);
                }
            })?;
            *next = Some(today + 1);
        }
        awake.retain(|&drive| {
            let here = lives.get(drive).is_some_and(|l| l.is_read_on(day));
            here && known.get(drive).is_some_and(|k| k.is_awake(day))
        });
        Ok(())
    }

    /// The drives that run on `day`, with what is known of them.
    pub fn running(&self, day: Day) -> impl Iterator<Item = (&model::Drive, &model::History)> {
        let all = self.lives.iter().zip(&self.known);
        all.filter(move |(life, _)| life.is_read_on(day)).map(|(life, known)| (&life.drive, known))
    }

    /// The drives that are to be scored today, by their place, with what is known of them.
    pub fn awake(&self) -> impl Iterator<Item = (usize, &model::History)> {
        self.awake.iter().filter_map(|&drive| Some((drive, self.known.get(drive)?)))
    }
}
