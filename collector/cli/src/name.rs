//! Resource names, as people type them and as the collector wants them.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// What stays as it is in a name: the unreserved characters of RFC 3986.
const KEEP: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// `srv-1` or `servers/srv-1` → `servers/srv-1`.
pub(crate) fn server(text: &str) -> String {
    with("servers/", text)
}

/// `dc1` or `sites/dc1` → `sites/dc1`.
pub(crate) fn site(text: &str) -> String {
    with("sites/", text)
}

/// `dc1-a` or `agents/dc1-a` → `agents/dc1-a`.
pub(crate) fn agent(text: &str) -> String {
    with("agents/", text)
}

/// `12`, `#12` or `tickets/12` → `tickets/12`.
pub(crate) fn ticket(text: &str) -> String {
    with("tickets/", text.trim_start_matches('#'))
}

/// `srv-1`, `srv-1/disk/Bay 3`, `sites/dc1` or a whole name → the whole name, slot percent-encoded.
pub(crate) fn scope(text: &str) -> String {
    if text.starts_with("sites/") || text.contains("/components/") {
        return text.to_owned();
    }
    let bare = text.strip_prefix("servers/").unwrap_or(text);
    match bare.splitn(3, '/').collect::<Vec<_>>().as_slice() {
        [server, class, slot] => format!("servers/{server}/components/{class}/{}", utf8_percent_encode(slot, KEEP)),
        _ => format!("servers/{bare}"),
    }
}

/// A whole name as people read it: `srv-1`, `srv-1/disk/Bay 3`, `sites/dc1`, `12`.
pub(crate) fn short(name: &str) -> String {
    let bare = ["servers/", "tickets/", "agents/"].iter().find_map(|p| name.strip_prefix(p)).unwrap_or(name);
    match bare.split_once("/components/") {
        Some((server, place)) => format!("{server}/{}", percent_decode_str(place).decode_utf8_lossy()),
        // Where what servers share stands, which is no server.
        None => bare.strip_prefix("site.").map_or_else(|| bare.to_owned(), |site| format!("sites/{site}")),
    }
}

/// A name as people read it, nothing cut off: `sites/dc1/racks/R 1`.
pub(crate) fn plain(name: &str) -> String {
    percent_decode_str(name).decode_utf8_lossy().into_owned()
}

fn with(prefix: &str, text: &str) -> String {
    if text.starts_with(prefix) { text.to_owned() } else { format!("{prefix}{text}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_is_completed_and_a_whole_one_left_alone() {
        assert_eq!(server("srv-1"), "servers/srv-1");
        assert_eq!(server("servers/srv-1"), "servers/srv-1");
        assert_eq!((ticket("#12"), ticket("tickets/12")), ("tickets/12".to_owned(), "tickets/12".to_owned()));
        assert_eq!(scope("sites/dc1"), "sites/dc1");
        assert_eq!(scope("srv-1"), "servers/srv-1");
    }

    proptest! {
        #[test]
        fn a_component_reads_back_whatever_its_slot_is_called(slot in "[^\\p{Cc}]{1,20}") {
            let name = scope(&format!("srv-1/disk/{slot}"));
            prop_assume!(!slot.contains("/components/"));
            prop_assert_eq!(short(&name), format!("srv-1/disk/{slot}"));
        }
    }
}
