//! A simulated site with the real programs around it, and what an operator sees of it through `outband`.

use crate::sim::fleet::{self, Credentials, Plan, Server};
use crate::stack::{Stack, StackError};
use crate::wait::wait_until;
use serde_json::Value;
use std::fs;
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// How long anything that is waited for may take on a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Thresholds for polls every second: what the demo has, and silence and recovery a little sooner.
pub const QUICK: &str = "[health.fan]\nbaseline_polls = 6\ndecay_polls = 3\n\
                         [health.silence]\nbmc_polls = 3\nat_least_secs = 4\nstale_polls = 4\n\
                         [health.incident]\nclear_polls = 3\nverify_polls = 3\n";

/// The site, the programs and their directory. All ends with it.
#[derive(Debug)]
pub struct World {
    /// The programs.
    pub stack: Stack,
    /// The servers.
    pub site: Vec<Server>,
    /// Who may log in to the BMCs.
    pub login: Credentials,
    /// Where everything lies.
    pub root: TempDir,
    /// What the BMCs run on.
    pub runtime: Runtime,
}

/// What `outband` said.
#[derive(Debug)]
pub struct Answer {
    /// Its exit code; `None`: a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

impl World {
    /// A site after these plans, with collector and agent configured for a poll of every section but inventory each second, not started.
    pub fn new(plans: Vec<Plan>) -> Result<Self, StackError> {
        let runtime = Runtime::new()?;
        let root = tempfile::tempdir()?;
        let login = Credentials { user: "monitor".into(), password: "Tr0ub4dor-and-3".into() };
        let site = runtime.block_on(fleet::start(plans, &login, 1.0))?;
        let stack = Stack::new(root.path(), &site, &login, "1s", QUICK)?;
        let world = Self { stack, site, login, root, runtime };
        world.edit_agent(|toml| toml.replace("[poll]\n", "[poll]\nhost = \"1s\"\n"))?;
        Ok(world)
    }

    /// The same, started, and the inventory polled as well.
    pub fn start(plans: Vec<Plan>) -> Result<Self, StackError> {
        let mut world = Self::new(plans)?;
        world.edit_agent(|toml| toml.replace("inventory = \"1m\"", "inventory = \"2s\""))?;
        world.stack.start_collector()?;
        world.stack.start_agent()?;
        Ok(world)
    }

    /// Changes the agent's config; the agent is not told.
    pub fn edit_agent(&self, change: impl FnOnce(String) -> String) -> Result<(), StackError> {
        let path = self.stack.agent_toml();
        let text = fs::read_to_string(&path)?;
        Ok(fs::write(path, change(text))?)
    }

    /// Asks `outband`.
    pub fn ask(&self, words: &[&str]) -> Result<Answer, StackError> {
        let output = self.stack.outband().args(words).env("LC_ALL", "C").stdin(Stdio::null()).output()?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(Answer { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) })
    }

    /// Asks `outband` for JSON; [`Value::Null`] where it refuses.
    pub fn json(&self, words: &[&str]) -> Result<Value, StackError> {
        let answer = self.ask(&[words, &["-o", "json"]].concat())?;
        if answer.code != Some(0) {
            tracing::debug!(?words, ?answer, "refused");
            return Ok(Value::Null);
        }
        serde_json::from_str(&answer.out).map_err(|e| std::io::Error::other(e).into())
    }

    /// The items of a list, which is called `name` in the answer.
    pub fn list(&self, name: &str, words: &[&str]) -> Result<Vec<Value>, StackError> {
        Ok(self.json(words)?[name].as_array().cloned().unwrap_or_default())
    }

    /// What the collector calls the server at this place of the site, once it knows of it.
    pub fn name_of(&self, server: usize) -> Result<Option<String>, StackError> {
        let target = format!("/{}", self.site[server].plan.spec.name);
        let is_it = |s: &&Value| {
            s["targets"].as_array().is_some_and(|t| t.iter().any(|t| t.as_str().is_some_and(|t| t.ends_with(&target))))
        };
        let servers = self.list("servers", &["servers"])?;
        Ok(servers.iter().find(is_it).and_then(|s| s["name"].as_str()).map(str::to_owned))
    }

    /// What the collector calls a server, once it has told of its sensors; fails after [`PATIENCE`].
    pub fn known(&self, server: usize) -> Result<String, StackError> {
        let mut failed = None;
        let known = eventually(|| {
            let name = self.name_of(server).map_err(|e| failed = Some(e)).ok()??;
            let readings = self.list("readings", &["readings", &name]).map_err(|e| failed = Some(e)).ok()?;
            (readings.len() > 20).then_some(name)
        });
        let unknown =
            || std::io::Error::other(format!("server {server} never became known; {failed:?}\n{}", self.logs())).into();
        known.ok_or_else(unknown)
    }

    /// Every ticket of a server, closed ones too.
    pub fn tickets_of(&self, server: &str) -> Result<Vec<Value>, StackError> {
        self.list("tickets", &["tickets", "list", "--all", "--server", server])
    }

    /// What both programs wrote into their logs, for the message of a failed test.
    pub fn logs(&self) -> String {
        ["outband-collector", "outband-agent"]
            .map(|program| {
                format!("--- {program}\n{}", fs::read_to_string(self.stack.log(program)).unwrap_or_default())
            })
            .join("\n")
    }
}

/// Asks until there is an answer, or [`PATIENCE`] is over.
pub fn eventually<T>(mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let mut answer = None;
    wait_until(PATIENCE, || {
        answer = ask();
        answer.is_some()
    });
    answer
}
