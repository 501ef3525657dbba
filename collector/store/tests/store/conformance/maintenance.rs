//! Maintenance windows.

use crate::conformance::Behaviour;
use outband_schemas::Timestamp;
use outband_store::maintenance::{Maintenance, Selector, Window, WindowChange, WindowKind};
use outband_store::{Store, StoreError};

pub(crate) fn window() -> Window {
    Window {
        id: 0,
        kind: WindowKind::Maintenance,
        name: "rack R1".to_owned(),
        selector: Selector { rack: Some("R1".to_owned()), ..Selector::default() },
        starts: "2026-01-31T22:00:00".to_owned(),
        lasts_secs: 3600,
        zone: "Asia/Shanghai".to_owned(),
        recurrence: None,
        reason: "new PDU".to_owned(),
        author: "ann".to_owned(),
        created_at: Timestamp::from_secs(1),
        ended_at: None,
        revision: 1,
    }
}

pub(crate) fn change(what: &str, window: Window) -> WindowChange {
    WindowChange { at: Timestamp::from_secs(9), who: "ann".to_owned(), what: what.to_owned(), window }
}

/// The behaviours of this file.
pub(crate) fn all<S: Store + Maintenance>() -> Vec<Behaviour<S>> {
    vec![("windows", windows::<S> as fn(&S))]
}

/// A window is kept with every change of it; who was slower is told; what was ended is listed only where all are asked for.
fn windows<S: Store + Maintenance>(store: &S) {
    let made = store.put_window(&change("create", window()), None).unwrap();
    assert!(made.id > 0);
    assert_eq!(store.windows(false).unwrap(), vec![made.clone()]);
    let edited = Window { lasts_secs: 7200, revision: 2, ..made.clone() };
    assert_eq!(store.put_window(&change("edit", edited.clone()), None).unwrap(), edited);
    let late = Window { lasts_secs: 60, revision: 2, ..made.clone() };
    assert!(matches!(store.put_window(&change("edit", late), None), Err(StoreError::Conflict { .. })));
    let unknown = Window { id: 99, ..edited.clone() };
    assert!(matches!(store.put_window(&change("edit", unknown), None), Err(StoreError::NotFound { .. })));
    let ended = Window { ended_at: Some(Timestamp::from_secs(9)), revision: 3, ..edited };
    store.put_window(&change("end", ended.clone()), None).unwrap();
    assert_eq!(store.windows(false).unwrap(), vec![]);
    assert_eq!(store.windows(true).unwrap(), vec![ended]);
    let log: Vec<String> = store.window_changes(made.id).unwrap().into_iter().map(|c| c.what).collect();
    assert_eq!(log, ["create", "edit", "end"]);
}
