//! Why a login failed, in words that say what to do: one function per way to break a rung.

use super::handshake::{Privilege, Status};
use crate::{AuthType, CipherSuite, ConnectError, Rung};
use outband_schemas::Cause;
use std::time::Duration;

fn broken(rung: Rung, cause: Cause, detail: String, remedy: &str) -> ConnectError {
    ConnectError { rung, cause, detail, remedy: remedy.to_owned(), offered: None, climbed: Vec::new() }
}

pub(super) fn no_answer(waited: Duration) -> ConnectError {
    broken(
        Rung::Reach,
        Cause::Timeout,
        format!(
            "no answer to presence pings and Get Channel Authentication Capabilities within {:.1} s",
            waited.as_secs_f64()
        ),
        "check the address, that the BMC is up and on this network, and that no firewall drops UDP 623",
    )
}

pub(super) fn unreachable(detail: &str) -> ConnectError {
    broken(
        Rung::Reach,
        Cause::Unreachable,
        format!("the network says: {detail}"),
        "nothing listens there: check address and port, and that IPMI over LAN is enabled in the BMC",
    )
}

pub(super) fn no_ipmi(waited: Duration, claims_ipmi: bool) -> ConnectError {
    let claim = if claims_ipmi { "claims IPMI" } else { "does not claim IPMI" };
    broken(
        Rung::Protocol,
        Cause::NotSupported,
        format!("a presence ping is answered (and {claim}), but no IPMI command within {:.1} s", waited.as_secs_f64()),
        "enable IPMI over LAN in the BMC; if it is enabled, restart the BMC",
    )
}

pub(super) fn ipmi_1_5(offered: &[AuthType]) -> ConnectError {
    let remedy = match offered {
        [] => "enable IPMI 2.0 in the BMC, or use its Redfish service".to_owned(),
        [best, ..] => format!(
            "enable IPMI 2.0 in the BMC, or use its Redfish service; where neither can be, `cipher = \"{}\"` in the target's configuration allows the weak session of IPMI 1.5",
            CipherSuite::V15(*best)
        ),
    };
    broken(Rung::Protocol, Cause::NotSupported, "the BMC answers IPMI 1.5 but not RMCP+".to_owned(), &remedy)
}

pub(super) fn auth_not_offered(wanted: AuthType, offered: &[AuthType]) -> ConnectError {
    let names = offered.iter().map(|a| CipherSuite::V15(*a).to_string()).collect::<Vec<_>>().join(", ");
    let offered = if names.is_empty() { "none of IPMI 1.5".to_owned() } else { names };
    broken(
        Rung::Security,
        Cause::NotSupported,
        format!("the BMC does not offer {}; it offers {offered}", CipherSuite::V15(wanted)),
        "name one that it offers, or none: then cipher suites 17 and 3 of RMCP+ are tried",
    )
}

pub(super) fn unauthenticated_after_login(wanted: AuthType) -> ConnectError {
    broken(
        Rung::Security,
        Cause::NotSupported,
        format!("the BMC takes the login by {}, and would then send packets without it", CipherSuite::V15(wanted)),
        "enable per-message authentication for the channel in the BMC",
    )
}

pub(super) fn no_challenge(user: &str, completion: u8) -> ConnectError {
    match completion {
        0x81 | 0x82 => broken(
            Rung::Login,
            Cause::Denied,
            format!("the BMC does not know user {user:?}: Get Session Challenge has completion code {completion:#04x}"),
            "check the user's name, and that it is enabled for IPMI over LAN on this channel",
        ),
        _ => not_activated("Get Session Challenge", completion),
    }
}

pub(super) fn not_activated(step: &str, completion: u8) -> ConnectError {
    match completion {
        0x81..=0x83 => broken(
            Rung::Login,
            Cause::Busy,
            format!("the BMC has no session left: {step} has completion code {completion:#04x}"),
            "wait until idle sessions expire (about a minute), or close those that other tools leaked",
        ),
        _ => broken(
            Rung::Login,
            Cause::BmcError,
            format!("{step} has completion code {completion:#04x}"),
            "try again; if it stays so, restart the BMC",
        ),
    }
}

/// In IPMI 1.5 a BMC says nothing to somebody who has another password than it.
pub(super) fn silent_at_activation(waited: Duration) -> ConnectError {
    broken(
        Rung::Login,
        Cause::Denied,
        format!(
            "no answer to Activate Session within {:.1} s, though the BMC answered before; that is how it answers a wrong password",
            waited.as_secs_f64()
        ),
        "check the password (of IPMI 1.5: at most 16 bytes); if it is right, look for packet loss",
    )
}

pub(super) fn odd_capabilities(completion: u8) -> ConnectError {
    broken(
        Rung::Protocol,
        Cause::BmcError,
        format!("Get Channel Authentication Capabilities is answered with completion code {completion:#04x}"),
        "restart the BMC; if it stays so, update its firmware",
    )
}

pub(super) fn malformed(what: &str) -> ConnectError {
    broken(
        Rung::Protocol,
        Cause::Malformed,
        format!("the {what} has not the shape that IPMI 2.0 gives it"),
        "update the BMC's firmware, or use its Redfish service",
    )
}

pub(super) fn silent_at(step: &str, waited: Duration) -> ConnectError {
    broken(
        Rung::Login,
        Cause::Timeout,
        format!("no answer to {step} within {:.1} s, though the BMC answered before", waited.as_secs_f64()),
        "look for packet loss; if there is none, restart the BMC",
    )
}

fn list(ids: &[u8]) -> String {
    ids.iter().map(u8::to_string).collect::<Vec<_>>().join(", ")
}

pub(super) fn suite_refused(tried: &[CipherSuite], offered: Option<&[u8]>, reason: &str) -> ConnectError {
    let tried = tried.iter().map(CipherSuite::to_string).collect::<Vec<_>>().join(", ");
    // Best first.
    let weak = [CipherSuite::Sixteen, CipherSuite::Two, CipherSuite::Fifteen, CipherSuite::One, CipherSuite::Zero];
    let is_offered = |suite: &CipherSuite| suite.id().is_some_and(|id| offered.unwrap_or_default().contains(&id));
    let weak = weak.into_iter().find(is_offered);
    let offered = match offered {
        Some([]) | None => "the BMC does not say which suites it offers".to_owned(),
        Some(ids) => format!("the BMC offers {}", list(ids)),
    };
    let remedy = match weak {
        Some(suite) => format!(
            "enable cipher suite 17 (or 3) for the channel in the BMC; where that cannot be, `cipher = {suite}` in the target's configuration allows a weaker one by name"
        ),
        None => "enable cipher suite 17 (or 3) for the channel in the BMC; a weaker one is used only where a target's configuration names it".to_owned(),
    };
    broken(Rung::Security, Cause::NotSupported, format!("cipher suite {tried} refused ({reason}); {offered}"), &remedy)
}

pub(super) fn out_of_sessions(status: Status) -> ConnectError {
    broken(
        Rung::Login,
        Cause::Busy,
        format!("the BMC has no session left: {} (status {:#04x})", status.text(), status.0),
        "wait until idle sessions expire (about a minute), or close those that other tools leaked",
    )
}

pub(super) fn unknown_user(user: &str, status: Status) -> ConnectError {
    broken(
        Rung::Login,
        Cause::Denied,
        format!("the BMC does not know user {user:?}: {} (status {:#04x})", status.text(), status.0),
        "check the user's name, and that it is enabled for IPMI over LAN on this channel",
    )
}

pub(super) fn wrong_password(how: &str, password_len: usize, bmc_key: bool, key_given: bool) -> ConnectError {
    let remedy = if bmc_key && key_given {
        "check the password and the BMC key (K_G) that was given: the BMC has one set"
    } else if bmc_key {
        "check the password; the BMC also has a BMC key (K_G) set: give it (bmc_key_file), or clear it"
    } else if key_given {
        "check the password; a BMC key (K_G) is given, and the BMC does not say that it has one"
    } else if password_len > 16 {
        "check the password; it is longer than 16 bytes, and a BMC that stores it for IPMI 1.5 cuts it at 16"
    } else {
        "check the password, and that the BMC keeps one for IPMI (some keep only hashes for other services)"
    };
    broken(Rung::Login, Cause::Denied, format!("the password is wrong: {how}"), remedy)
}

pub(super) fn login_refused(step: &str, status: Status) -> ConnectError {
    broken(
        Rung::Login,
        Cause::BmcError,
        format!("{step} is answered with {} (status {:#04x})", status.text(), status.0),
        "try again; if it stays so, restart the BMC",
    )
}

pub(super) fn privilege_too_low(user: &str, wanted: Privilege, how: &str) -> ConnectError {
    broken(
        Rung::Privilege,
        Cause::Denied,
        format!("user {user:?} may not use privilege {}: {how}", wanted.name()),
        "give the user at least privilege User for IPMI over LAN on this channel, and check the channel's own limit",
    )
}

pub(super) fn password_too_long(len: usize, most: usize) -> ConnectError {
    broken(
        Rung::Login,
        Cause::Denied,
        format!("the password has {len} bytes; this kind of session takes at most {most}, so nothing was sent"),
        "set a password of at most 20 bytes (16 for old BMCs) for this user",
    )
}

pub(super) fn user_too_long(len: usize) -> ConnectError {
    broken(
        Rung::Login,
        Cause::Denied,
        format!("the user's name has {len} bytes; IPMI takes at most 16, so nothing was sent"),
        "use a user whose name has at most 16 bytes",
    )
}
