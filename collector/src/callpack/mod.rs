//! The call pack: what somebody has to know who calls the maker, or the customer, about a ticket. On one page, to be read aloud, or as a file.
//!
//! [`case`] reads what is stored, [`pack`] makes of it one value in one language; [`speech`], [`html`] and [`files`] only show that. The same
//! state gives the same bytes: no clock is asked, a pack says as of when it is. What is not on record is said to be so, and becomes a question.

mod answer;
pub mod case;
pub mod course;
pub mod files;
pub mod html;
pub mod pack;
pub mod privacy;
pub mod speech;
pub mod spell;
pub mod timeline;
mod when;

pub use case::Case;
pub use files::{Format, TooLarge, write};
pub use pack::Pack;
pub use when::Zone;

/// Of two texts the one in this language.
fn pick<'a>(lang: crate::words::Lang, en: &'a str, zh: &'a str) -> &'a str {
    match lang {
        crate::words::Lang::En => en,
        crate::words::Lang::ZhCn => zh,
    }
}

#[cfg(test)]
mod tests;
