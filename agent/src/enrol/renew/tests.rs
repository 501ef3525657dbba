use super::*;
use crate::enrol::identity::tests::identity;
use outband_schemas::enrol::BACKDATED;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use rcgen::{CertificateParams, CertificateSigningRequestParams, Issuer, KeyPair};
use std::cell::Cell;
use std::path::PathBuf;
use std::sync::Mutex;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const WEEK: Duration = Duration::from_secs(7 * 86_400);

/// Certifies for a week, unless it is out of order; notes when it was asked.
#[derive(Default)]
struct Collector {
    now: Mutex<Option<Timestamp>>,
    works: bool,
    /// Another agent's name in what it issues.
    mistaken: bool,
    asked: Mutex<Vec<Timestamp>>,
}

impl Certify for &Collector {
    async fn certify(&self, _: &Options, csr: Vec<u8>) -> Result<String, Error> {
        let now = self.now.lock().unwrap().unwrap();
        self.asked.lock().unwrap().push(now);
        if !self.works {
            return Err(Error::Late);
        }
        let mut request = CertificateSigningRequestParams::from_der(&csr.into()).unwrap();
        let calendar =
            |at: Timestamp| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(at.as_secs().unsigned_abs());
        let uri = if self.mistaken { "outband://dc1/agents/a2" } else { "outband://dc1/agents/a1" };
        request.params.subject_alt_names = vec![rcgen::SanType::URI(uri.try_into().unwrap())];
        request.params.not_before = calendar(now.minus(BACKDATED));
        request.params.not_after = calendar(now.plus(WEEK));
        let issuer = Issuer::new(CertificateParams::default(), KeyPair::generate().unwrap());
        Ok(request.signed_by(&issuer).unwrap().pem())
    }
}

/// An agent with a certificate of a week that was issued now.
struct Agent {
    _tmp: tempfile::TempDir,
    file: PathBuf,
    options: Options,
    renewed: Cell<usize>,
}

impl Agent {
    fn new() -> Self {
        let tmp = tempfile::tempdir().unwrap();
        let file = tmp.path().join("identity.pem");
        identity::write(&file, &identity(NOW, WEEK).pem, true).unwrap();
        let credential = Credential::Identity { file: file.clone(), renewed: 0 };
        let options = Options { endpoints: Vec::new(), ca_file: "ca.pem".into(), credential, server_name: None };
        Self { _tmp: tmp, file, options, renewed: Cell::new(0) }
    }

    /// Looks every minute for so long.
    async fn lives(&self, collector: &Collector, how_long: Duration) {
        let mut keeper = Keeper { certify: collector, rng: SmallRng::seed_from_u64(7), not_before: None };
        for minute in 0..how_long.as_secs() / 60 {
            let now = NOW.plus(Duration::from_secs(60 * minute));
            *collector.now.lock().unwrap() = Some(now);
            if keeper.look(&self.options, now).await {
                self.renewed.set(self.renewed.get() + 1);
            }
        }
    }
}

#[tokio::test]
async fn a_certificate_is_renewed_at_half_of_its_life_and_so_is_the_next() {
    let (agent, collector) = (Agent::new(), Collector { works: true, ..Collector::default() });
    let before = Identity::read(&agent.file).unwrap();
    agent.lives(&collector, WEEK + Duration::from_secs(60)).await;
    assert_eq!(*collector.asked.lock().unwrap(), [NOW.plus(WEEK / 2), NOW.plus(WEEK)]);
    assert_eq!(agent.renewed.get(), 2);
    let after = Identity::read(&agent.file).unwrap();
    assert_ne!(before.pem, after.pem);
    assert_eq!(after.not_after, NOW.plus(2 * WEEK));
}

#[tokio::test]
async fn what_cannot_be_renewed_is_tried_some_dozens_of_times_and_stays_as_it_is() {
    let (agent, collector) = (Agent::new(), Collector::default());
    let before = Identity::read(&agent.file).unwrap();
    agent.lives(&collector, WEEK).await;
    let asked = collector.asked.lock().unwrap().len();
    assert!((20..=70).contains(&asked), "{asked}");
    assert_eq!((agent.renewed.get(), Identity::read(&agent.file).unwrap().pem), (0, before.pem));
}

#[tokio::test]
async fn a_certificate_of_another_agent_is_not_taken() {
    let (agent, collector) = (Agent::new(), Collector { works: true, mistaken: true, ..Collector::default() });
    let before = Identity::read(&agent.file).unwrap();
    agent.lives(&collector, WEEK).await;
    assert_eq!((agent.renewed.get(), Identity::read(&agent.file).unwrap().pem), (0, before.pem));
}
