use super::*;
use std::os::unix::fs::PermissionsExt;

fn fixture() -> (tempfile::TempDir, DataDir) {
    let tmp = tempfile::tempdir().unwrap();
    let dir = DataDir::open(tmp.path().join("d")).unwrap();
    (tmp, dir)
}

fn read(dir: &DataDir, role: Role) -> String {
    dir.read(&role.token_file()).unwrap().unwrap().trim().to_owned()
}

#[test]
fn the_first_start_makes_one_token_a_role_and_later_starts_keep_them() {
    let (_tmp, dir) = fixture();
    Tokens::load_or_make(&dir).unwrap();
    let first = Role::FIRST.map(|r| read(&dir, r));
    let tokens = Tokens::load_or_make(&dir).unwrap();
    assert_eq!(first, Role::FIRST.map(|r| read(&dir, r)));
    for (text, role) in first.iter().zip(Role::FIRST) {
        assert_eq!(tokens.find(text).map(|p| p.role), Some(role));
    }
    assert_ne!(first[0], first[1]);
}

#[test]
fn token_files_are_closed_to_others() {
    let (_tmp, dir) = fixture();
    Tokens::load_or_make(&dir).unwrap();
    let (_, made) = make(&dir, Role::Operator, "li").unwrap();
    for path in [dir.path("agent.token"), dir.path("operator.token"), made] {
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
    }
}

#[test]
fn a_near_miss_is_nobodys_token() {
    let (_tmp, dir) = fixture();
    let tokens = Tokens::load_or_make(&dir).unwrap();
    let text = read(&dir, Role::Agent);
    assert!(tokens.find(&text[..text.len() - 1]).is_none());
    assert!(tokens.find("").is_none());
}

#[test]
fn a_further_token_is_kept_as_a_digest_and_dies_with_its_file() {
    let (_tmp, dir) = fixture();
    let (token, path) = make(&dir, Role::Operator, "li").unwrap();
    assert!(!fs::read_to_string(&path).unwrap().contains(token.reveal()));
    let found = Tokens::load_or_make(&dir).unwrap().find(token.reveal()).cloned();
    assert_eq!(
        found,
        Some(Principal {
            role: Role::Operator,
            name: "li".to_owned(),
            shared: false,
            sites: BTreeSet::new(),
            customers: BTreeSet::new(),
            only: None
        })
    );
    assert!(matches!(make(&dir, Role::Operator, "li"), Err(Error::Exists { .. })));
    fs::remove_file(&path).unwrap();
    assert!(Tokens::load_or_make(&dir).unwrap().find(token.reveal()).is_none());
}

#[test]
fn an_agents_own_token_speaks_for_no_other_agent() {
    let own = Principal {
        role: Role::Agent,
        name: "dc1".to_owned(),
        shared: false,
        sites: BTreeSet::new(),
        customers: BTreeSet::new(),
        only: None,
    };
    assert!(own.speaks_for(&AgentId::new("dc1").unwrap()));
    assert!(!own.speaks_for(&AgentId::new("dc2").unwrap()));
    assert!(Principal { shared: true, ..own }.speaks_for(&AgentId::new("dc2").unwrap()));
}

#[test]
fn a_name_that_would_leave_the_directory_is_refused() {
    let (_tmp, dir) = fixture();
    assert!(matches!(make(&dir, Role::Agent, "../x"), Err(Error::Name(_))));
    assert!(matches!(make(&dir, Role::Agent, "a.b"), Err(Error::Name(_))));
}

#[test]
fn a_damaged_digest_is_named_rather_than_passed_over() {
    let (_tmp, dir) = fixture();
    let (_, path) = make(&dir, Role::Agent, "dc1").unwrap();
    fs::write(&path, "sha256:zz").unwrap();
    assert!(Tokens::load_or_make(&dir).unwrap_err().to_string().contains("agent.dc1"));
}

#[test]
fn a_customers_token_says_what_it_may_see_and_others_have_no_such_list() {
    let (_tmp, dir) = fixture();
    let sites = BTreeSet::from([SiteId::new("dc1").unwrap(), SiteId::new("dc2").unwrap()]);
    let (token, _) = make_for(&dir, Role::Customer, "acme", &sites).unwrap();
    let tokens = Tokens::load_or_make(&dir).unwrap();
    let acme = tokens.find(token.reveal()).unwrap();
    assert_eq!(acme.sites, sites);
    assert!(acme.is_limited());
    assert!(matches!(make(&dir, Role::Customer, "b"), Err(Error::Limits { .. })));
    assert!(matches!(make_for(&dir, Role::Agent, "c", &sites), Err(Error::Limits { .. })));
}

#[test]
fn any_token_but_an_agents_can_be_limited_to_customers_and_sites() {
    let (_tmp, dir) = fixture();
    let sites = BTreeSet::from([SiteId::new("dc1").unwrap()]);
    let limits = Limits { sites, customers: BTreeSet::from(["Acme Ltd: Ops".to_owned()]) };
    let (token, path) = make_limited(&dir, Role::Engineer, "li", &limits).unwrap();
    let tokens = Tokens::load_or_make(&dir).unwrap();
    let li = tokens.find(token.reveal()).unwrap();
    assert_eq!((&li.sites, &li.customers), (&limits.sites, &limits.customers));
    fs::write(&path, fs::read_to_string(&path).unwrap() + "rack:7\n").unwrap();
    assert!(Tokens::load_or_make(&dir).is_err(), "a limit that is not understood is not passed over");
    let broken = Limits { customers: BTreeSet::from(["a\nsite:b".to_owned()]), ..Limits::default() };
    assert!(matches!(make_limited(&dir, Role::Viewer, "x", &broken), Err(Error::Customer(_))));
}

#[test]
fn whoever_is_not_limited_sees_everything_but_a_customer_is_always_limited() {
    for role in Role::ALL {
        let principal = Principal {
            role,
            name: "x".to_owned(),
            shared: false,
            sites: BTreeSet::new(),
            customers: BTreeSet::new(),
            only: None,
        };
        assert_eq!(principal.is_limited(), role == Role::Customer, "{role}");
    }
}
