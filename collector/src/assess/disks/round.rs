//! A day that is judged: who failed, what the threshold is, and what the model says of each drive.

use super::*;

impl Inner {
    /// Nothing is said of drives any more. Answers the servers of whose drives something was.
    pub(super) fn unsay(&mut self) -> BTreeSet<ServerId> {
        self.round = None;
        let mut servers = BTreeSet::new();
        for held in self.drives.values_mut().filter(|h| h.record.said != Said::New) {
            (held.record.said, held.unsaved) = (Said::New, true);
            servers.extend(held.record.place.as_ref().map(|p| p.0.clone()));
        }
        servers
    }

    /// The drives of which somebody has verified since the last round that they failed: as the model foretold, or where another part was suspected.
    pub(super) fn confirmed(&mut self, store: &impl Outcomes, now: Timestamp) -> Result<Vec<String>, StoreError> {
        let since = Timestamp::from_millis(self.fleet.heard_to_ms);
        let filter = OutcomeFilter { known_since: Some(since), ..OutcomeFilter::default() };
        let foretold = |o: &TicketOutcome| o.rule == "disk.predicted" && o.outcome.predicted;
        let mut keys = Vec::new();
        for of in store.outcomes(&filter)? {
            let right = of.outcome.answer == Answer::Right && foretold(&of);
            let own = of.serial.as_deref().filter(|_| right);
            let other = of.other.serial.as_deref().filter(|_| of.outcome.other.is_some());
            keys.extend(
                [own, other].into_iter().flatten().filter_map(|serial| serial_of(Some(serial))).map(key_of_serial),
            );
        }
        self.fleet.heard_to_ms = now.as_millis();
        Ok(keys)
    }

    /// Begins to judge a day.
    pub(super) fn begin(
        &mut self,
        day: Day,
        by: &Predicting,
        failing: &[(ServerId, ComponentId)],
        confirmed: Vec<String>,
    ) {
        let version = &by.model.version;
        if self.fleet.model != *version || self.fleet.watch.is_none() {
            // What another model's thresholds cost says nothing of this one's.
            self.fleet.watch = Some(Watch::new(&by.model));
            self.fleet.model.clone_from(version);
        }
        for (server, component) in failing {
            let Some(key) = self.places.get(server).and_then(|places| places.get(component)) else { continue };
            if let Some(held) = self.drives.get_mut(key).filter(|h| h.record.failed_on.is_none()) {
                (held.record.failed_on, held.unsaved) = (Some(day), true);
                self.failed.insert(key.clone());
            }
        }
        for key in confirmed {
            if let Some(held) = self.drives.get_mut(&key).filter(|h| h.record.failed_on.is_none()) {
                (held.record.failed_on, held.unsaved) = (Some(day), true);
                self.failed.insert(key);
            }
        }
        let read_on = |held: &Held| held.record.polled.day().filter(|d| *d <= day).max(held.record.read_on);
        let judged = |held: &Held| !matches!(held.record.said, Said::Blind { .. });
        let running = self.drives.values().filter(|held| judged(held)).filter(|h| read_on(h) == Some(day)).count();
        self.rest();
        let drives = &self.drives;
        let is_gone = |key: &String| drives.get(key).is_none_or(|held| read_on(held).is_none_or(|on| day - on > GONE));
        if let Some(watch) = &mut self.fleet.watch {
            watch.begin(day, u64::try_from(running).unwrap_or(u64::MAX));
            let run = drives.values().filter(|h| read_on(h).is_some_and(|on| day - on <= GONE));
            watch.survey(day, run.map(|h| (h.record.drive(), &*h.record.history)));
            self.failed.iter().for_each(|key| watch.failed(key));
            let gone: Vec<String> =
                watch.watched().filter(|k| self.taken.contains(*k) || is_gone(k)).cloned().collect();
            let failed = |key: &String| drives.get(key).is_some_and(|h| h.record.failed_on.is_some());
            gone.iter().filter(|key| !failed(key)).for_each(|key| watch.gone(key));
            watch.decide(by.false_tickets);
        }
        let mut still = Vec::new();
        for waiting in std::mem::take(&mut self.fleet.waiting) {
            let failed_on = drives.get(&waiting.key).and_then(|h| h.record.failed_on);
            let failed = failed_on.is_some_and(|on| (1..=HORIZON).contains(&(on - waiting.day)));
            let over = day - waiting.day > HORIZON;
            if failed || over && !is_gone(&waiting.key) && !self.taken.contains(&waiting.key) {
                self.fleet.cohorts.add(&waiting.family, waiting.vendor, waiting.pattern, failed);
            } else if !over {
                still.push(waiting);
            }
        }
        self.fleet.waiting = still;
        self.failed.clear();
        self.taken.clear();
        self.round = Some(Round { day, ..Round::default() });
        self.rest();
    }

    /// Packs what was looked at of drives.
    fn rest(&mut self) {
        self.drives.values_mut().for_each(|held| held.record.rest(&self.names));
    }

    /// Judges some drives more.
    pub(super) fn go_on(&mut self, store: &impl Drives, by: &Predicting) -> Result<BTreeSet<ServerId>, StoreError> {
        let begun = Instant::now();
        let mut servers = BTreeSet::new();
        let Inner { drives, fleet, round, names, .. } = &mut *self;
        let (Some(round), Some(mut watch)) = (round.as_mut(), fleet.watch.take()) else { return Ok(servers) };
        let from = round.after.clone().map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let mut done = Vec::new();
        for (key, held) in drives.range_mut((from, std::ops::Bound::<String>::Unbounded)).take(TOGETHER) {
            done.push(key.clone());
            if held.record.polled.day().is_some_and(|open| open <= round.day) {
                held.close(key);
            }
            let before = held.record.said.clone();
            held.judge(key, by, &mut watch, fleet, round);
            if held.record.said != before {
                held.unsaved = true;
                servers.extend(held.record.place.as_ref().map(|p| p.0.clone()));
            }
            held.record.rest(names);
        }
        fleet.watch = Some(watch);
        round.took += begun.elapsed();
        round.after = done.last().cloned();
        let (is_over, day) = (done.len() < TOGETHER, round.day);
        let unsaved: Vec<String> =
            done.into_iter().filter(|key| self.drives.get(key).is_some_and(|h| h.unsaved)).collect();
        if !is_over {
            self.keep(store, &unsaved, None)?;
            return Ok(servers);
        }
        let old = |held: &Held| {
            let DriveRecord { read_on, polled, worn_on, .. } = &held.record;
            day - (*read_on).max(polled.day()).max(*worn_on).unwrap_or(day) > FORGET
        };
        let old: Vec<String> = self.drives.iter().filter(|(_, h)| old(h)).map(|(k, _)| k.clone()).collect();
        for key in &old {
            self.drop_drive(key);
        }
        self.rest();
        self.gone.extend(old);
        self.fleet.day = Some(day);
        let fleet = std::mem::take(&mut self.fleet);
        let kept = self.keep(store, &unsaved, Some(&fleet));
        self.fleet = fleet;
        if let Some(Round { judged, foretold, took, .. }) = self.round.take() {
            tracing::info!(day = %date(day), drives = self.drives.len(), judged, foretold, ms = took.as_millis(), "drives were judged by the disk model");
        }
        kept.map(|()| servers)
    }

    pub(super) fn drop_drive(&mut self, key: &str) {
        let place = self.drives.remove(key).and_then(|held| held.record.place);
        if let Some((server, component)) = place
            && let Some(places) = self.places.get_mut(&server)
            && places.get(&component).is_some_and(|k| k == key)
        {
            places.remove(&component);
        }
    }

    /// Keeps some drives, and what is learnt of all.
    pub(super) fn keep(
        &mut self,
        store: &impl Drives,
        some: &[String],
        fleet: Option<&DriveFleet>,
    ) -> Result<(), StoreError> {
        let rows: Vec<(String, &DriveRecord)> =
            some.iter().filter_map(|key| Some((key.clone(), &self.drives.get(key)?.record))).collect();
        store.keep_drives(&rows, &self.gone, fleet)?;
        self.gone.clear();
        for key in some {
            if let Some(held) = self.drives.get_mut(key) {
                (held.unsaved, held.worn) = (false, false);
            }
        }
        Ok(())
    }
}

impl Held {
    /// Closes the day that is open.
    pub(super) fn close(&mut self, key: &str) {
        let news = self.record.polled.has_news(&self.record.history);
        let Some(day) = self.record.polled.close(&mut self.record.history) else { return };
        self.record.read_on = Some(day);
        let turn = key.bytes().fold(0_i32, |sum, b| sum.wrapping_add(i32::from(b)));
        self.unsaved |= news || day.wrapping_add(turn) % REFRESH == 0;
    }

    /// What it showed day by day is another drive's, or was read by a wrong clock.
    pub(super) fn begin_anew(&mut self) {
        let known = std::mem::take(&mut self.record);
        self.record = DriveRecord {
            history: Default::default(),
            polled: Default::default(),
            read_ms: 0,
            read_on: None,
            judged_on: None,
            failed_on: None,
            said: Said::default(),
            patterns: BTreeSet::new(),
            ..known
        };
        self.unsaved = true;
    }

    pub(super) fn judge(
        &mut self,
        key: &String,
        by: &Predicting,
        watch: &mut Watch<String>,
        fleet: &mut DriveFleet,
        round: &mut Round,
    ) {
        let record = &mut self.record;
        let stands = match &record.said {
            Said::Foretold(foretold) => !foretold.is_over(round.day),
            Said::New | Said::Blind { .. } | Said::Well { .. } => false,
        };
        if !stands && matches!(record.said, Said::Foretold(_)) {
            record.said = Said::New;
        }
        let day = match record.read_on {
            Some(on) if record.judged_on.is_none_or(|judged| judged < on) => {
                record.judged_on = Some(on);
                on
            }
            // Of one that tells nothing of itself the model says why it says nothing.
            None if record.place.is_some() => round.day,
            Some(_) | None => return,
        };
        round.judged += 1;
        let drive = record.drive();
        let judged = watch.judge(&by.model, key, (&*record.history, &drive), day, &mut round.row);
        let Judged { verdict, threshold, probability, opens } = judged;
        let probability = probability.unwrap_or_default();
        let score = match verdict {
            // What was not read yet may still be told.
            Verdict::Blind(Blind::NoAttributes) if record.read_on.is_none() => return,
            Verdict::Blind(why) => {
                record.said = Said::Blind { why };
                return;
            }
            Verdict::Quiet { .. } => {
                if !stands {
                    record.said = Said::Well { probability };
                }
                return;
            }
            Verdict::Scored(score) => score,
        };
        let family = record.model.as_deref().map(family).unwrap_or_default();
        let pattern = Pattern::of(&record.history, day);
        if !pattern.is_empty() && record.patterns.insert(pattern) {
            self.unsaved = true;
            fleet.waiting.push(Waiting {
                key: key.clone(),
                day,
                family: family.clone(),
                vendor: drive.vendor,
                pattern,
            });
        }
        match &mut record.said {
            Said::Foretold(foretold) if opens => {
                (foretold.newest, foretold.newest_ms, foretold.probability) = (day, record.read_ms, probability);
            }
            Said::Foretold(_) => {}
            _ if opens => {
                round.foretold += 1;
                let cohorts = &by.model.cohorts;
                let trained = cohorts.like(&family, drive.vendor, pattern, outband_health::model::ENOUGH);
                record.said = Said::Foretold(Box::new(Foretold {
                    model: by.model.version.clone(),
                    since: day,
                    newest: day,
                    newest_ms: record.read_ms,
                    probability,
                    margin: score.margin,
                    threshold,
                    explanation: explain(&by.model.forest, &round.row, &record.history, day),
                    pattern,
                    trained: trained.map(|cohort| (cohort, by.model.trained_to.clone())),
                    own: fleet.cohorts.like(&family, drive.vendor, pattern, OWN),
                }));
            }
            _ => record.said = Said::Well { probability },
        }
    }
}
