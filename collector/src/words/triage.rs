//! Kinds of trouble: what each is called, and who has to look at it.

use super::Lang;
use outband_schemas::{Confidence, Triage, TriageClass};
use outband_ticket::Ticket;

/// What a kind of trouble is called.
pub fn class(class: TriageClass, lang: Lang) -> &'static str {
    let (en, zh) = match class {
        TriageClass::Hardware => ("hardware", "硬件"),
        TriageClass::FirmwareConfiguration => ("firmware or configuration", "固件或配置"),
        TriageClass::Compatibility => ("compatibility", "兼容性"),
        TriageClass::EnvironmentCooling => ("environment: cooling", "环境：制冷"),
        TriageClass::EnvironmentPower => ("environment: power", "环境：供电"),
        TriageClass::Network => ("network", "网络"),
        TriageClass::Unknown => ("not known yet", "尚未判明"),
    };
    if lang == Lang::En { en } else { zh }
}

/// How sure that is.
pub fn confidence(confidence: Confidence, lang: Lang) -> &'static str {
    let (en, zh) = match confidence {
        Confidence::Set => ("set by a person", "人工判定"),
        Confidence::Strong => ("seen to be so", "证据充分"),
        Confidence::Likely => ("likely", "很可能"),
        Confidence::Weak => ("a first guess", "初步推测"),
    };
    if lang == Lang::En { en } else { zh }
}

/// A kind of trouble, how sure it is, and what it rests on, in one line. The facts are as machines tell them.
pub fn told(triage: &Triage, lang: Lang) -> String {
    let (kind, sure) = (class(triage.class, lang), confidence(triage.confidence, lang));
    let because = triage.because.join("; ");
    match (lang, because.is_empty()) {
        (Lang::En, true) => format!("{kind} ({sure})"),
        (Lang::En, false) => format!("{kind} ({sure}): {because}"),
        (Lang::ZhCn, true) => format!("{kind}（{sure}）"),
        (Lang::ZhCn, false) => format!("{kind}（{sure}）：{because}"),
    }
}

/// What kind of trouble a ticket is, in one line: a person's word, with what was computed beside it. `None`: nobody says.
pub fn of(ticket: &Ticket, lang: Lang) -> Option<String> {
    let kind = told(&ticket.kind()?, lang);
    let computed = ticket.triage.as_ref().filter(|_| ticket.triage_set.is_some());
    Some(match computed {
        Some(triage) => format!("{kind}{}{}", computed_as(lang), told(triage, lang)),
        None => kind,
    })
}

/// What stands between a person's word and what was computed.
pub fn computed_as(lang: Lang) -> &'static str {
    if lang == Lang::En { "; computed: " } else { "；系统判定：" }
}

/// What to do first about that kind of trouble.
pub fn next(class: TriageClass, lang: Lang) -> &'static str {
    let (en, zh) = match class {
        TriageClass::Hardware => (
            "Have the part looked at or replaced by whoever repairs this server.",
            "由服务器维修人员检查或更换该部件。",
        ),
        TriageClass::FirmwareConfiguration => (
            "Compare firmware and settings with a server of this model that is well before any part is replaced.",
            "更换部件前，先与同型号正常服务器比对固件版本和配置。",
        ),
        TriageClass::Compatibility => (
            "Look the part and its firmware up in the maker's list of qualified parts; replace it by one that is on it.",
            "核对厂商兼容性清单中的部件型号与固件，更换为清单内的部件。",
        ),
        TriageClass::EnvironmentCooling => (
            "Call whoever runs the room: the cooling of this zone or rack, blinds and doors, not the server.",
            "联系机房人员：检查该区域或机柜的制冷、盲板和柜门，而非服务器本身。",
        ),
        TriageClass::EnvironmentPower => (
            "Call whoever runs the room: the feed, the distribution unit, the breaker, before a power supply is replaced.",
            "更换电源前，先联系机房人员检查供电回路、PDU 和断路器。",
        ),
        TriageClass::Network => (
            "Have the management network looked at: switch, cabling, VLAN and the agent's way to the BMCs.",
            "检查管理网络：交换机、线缆、VLAN 以及代理到 BMC 的通路。",
        ),
        TriageClass::Unknown => (
            "Look at the evidence by hand; what is known does not say whose it is.",
            "请人工查看证据，现有信息尚不能判断归属。",
        ),
    };
    if lang == Lang::En { en } else { zh }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_kind_has_words_of_its_own_in_both_languages() {
        for lang in Lang::ALL {
            let names: BTreeSet<&str> = TriageClass::ALL.iter().map(|c| class(*c, lang)).collect();
            let deeds: BTreeSet<&str> = TriageClass::ALL.iter().map(|c| next(*c, lang)).collect();
            assert_eq!((names.len(), deeds.len()), (TriageClass::ALL.len(), TriageClass::ALL.len()));
        }
        let sure = [Confidence::Weak, Confidence::Likely, Confidence::Strong, Confidence::Set];
        assert!(sure.iter().all(|c| confidence(*c, Lang::En) != confidence(*c, Lang::ZhCn)));
    }
}
