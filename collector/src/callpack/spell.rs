//! Serials and the like as one says them over a telephone: in groups of four, each character by a word that cannot be misheard.

use crate::words::Lang;

/// So many characters at most are said without a pause.
const GROUP: usize = 4;

/// The spelling alphabet of ICAO and ITU.
const LETTERS: [&str; 26] = [
    "Alfa", "Bravo", "Charlie", "Delta", "Echo", "Foxtrot", "Golf", "Hotel", "India", "Juliett", "Kilo", "Lima",
    "Mike", "November", "Oscar", "Papa", "Quebec", "Romeo", "Sierra", "Tango", "Uniform", "Victor", "Whiskey", "X-ray",
    "Yankee", "Zulu",
];
const DIGITS: [&str; 10] = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
/// On the telephone 1 is 幺: 一 and 七 sound alike.
const DIGITS_ZH: [&str; 10] = ["零", "幺", "二", "三", "四", "五", "六", "七", "八", "九"];

/// `CN7A1B` → `CN7 A1B (Charlie November seven, Alfa one Bravo)`; in Chinese letters are said as they are, digits as on the telephone.
pub fn spell(text: &str, lang: Lang) -> String {
    let groups = groups(text);
    if groups.is_empty() {
        return String::new();
    }
    let shown: Vec<String> = groups.iter().map(|group| group.iter().collect()).collect();
    let said: Vec<String> = groups
        .iter()
        .map(|group| {
            let words: Vec<String> = group.iter().map(|c| word(*c, lang)).collect();
            words.join(if lang == Lang::En { " " } else { "、" })
        })
        .collect();
    match lang {
        Lang::En => format!("{} ({})", shown.join(" "), said.join(", ")),
        Lang::ZhCn => format!("{}（{}）", shown.join(" "), said.join("；")),
    }
}

/// Runs of letters and digits in parts of about the same length, each with what separates it from the next.
fn groups(text: &str) -> Vec<Vec<char>> {
    let characters: Vec<char> = text.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect();
    let mut groups: Vec<Vec<char>> = Vec::new();
    for run in characters.split_inclusive(|c| !c.is_alphanumeric()) {
        let said = run.iter().filter(|c| c.is_alphanumeric()).count();
        let parts = said.div_ceil(GROUP).max(1);
        let mut rest = run;
        for left in (1..=parts).rev() {
            let (group, more) =
                rest.split_at(if left == 1 { rest.len() } else { rest.len().div_ceil(left).min(GROUP) });
            groups.push(group.to_vec());
            rest = more;
        }
    }
    groups
}

fn word(c: char, lang: Lang) -> String {
    let at = |from: u8| usize::from((c.to_ascii_uppercase() as u32 as u8).wrapping_sub(from));
    match (c, lang) {
        ('0'..='9', Lang::En) => DIGITS.get(at(b'0')).map(ToString::to_string),
        ('0'..='9', Lang::ZhCn) => DIGITS_ZH.get(at(b'0')).map(ToString::to_string),
        ('a'..='z' | 'A'..='Z', Lang::En) => LETTERS.get(at(b'A')).map(ToString::to_string),
        // Taken for 0 and 1 otherwise.
        ('O' | 'o' | 'I' | 'i' | 'l', Lang::ZhCn) => Some(format!("字母{}", c.to_ascii_uppercase())),
        ('a'..='z' | 'A'..='Z', Lang::ZhCn) => Some(c.to_ascii_uppercase().to_string()),
        ('-', Lang::En) => Some("dash".to_owned()),
        ('-', Lang::ZhCn) => Some("横杠".to_owned()),
        ('.', Lang::En) => Some("dot".to_owned()),
        ('.', Lang::ZhCn) => Some("点".to_owned()),
        ('_', Lang::En) => Some("underscore".to_owned()),
        ('_', Lang::ZhCn) => Some("下划线".to_owned()),
        ('/', Lang::En) => Some("slash".to_owned()),
        ('/', Lang::ZhCn) => Some("斜杠".to_owned()),
        _ => None,
    }
    .unwrap_or_else(|| c.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_serial_is_said_in_groups() {
        assert_eq!(spell("CN7A1B", Lang::En), "CN7 A1B (Charlie November seven, Alfa one Bravo)");
        assert_eq!(spell("CN7AO1B-0", Lang::ZhCn), "CN7A O1B- 0（C、N、七、A；字母O、幺、B、横杠；零）");
        assert_eq!(spell("400-810-1234", Lang::En).split(" (").next(), Some("400- 810- 1234"));
        assert_eq!(spell("0123456789", Lang::En).split(" (").next(), Some("0123 456 789"));
        assert_eq!(spell(" ", Lang::En), "");
    }

    proptest! {
        #[test]
        fn every_character_is_said_once(text in "[A-Za-z0-9._/-]{1,40}") {
            for lang in Lang::ALL {
                let spelled = spell(&text, lang);
                let (shown, said) = spelled.split_once(['(', '（']).unwrap();
                prop_assert_eq!(shown.replace(' ', ""), text.clone());
                let said = said.trim_end_matches([')', '）']);
                let words = said.split([' ', '、', '；', ',']).filter(|w| !w.is_empty()).count();
                prop_assert_eq!(words, text.chars().count(), "{}", spelled);
            }
        }
    }
}
