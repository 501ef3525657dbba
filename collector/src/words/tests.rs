use super::*;
use outband_health::{Fault, RuleConfig, rule as rules};

/// Every text there is, with the language it claims to be in.
fn all() -> Vec<(String, Lang, &'static str)> {
    let mut texts = Vec::new();
    for lang in Lang::ALL {
        for audience in Audience::ALL {
            for of in Fault::ALL {
                texts.push((format!("fault {of} {audience:?}"), lang, fault(of, audience, lang)));
                texts.push((format!("brief {of} {audience:?}"), lang, brief(of, audience, lang)));
                texts.push((format!("advice {of} {audience:?}"), lang, advice(of, audience, lang)));
            }
            for of in rules::all(&RuleConfig::default()) {
                let id = of.id();
                let text = rule(id.as_str(), audience, lang).unwrap_or_else(|| panic!("rule {id} has no words"));
                texts.push((format!("rule {id} {audience:?}"), lang, text));
            }
        }
        for of in Fault::ALL {
            texts.extend(questions(of, lang).into_iter().map(|q| (format!("question {of}"), lang, q)));
        }
    }
    texts
}

fn is_han(c: char) -> bool {
    ('\u{4e00}'..='\u{9fff}').contains(&c)
}

#[test]
fn every_fault_and_every_rule_has_its_words_in_both_languages_for_both_audiences() {
    let texts = all();
    assert!(texts.len() > 180, "{}", texts.len());
    for (of, lang, text) in texts {
        let han = text.chars().filter(|c| is_han(*c)).count();
        match lang {
            Lang::En => assert!(text.len() > 8 && han == 0, "{of}: {text}"),
            Lang::ZhCn => assert!(han >= if of.starts_with("brief") { 3 } else { 4 }, "{of}: {text}"),
        }
    }
}

#[test]
fn no_placeholder_is_left_in_any_text() {
    for (of, lang, text) in all() {
        let marks = ["{", "}", "TODO", "FIXME", "XXX", "???", "待补", "待定", "占位"];
        assert!(marks.iter().all(|m| !text.contains(m)), "{of} {lang:?}: {text}");
        assert_eq!(text, text.trim(), "{of} {lang:?}");
    }
}

#[test]
fn customers_are_not_spoken_to_in_the_language_of_the_workshop() {
    let workshop = ["BMC", "SEL", "ECC", "PCIe", "SMART", "PDU", "DIMM", "PSU"];
    for of in Fault::ALL {
        for lang in Lang::ALL {
            let of_customers = [fault, brief, advice].map(|words| words(of, Audience::Customer, lang));
            for text in of_customers {
                assert!(workshop.iter().all(|w| !text.contains(w)), "{of}: {text}");
            }
        }
    }
}

#[test]
fn what_stands_in_a_first_line_is_brief() {
    for (of, lang, text) in all().into_iter().filter(|(of, ..)| of.starts_with("brief")) {
        assert!(text.chars().count() <= 24, "{of} {lang:?}: {text}");
    }
}

#[test]
fn chinese_texts_use_chinese_punctuation() {
    for (of, lang, text) in all() {
        if lang == Lang::ZhCn {
            assert!(!text.contains([',', ';', '?', '!']) && !text.ends_with('.'), "{of}: {text}");
        }
    }
}

#[test]
fn a_language_is_known_by_its_tags() {
    for tag in ["zh", "zh_CN", "zh-CN", "ZH-hans"] {
        assert_eq!(Lang::from_tag(tag), Some(Lang::ZhCn), "{tag}");
    }
    assert_eq!((Lang::from_tag("en"), Lang::from_tag("de")), (Some(Lang::En), None));
}
