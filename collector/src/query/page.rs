//! Pages (AIP-158). A page token holds the store's and a digest of what was asked, so that a token cannot be used for another
//! question without it being noticed.

use crate::query::problem::invalid;
use outband_store::{Listing, Page};
use sha2::{Digest, Sha256};
use tonic::Status;

const DEFAULT_SIZE: i32 = 50;
const MAX_SIZE: i32 = 1000;

/// One listing's way to read and write page tokens.
#[derive(Debug)]
pub(super) struct Pager {
    tag: String,
}

impl Pager {
    /// For the listing `method` with everything asked but the page.
    pub(super) fn new(method: &str, asked: &impl std::fmt::Debug) -> Self {
        let digest = Sha256::digest(format!("{method} {asked:?}").as_bytes());
        Self { tag: hex(&digest[..4]) }
    }

    /// The page asked for.
    pub(super) fn page(&self, size: i32, token: &str) -> Result<Page, Status> {
        let limit = match size {
            i32::MIN..=-1 => return Err(invalid("page_size", format!("{size} is negative"))),
            0 => DEFAULT_SIZE,
            n => n.min(MAX_SIZE),
        };
        let limit = usize::try_from(limit).unwrap_or_default();
        if token.is_empty() {
            return Ok(Page::first(limit));
        }
        let bad = || invalid("page_token", "it is not one that this listing gave out; start again without it");
        let (tag, rest) = token.split_at_checked(self.tag.len()).ok_or_else(bad)?;
        if tag != self.tag {
            return Err(invalid("page_token", "it belongs to another question; start again without it"));
        }
        let inner = unhex(rest).and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(bad)?;
        Ok(Page::after(inner, limit))
    }

    /// The token of the page after this one; empty where there is none.
    pub(super) fn next<T>(&self, listing: &Listing<T>) -> String {
        self.token(listing.next.as_deref())
    }

    /// The token for a place in the listing; empty for none.
    pub(super) fn token(&self, place: Option<&str>) -> String {
        place.map_or_else(String::new, |p| format!("{}{}", self.tag, hex(p.as_bytes())))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(text.get(i..i + 2)?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tonic::Code;

    #[test]
    fn a_page_has_fifty_rows_unless_asked_and_a_thousand_at_most() {
        let pager = Pager::new("x", &());
        let limit = |n| pager.page(n, "").map(|p| p.limit).map_err(|s| s.code());
        assert_eq!((limit(0), limit(7), limit(5000)), (Ok(50), Ok(7), Ok(1000)));
        assert_eq!(limit(-1), Err(Code::InvalidArgument));
    }

    #[test]
    fn a_token_serves_no_other_question() {
        let token = Pager::new("ListX", &"servers/a").token(Some("17"));
        assert!(Pager::new("ListX", &"servers/b").page(0, &token).is_err());
        assert!(Pager::new("ListX", &"servers/a").page(0, &token).is_ok());
    }

    proptest! {
        #[test]
        fn the_stores_token_comes_back_as_it_was(inner in "\\PC{1,40}") {
            let pager = Pager::new("x", &());
            prop_assert_eq!(pager.page(0, &pager.token(Some(&inner))).unwrap().token, Some(inner));
        }

        #[test]
        fn any_other_text_is_an_invalid_argument_and_never_a_panic(text in "\\PC{1,40}") {
            if let Err(status) = Pager::new("x", &()).page(0, &text) {
                prop_assert_eq!(status.code(), Code::InvalidArgument);
            }
        }
    }
}
