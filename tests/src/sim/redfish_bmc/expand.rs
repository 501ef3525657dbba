//! `$expand`: linked resources put into the answer in place of the links to them.

use super::query::{Expansion, Form};
use serde_json::{Map, Value};

/// So many resources are put into one answer at most, as links may lead in circles.
const MOST: usize = 5000;

/// What becomes of a link.
pub(super) enum Fetched {
    /// This takes its place.
    Here(Value),
    /// It stays.
    Link,
    /// It is left out, where it is a member of an array.
    Missing,
}

/// Follows the links of an answer as far as asked for.
pub(super) struct Expander<F> {
    pub(super) fetch: F,
    /// Links followed so far, whether or not they led anywhere.
    pub(super) followed: usize,
}

impl<F: FnMut(&str) -> Fetched> Expander<F> {
    pub(super) fn expand(&mut self, value: &mut Value, expansion: Expansion) {
        // A top-level array is no resource.
        if let Value::Object(object) = value {
            self.object(object, expansion, false);
        }
    }

    fn object(&mut self, object: &mut Map<String, Value>, expansion: Expansion, within_links: bool) {
        for (name, value) in object.iter_mut() {
            let links = name == "Links";
            let follow = match expansion.form {
                Form::All => true,
                Form::NoLinks if links => continue,
                Form::NoLinks => true,
                Form::Links => within_links || links,
            };
            self.value(value, expansion, follow, within_links || links);
        }
    }

    /// Whether the value is to stay.
    fn value(&mut self, value: &mut Value, expansion: Expansion, follow: bool, within_links: bool) -> bool {
        match value {
            Value::Object(object) => {
                let Some(uri) = target(object).filter(|_| follow && self.followed < MOST) else {
                    // A resource that is there already is a level, too.
                    let levels = expansion.levels - u32::from(is_resource(object));
                    if levels > 0 {
                        self.object(object, Expansion { levels, ..expansion }, within_links);
                    }
                    return true;
                };
                self.followed += 1;
                match (self.fetch)(&uri) {
                    Fetched::Here(mut resource) => {
                        if expansion.levels > 1 {
                            self.expand(&mut resource, Expansion { levels: expansion.levels - 1, ..expansion });
                        }
                        *value = resource;
                        true
                    }
                    Fetched::Link => true,
                    Fetched::Missing => false,
                }
            }
            Value::Array(items) => {
                items.retain_mut(|item| self.value(item, expansion, follow, within_links));
                true
            }
            _ => true,
        }
    }
}

/// Where an object leads that is nothing but a link to a resource.
fn target(object: &Map<String, Value>) -> Option<String> {
    let uri = object.get("@odata.id")?.as_str()?;
    (object.len() == 1 && !uri.contains('#')).then(|| uri.to_owned())
}

fn is_resource(object: &Map<String, Value>) -> bool {
    object.get("@odata.id").and_then(Value::as_str).is_some_and(|uri| !uri.contains('#'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn expanded(form: Form, levels: u32) -> (Value, usize) {
        let mut value = json!({"@odata.id": "/a", "Down": {"@odata.id": "/b"}, "Part": {"@odata.id": "/a#/Part"},
            "Links": {"Up": [{"@odata.id": "/c"}]}});
        let fetch = |uri: &str| Fetched::Here(json!({"@odata.id": uri, "Id": uri, "Next": {"@odata.id": "/d"}}));
        let mut expander = Expander { fetch, followed: 0 };
        expander.expand(&mut value, Expansion { form, levels });
        (value, expander.followed)
    }

    #[test]
    fn each_form_follows_its_own_links_and_none_into_a_resource() {
        let ids = |form| {
            let (value, followed) = expanded(form, 1);
            assert_eq!(value["Part"], json!({"@odata.id": "/a#/Part"}));
            (value["Down"]["Id"].is_string(), value["Links"]["Up"][0]["Id"].is_string(), followed)
        };
        assert_eq!(ids(Form::NoLinks), (true, false, 1));
        assert_eq!(ids(Form::Links), (false, true, 1));
        assert_eq!(ids(Form::All), (true, true, 2));
    }

    #[test]
    fn what_is_there_already_counts_as_a_level() {
        let fetch = |uri: &str| Fetched::Here(json!({"@odata.id": uri, "Id": uri}));
        let mut value = json!({"Members": [{"@odata.id": "/a/1", "Id": "1", "Next": {"@odata.id": "/b"}}],
            "Fans": [{"@odata.id": "/a#/Fans/0", "Next": {"@odata.id": "/c"}}]});
        let mut expander = Expander { fetch, followed: 0 };
        expander.expand(&mut value, Expansion { form: Form::NoLinks, levels: 1 });
        assert!(value["Members"][0]["Next"]["Id"].is_null() && value["Fans"][0]["Next"]["Id"] == "/c", "{value}");
    }

    #[test]
    fn levels_are_counted() {
        assert!(expanded(Form::NoLinks, 1).0["Down"]["Next"]["Id"].is_null());
        let (two, followed) = expanded(Form::NoLinks, 2);
        assert_eq!((two["Down"]["Next"]["Id"].as_str(), followed), (Some("/d"), 2));
    }
}
