use super::*;
use outband_schemas::{Identity, ServerId, SiteId};
use outband_store::SqliteStore;
use outband_store::sqlite::Options;
use outband_ticket::{Allowance, Priority, Target};

const EXAMPLE: &str = include_str!("../../../deploy/service.toml");

fn server(serial: &str, site: &str) -> ServerRecord {
    let at = Timestamp::EPOCH;
    ServerRecord {
        id: ServerId::new("s1").unwrap(),
        site: SiteId::new(site).unwrap(),
        identity: Identity { serial: Some(serial.to_owned()), ..Identity::default() },
        targets: Vec::new(),
        first_seen: at,
        last_seen: at,
        merged_into: None,
        rev: 1,
    }
}

fn contract(body: &str) -> String {
    format!("customers.a.name = 'A'\npackages.gold.clocks = []\npackages.nbd.clocks = []\n{body}")
}

#[test]
fn the_example_that_is_shipped_can_be_used_and_promises_what_its_packages_are_named_after() {
    let service = Service::parse(EXAMPLE).unwrap();
    let allowed = |package: &str, target: Target, priority| {
        let policy = service.packages[package].policy(package).unwrap();
        policy.clock(&target).and_then(|c| c.targets.get(&priority)).map(|term| term.allowance.to_string())
    };
    assert_eq!(allowed("platinum", Target::RESPOND, Priority::P1).as_deref(), Some("5 min"));
    assert_eq!(allowed("platinum", Target::LOCATE, Priority::P1).as_deref(), Some("15 min"));
    assert_eq!(allowed("platinum", Target::REPAIR, Priority::P1).as_deref(), Some("1 h"));
    assert_eq!(allowed("platinum", Target::UPDATE_CADENCE, Priority::P1).as_deref(), Some("15 min"));
    assert_eq!(allowed("gold", Target::ONSITE, Priority::P1).as_deref(), Some("4 h"));
    assert_eq!(allowed("silver", Target::ONSITE, Priority::P2).as_deref(), Some("next business day"));
    assert_eq!(service.packages.len(), 4);
}

#[test]
fn a_serial_counts_more_than_a_site_and_a_site_more_than_the_customer() {
    let text = contract(
        "[contracts.all]\ncustomer='a'\npackage='nbd'\nfrom='2026-01-01'\nuntil='2026-12-31'
         [contracts.site]\ncustomer='a'\npackage='nbd'\nfrom='2026-01-01'\nuntil='2026-12-31'\nsites=['dc1']
         [contracts.one]\ncustomer='a'\npackage='gold'\nfrom='2026-01-01'\nuntil='2026-12-31'\nserials=['X1']",
    );
    let service = Service::parse(&text).unwrap();
    let at = "2026-12-31T23:59:59Z".parse().unwrap();
    let of = |serial, site, customer| {
        let found = service.covering(&server(serial, site), customer, at)?;
        service.contracts.iter().find(|(_, c)| *c == found).map(|(name, _)| name.as_str())
    };
    assert_eq!(of("X1", "dc1", Some("a")), Some("one"));
    assert_eq!(of("X2", "dc1", Some("a")), Some("site"));
    assert_eq!(of("X2", "dc2", Some("a")), Some("all"));
    assert_eq!(of("X2", "dc2", Some("b")), None);
    let over = "2027-01-01T00:00:00Z".parse().unwrap();
    assert_eq!(service.covering(&server("X1", "dc1"), Some("a"), over), None);
}

#[test]
fn what_is_wrong_is_named() {
    for (body, what) in [
        ("[contracts.c]\ncustomer='b'\npackage='gold'\nfrom='2026-01-01'\nuntil='2026-12-31'", "no customer"),
        ("[contracts.c]\ncustomer='a'\npackage='tin'\nfrom='2026-01-01'\nuntil='2026-12-31'", "no package"),
        ("[contracts.c]\ncustomer='a'\npackage='gold'\nfrom='2026-02-30'\nuntil='2026-12-31'", "from and until"),
        ("[packages.x]\nclocks=[{name='respond',targets={P9='5m'}}]", "P9"),
        ("[packages.x]\nclocks=[{name='respond',targets={P1='soon'}}]", "soon"),
        ("[packages.x]\nclocks=[{name='respond',targets={},escalate=[{to=['a']}]}]", "exactly one"),
        ("[packages.default]\nclocks=[]", "default"),
    ] {
        let told = Service::parse(&contract(body)).unwrap_err();
        assert!(told.contains(what), "{told}");
    }
}

#[test]
fn an_edited_package_is_a_new_revision_and_the_same_again_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&Options::new(dir.path())).unwrap();
    let at = Timestamp::from_secs(1_800_000_000);
    let within = |time: &str| {
        let text = format!("[packages.gold]\nclocks=[{{name='respond',targets={{P1='{time}'}}}}]");
        let usual = SlaPolicy::default();
        let all = keep_revisions(&store, &usual, &Service::parse(&text).unwrap(), at).unwrap();
        all.into_iter().map(|(_, policy)| policy).filter(|policy| policy.name == "gold").collect::<Vec<_>>()
    };
    assert_eq!((within("5m").len(), within("5m").len(), within("10m").len(), within("10m").len()), (1, 1, 2, 2));
    let all = within("10m");
    assert_eq!(all.iter().map(|p| p.revision).collect::<Vec<_>>(), [1, 2]);
    let five = Allowance::Within(std::time::Duration::from_secs(300));
    assert_eq!(all[0].clocks[0].targets[&Priority::P1].allowance, five);
}

#[test]
fn a_zone_that_there_is_not_is_a_problem() {
    let good = "[customers.a]\nname = 'A'\nzone = 'Asia/Shanghai'\n[sites.dc1]\nzone = 'Europe/Berlin'\n";
    assert_eq!(Service::parse(good).unwrap().sites["dc1"].zone.as_deref(), Some("Europe/Berlin"));
    for wrong in [good.replace("Shanghai", "Nowhere"), good.replace("Berlin", "Nowhere")] {
        assert!(Service::parse(&wrong).unwrap_err().contains("Nowhere"));
    }
}
