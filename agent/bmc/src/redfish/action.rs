//! What may be done over Redfish: a locator light (ComputerSystem, Chassis), `Manager.Reset`, and `LogService.ClearLog`.

use super::http::{Http, Method, Reply};
use super::lenient::{self, link, list, text, truth};
use super::log::name_of;
use super::walk::Answer;
use crate::action::ActionError;
use outband_schemas::LogEvent;
use serde_json::{Value, json};

/// The largest resource that is read here.
const MOST_BYTES: usize = 4 << 20;
/// More systems, managers or logs than any BMC has.
const MOST_MEMBERS: usize = 32;

/// Requests to a BMC whose service root is known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hand<'a> {
    pub(super) http: &'a Http,
    pub(super) root: &'a Value,
}

/// A resource with what `If-Match` wants.
struct Found {
    uri: String,
    body: Value,
    etag: Option<String>,
}

/// What an answer to something that changes comes to.
fn judge(what: &str, reply: Reply) -> Result<(), ActionError> {
    let (status, body) = match reply.answer {
        Answer::Http { status: 200..=299, .. } => return Ok(()),
        Answer::Http { status, body, .. } => (status, body),
        // Without a connection nothing was sent.
        Answer::Failed { detail, .. } if reply.refused || reply.tls_failure => {
            return Err(ActionError::Failed(format!("{what}: {detail}")));
        }
        Answer::Failed { detail, .. } => return Err(ActionError::Unknown(format!("{what}: {detail}"))),
    };
    let said = lenient::parse(&body).ok().and_then(|b| lenient::error_of(&b)).unwrap_or_default();
    let detail = format!("{what}: HTTP {status} {said}").trim_end().to_owned();
    Err(match status {
        401 | 403 => ActionError::Denied(detail),
        // A gateway in between gave up; what is behind it may not have.
        502 | 504 => ActionError::Unknown(detail),
        _ => ActionError::Failed(detail),
    })
}

impl Hand<'_> {
    async fn read(&self, uri: &str) -> Result<Found, ActionError> {
        let reply = self.http.get(uri, MOST_BYTES).await;
        let (body, etag) = match reply.answer {
            Answer::Http { status: 200..=299, body, etag } => (body, etag),
            Answer::Http { status: status @ (401 | 403), .. } => {
                return Err(ActionError::Denied(format!("GET {uri}: HTTP {status}")));
            }
            Answer::Http { status, .. } => return Err(ActionError::Failed(format!("GET {uri}: HTTP {status}"))),
            Answer::Failed { cause, detail } => return Err(ActionError::unread(&format!("GET {uri}"), cause, &detail)),
        };
        let body = lenient::parse(&body).map_err(|e| ActionError::Failed(format!("GET {uri}: {e}")))?;
        if let Some(said) = lenient::error_of(&body) {
            return Err(ActionError::Failed(format!("GET {uri}: {said}")));
        }
        let etag = etag.or_else(|| text(&body, "@odata.etag"));
        Ok(Found { uri: uri.to_owned(), body, etag })
    }

    /// The members of a collection of the root.
    async fn members(&self, of: &Value, collection: &str) -> Result<Vec<Found>, ActionError> {
        let Some(uri) = link(of, collection) else { return Ok(Vec::new()) };
        let found = self.read(&uri).await?;
        let mut members = Vec::new();
        for uri in list(&found.body, "Members").iter().filter_map(lenient::target).take(MOST_MEMBERS) {
            members.push(self.read(&uri).await?);
        }
        Ok(members)
    }

    /// Has the locator light blink, or not, and says what it shows then.
    pub(crate) async fn identify(&self, on: bool) -> Result<String, ActionError> {
        for collection in ["Systems", "Chassis"] {
            for member in self.members(self.root, collection).await? {
                for property in ["LocationIndicatorActive", "IndicatorLED"] {
                    if member.body.get(property).is_some_and(|v| !v.is_null()) {
                        return self.light(&member, property, on).await;
                    }
                }
            }
        }
        Err(ActionError::Failed("neither a system nor a chassis of this BMC has a locator light".to_owned()))
    }

    async fn light(&self, member: &Found, property: &str, on: bool) -> Result<String, ActionError> {
        let wanted: &[Value] = match (property, on) {
            ("LocationIndicatorActive", _) => &[json!(on)],
            // Some lights cannot blink.
            (_, true) => &[json!("Blinking"), json!("Lit")],
            (_, false) => &[json!("Off")],
        };
        let what = format!("PATCH {} {property}", member.uri);
        let mut result = Ok(());
        for value in wanted {
            let body = json!({property: value}).to_string().into_bytes();
            result = judge(&what, self.http.patch(&member.uri, member.etag.as_deref(), body).await);
            if !matches!(result, Err(ActionError::Failed(_))) {
                break;
            }
        }
        result?;
        let shows = self.read(&member.uri).await.ok().and_then(|now| text(&now.body, property));
        Ok(match shows {
            Some(shows) => format!("{property} of {} is {shows}", member.uri),
            None => format!("{property} of {} was set", member.uri),
        })
    }

    /// Restarts the BMC, gracefully.
    pub(crate) async fn reset(&self) -> Result<String, ActionError> {
        let managers = self.members(self.root, "Managers").await?;
        let able: Vec<(&Found, &Value)> = managers
            .iter()
            .filter_map(|m| Some((m, m.body.get("Actions")?.get("#Manager.Reset")?)))
            .filter(|(m, _)| text(&m.body, "ManagerType").is_none_or(|t| t == "BMC"))
            .collect();
        let (manager, action) = match able.as_slice() {
            [one] => *one,
            [] => return Err(ActionError::Failed("no manager of this BMC offers a reset".to_owned())),
            more => {
                let names: Vec<&str> = more.iter().map(|(m, _)| m.uri.as_str()).collect();
                let detail =
                    format!("several managers could be reset, which is not for a program to choose: {names:?}");
                return Err(ActionError::Failed(detail));
            }
        };
        let mut offered = words(list(action, "ResetType@Redfish.AllowableValues"));
        if offered.is_empty()
            && let Some(info) = link(action, "@Redfish.ActionInfo")
        {
            let info = self.read(&info).await?;
            let of_type =
                list(&info.body, "Parameters").iter().find(|p| text(p, "Name").as_deref() == Some("ResetType"));
            offered = of_type.map(|p| words(list(p, "AllowableValues"))).unwrap_or_default();
        }
        let graceful = "GracefulRestart";
        if !offered.is_empty() && !offered.iter().any(|word| word == graceful) {
            let detail = format!("{} offers no {graceful}, only {}", manager.uri, offered.join(", "));
            return Err(ActionError::Failed(detail));
        }
        let target = target_of(action, &manager.uri, "Manager.Reset");
        let body = json!({"ResetType": graceful}).to_string().into_bytes();
        judge(&format!("POST {target}"), self.http.send(Method::Post, &target, Some(body)).await)?;
        Ok(format!("{} takes the reset ({graceful})", manager.uri))
    }

    /// The URI and name, as [`LogEvent::log`] has it, of the system event log.
    pub(crate) async fn sel(&self) -> Result<(String, String), ActionError> {
        let mut found = Vec::new();
        for collection in ["Systems", "Managers", "Chassis"] {
            for holder in self.members(self.root, collection).await? {
                for service in self.members(&holder.body, "LogServices").await? {
                    let id = text(&service.body, "Id").unwrap_or_default();
                    let is_sel = text(&service.body, "LogEntryType").is_some_and(|t| t == "SEL");
                    if id.eq_ignore_ascii_case("sel") || is_sel {
                        found.push(service.uri);
                    }
                }
            }
        }
        found.sort();
        found.dedup();
        match found.as_slice() {
            [uri] => Ok((uri.clone(), name_of(uri))),
            [] => Err(ActionError::Failed("this BMC has no log that is its system event log".to_owned())),
            more => {
                let detail = format!("several logs could be meant, which is not for a program to choose: {more:?}");
                Err(ActionError::Failed(detail))
            }
        }
    }

    /// Clears the log at `uri` where it still holds as many entries as `read`. Redfish has no reservation: where the service knows the parameter, the
    /// entries' ETag goes with the request, so that it clears nothing else; elsewhere a moment remains between the last look and the erasure.
    pub(crate) async fn clear(&self, uri: &str, read: &[&LogEvent]) -> Result<String, ActionError> {
        let service = self.read(uri).await?;
        let action = service.body.get("Actions").and_then(|a| a.get("#LogService.ClearLog"));
        let Some(action) = action else {
            return Err(ActionError::Failed(format!("{uri} offers no ClearLog")));
        };
        let entries = link(&service.body, "Entries");
        let entries = entries.ok_or_else(|| ActionError::Failed(format!("{uri} links to no entries")))?;
        let now = self.read(&entries).await?;
        let listed = list(&now.body, "Members").len();
        let count = now.body.get("Members@odata.count").and_then(Value::as_u64);
        let count = count.and_then(|n| usize::try_from(n).ok()).unwrap_or(listed).max(listed);
        if count != read.len() {
            let detail = format!("the log holds {count} entries, {} were read: it changed meanwhile", read.len());
            return Err(ActionError::Failed(format!("nothing was cleared: {detail}")));
        }
        let target = target_of(action, uri, "LogService.ClearLog");
        let guarded = now.etag.filter(|_| knows_etag(&service.body));
        let body = guarded.as_ref().map_or_else(|| json!({}), |etag| json!({"LogEntriesETag": etag}));
        judge(
            &format!("POST {target}"),
            self.http.send(Method::Post, &target, Some(body.to_string().into_bytes())).await,
        )?;
        Ok(format!("{} was cleared; its {} entries are archived", name_of(uri), read.len()))
    }
}

fn words(values: &[Value]) -> Vec<String> {
    values.iter().filter_map(lenient::as_text).collect()
}

/// Where an action is posted to: on this BMC, whatever it names.
fn target_of(action: &Value, holder: &str, name: &str) -> String {
    let named = text(action, "target").filter(|t| t.starts_with("/redfish/"));
    named.unwrap_or_else(|| format!("{}/Actions/{name}", holder.trim_end_matches('/')))
}

/// LogEntriesETag came with version 1.3 of LogService.
fn knows_etag(service: &Value) -> bool {
    let kind = text(service, "@odata.type").unwrap_or_default();
    let version = kind.split('.').nth(1).and_then(|v| v.strip_prefix('v')).unwrap_or_default();
    let mut numbers = version.split('_').filter_map(|n| n.parse::<u32>().ok());
    matches!((numbers.next(), numbers.next()), (Some(1), Some(3..)) | (Some(2..), _))
        && truth(service, "ServiceEnabled") != Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_posted_to_this_bmc_whatever_it_names() {
        let elsewhere = json!({"target": "https://evil.example/redfish/v1/x"});
        assert_eq!(
            target_of(&elsewhere, "/redfish/v1/Managers/1/", "Manager.Reset"),
            "/redfish/v1/Managers/1/Actions/Manager.Reset"
        );
        let own = json!({"target": "/redfish/v1/Managers/1/Actions/Manager.Reset/"});
        assert_eq!(target_of(&own, "/x", "Manager.Reset"), "/redfish/v1/Managers/1/Actions/Manager.Reset/");
    }

    #[test]
    fn the_entries_etag_goes_only_to_services_that_know_it() {
        for (kind, knows) in [
            ("#LogService.v1_2_0.LogService", false),
            ("#LogService.v1_3_0.LogService", true),
            ("#LogService.v1_10_1.LogService", true),
            ("#LogService.1.0.0.LogService", false),
        ] {
            assert_eq!(knows_etag(&json!({"@odata.type": kind})), knows, "{kind}");
        }
    }
}
