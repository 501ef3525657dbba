//! Which agents are connected now. Kept in memory: a restarted collector has no connections.

use outband_proto::ingest::StreamResponse;
use outband_schemas::{AgentId, Timestamp};
use outband_store::Epoch;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

/// So many messages wait for a stream to take them; more are for another time.
const WAITING: usize = 64;

/// The connected agents, shared between the ingest and the agent service.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    agents: Arc<Mutex<HashMap<AgentId, Entry>>>,
    arrivals: Arc<Notify>,
}

#[derive(Debug)]
struct Entry {
    epoch: Epoch,
    since: Timestamp,
    down: mpsc::Sender<StreamResponse>,
    fence: CancellationToken,
    cut: CancellationToken,
    /// Until when the certificate is good with which it came; `None`: it came with a token.
    certificate: Option<Timestamp>,
}

/// One connection. Dropping it takes the agent off the list, unless a newer connection took its place.
#[derive(Debug)]
pub struct Connection {
    registry: Registry,
    agent: AgentId,
    epoch: Epoch,
    fence: CancellationToken,
    cut: CancellationToken,
    down: Option<mpsc::Receiver<StreamResponse>>,
}

impl Registry {
    /// Notes a connection and fences the older one of the same agent. A connection that is itself the older one (its hello
    /// was overtaken) comes out fenced.
    pub fn connect(&self, agent: &AgentId, epoch: Epoch, since: Timestamp) -> Connection {
        let (fence, cut) = (CancellationToken::new(), CancellationToken::new());
        let (down, waiting) = mpsc::channel(WAITING);
        let mut agents = self.lock();
        match agents.get(agent) {
            Some(newer) if newer.epoch > epoch => fence.cancel(),
            _ => {
                let entry = Entry { epoch, since, down, fence: fence.clone(), cut: cut.clone(), certificate: None };
                if let Some(older) = agents.insert(agent.clone(), entry) {
                    older.fence.cancel();
                }
            }
        }
        drop(agents);
        Connection { registry: self.clone(), agent: agent.clone(), epoch, fence, cut, down: Some(waiting) }
    }

    /// Since when the agent is connected; `None` while it is not.
    pub fn connected_since(&self, agent: &AgentId) -> Option<Timestamp> {
        self.lock().get(agent).map(|e| e.since)
    }

    /// Ends the connection of an agent that no longer belongs here. Whether it had one.
    pub fn cut(&self, agent: &AgentId) -> bool {
        self.lock().get(agent).map(|e| e.cut.cancel()).is_some()
    }

    /// With which certificate a connected agent came: until when it is good; `None` where it came with a token. `None` while it is not connected.
    pub fn certificate(&self, agent: &AgentId) -> Option<Option<Timestamp>> {
        self.lock().get(agent).map(|e| e.certificate)
    }

    /// The connection of an agent; `None` while it has none.
    pub fn epoch(&self, agent: &AgentId) -> Option<Epoch> {
        self.lock().get(agent).map(|e| e.epoch)
    }

    /// Hands a message to the stream of an agent, if that is still the one of `epoch`. Whether it was taken; it may still be lost with the stream.
    pub fn push(&self, agent: &AgentId, epoch: Epoch, message: StreamResponse) -> bool {
        self.lock().get(agent).is_some_and(|e| e.epoch == epoch && e.down.try_send(message).is_ok())
    }

    /// Rung for each agent that connects.
    pub fn arrivals(&self) -> Arc<Notify> {
        self.arrivals.clone()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<AgentId, Entry>> {
        // The map is whole after every statement, so a panic elsewhere leaves nothing half done.
        self.agents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    /// What others want to be sent on the stream; once. Whoever takes it has welcomed the agent.
    pub fn messages(&mut self) -> Option<mpsc::Receiver<StreamResponse>> {
        self.registry.arrivals.notify_one();
        self.down.take()
    }

    /// The number of its stream.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Notes that the agent came with a certificate that is good until then.
    pub fn identified(&self, until: Timestamp) {
        if let Some(entry) = self.registry.lock().get_mut(&self.agent).filter(|e| e.epoch == self.epoch) {
            entry.certificate = Some(until);
        }
    }

    /// Ends when somebody says that the agent no longer belongs here.
    pub async fn cut_off(&self) {
        self.cut.cancelled().await;
    }

    /// Ends when a newer stream of the same agent takes over.
    pub async fn fenced(&self) {
        self.fence.cancelled().await;
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut agents = self.registry.lock();
        if agents.get(&self.agent).is_some_and(|e| e.epoch == self.epoch) {
            agents.remove(&self.agent);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Timestamp = Timestamp::from_secs(100);

    fn agent() -> AgentId {
        AgentId::new("dc1").unwrap()
    }

    #[test]
    fn a_newer_connection_fences_the_older_and_outlives_it() {
        let registry = Registry::default();
        let older = registry.connect(&agent(), Epoch(1), T);
        let newer = registry.connect(&agent(), Epoch(2), Timestamp::from_secs(200));
        assert!(older.fence.is_cancelled() && !newer.fence.is_cancelled());
        drop(older);
        assert_eq!(registry.connected_since(&agent()), Some(Timestamp::from_secs(200)));
        drop(newer);
        assert_eq!(registry.connected_since(&agent()), None);
    }

    #[test]
    fn a_connection_that_is_cut_is_told_so_and_others_are_not() {
        let registry = Registry::default();
        let one = registry.connect(&agent(), Epoch(1), T);
        let other = registry.connect(&AgentId::new("dc2").unwrap(), Epoch(1), T);
        one.identified(Timestamp::from_secs(300));
        assert_eq!(registry.certificate(&agent()), Some(Some(Timestamp::from_secs(300))));
        assert!(registry.cut(&agent()) && !registry.cut(&AgentId::new("dc3").unwrap()));
        assert!(one.cut.is_cancelled() && !other.cut.is_cancelled());
    }

    #[test]
    fn a_hello_that_was_overtaken_fences_itself() {
        let registry = Registry::default();
        let newer = registry.connect(&agent(), Epoch(2), T);
        let overtaken = registry.connect(&agent(), Epoch(1), T);
        assert!(overtaken.fence.is_cancelled() && !newer.fence.is_cancelled());
    }
}
