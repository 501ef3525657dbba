//! What of a query is answered, ignored or refused: what the options say, and what the service root advertises.

use super::query::{Expansion, Form, Query};
use super::view::Features;
use super::{Expand, Options, Support, error};
use crate::sim::https::Answer;

/// What of a query is answered.
pub(super) struct Wanted {
    pub(super) expand: Option<Expansion>,
    pub(super) top: Option<usize>,
    pub(super) skips: bool,
    pub(super) select: bool,
    pub(super) only: bool,
}

impl Wanted {
    /// What is to be done; an answer: the query is refused.
    pub(super) fn of(query: &Query, options: &Options, features: Option<Features>) -> Result<Self, Answer> {
        let features = features.unwrap_or_default();
        let refused = |status| error(status, "Base.1.8.QueryNotSupportedOnResource");
        let supported = |support, advertised, asked| match support {
            Support::Refused(status) if asked => Err(refused(status)),
            Support::Advertised => Ok(asked && advertised),
            Support::Yes => Ok(asked),
            Support::No | Support::Refused(_) => Ok(false),
        };
        let top_skip = supported(options.top_skip, features.top_skip, query.top.is_some() || query.skip.is_some())?;
        let expand = match (query.expand, options.expand) {
            (None, Expand::Refused(_)) | (_, Expand::Ignored) => None,
            (_, Expand::Refused(status)) => return Err(refused(status)),
            (None, _) if query.bad => return Err(error(400, "Base.1.8.QueryParameterValueFormatError")),
            (None, _) => None,
            (Some(Expansion { levels: 0, .. }), _) => return Err(error(400, "Base.1.8.QueryParameterOutOfRange")),
            (Some(wanted), Expand::Yes) => Some(Expansion { levels: wanted.levels.min(6), ..wanted }),
            (Some(wanted), _) => {
                let form = match wanted.form {
                    Form::All => features.all,
                    Form::NoLinks => features.no_links,
                    Form::Links => features.links,
                };
                let any = features.all || features.no_links || features.links;
                if any && (!form || wanted.levels > features.max_levels) {
                    return Err(error(400, "Base.1.8.QueryParameterOutOfRange"));
                }
                form.then_some(wanted)
            }
        };
        Ok(Self {
            expand,
            top: query.top.filter(|_| top_skip),
            skips: top_skip,
            select: supported(options.select, features.select, !query.select.is_empty())?,
            only: supported(options.only, features.only, query.only)?,
        })
    }
}
