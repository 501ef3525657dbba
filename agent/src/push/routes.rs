//! The paths that BMCs post to: one for each target, with a token that only its BMC is told.

use outband_schemas::TargetId;
use rand::{CryptoRng, RngExt};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use subtle::ConstantTimeEq;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// The path of every destination begins so.
const ROOM: &str = "/redfish-events/";
/// Posts of one BMC that wait to be read.
const WAITING: usize = 64;
/// Posts of one BMC that are taken at once, and each second after that.
const BURST: f64 = 60.0;
const PER_SECOND: f64 = 2.0;

/// What becomes of a post.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Taken,
    NoRoom,
}

/// Something at the door.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Post {
    Body(Vec<u8>),
    /// A post that could not be taken.
    Knock,
}

/// Where one target's posts go.
#[derive(Debug)]
pub(super) struct Route {
    token: String,
    posts: mpsc::Sender<Post>,
    allowance: Mutex<Allowance>,
}

#[derive(Debug)]
struct Allowance {
    left: f64,
    at: Instant,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Routes {
    targets: Mutex<HashMap<String, Arc<Route>>>,
}

impl Routes {
    /// A new path for a target, in place of the one it had, and what comes there.
    pub(super) fn open(&self, target: &TargetId, rng: &mut impl CryptoRng) -> (String, mpsc::Receiver<Post>) {
        let token = token(rng);
        let (posts, inbox) = mpsc::channel(WAITING);
        let path = format!("{}{token}", prefix(target));
        let allowance = Mutex::new(Allowance { left: BURST, at: Instant::now() });
        self.lock().insert(target.to_string(), Arc::new(Route { token, posts, allowance }));
        (path, inbox)
    }

    /// Closes a target's path, if it is still this one.
    pub(super) fn close(&self, target: &TargetId, path: &str) {
        let mut targets = self.lock();
        if targets.get(target.as_str()).is_some_and(|route| path.ends_with(&route.token)) {
            targets.remove(target.as_str());
        }
    }

    /// The route of a path. How long that takes says nothing of how much of a token is right.
    pub(super) fn find(&self, path: &str) -> Option<Arc<Route>> {
        let (target, token) = path.strip_prefix(ROOM)?.split_once('/')?;
        let route = self.lock().get(target).cloned()?;
        bool::from(route.token.as_bytes().ct_eq(token.as_bytes())).then_some(route)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Route>>> {
        self.targets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Route {
    /// Whether another post may come now.
    pub(super) fn allows(&self) -> bool {
        self.allowance.lock().unwrap_or_else(PoisonError::into_inner).take(Instant::now())
    }

    /// Hands a post on, without waiting.
    pub(super) fn take(&self, body: Vec<u8>) -> Verdict {
        match self.posts.try_send(Post::Body(body)) {
            Ok(()) => Verdict::Taken,
            Err(_) => Verdict::NoRoom,
        }
    }

    /// Says that there was something.
    pub(super) fn knock(&self) {
        if self.posts.try_send(Post::Knock).is_err() {
            tracing::debug!("there is more at the door than can be heard");
        }
    }
}

impl Allowance {
    fn take(&mut self, now: Instant) -> bool {
        let since = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + since * PER_SECOND).min(BURST);
        self.at = now;
        let may = self.left >= 1.0;
        if may {
            self.left -= 1.0;
        }
        may
    }
}

/// The part of a target's path that does not change from run to run.
pub(super) fn prefix(target: &TargetId) -> String {
    format!("{ROOM}{target}/")
}

/// 160 bits in hex.
fn token(rng: &mut impl CryptoRng) -> String {
    let bits: [u8; 20] = rng.random();
    bits.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;
    use std::time::Duration;

    fn target(name: &str) -> TargetId {
        TargetId::new(name).unwrap()
    }

    #[test]
    fn only_the_whole_path_of_a_target_leads_to_it() {
        let (routes, mut rng) = (Routes::default(), StdRng::seed_from_u64(1));
        let (path, mut inbox) = routes.open(&target("bmc1"), &mut rng);
        let (other, _other) = routes.open(&target("bmc2"), &mut rng);
        assert_eq!(routes.find(&path).unwrap().take(b"x".to_vec()), Verdict::Taken);
        assert_eq!(inbox.try_recv(), Ok(Post::Body(b"x".to_vec())));
        let token = other.rsplit('/').next().unwrap();
        let mut cut = path.clone();
        cut.pop();
        for wrong in [
            format!("/redfish-events/bmc1/{token}"),
            cut,
            format!("{path}0"),
            "/redfish-events/bmc1/".to_owned(),
            "/".to_owned(),
        ] {
            assert!(routes.find(&wrong).is_none(), "{wrong}");
        }
        routes.close(&target("bmc1"), &other);
        assert!(routes.find(&path).is_some(), "another path than this one");
        routes.close(&target("bmc1"), &path);
        assert!(routes.find(&path).is_none());
    }

    #[test]
    fn a_new_path_is_another_path() {
        let (routes, mut rng) = (Routes::default(), StdRng::seed_from_u64(1));
        let (old, _old) = routes.open(&target("bmc1"), &mut rng);
        let (new, _new) = routes.open(&target("bmc1"), &mut rng);
        assert!(routes.find(&old).is_none() && routes.find(&new).is_some());
        assert!(new.len() >= prefix(&target("bmc1")).len() + 40);
    }

    #[test]
    fn a_flood_is_refused_and_ends() {
        let now = Instant::now();
        let mut allowance = Allowance { left: BURST, at: now };
        let taken = (0..1000).filter(|_| allowance.take(now)).count();
        assert_eq!(taken, 60);
        assert!(allowance.take(now + Duration::from_secs(1)));
    }

    #[test]
    fn posts_that_nobody_reads_do_not_pile_up() {
        let (routes, mut rng) = (Routes::default(), StdRng::seed_from_u64(1));
        let (path, _inbox) = routes.open(&target("bmc1"), &mut rng);
        let route = routes.find(&path).unwrap();
        let taken = (0..1000).filter(|_| route.take(Vec::new()) == Verdict::Taken).count();
        assert_eq!(taken, WAITING);
    }
}
