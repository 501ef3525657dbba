//! What headroom comes to, in one or two sentences.

use super::Lang;
use crate::fleet::headroom::{Basis, Level, Limit, NoLimit, Power, Row};
use outband_health::fleet::headroom::trend::{Full, LEAST_DAYS};
use outband_health::fleet::usage::day_start;

/// From so near to its limit on an inlet is worth a word, in K.
const NEAR_K: f64 = 5.0;

/// What a row comes to. `name` is what people call it.
pub fn headroom(row: &Row, name: &str, lang: Lang) -> String {
    let mut said = Vec::new();
    match &row.power {
        Some(power) => said.push(of_power(row, power, lang)),
        None => said.push(pick(lang, "no server tells its power.", "没有服务器上报功率。").to_owned()),
    }
    said.extend(of_losses(row, lang));
    if let Some(heat) = row.thermal.as_ref().filter(|heat| heat.nearest.left() < NEAR_K) {
        let (warm, left, limit) = (heat.nearest.p95, heat.nearest.left(), heat.nearest.limit);
        let server = heat.nearest.name.trim_start_matches("servers/");
        said.push(match lang {
            Lang::En => format!(
                "The inlet of {server} is at {warm:.0} °C at p95, {left:.0} K below its limit of {limit:.0} °C."
            ),
            Lang::ZhCn => format!("{server} 进风 p95 为 {warm:.0} °C，距上限 {limit:.0} °C 还有 {left:.0} K。"),
        });
    }
    let level = match (row.of.level(), lang) {
        (Level::Rack, Lang::En) => "Rack",
        (Level::Site, Lang::En) => "Site",
        (Level::Feed, Lang::En) => "Feed",
        (Level::Server, Lang::En) => "Server",
        (Level::Rack, Lang::ZhCn) => "机柜",
        (Level::Site, Lang::ZhCn) => "站点",
        (Level::Feed, Lang::ZhCn) => "供电回路",
        (Level::Server, Lang::ZhCn) => "服务器",
    };
    match lang {
        Lang::En => format!("{level} {name}: {}", said.join(" ")),
        Lang::ZhCn => format!("{level} {name}：{}", said.concat()),
    }
}

fn pick<'a>(lang: Lang, en: &'a str, zh: &'a str) -> &'a str {
    match lang {
        Lang::En => en,
        Lang::ZhCn => zh,
    }
}

fn of_power(row: &Row, power: &Power, lang: Lang) -> String {
    let p95 = power.load.p95;
    let mut said = match (power.limit, lang) {
        (Ok((limit, _)), Lang::En) => format!("{} at p95", of_watts(p95, limit)),
        (Ok((limit, _)), Lang::ZhCn) => format!("p95 功率 {}", of_watts(p95, limit)),
        (Err(_), Lang::En) => format!("{} at p95", watts(p95)),
        (Err(_), Lang::ZhCn) => format!("p95 功率 {}", watts(p95)),
    };
    let comma = pick(lang, "; ", "；");
    said.push_str(comma);
    said.push_str(&match power.limit {
        Ok((_, basis)) => room(power, basis, lang),
        Err(why) => no_limit(why, lang).to_owned(),
    });
    let silent = row.servers - row.telling;
    if silent > 0 {
        said.push_str(comma);
        said.push_str(&match lang {
            Lang::En => format!("{silent} of {} servers tell no power and are not in it", row.servers),
            Lang::ZhCn => format!("{} 台服务器中有 {silent} 台未上报功率，未计入", row.servers),
        });
    }
    if power.limit.is_ok() {
        said.push_str(comma);
        said.push_str(&until(power, lang));
    }
    said.push_str(pick(lang, ".", "。"));
    said
}

fn room(power: &Power, basis: Basis, lang: Lang) -> String {
    let Some(room) = power.room else { return String::new() };
    let most = if room.at_most { pick(lang, "at most ", "至多") } else { "" };
    if room.left < 0.0 {
        return match lang {
            Lang::En => format!("{} above the limit", watts(-room.left)),
            Lang::ZhCn => format!("超出上限 {}", watts(-room.left)),
        };
    }
    match (basis, room.more, lang) {
        (Basis::Topology | Basis::Racks, Some(more), Lang::En) => {
            format!("room for {most}about {more} more {} like those in it", if more == 1 { "server" } else { "servers" })
        }
        (Basis::Topology | Basis::Racks, Some(more), Lang::ZhCn) => format!("{most}还可容纳约 {more} 台同类服务器"),
        (Basis::Topology | Basis::Racks, None, Lang::En) => format!("{most}{} are left", watts(room.left)),
        (Basis::Topology | Basis::Racks, None, Lang::ZhCn) => format!("{most}剩余 {}", watts(room.left)),
        (Basis::Supplies, _, Lang::En) => {
            "the limit of the place is not known; this one is what the supplies give with one lost in each server".to_owned()
        }
        (Basis::Supplies, _, Lang::ZhCn) => "机位供电上限未知，此处为每台服务器损失一个电源后的供电能力".to_owned(),
        (Basis::OneSupply, _, Lang::En) => {
            "the limit of the place is not known; this one is what the supplies give, without a spare one in every server".to_owned()
        }
        (Basis::OneSupply, _, Lang::ZhCn) => "机位供电上限未知，此处为电源总供电能力，并非每台服务器都有冗余".to_owned(),
    }
}

fn no_limit(why: NoLimit, lang: Lang) -> &'static str {
    match why {
        NoLimit::NotTold => pick(lang, "the limit is not known", "供电上限未知"),
        NoLimit::Disagree => pick(
            lang,
            "the limit is not known: the topology tells different ones for different servers",
            "供电上限未知：拓扑文件中各服务器所填上限不一致",
        ),
        NoLimit::Partial => pick(
            lang,
            "what is left cannot be told, since other servers stand there that are not counted",
            "无法给出余量：同处还有未计入的服务器",
        ),
        NoLimit::SomeRacks => pick(lang, "the limits of only some of its racks are known", "仅部分机柜的供电上限已知"),
    }
}

/// When it is full.
fn until(power: &Power, lang: Lang) -> String {
    match (power.full, lang) {
        (None, Lang::En) => {
            format!("when it is full cannot be told yet ({} of {LEAST_DAYS} days known)", known(power))
        }
        (None, Lang::ZhCn) => format!("历史不足，尚不能预测（已有 {} 天，需 {LEAST_DAYS} 天）", known(power)),
        (Some(Full::Already), Lang::En) => "it is full already".to_owned(),
        (Some(Full::Already), Lang::ZhCn) => "已满".to_owned(),
        (Some(Full::NotWithinYear), Lang::En) => "80 %: not full within a year".to_owned(),
        (Some(Full::NotWithinYear), Lang::ZhCn) => "80 % 区间：一年内不会用满".to_owned(),
        (Some(Full::From { first, last: Some(last), .. }), Lang::En) => {
            format!("80 %: full between {} and {}", month(first), month(last))
        }
        (Some(Full::From { first, last: Some(last), .. }), Lang::ZhCn) => {
            format!("80 % 区间：{} 至 {} 用满", month(first), month(last))
        }
        (Some(Full::From { first, last: None, .. }), Lang::En) => {
            format!("80 %: full in {} at the earliest, perhaps not within a year", month(first))
        }
        (Some(Full::From { first, last: None, .. }), Lang::ZhCn) => {
            format!("80 % 区间：最早 {} 用满，也可能一年内不会用满", month(first))
        }
    }
}

fn known(power: &Power) -> usize {
    power.trend.map_or_else(|days| days, |line| line.days)
}

/// Whether the other feed carries what comes to it.
fn of_losses(row: &Row, lang: Lang) -> Vec<String> {
    let one = |loss: &crate::fleet::headroom::Loss| {
        let (p95, other) = (loss.load.p95, &loss.feed);
        let carries = |limit: &Limit| limit.map(|(limit, _)| (limit, p95 <= limit));
        match (carries(&loss.limit), lang) {
            (Ok((limit, true)), Lang::En) => {
                format!("If it is lost, {other} carries {}: that fits.", of_watts(p95, limit))
            }
            (Ok((limit, true)), Lang::ZhCn) => format!("若此路中断，{other} 将承担 {}，可承受。", of_watts(p95, limit)),
            (Ok((limit, false)), Lang::En) => {
                format!(
                    "If it is lost, {other} has to carry {}: {} too much.",
                    of_watts(p95, limit),
                    watts(p95 - limit)
                )
            }
            (Ok((limit, false)), Lang::ZhCn) => {
                format!("若此路中断，{other} 将承担 {}，超载 {}。", of_watts(p95, limit), watts(p95 - limit))
            }
            (Err(_), Lang::En) => {
                format!("If it is lost, {other} carries {}; whether it can is not known.", watts(p95))
            }
            (Err(_), Lang::ZhCn) => format!("若此路中断，{other} 将承担 {}，能否承受未知。", watts(p95)),
        }
    };
    row.losses.iter().map(one).collect()
}

/// `4.1 / 6.0 kW`.
fn of_watts(part: f64, whole: f64) -> String {
    if whole >= 1000.0 {
        format!("{:.1} / {:.1} kW", part / 1000.0, whole / 1000.0)
    } else {
        format!("{part:.0} / {whole:.0} W")
    }
}

fn watts(of: f64) -> String {
    if of >= 1000.0 { format!("{:.1} kW", of / 1000.0) } else { format!("{of:.0} W") }
}

/// `2026-03`.
fn month(date: i32) -> String {
    date_text(date).get(..7).unwrap_or_default().to_owned()
}

/// A day since 1970 as `2026-03-01`.
pub fn date_text(date: i32) -> String {
    let at = jiff::Timestamp::from_millisecond(day_start(date).as_millis()).unwrap_or_default();
    at.strftime("%Y-%m-%d").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::headroom::{Loss, Of};
    use outband_health::fleet::headroom::group::Room;
    use outband_health::fleet::headroom::sum::Load;
    use outband_health::fleet::headroom::trend::Line;
    use std::collections::BTreeMap;

    fn load(p95: f64) -> Load {
        Load { mean: p95 * 0.8, p95, max: p95 * 1.1, hours: 720, left_out: 0, filled: 0.0 }
    }

    fn row(limit: Limit, full: Option<Full>, at_most: bool) -> Row {
        let room = Room { left: 1900.0, at_most, each: Some(420.0), more: Some(4) };
        let line = Line { a_day: 5.0, low: 3.0, high: 8.0, now: 4100.0, aside: 20.0, last: 20_500, days: 30 };
        let power = Power {
            load: load(4100.0),
            limit,
            room: limit.ok().map(|_| room),
            trend: full.map(|_| line).ok_or(9),
            full,
        };
        Row {
            of: Of::Rack("dc1".to_owned(), "r12".to_owned()),
            servers: 10,
            telling: if at_most { 8 } else { 10 },
            unknown: BTreeMap::new(),
            by_supplies: 0,
            steady: 10,
            power: Some(power),
            thermal: None,
            used: Vec::new(),
            losses: Vec::new(),
        }
    }

    const KNOWN: Limit = Ok((6000.0, Basis::Topology));

    #[test]
    fn a_rack_is_told_in_a_sentence() {
        let full = Full::From { first: 20_530, likely: Some(20_600), last: Some(20_700) };
        let row = row(KNOWN, Some(full), false);
        assert_eq!(
            headroom(&row, "r12", Lang::En),
            "Rack r12: 4.1 / 6.0 kW at p95; room for about 4 more servers like those in it; 80 %: full between 2026-03 and 2026-09."
        );
        assert_eq!(
            headroom(&row, "r12", Lang::ZhCn),
            "机柜 r12：p95 功率 4.1 / 6.0 kW；还可容纳约 4 台同类服务器；80 % 区间：2026-03 至 2026-09 用满。"
        );
    }

    #[test]
    fn what_is_not_known_is_said() {
        let said = headroom(&row(KNOWN, None, true), "r12", Lang::En);
        assert!(said.contains("room for at most about 4") && said.contains("2 of 10 servers tell no power"), "{said}");
        assert!(said.contains("(9 of 14 days known)"), "{said}");
        let said = headroom(&row(Err(NoLimit::Partial), None, false), "r12", Lang::En);
        assert!(said.contains("other servers stand there") && !said.contains("room"), "{said}");
        let said = headroom(&row(Ok((9000.0, Basis::Supplies)), None, false), "r12", Lang::En);
        assert!(!said.contains("room for"), "more servers bring supplies of their own: {said}");
        let nobody = Row { power: None, ..row(KNOWN, None, false) };
        assert_eq!(headroom(&nobody, "r12", Lang::En), "Rack r12: no server tells its power.");
    }

    #[test]
    fn a_feed_says_whether_the_other_carries_its_load() {
        let mut row = row(KNOWN, Some(Full::NotWithinYear), false);
        row.of = Of::Feed("dc1".to_owned(), "A".to_owned());
        row.losses = vec![Loss { feed: "B".to_owned(), servers: 10, load: load(8200.0), limit: KNOWN }];
        let said = headroom(&row, "A", Lang::En);
        assert!(
            said.starts_with("Feed A:") && said.ends_with("B has to carry 8.2 / 6.0 kW: 2.2 kW too much."),
            "{said}"
        );
    }

    #[test]
    fn both_languages_say_the_same_of_everything() {
        let fulls = [
            None,
            Some(Full::Already),
            Some(Full::NotWithinYear),
            Some(Full::From { first: 20_530, likely: None, last: None }),
            Some(Full::From { first: 20_530, likely: Some(20_600), last: Some(20_700) }),
        ];
        let limits = [
            KNOWN,
            Ok((9e5, Basis::Racks)),
            Ok((800.0, Basis::OneSupply)),
            Err(NoLimit::NotTold),
            Err(NoLimit::Disagree),
            Err(NoLimit::SomeRacks),
        ];
        for full in fulls {
            for limit in limits {
                let row = row(limit, full, true);
                let [en, zh] = Lang::ALL.map(|lang| headroom(&row, "r12", lang));
                assert!(en.is_ascii() && en.ends_with('.'), "{en}");
                assert!(zh.ends_with('。') && !zh.contains("server"), "{zh}");
            }
        }
    }
}
