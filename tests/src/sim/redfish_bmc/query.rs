//! Query parameters of the Redfish specification (DSP0266 §7.3): `$expand`, `$select`, `$top`, `$skip`, `only`.

use serde_json::{Map, Value};

/// What a client asked for beyond the resource.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Query {
    pub(super) expand: Option<Expansion>,
    /// Whether there was an `$expand` that cannot be read.
    pub(super) bad: bool,
    pub(super) select: Vec<String>,
    pub(super) top: Option<usize>,
    pub(super) skip: Option<usize>,
    /// `$skip=50` or `$skiptoken=…`, as it was written.
    pub(super) page: Option<String>,
    pub(super) only: bool,
    /// The rest of it, as it was written, for links to further pages.
    pub(super) others: Vec<String>,
}

/// An `$expand`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Expansion {
    pub(super) form: Form,
    pub(super) levels: u32,
}

/// Which links are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `*`: all.
    All,
    /// `.`: those outside of `Links`.
    NoLinks,
    /// `~`: those in `Links`.
    Links,
}

impl Query {
    pub(super) fn parse(text: &str) -> Self {
        let mut query = Self::default();
        for pair in text.split('&').filter(|p| !p.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (super::tree::percent_decoded(name), super::tree::percent_decoded(value));
            // Dell and others take the names without their sign as well.
            match name.trim_start_matches('$') {
                "expand" => {
                    query.expand = Expansion::parse(&value);
                    query.bad |= query.expand.is_none();
                    query.others.push(pair.to_owned());
                }
                "select" => {
                    query.select = value.split(',').map(|s| s.trim().to_owned()).filter(|s| !s.is_empty()).collect();
                    query.others.push(pair.to_owned());
                }
                "top" => query.top = value.parse().ok(),
                "skip" | "skiptoken" => {
                    query.skip = value.parse().ok();
                    query.page = Some(pair.to_owned());
                }
                "only" => query.only = true,
                _ => query.others.push(pair.to_owned()),
            }
        }
        query
    }
}

impl Expansion {
    fn parse(text: &str) -> Option<Self> {
        let mut chars = text.trim().chars();
        let form = match chars.next()? {
            '*' => Form::All,
            '.' => Form::NoLinks,
            '~' => Form::Links,
            _ => return None,
        };
        let rest = chars.as_str();
        let levels = if rest.is_empty() {
            1
        } else {
            let inner = rest.strip_prefix('(')?.strip_suffix(')')?;
            inner.trim_start_matches('$').strip_prefix("levels=")?.parse().ok()?
        };
        Some(Self { form, levels })
    }
}

/// Only the selected properties, and what identifies the resource. In a collection with members that are whole resources the selection is theirs.
pub(super) fn select(value: &mut Value, names: &[String]) {
    let Value::Object(object) = value else { return };
    if let Some(Value::Array(members)) = object.get_mut("Members")
        && members.iter().any(|m| m.as_object().is_some_and(|m| m.len() > 1))
    {
        let names: Vec<String> = names.iter().map(|n| n.trim_start_matches("Members/").to_owned()).collect();
        members.iter_mut().for_each(|m| keep(m, &names));
        return;
    }
    keep(value, names);
}

fn keep(value: &mut Value, names: &[String]) {
    let Value::Object(object) = value else { return };
    let old = std::mem::replace(object, Map::new());
    for (name, mut inner) in old {
        let below: Vec<String> =
            names.iter().filter_map(|n| n.strip_prefix(name.as_str())?.strip_prefix('/').map(str::to_owned)).collect();
        let whole = name.starts_with("@odata.") || names.contains(&name);
        if !whole && below.is_empty() {
            continue;
        }
        if !whole {
            match &mut inner {
                Value::Array(items) => items.iter_mut().for_each(|i| keep(i, &below)),
                inner => keep(inner, &below),
            }
        }
        object.insert(name, inner);
    }
}

/// Cuts `Members` down to those from `skip` on, at most `top` of them; whether some are left after them.
pub(super) fn slice(value: &mut Value, skip: usize, top: Option<usize>) -> bool {
    let Some(Value::Array(members)) = value.get_mut("Members") else { return false };
    let all = members.len();
    let end = top.map_or(all, |top| skip.saturating_add(top).min(all));
    *members = members.drain(skip.min(end)..end).collect();
    if let Value::Object(object) = value {
        object.entry("Members@odata.count").or_insert(all.into());
    }
    end < all
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_forms_of_expand_are_told_apart() {
        for (text, wanted) in [
            ("$expand=*", Some((Form::All, 1))),
            ("$expand=.($levels=2)", Some((Form::NoLinks, 2))),
            ("%24expand=%2A%28%24levels%3D3%29", Some((Form::All, 3))),
            ("expand=~", Some((Form::Links, 1))),
            ("$expand=Members", None),
        ] {
            let query = Query::parse(text);
            let wanted = wanted.map(|(form, levels)| Expansion { form, levels });
            assert_eq!((query.expand, query.bad), (wanted, wanted.is_none()), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_page_is_kept_for_the_link_to_the_next() {
        let query = Query::parse("$expand=.&$skip=50&$top=10&$filter=x");
        assert_eq!((query.skip, query.top, query.page.as_deref()), (Some(50), Some(10), Some("$skip=50")));
        assert_eq!(query.others, ["$expand=.", "$filter=x"]);
    }

    #[test]
    fn a_selection_keeps_what_identifies_and_what_is_named() {
        let mut value =
            json!({"@odata.id": "/a", "Id": "1", "Status": {"State": "Enabled", "Health": "OK"}, "Other": 3});
        select(&mut value, &["Id".to_owned(), "Status/Health".to_owned()]);
        assert_eq!(value, json!({"@odata.id": "/a", "Id": "1", "Status": {"Health": "OK"}}));
    }

    #[test]
    fn a_slice_counts_all_members_and_knows_whether_some_are_left() {
        let whole = json!({"Members": [1, 2, 3]});
        for (skip, top, kept, left) in
            [(0, Some(2), json!([1, 2]), true), (1, None, json!([2, 3]), false), (9, Some(1), json!([]), false)]
        {
            let mut value = whole.clone();
            assert_eq!(slice(&mut value, skip, top), left);
            assert_eq!((&value["Members"], &value["Members@odata.count"]), (&kept, &json!(3)));
        }
    }
}
