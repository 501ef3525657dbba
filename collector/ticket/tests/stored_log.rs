//! An entry of a ticket's log reads back from the text that is stored.

use outband_schemas::Timestamp;
use outband_ticket::{Action, Priority, Rebase, Resolution, State, Target, Transition};

#[test]
fn every_entry_of_a_log_reads_back_from_its_text() {
    let actions = [
        Action::Open { priority: Priority::P2, opening: None },
        Action::Assign { to: "li".to_owned() },
        Action::Start,
        Action::Locate { root_cause: "bearing".to_owned() },
        Action::WaitForCustomer,
        Action::WaitForParts,
        Action::Resume,
        Action::Resolve { resolution: Resolution::FalseAlarm },
        Action::Close,
        Action::Reopen,
        Action::Prioritise { priority: Priority::P1, rebase: Rebase::Change },
        Action::Escalate,
        Action::Breach { target: Target::REPAIR, cycle: 2 },
        Action::Step { target: Target::UPDATE_CADENCE, cycle: 2, level: 1 },
    ];
    for (seq, action) in (1..).zip(actions) {
        let entry = Transition {
            seq,
            at: Timestamp::from_secs(1_800_000_000),
            who: "operator".to_owned(),
            why: "because".to_owned(),
            action,
            from: Some(State::New),
            to: State::Assigned,
        };
        let text = serde_json::to_string(&entry).unwrap();
        assert_eq!(serde_json::from_str::<Transition>(&text).ok(), Some(entry), "{text}");
    }
}

#[test]
fn a_breach_that_was_stored_before_clocks_repeated_is_of_the_first_run() {
    let text = r#"{"seq":4,"at":1800000000000,"who":"collector","why":"due","action":"breach","target":"respond","from":"new","to":"new"}"#;
    let entry: Transition = serde_json::from_str(text).unwrap();
    assert_eq!(entry.action, Action::Breach { target: Target::RESPOND, cycle: 1 });
}
