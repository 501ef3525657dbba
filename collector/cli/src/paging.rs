//! Following pages.

use crate::error::Error;

/// The largest page that is asked for.
const PAGE: usize = 500;

/// Rows, and whether there are more than were wanted.
#[derive(Debug)]
pub(crate) struct Paged<T> {
    pub(crate) rows: Vec<T>,
    pub(crate) more: bool,
}

/// Asks for page after page until there is no more or `limit` rows (0: any number) are there. `fetch` is given page size and token, and brings rows and the
/// next token.
pub(crate) async fn follow<T>(
    limit: usize,
    mut fetch: impl AsyncFnMut(i32, String) -> Result<(Vec<T>, String), Error>,
) -> Result<Paged<T>, Error> {
    let mut rows = Vec::new();
    let mut token = String::new();
    loop {
        let wanted = if limit == 0 { PAGE } else { (limit - rows.len()).min(PAGE) };
        let (page, next) = fetch(i32::try_from(wanted).unwrap_or(i32::MAX), token.clone()).await?;
        rows.extend(page);
        if next.is_empty() || next == token {
            return Ok(Paged { rows, more: false });
        }
        if limit != 0 && rows.len() >= limit {
            rows.truncate(limit);
            return Ok(Paged { rows, more: true });
        }
        token = next;
    }
}
