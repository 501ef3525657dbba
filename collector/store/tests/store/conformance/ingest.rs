use crate::behaviours;
use crate::conformance::make::*;
use outband_schemas::{AgentId, Cause, Lane};
use outband_store::{
    Applied, Committed, GapFilter, IncomingBatch, KnownEntry, Page, Retention, Skipped, Store, StoreError,
};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};

behaviours![
    a_new_spool_begins_with_nothing_stored,
    bodies_are_kept_as_they_came_in_their_order,
    a_resend_is_acknowledged_and_stored_once,
    a_batch_that_overlaps_the_mark_adds_only_what_is_new,
    a_jump_is_refused_and_leaves_nothing,
    a_skip_that_reaches_from_the_mark_is_a_gap_and_moves_the_mark,
    a_skip_that_ends_before_the_batch_is_refused,
    a_skip_that_begins_before_the_mark_counts_from_the_mark,
    a_newer_hello_fences_the_older_stream,
    a_new_spool_of_the_same_agent_counts_from_one,
    another_spool_of_a_known_agent_is_told_as_a_gap_once,
    a_hello_is_told_the_newest_entry_that_is_at_hand,
    another_body_under_a_stored_sequence_is_refused,
    lanes_count_apart,
    one_refused_batch_takes_no_other_with_it,
    whoever_waits_for_rows_is_woken_after_they_are_there,
    agents_are_listed_with_how_far_they_are,
    what_is_urgent_is_told_until_it_is_applied,
    an_expired_row_does_not_let_its_sequence_in_again,
    what_was_not_assessed_never_expires,
];

fn a_new_spool_begins_with_nothing_stored<S: Store>(store: &S) {
    let admission = store.hello(&hello("a1", 1), at(0)).unwrap();
    assert_eq!(admission.marks, vec![(Lane::Event, 0), (Lane::Telemetry, 0)]);
    assert_eq!(store.log_after(0, 10).unwrap(), vec![]);
}

fn bodies_are_kept_as_they_came_in_their_order<S: Store>(store: &S) {
    let epoch = store.hello(&hello("a1", 1), at(0)).unwrap().epoch;
    let done = store.commit(batch(epoch, Lane::Telemetry, 1, &["one", "two"]), at(5)).unwrap();
    assert_eq!(done, Committed { through: 2, stored: 2 });
    store.commit(batch(epoch, Lane::Telemetry, 3, &["three"]), at(6)).unwrap();
    let rows = store.log_after(0, 10).unwrap();
    let seen: Vec<(i64, &[u8], _)> = rows.iter().map(|r| (r.seq, r.body.as_slice(), r.received_at)).collect();
    assert_eq!(seen, vec![(1, &b"one"[..], at(5)), (2, b"two", at(5)), (3, b"three", at(6))]);
    assert_eq!(rows[0].agent, agent("a1"));
    assert_eq!(rows[0].lane, Lane::Telemetry);
    assert_eq!(store.log_after(rows[0].id, 1).unwrap()[0].seq, 2);
}

fn a_resend_is_acknowledged_and_stored_once<S: Store>(store: &S) {
    let epoch = store.hello(&hello("a1", 1), at(0)).unwrap().epoch;
    store.commit(batch(epoch, Lane::Event, 1, &["one", "two"]), at(1)).unwrap();
    let again = store.commit(batch(epoch, Lane::Event, 1, &["one", "two"]), at(2)).unwrap();
    assert_eq!(again, Committed { through: 2, stored: 0 });
    assert_eq!(store.log_after(0, 10).unwrap().len(), 2);
}

fn a_batch_that_overlaps_the_mark_adds_only_what_is_new<S: Store>(store: &S) {
    let epoch = store.hello(&hello("a1", 1), at(0)).unwrap().epoch;
    store.commit(batch(epoch, Lane::Event, 1, &["one", "two"]), at(1)).unwrap();
    let more = store.commit(batch(epoch, Lane::Event, 2, &["two", "three"]), at(2)).unwrap();
    assert_eq!(more, Committed { through: 3, stored: 1 });
}

fn a_jump_is_refused_and_leaves_nothing<S: Store>(store: &S) {
    let epoch = store.hello(&hello("a1", 1), at(0)).unwrap().epoch;
    let refused = store.commit(batch(epoch, Lane::Event, 2, &["two"]), at(1)).unwrap_err();
    assert!(matches!(refused, StoreError::Jump { mark: 0, first_seq: 2, skipped: None, .. }), "{refused}");
    assert_eq!(store.log_after(0, 10).unwrap(), vec![]);
    assert_eq!(store.hello(&hello("a1", 1), at(2)).unwrap().marks[0], (Lane::Event, 0));
}

fn skipped(first: i64, last: i64) -> Skipped {
    Skipped { first, last, cause: Cause::Evicted, detail: "the spool was full".to_owned(), from: at(-60), to: at(-10) }
}

fn a_skip_that_reaches_from_the_mark_is_a_gap_and_moves_the_mark<S: Store>(store: &S) {
    let epoch = store.hello(&hello("a1", 1), at(0)).unwrap().epoch;
    let mut late = batch(epoch, Lane::Telemetry, 5, &["five"]);
    late.skipped = Some(skipped(1, 4));
    assert_eq!(store.commit(late.clone(), at(1)).unwrap(), Committed { through: 5, stored: 1 });
    // Sent again, it is one gap still.
    assert_eq!(store.commit(late, at(2)).unwrap(), Committed { through: 5, stored: 0 });
    let gaps = store.gaps(&GapFilter { agent: Some(agent("a1")), ..GapFilter::default() }, &Page::first(9)).unwrap();
    assert_eq!(gaps.rows.len(), 1);
    let gap = &gaps.rows[0];
    assert_eq!((gap.gap.cause, gap.gap.span, gap.count), (Cause::Evicted, Some((at(-60), at(-10))), 4));
    assert_eq!(gap.server, None);
    // A skip may come alone.
    let mut alone = batch(epoch, Lane::Telemetry, 9, &[]);
    alone.skipped = Some(skipped(6, 8));
    assert_eq!(store.commit(alone, at(3)).unwrap(), Committed { through: 8, stored: 0 });
}

fn a_skip_that_ends_before_the_batch_is_refused<S: Store>(store: &S) {
    let epoch = store.hello(&hello("a1", 1), at(0)).unwrap().epoch;
    for (first, last) in [(1, 3), (2, 4), (1, 5), (4, 1)] {
        let mut jump = batch(epoch, Lane::Telemetry, 5, &["five"]);
        jump.skipped = Some(skipped(first, last));
        assert!(matches!(store.commit(jump, at(1)), Err(StoreError::Jump { .. })), "{first}..{last}");
    }
    assert!(store.gaps(&GapFilter::default(), &Page::first(9)).unwrap().rows.is_empty());
}

fn a_skip_that_begins_before_the_mark_counts_from_the_mark<S: Store>(store: &S) {
    let epoch = store.hello(&hello("a1", 1), at(0)).unwrap().epoch;
    store.commit(batch(epoch, Lane::Telemetry, 1, &["one", "two"]), at(1)).unwrap();
    let mut late = batch(epoch, Lane::Telemetry, 5, &["five"]);
    late.skipped = Some(skipped(1, 4));
    assert_eq!(store.commit(late, at(1)).unwrap(), Committed { through: 5, stored: 1 });
    let gaps = store.gaps(&GapFilter::default(), &Page::first(9)).unwrap().rows;
    assert_eq!(gaps[0].count, 2);
    assert!(gaps[0].gap.source.0.ends_with("/3-4"), "{}", gaps[0].gap.source);
}

fn a_newer_hello_fences_the_older_stream<S: Store>(store: &S) {
    let old = store.hello(&hello("a1", 1), at(0)).unwrap().epoch;
    let new = store.hello(&hello("a1", 1), at(1)).unwrap().epoch;
    assert!(new > old);
    assert!(matches!(store.commit(batch(old, Lane::Event, 1, &["x"]), at(2)), Err(StoreError::Fenced { .. })));
    store.commit(batch(new, Lane::Event, 1, &["x"]), at(2)).unwrap();
    // Another agent's hello fences nobody else.
    store.hello(&hello("a2", 2), at(3)).unwrap();
    store.commit(batch(new, Lane::Event, 2, &["y"]), at(4)).unwrap();
}

fn a_new_spool_of_the_same_agent_counts_from_one<S: Store>(store: &S) {
    let first = store.hello(&hello("a1", 1), at(0)).unwrap().epoch;
    store.commit(batch(first, Lane::Event, 1, &["x"]), at(1)).unwrap();
    let second = store.hello(&hello("a1", 2), at(2)).unwrap();
    assert_eq!(second.marks[0], (Lane::Event, 0));
    let mut other = batch(second.epoch, Lane::Event, 1, &["other"]);
    other.spool_id = spool(2);
    assert_eq!(store.commit(other, at(3)).unwrap().stored, 1);
    assert_eq!(store.hello(&hello("a1", 1), at(4)).unwrap().marks[0], (Lane::Event, 1));
}

fn another_spool_of_a_known_agent_is_told_as_a_gap_once<S: Store>(store: &S) {
    store.hello(&hello("a1", 1), at(0)).unwrap();
    store.hello(&hello("a1", 1), at(1)).unwrap();
    store.hello(&hello("a2", 9), at(1)).unwrap();
    store.heard(&agent("a1"), at(5)).unwrap();
    let gaps = || store.gaps(&GapFilter::default(), &Page::first(10)).unwrap().rows;
    assert_eq!(gaps(), vec![], "neither a first hello nor a second of the same spool is a loss");
    for second in [8, 9] {
        store.hello(&hello("a1", 2), at(second)).unwrap();
    }
    store.hello(&hello("a1", 1), at(10)).unwrap();
    let told = gaps();
    assert_eq!(told.len(), 1);
    assert_eq!((&told[0].agent, told[0].gap.cause), (&Some(agent("a1")), Cause::SpoolLost));
    assert_eq!(told[0].gap.span, Some((at(5), at(8))));
}

fn a_hello_is_told_the_newest_entry_that_is_at_hand<S: Store>(store: &S) {
    let first = store.hello(&hello("a1", 1), at(0)).unwrap();
    assert_eq!(first.known, vec![]);
    store.commit(batch(first.epoch, Lane::Telemetry, 1, &["one", "two"]), at(1)).unwrap();
    let skip = IncomingBatch { skipped: Some(skipped(3, 5)), ..batch(first.epoch, Lane::Telemetry, 6, &[]) };
    store.commit(skip, at(2)).unwrap();
    let known = store.hello(&hello("a1", 1), at(3)).unwrap().known;
    assert_eq!(known, vec![KnownEntry { lane: Lane::Telemetry, seq: 2, crc32c: crc32c::crc32c(b"two") }]);
}

fn another_body_under_a_stored_sequence_is_refused<S: Store>(store: &S) {
    let epoch = store.hello(&hello("a1", 1), at(0)).unwrap().epoch;
    store.commit(batch(epoch, Lane::Event, 1, &["one"]), at(1)).unwrap();
    let refused = store.commit(batch(epoch, Lane::Event, 1, &["uno", "two"]), at(2)).unwrap_err();
    assert!(matches!(refused, StoreError::DifferentBody { seq: 1, .. }), "{refused}");
    assert_eq!(store.log_after(0, 9).unwrap().len(), 1);
}

fn lanes_count_apart<S: Store>(store: &S) {
    let epoch = store.hello(&hello("a1", 1), at(0)).unwrap().epoch;
    store.commit(batch(epoch, Lane::Event, 1, &["e1", "e2"]), at(1)).unwrap();
    store.commit(batch(epoch, Lane::Telemetry, 1, &["t1"]), at(1)).unwrap();
    assert_eq!(store.hello(&hello("a1", 1), at(2)).unwrap().marks, vec![(Lane::Event, 2), (Lane::Telemetry, 1)]);
}

fn one_refused_batch_takes_no_other_with_it<S: Store>(store: &S) {
    let epoch = store.hello(&hello("a1", 1), at(0)).unwrap().epoch;
    let (tell, told) = mpsc::channel();
    // Sent at once, so that they share transactions: every third one jumps.
    let mut next = 1;
    for n in 0..300 {
        let seq = if n % 3 == 2 { next + 100_000 } else { next };
        next += i64::from(n % 3 != 2);
        let tell = tell.clone();
        let one = batch(epoch, Lane::Telemetry, seq, &["x"]);
        store.commit_then(one, at(1), Box::new(move |r| tell.send((n, r.is_ok())).unwrap()));
    }
    drop(tell);
    let answers: Vec<(i32, bool)> = told.iter().collect();
    assert_eq!(answers.len(), 300);
    assert!(answers.iter().all(|(n, ok)| *ok == (n % 3 != 2)));
    assert_eq!(store.log_after(0, 1000).unwrap().len(), 200);
}

fn whoever_waits_for_rows_is_woken_after_they_are_there<S: Store>(store: &S) {
    let (seen, met) = (Arc::new(AtomicUsize::new(0)), Arc::new(Barrier::new(2)));
    let (count, wait) = (Arc::clone(&seen), Arc::clone(&met));
    store.on_commit(Box::new(move || {
        count.fetch_add(1, Ordering::SeqCst);
        wait.wait();
    }));
    let epoch = store.hello(&hello("a1", 1), at(0)).unwrap().epoch;
    store.commit_then(batch(epoch, Lane::Event, 1, &["x"]), at(1), Box::new(|r| assert!(r.is_ok())));
    met.wait();
    assert_eq!(store.log_after(0, 9).unwrap().len(), 1);
    // A resend puts no rows there, and wakes nobody.
    store.commit(batch(epoch, Lane::Event, 1, &["x"]), at(1)).unwrap();
    assert_eq!(seen.load(Ordering::SeqCst), 1);
}

fn agents_are_listed_with_how_far_they_are<S: Store>(store: &S) {
    let epoch = store.hello(&hello("a1", 1), at(0)).unwrap().epoch;
    store.hello(&hello("a0", 7), at(1)).unwrap();
    store.commit(batch(epoch, Lane::Telemetry, 1, &["x", "y"]), at(9)).unwrap();
    let mut done = applied(&[]);
    done.through = Some(store.log_after(0, 9).unwrap()[1].id);
    done.observed = vec![(agent("a1"), Lane::Telemetry, at(7)), (agent("a1"), Lane::Telemetry, at(4))];
    store.apply(done, at(9)).unwrap();
    store.heard(&agent("a0"), at(20)).unwrap();
    store.heard(&agent("a0"), at(15)).unwrap();
    let agents = store.agents().unwrap();
    assert_eq!(agents.iter().map(|a| a.agent.clone()).collect::<Vec<AgentId>>(), vec![agent("a0"), agent("a1")]);
    assert_eq!(agents[0].last_heard, at(20));
    assert_eq!((agents[1].last_heard, agents[1].hello_at), (at(9), at(0)));
    let lane = agents[1].lanes.iter().find(|l| l.lane == Lane::Telemetry).unwrap();
    assert_eq!((lane.committed, lane.announced, lane.newest_observed), (2, 10, Some(at(7))));
}

fn what_is_urgent_is_told_until_it_is_applied<S: Store>(store: &S) {
    let epoch = store.hello(&hello("a1", 1), at(0)).unwrap().epoch;
    store.commit(batch(epoch, Lane::Event, 1, &["x"]), at(1)).unwrap();
    store.commit(batch(epoch, Lane::Telemetry, 1, &["t", "u"]), at(1)).unwrap();
    store.commit(batch(epoch, Lane::Event, 2, &["y", "z"]), at(1)).unwrap();
    let urgent = |most| store.urgent(most).unwrap().into_iter().map(|r| r.body).collect::<Vec<_>>();
    assert_eq!(urgent(9), vec![b"x", b"y", b"z"]);
    assert_eq!(urgent(2), vec![b"x", b"y"]);
    let spool = store.urgent(1).unwrap()[0].spool_id;
    let through = |seq| Applied { urgent: [((agent("a1"), spool), seq)].into(), ..applied(&[]) };
    store.apply(through(2), at(2)).unwrap();
    assert_eq!(urgent(9), vec![b"z"]);
    assert!(matches!(store.apply(through(2), at(3)), Err(StoreError::Conflict { .. })), "once");
    let assessed = |after| store.log_after(after, 9).unwrap().iter().map(|r| r.assessed).collect::<Vec<_>>();
    assert_eq!(assessed(0), [true, false, false, true, false], "the log still tells of it, in its place");
    // What the cursor has passed is not urgent, whoever passed it.
    let last = store.log_after(0, 9).unwrap()[4].id;
    store.apply(Applied { through: Some(last), ..applied(&[]) }, at(4)).unwrap();
    assert_eq!(urgent(9), Vec::<Vec<u8>>::new());
}

fn an_expired_row_does_not_let_its_sequence_in_again<S: Store>(store: &S) {
    let epoch = store.hello(&hello("a1", 1), at(0)).unwrap().epoch;
    store.commit(batch(epoch, Lane::Event, 1, &["x"]), at(1)).unwrap();
    let row = store.log_after(0, 9).unwrap()[0].id;
    store.apply(outband_store::Applied { through: Some(row), ..applied(&[]) }, at(2)).unwrap();
    store.expire(at(100_000), &Retention::default()).unwrap();
    assert_eq!(store.log_after(0, 9).unwrap(), vec![]);
    assert_eq!(store.commit(batch(epoch, Lane::Event, 1, &["x"]), at(3)).unwrap(), Committed { through: 1, stored: 0 });
    store.commit(batch(epoch, Lane::Event, 2, &["y"]), at(4)).unwrap();
    assert!(store.log_after(row, 9).unwrap()[0].id > row, "a row's id is never used twice");
}

fn what_was_not_assessed_never_expires<S: Store>(store: &S) {
    let epoch = store.hello(&hello("a1", 1), at(0)).unwrap().epoch;
    store.commit(batch(epoch, Lane::Event, 1, &["x"]), at(1)).unwrap();
    store.expire(at(100_000_000), &Retention::default()).unwrap();
    assert_eq!(store.log_after(0, 9).unwrap().len(), 1);
}
