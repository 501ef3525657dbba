//! What keeps an approved order from being sent now: the switch, the rates, the cap on how much may be touched. Pure.

use crate::config::orders::OrdersConfig;
use outband_schemas::Timestamp;
use outband_store::order::{Order, OrderState, OrderSwitch};
use std::collections::BTreeSet;
use std::time::Duration;

/// How far back [`in_the_way`] looks.
pub const LOOKS_BACK: Duration = Duration::from_secs(24 * 3600);
const HOUR: Duration = Duration::from_secs(3600);

/// What is known when an order is to be sent.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// The config in force.
    pub config: &'a OrdersConfig,
    /// The switch.
    pub switch: Option<&'a OrderSwitch>,
    /// Orders that were sent within [`LOOKS_BACK`].
    pub sent: &'a [Order],
    /// Whether the order's agent is connected.
    pub connected: bool,
    /// Now.
    pub now: Timestamp,
}

/// Why the order is not sent now; `None`: nothing stands in its way.
pub fn in_the_way(order: &Order, situation: &Situation<'_>) -> Option<String> {
    let Situation { config, switch, sent, connected, now } = situation;
    if let Some(switch) = switch.filter(|s| s.stopped) {
        return Some(format!("orders are stopped by {}: {}", switch.who, switch.why));
    }
    if !config.allow.contains(&order.kind) {
        return Some(format!("[orders] allow of the collector does not hold {} (any more)", order.kind));
    }
    if !connected {
        return Some(format!("the agent {} is not connected", order.agent));
    }
    let count = |is: &dyn Fn(&Order) -> bool| sent.iter().filter(|o| is(o)).count();
    let most = |limit: u32| usize::try_from(limit).unwrap_or(usize::MAX);
    let unanswered = |o: &Order| o.state == OrderState::Sent;
    if sent.iter().any(|o| unanswered(o) && o.server == order.server) {
        return Some(format!("another order at {} is not answered yet", order.server));
    }
    if count(&unanswered) >= most(config.at_once) {
        return Some(format!("{} orders are not answered yet, and more are not sent at once", config.at_once));
    }
    let recent = |o: &Order| o.sent_at.is_some_and(|at| now.since(at) < HOUR);
    if count(&|o| recent(o) && o.site == order.site) >= most(config.per_site_per_hour) {
        return Some(format!("site {} has had {} orders within the hour", order.site, config.per_site_per_hour));
    }
    if let Some(model) = &order.model
        && count(&|o| recent(o) && o.model.as_ref() == Some(model)) >= most(config.per_model_per_hour)
    {
        return Some(format!("servers of model {model} have had {} orders within the hour", config.per_model_per_hour));
    }
    let within_day = |o: &&Order| o.sent_at.is_some_and(|at| now.since(at) < LOOKS_BACK);
    let touched: BTreeSet<_> = sent.iter().filter(within_day).filter(|o| o.kind.changes()).map(|o| &o.server).collect();
    if order.kind.changes() && !touched.contains(&order.server) && touched.len() >= most(config.servers_per_day) {
        return Some(format!("{} servers were touched within 24 hours, and more are not", touched.len()));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::tests::order;
    use super::*;
    use outband_schemas::{OrderKind, ServerId, SiteId};

    const NOW: Timestamp = Timestamp::from_secs(100_000);

    fn config() -> OrdersConfig {
        OrdersConfig {
            allow: OrderKind::ALL.into_iter().collect(),
            per_site_per_hour: 3,
            per_model_per_hour: 2,
            at_once: 2,
            servers_per_day: 4,
            ..OrdersConfig::default()
        }
    }

    fn sent(server: &str, site: &str, model: &str, secs_ago: i64, state: OrderState) -> Order {
        Order {
            server: ServerId::new(server).unwrap(),
            site: SiteId::new(site).unwrap(),
            model: Some(model.to_owned()),
            sent_at: Some(Timestamp::from_millis(NOW.as_millis() - secs_ago * 1000)),
            state,
            ..order()
        }
    }

    fn says(order: &Order, sent: &[Order]) -> Option<String> {
        let config = config();
        in_the_way(order, &Situation { config: &config, switch: None, sent, connected: true, now: NOW })
    }

    /// Asserts that each of the orders that were sent is needed to keep the last one back.
    fn barely(next: &Order, before: &[Order], word: &str) {
        let why = says(next, before).unwrap_or_default();
        assert!(why.contains(word), "{why:?}");
        for i in 0..before.len() {
            let fewer: Vec<Order> =
                before.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, o)| o.clone()).collect();
            assert_eq!(says(next, &fewer), None, "without {i}");
        }
    }

    #[test]
    fn rates_and_caps_hold_an_order_back_no_sooner_than_they_say() {
        use OrderState::{Done, Sent};
        let next = sent("next", "dc1", "X1", 0, OrderState::Approved);
        assert_eq!(says(&next, &[]), None);
        barely(&next, &[sent("a", "dc2", "Y", 9, Sent), sent("b", "dc3", "Z", 9, Sent)], "not answered yet");
        barely(&next, &[sent("next", "dc1", "X1", 9, Sent)], "at next");
        let site: Vec<Order> = ["a", "b", "c"].map(|s| sent(s, "dc1", s, 3599, Done)).into();
        barely(&next, &site, "site dc1");
        barely(&next, &["a", "b"].map(|s| sent(s, s, "X1", 3599, Done)), "model X1");
        let day: Vec<Order> = ["a", "b", "c", "d"].map(|s| sent(s, s, s, 86_399, Done)).into();
        barely(&next, &day, "touched within 24 hours");
        let old: Vec<Order> = ["a", "b", "c", "d"].map(|s| sent(s, s, s, 86_400, Done)).into();
        assert_eq!(says(&next, &old), None);
        let again = sent("a", "dc1", "X1", 0, OrderState::Approved);
        assert_eq!(says(&again, &day), None, "one that was touched already counts once");
        let looks = Order { kind: OrderKind::Collect, ..next };
        assert_eq!(says(&looks, &day), None, "to look changes nothing");
    }

    #[test]
    fn a_stop_holds_everything_and_says_whose_it_is() {
        let switch = OrderSwitch { stopped: true, who: "bob".to_owned(), why: "odd answers".to_owned(), at: NOW };
        let config = config();
        let situation = Situation { config: &config, switch: Some(&switch), sent: &[], connected: true, now: NOW };
        let why = in_the_way(&order(), &situation).unwrap();
        assert!(why.contains("bob") && why.contains("odd answers"), "{why}");
        let resumed = OrderSwitch { stopped: false, ..switch.clone() };
        assert_eq!(in_the_way(&order(), &Situation { switch: Some(&resumed), ..situation }), None);
    }

    #[test]
    fn by_default_nothing_is_allowed() {
        let config = OrdersConfig::default();
        let situation = Situation { config: &config, switch: None, sent: &[], connected: true, now: NOW };
        for kind in OrderKind::ALL {
            assert!(in_the_way(&Order { kind, ..order() }, &situation).is_some_and(|why| why.contains("allow")));
        }
        assert!(config.two_person);
    }
}
