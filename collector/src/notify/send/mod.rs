//! Channels: each takes a message, or says why not and whether it may be asked again.

mod email;
mod http;
mod robot;
mod syslog;
mod template;
mod webhook;

use super::secret;
use crate::config::notify::Channel;
use outband_schemas::Timestamp;
use std::time::Duration;

/// How long one try may take as a whole.
const WITHIN: Duration = Duration::from_secs(30);

/// What is sent: one notice, or a digest of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    /// The same on every delivery.
    pub(super) key: String,
    /// The address on the channel.
    pub(super) to: String,
    /// One line.
    pub(super) subject: String,
    /// The text.
    pub(super) body: String,
    /// The ticket; of a digest, that of its first notice.
    pub(super) ticket: u64,
    /// The entry of the ticket's log.
    pub(super) seq: u32,
    /// What happened.
    pub(super) cause: String,
    /// P1 to P4.
    pub(super) priority: u8,
    /// The language (BCP 47).
    pub(super) lang: String,
    /// What all messages of one ticket have in common, and others do not; of a digest: nothing.
    pub(super) thread: Option<String>,
    /// When it was made (the collector's clock).
    pub(super) made_at: Timestamp,
    /// When it is sent (the collector's clock).
    pub(super) now: Timestamp,
}

/// Why a channel did not take a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// Whether it makes no sense to try again.
    pub(super) for_good: bool,
    /// How long the other side wants to be left alone.
    pub(super) after: Option<Duration>,
    /// Whether it wants that of everything that is for it, not of this message only.
    pub(super) rest: bool,
    /// Why; holds no secret.
    pub(super) why: String,
}

impl Refusal {
    fn later(why: impl Into<String>) -> Self {
        Self { for_good: false, after: None, rest: false, why: why.into() }
    }

    fn for_good(why: impl Into<String>) -> Self {
        Self { for_good: true, after: None, rest: false, why: why.into() }
    }
}

/// A secret that is not there may be there later.
impl From<secret::Error> for Refusal {
    fn from(error: secret::Error) -> Self {
        Self::later(error.to_string())
    }
}

/// Sends a message on a channel. Gives up after a while.
pub(super) async fn send(channel: &Channel, message: &Message) -> Result<(), Refusal> {
    send_within(channel, message, WITHIN).await
}

async fn send_within(channel: &Channel, message: &Message, within: Duration) -> Result<(), Refusal> {
    let sent = async {
        match channel {
            Channel::Email(to) => email::send(to, message).await,
            Channel::Webhook(to) => webhook::send(to, message).await,
            Channel::Http(to) => template::send(to, message).await,
            Channel::Dingtalk(to) => robot::dingtalk(to, message).await,
            Channel::Wecom(to) => robot::wecom(to, message).await,
            Channel::Feishu(to) => robot::feishu(to, message).await,
            Channel::Syslog(to) => syslog::send(to, message).await,
        }
    };
    match tokio::time::timeout(within, sent).await {
        Ok(result) => result,
        Err(_) => Err(Refusal::later(format!("no answer within {} s", within.as_secs()))),
    }
}

/// What is wrong with a channel's config.
pub(crate) fn check(channel: &Channel) -> Result<(), String> {
    match channel {
        Channel::Email(to) => email::check(to),
        Channel::Webhook(to) => http::check_url(&to.url),
        Channel::Http(to) => template::check(to),
        Channel::Dingtalk(to) | Channel::Wecom(to) | Channel::Feishu(to) => {
            to.endpoint.as_deref().map_or(Ok(()), http::check_url)
        }
        Channel::Syslog(to) => syslog::check(to),
    }
}

#[cfg(test)]
mod real;

#[cfg(test)]
fn message() -> Message {
    Message {
        key: "00112233445566778899aabbccddeeff".to_owned(),
        to: "ops@example.com".to_owned(),
        subject: "【P1】工单 7 已创建：过热 \"web1\"".to_owned(),
        body: "情况：温度超限\n位置：dc1 · web1".to_owned(),
        ticket: 7,
        seq: 1,
        cause: "opened".to_owned(),
        priority: 1,
        lang: "zh-CN".to_owned(),
        thread: Some("ticket-7.1800000000000".to_owned()),
        made_at: Timestamp::from_secs(1_800_000_000),
        now: Timestamp::from_secs(1_800_000_005),
    }
}
