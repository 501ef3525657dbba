//! `outband fleet load`.

use super::{Interval, or_dash};
use crate::context::Context;
use crate::error::Error;
use crate::output::{Block, Document, Rows, Shown};
use crate::paging::{self, Paged};
use crate::words::Word;
use outband_proto::fleet as wire;
use serde::Serialize;

/// So few tickets have no busy day.
const TELLING: u64 = 200;

/// The tickets of the next weeks.
#[derive(Debug, Serialize)]
struct Forecast {
    /// `sites/…`, `customers/…`; empty: of all.
    name: String,
    past_weeks: Vec<u64>,
    weeks: Vec<Week>,
    /// Past tickets from Monday to Sunday.
    weekdays: Vec<u64>,
    refused: Option<String>,
}

#[derive(Debug, Serialize)]
struct Week {
    monday: String,
    tickets: Option<Interval>,
    season: f64,
}

#[derive(Debug, Serialize)]
struct Forecasts {
    forecasts: Vec<Forecast>,
    truncated: bool,
}

impl Document for Forecasts {
    fn blocks(&self, shown: &Shown) -> Vec<Block> {
        let mut blocks: Vec<Block> = self.forecasts.iter().flat_map(|f| f.blocks(shown)).collect();
        if blocks.is_empty() {
            blocks.push(Block::Note(shown.word(Word::NoServers)));
        }
        if self.truncated {
            blocks.push(Block::Note(shown.word(Word::More)));
        }
        blocks
    }

    fn rows(&self) -> Rows {
        let keys = vec!["name", "monday", "tickets", "low", "high", "season", "refused"];
        let mut rows = Vec::new();
        for of in &self.forecasts {
            let end = |pick: fn(&Interval) -> f64, week: &Week| Interval::raw(week.tickets.as_ref(), pick);
            rows.extend(of.weeks.iter().map(|week| {
                vec![
                    of.name.clone(),
                    week.monday.clone(),
                    end(|e| e.mean, week),
                    end(|e| e.low, week),
                    end(|e| e.high, week),
                    week.season.to_string(),
                    String::new(),
                ]
            }));
            if let Some(refused) = &of.refused {
                let mut row = vec![of.name.clone()];
                row.resize(6, String::new());
                row.push(refused.clone());
                rows.push(row);
            }
        }
        (keys, rows)
    }
}

impl Forecast {
    fn blocks(&self, shown: &Shown) -> Vec<Block> {
        let title = if self.name.is_empty() { shown.word(Word::AllServers) } else { crate::name::plain(&self.name) };
        let past = self.past_weeks.iter().rev().take(8).rev().map(u64::to_string).collect::<Vec<_>>().join(" ");
        let mut sheet = vec![(shown.word(Word::Name), title), (shown.word(Word::PastWeeks), or_dash(&past))];
        if let Some((day, share)) = self.busiest() {
            let days = [
                Word::Monday,
                Word::Tuesday,
                Word::Wednesday,
                Word::Thursday,
                Word::Friday,
                Word::Saturday,
                Word::Sunday,
            ];
            if let Some(day) = days.get(day) {
                sheet.push((shown.word(Word::BusiestDay), format!("{} ({share:.0} %)", shown.word(*day))));
            }
        }
        if let Some(refused) = &self.refused {
            sheet.push((shown.word(Word::NotForetold), refused.clone()));
            return vec![Block::Sheet(sheet)];
        }
        let head = [Word::WeekFrom, Word::Tickets, Word::Season].map(|w| shown.word(w)).to_vec();
        let row = |week: &Week| {
            vec![week.monday.clone(), Interval::plain(week.tickets.as_ref()), format!("{:.2}", week.season)]
        };
        let rows = self.weeks.iter().map(row).collect();
        vec![Block::Sheet(sheet), Block::Table { title: None, head, rows }]
    }

    /// The busiest day of the week, and its share in percent, where there are enough tickets to tell.
    #[allow(clippy::cast_precision_loss, reason = "counts of tickets")]
    fn busiest(&self) -> Option<(usize, f64)> {
        let all: u64 = self.weekdays.iter().sum();
        let (day, most) = self.weekdays.iter().enumerate().max_by_key(|(_, n)| **n)?;
        (all >= TELLING).then(|| (day, *most as f64 * 100.0 / all as f64))
    }
}

pub(super) async fn forecasts(context: &Context, asked: wire::ListLoadForecastsRequest) -> Result<String, Error> {
    let Paged { rows: forecasts, more: truncated } = paging::follow(context.limit, async |page_size, page_token| {
        let request = wire::ListLoadForecastsRequest { page_size, page_token, ..asked.clone() };
        let answer = context.api.fleet().list_load_forecasts(request).await?.into_inner();
        let forecasts = answer.forecasts.into_iter().map(|f| Forecast {
            name: f.name,
            past_weeks: f.past,
            weeks: f
                .weeks
                .into_iter()
                .map(|w| Week { monday: w.monday, tickets: Interval::of(w.tickets), season: w.season })
                .collect(),
            weekdays: f.weekdays,
            refused: Some(f.refused).filter(|r| !r.is_empty()),
        });
        Ok((forecasts.collect(), answer.next_page_token))
    })
    .await?;
    context.render(&Forecasts { forecasts, truncated })
}
