//! What decisions are for, in the words of the wire.

use outband_proto::maintenance as wire;
use outband_store::maintenance::Selector;

/// What is asked for: a blank field chooses nothing.
pub(super) fn read(asked: wire::Selector) -> Selector {
    let given = |text: String| Some(text.trim().to_owned()).filter(|t| !t.is_empty());
    Selector {
        site: given(asked.site),
        rack: given(asked.rack),
        server: given(asked.server).map(|s| s.trim_start_matches("servers/").to_owned()),
        component: given(asked.component),
        fault: given(asked.fault),
        customer: given(asked.customer),
        rule: given(asked.rule),
        model: given(asked.model),
    }
}

/// What it is for.
pub(super) fn shown(selector: &Selector) -> wire::Selector {
    let or = |field: &Option<String>| field.clone().unwrap_or_default();
    wire::Selector {
        site: or(&selector.site),
        rack: or(&selector.rack),
        server: or(&selector.server),
        component: or(&selector.component),
        fault: or(&selector.fault),
        customer: or(&selector.customer),
        rule: or(&selector.rule),
        model: or(&selector.model),
    }
}
