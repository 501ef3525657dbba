use crate::conformance::Behaviour;
use crate::conformance::make::*;
use outband_schemas::Timestamp;
use outband_store::{Applied, Made, NoticeDraft, NoticeFilter, NoticeState, Outbox, Outcome, Page, Store, StoreError};
use outband_ticket::{Priority, TicketNumber};

/// The behaviours of this file.
pub(crate) fn all<S: Store + Outbox>() -> Vec<Behaviour<S>> {
    macro_rules! named {
        ($($name:ident),* $(,)?) => { vec![$((stringify!($name), $name::<S> as fn(&S))),*] };
    }
    named![
        what_was_there_before_the_outbox_began_is_nobodys_news,
        a_change_is_noticed_until_notices_were_made_of_it,
        making_the_same_notices_again_makes_none,
        a_notice_is_due_until_it_is_settled,
        a_try_that_failed_is_due_again_later_under_the_same_key,
        what_has_to_wait_is_not_counted_as_a_try,
        a_replayed_notice_is_due_again_under_its_key,
        a_digest_keeps_its_members,
        the_gravest_are_due_first,
        a_channel_with_much_to_send_hides_no_other,
        settled_notices_expire_and_pending_ones_stay,
        notices_page_newest_first_by_ticket_and_state,
        notices_are_found_by_channel_recipient_and_key,
        a_digest_is_never_longer_than_people_read,
        a_digest_that_is_refused_as_one_is_sent_one_by_one,
        a_channel_that_wants_to_rest_uses_up_no_try,
        what_is_stuck_is_told_by_channel_and_what_waits_by_design_is_not,
    ]
}

fn open<S: Store>(store: &S, slot: &str) -> TicketNumber {
    let write = new_ticket(store, "s1", slot);
    let number = write.ticket.number;
    store.apply(Applied { tickets: vec![write], ..applied(&["s1"]) }, at(3)).unwrap();
    number
}

pub(crate) fn draft(ticket: u64, recipient: &str) -> NoticeDraft {
    NoticeDraft {
        ticket: TicketNumber(ticket),
        seq: 1,
        step: 0,
        cause: "opened".to_owned(),
        channel: "mail".to_owned(),
        recipient: recipient.to_owned(),
        lang: "zh-CN".to_owned(),
        priority: Priority::P3,
        subject: "硬盘故障".to_owned(),
        body: "…".to_owned(),
        not_before: at(5),
        digest: false,
    }
}

fn made<S: Outbox>(store: &S, notices: Vec<NoticeDraft>) -> usize {
    store.begin_outbox("i1", at(1)).unwrap();
    store.make_notices(Made { through: 0, marks: Vec::new(), notices }, at(4)).unwrap()
}

fn due<S: Outbox>(store: &S, now: Timestamp) -> Vec<i64> {
    store.due_notices(now, 100).unwrap().iter().map(|n| n.id).collect()
}

fn what_was_there_before_the_outbox_began_is_nobodys_news<S: Store + Outbox>(store: &S) {
    open(store, "Bay 1");
    assert_eq!(store.unnoticed(10).unwrap(), None, "it has not begun");
    store.begin_outbox("i1", at(9)).unwrap();
    store.begin_outbox("i2", at(99)).unwrap();
    assert_eq!(store.unnoticed(10).unwrap(), None);
    open(store, "Bay 2");
    let news = store.unnoticed(10).unwrap().unwrap();
    assert_eq!((news.since, news.tickets.len(), news.tickets[0].1), (at(9), 1, 0));
}

fn a_change_is_noticed_until_notices_were_made_of_it<S: Store + Outbox>(store: &S) {
    store.begin_outbox("i1", at(1)).unwrap();
    let (one, _two) = (open(store, "Bay 1"), open(store, "Bay 2"));
    let news = store.unnoticed(1).unwrap().unwrap();
    assert_eq!(news.tickets[0].0.ticket.number, one);
    assert_eq!(store.unnoticed(1).unwrap().unwrap(), news, "nothing was made of it yet");
    let marks = vec![(one, 1)];
    store.make_notices(Made { through: news.through, marks, notices: Vec::new() }, at(4)).unwrap();
    let next = store.unnoticed(10).unwrap().unwrap();
    assert_eq!(next.tickets.len(), 1);
    assert_ne!(next.tickets[0].0.ticket.number, one);
}

fn making_the_same_notices_again_makes_none<S: Store + Outbox>(store: &S) {
    assert_eq!(made(store, vec![draft(1, "li"), draft(1, "wang"), draft(1, "li")]), 2);
    assert_eq!(made(store, vec![draft(1, "li"), draft(2, "li")]), 1);
    let all = store.notices(&NoticeFilter::default(), &Page::first(10)).unwrap().rows;
    let mut keys: Vec<_> = all.iter().map(|n| n.key.clone()).collect();
    keys.sort();
    keys.dedup();
    assert_eq!((all.len(), keys.len()), (3, 3));
}

fn a_notice_is_due_until_it_is_settled<S: Store + Outbox>(store: &S) {
    made(store, vec![draft(1, "li")]);
    assert!(due(store, at(4)).is_empty(), "not before its time");
    let ids = due(store, at(5));
    assert_eq!(due(store, at(5)), ids);
    store.settle_notices(&ids, Outcome::Delivered, at(6)).unwrap();
    assert!(due(store, at(99)).is_empty());
    let notice = store.notice(ids[0]).unwrap().unwrap();
    assert_eq!((notice.state, notice.attempts, notice.settled_at), (NoticeState::Delivered, 1, Some(at(6))));
}

fn a_try_that_failed_is_due_again_later_under_the_same_key<S: Store + Outbox>(store: &S) {
    made(store, vec![draft(1, "li")]);
    let first = store.due_notices(at(5), 9).unwrap().remove(0);
    store.settle_notices(&[first.id], Outcome::Retry { at: at(30), error: "503".to_owned() }, at(6)).unwrap();
    assert!(due(store, at(29)).is_empty());
    let again = store.due_notices(at(30), 9).unwrap().remove(0);
    assert_eq!((again.key, again.attempts, again.error.as_str()), (first.key, 1, "503"));
    store.settle_notices(&[first.id], Outcome::Failed { error: "410".to_owned() }, at(31)).unwrap();
    let kept = store.notice(first.id).unwrap().unwrap();
    assert_eq!((kept.state, kept.attempts, kept.error.as_str()), (NoticeState::Failed, 2, "410"));
}

fn what_has_to_wait_is_not_counted_as_a_try<S: Store + Outbox>(store: &S) {
    made(store, vec![draft(1, "li"), draft(2, "li")]);
    let ids = due(store, at(5));
    store.settle_notices(&ids[..1], Outcome::Held { until: at(50), why: "quiet hours".to_owned() }, at(6)).unwrap();
    store.settle_notices(&ids[1..], Outcome::Cancelled { why: "acknowledged".to_owned() }, at(6)).unwrap();
    let held = store.notice(ids[0]).unwrap().unwrap();
    assert_eq!((held.state, held.attempts, held.draft.not_before), (NoticeState::Pending, 0, at(50)));
    assert_eq!(store.notice(ids[1]).unwrap().unwrap().state, NoticeState::Cancelled);
    assert_eq!(due(store, at(50)), ids[..1]);
}

fn a_replayed_notice_is_due_again_under_its_key<S: Store + Outbox>(store: &S) {
    made(store, vec![draft(1, "li")]);
    let id = due(store, at(5))[0];
    store.settle_notices(&[id], Outcome::Failed { error: "no".to_owned() }, at(6)).unwrap();
    let before = store.notice(id).unwrap().unwrap();
    let again = store.replay_notice(id, at(70), None).unwrap();
    assert_eq!((again.state, again.attempts, &again.key), (NoticeState::Pending, 0, &before.key));
    assert_eq!(due(store, at(70)), [id]);
    assert!(matches!(store.replay_notice(99, at(70), None), Err(StoreError::NotFound { .. })));
}

fn a_digest_keeps_its_members<S: Store + Outbox>(store: &S) {
    let loose = |ticket| NoticeDraft { digest: true, ..draft(ticket, "li") };
    made(store, vec![loose(1), loose(2), NoticeDraft { recipient: "wang".to_owned(), ..loose(1) }]);
    assert!(due(store, at(5)).is_empty(), "not gathered yet");
    store.gather_digests(at(5)).unwrap();
    let first = store.due_notices(at(5), 1).unwrap();
    assert_eq!(first.len(), 2, "the limit cuts no digest");
    assert!(first[0].batch.is_some() && first[0].batch == first[1].batch);
    let ids: Vec<i64> = first.iter().map(|n| n.id).collect();
    store.settle_notices(&ids, Outcome::Retry { at: at(30), error: "busy".to_owned() }, at(6)).unwrap();
    made(store, vec![loose(3)]);
    store.gather_digests(at(30)).unwrap();
    let batches: Vec<_> = store.due_notices(at(30), 9).unwrap().into_iter().map(|n| (n.id, n.batch)).collect();
    let of = |id| batches.iter().find(|(i, _)| *i == id).unwrap().1.clone();
    assert_eq!((batches.len(), of(ids[0]), of(ids[1])), (4, first[0].batch.clone(), first[0].batch.clone()));
    assert!(batches.iter().filter(|(_, b)| *b == first[0].batch).count() == 2);
}

fn the_gravest_are_due_first<S: Store + Outbox>(store: &S) {
    let urgent = NoticeDraft { priority: Priority::P1, ..draft(2, "li") };
    made(store, vec![draft(1, "li"), urgent]);
    let tickets: Vec<u64> = store.due_notices(at(5), 1).unwrap().iter().map(|n| n.draft.ticket.0).collect();
    assert_eq!(tickets, [2]);
}

fn a_channel_with_much_to_send_hides_no_other<S: Store + Outbox>(store: &S) {
    let mut drafts: Vec<NoticeDraft> = (1..=20).map(|n| draft(n, "li")).collect();
    drafts.push(NoticeDraft { channel: "hook".to_owned(), ..draft(21, "desk") });
    made(store, drafts);
    let due = store.due_notices(at(5), 3).unwrap();
    assert_eq!(due.iter().map(|n| n.draft.ticket.0).collect::<Vec<_>>(), [1, 2, 3, 21]);
}

fn settled_notices_expire_and_pending_ones_stay<S: Store + Outbox>(store: &S) {
    made(store, vec![draft(1, "li"), draft(2, "li")]);
    let ids = due(store, at(5));
    store.settle_notices(&ids[..1], Outcome::Delivered, at(6)).unwrap();
    assert_eq!(store.expire_notices(at(6)).unwrap(), 0);
    assert_eq!(store.expire_notices(at(7)).unwrap(), 1);
    assert_eq!((store.notice(ids[0]).unwrap(), due(store, at(9))), (None, ids[1..].to_vec()));
}

fn notices_page_newest_first_by_ticket_and_state<S: Store + Outbox>(store: &S) {
    made(store, (1..=5).map(|n| draft(n % 2, &format!("r{n}"))).collect());
    let first = store.notices(&NoticeFilter::default(), &Page::first(3)).unwrap();
    assert_eq!(first.rows.iter().map(|n| n.id).collect::<Vec<_>>(), [5, 4, 3]);
    let rest = store.notices(&NoticeFilter::default(), &Page::after(first.next.unwrap(), 3)).unwrap();
    assert_eq!((rest.rows.len(), rest.next), (2, None));
    let of_one =
        NoticeFilter { ticket: Some(TicketNumber(1)), state: Some(NoticeState::Pending), ..NoticeFilter::default() };
    assert_eq!(store.notices(&of_one, &Page::first(9)).unwrap().rows.len(), 3);
    let none = NoticeFilter { state: Some(NoticeState::Failed), ..NoticeFilter::default() };
    assert!(store.notices(&none, &Page::first(9)).unwrap().rows.is_empty());
}

fn notices_are_found_by_channel_recipient_and_key<S: Store + Outbox>(store: &S) {
    made(store, vec![draft(1, "li"), draft(1, "wang"), NoticeDraft { channel: "hook".to_owned(), ..draft(1, "desk") }]);
    let found = |filter: NoticeFilter| -> Vec<String> {
        let rows = store.notices(&filter, &Page::first(9)).unwrap().rows;
        rows.into_iter().map(|n| n.draft.recipient).collect()
    };
    assert_eq!(found(NoticeFilter { channel: Some("mail".to_owned()), ..NoticeFilter::default() }), ["wang", "li"]);
    assert_eq!(found(NoticeFilter { recipient: Some("desk".to_owned()), ..NoticeFilter::default() }), ["desk"]);
    let one = store.notices(&NoticeFilter::default(), &Page::first(1)).unwrap().rows.remove(0);
    assert_eq!(store.notice_of_key(&one.key).unwrap(), Some(one));
    assert_eq!(store.notice_of_key("none").unwrap(), None);
}

fn a_digest_is_never_longer_than_people_read<S: Store + Outbox>(store: &S) {
    let loose = |ticket| NoticeDraft { digest: true, ..draft(ticket, "li") };
    made(store, (1..=120).map(loose).collect());
    store.gather_digests(at(5)).unwrap();
    let mut sizes = std::collections::BTreeMap::new();
    for notice in store.due_notices(at(5), 200).unwrap() {
        *sizes.entry(notice.batch.unwrap()).or_insert(0) += 1;
    }
    let mut sizes: Vec<i32> = sizes.into_values().collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [20, 50, 50]);
}

fn a_digest_that_is_refused_as_one_is_sent_one_by_one<S: Store + Outbox>(store: &S) {
    let loose = |ticket| NoticeDraft { digest: true, ..draft(ticket, "li") };
    made(store, vec![loose(1), loose(2)]);
    store.gather_digests(at(5)).unwrap();
    let together = store.due_notices(at(5), 9).unwrap();
    let ids: Vec<i64> = together.iter().map(|n| n.id).collect();
    store.settle_notices(&ids, Outcome::Apart { error: "too long".to_owned() }, at(6)).unwrap();
    store.gather_digests(at(7)).unwrap();
    let alone = store.due_notices(at(7), 9).unwrap();
    assert_eq!(alone.len(), 2);
    assert!(alone.iter().all(|n| n.batch.is_none() && !n.draft.digest && n.attempts == 0 && n.error == "too long"));
    assert!(alone.iter().zip(&together).all(|(a, t)| a.key == t.key));
}

fn a_channel_that_wants_to_rest_uses_up_no_try<S: Store + Outbox>(store: &S) {
    made(store, vec![draft(1, "li")]);
    let id = due(store, at(5))[0];
    store.settle_notices(&[id], Outcome::Later { at: at(66), error: "too fast".to_owned() }, at(6)).unwrap();
    let waits = store.notice(id).unwrap().unwrap();
    assert_eq!((waits.state, waits.attempts, waits.draft.not_before), (NoticeState::Pending, 0, at(66)));
}

fn what_is_stuck_is_told_by_channel_and_what_waits_by_design_is_not<S: Store + Outbox>(store: &S) {
    let hook = NoticeDraft { channel: "hook".to_owned(), ..draft(3, "desk") };
    let later = NoticeDraft { channel: "later".to_owned(), not_before: at(500), ..draft(4, "li") };
    made(store, vec![draft(1, "li"), draft(2, "li"), hook, later]);
    let ids = due(store, at(5));
    let retry = |until, why: &str| Outcome::Retry { at: at(until), error: why.to_owned() };
    store.settle_notices(&ids[2..3], retry(90, "503"), at(6)).unwrap();
    store.settle_notices(&ids[2..3], retry(200, "504"), at(91)).unwrap();
    store.settle_notices(&ids[..1], Outcome::Held { until: at(400), why: "quiet hours".to_owned() }, at(6)).unwrap();
    let unsent = store.oldest_unsent(at(100)).unwrap();
    let told: Vec<_> = unsent.iter().map(|u| (u.channel.as_str(), u.count, u.since, u.error.as_str())).collect();
    assert_eq!(told, [("mail", 1, at(5), ""), ("hook", 1, at(6), "504")]);
    store.settle_notices(&ids[1..], Outcome::Delivered, at(101)).unwrap();
    assert!(store.oldest_unsent(at(102)).unwrap().is_empty());
}
