//! Forgetting the drives of erased servers.

use super::*;

impl Disks {
    /// Forgets the drives that are, or were last, in these servers, and those under these keys; keeps nothing of them either.
    pub(in crate::assess) fn forget(
        &self,
        store: &impl Drives,
        servers: &BTreeSet<&ServerId>,
        keys: &BTreeSet<&String>,
    ) -> Result<(), StoreError> {
        let mut inner = self.lock();
        let theirs = |key: &String, held: &Held| {
            held.record.server().is_some_and(|server| servers.contains(server)) || keys.contains(&key)
        };
        let gone: BTreeSet<String> =
            inner.drives.iter().filter(|(key, held)| theirs(key, held)).map(|(key, _)| key.clone()).collect();
        for key in &gone {
            inner.drop_drive(key);
            inner.failed.remove(key);
            inner.taken.remove(key);
            if let Some(watch) = &mut inner.fleet.watch {
                watch.gone(key);
            }
        }
        inner.moved.retain(|key| !gone.contains(key));
        inner.fleet.waiting.retain(|waiting| !gone.contains(&waiting.key));
        // Whose they are cannot be seen from them; they are found out again within days.
        inner.fleet.shared.clear();
        inner.gone.extend(gone);
        let fleet = std::mem::take(&mut inner.fleet);
        let kept = inner.keep(store, &[], Some(&fleet));
        inner.fleet = fleet;
        kept
    }
}
