use super::*;
use outband_bmc::{Address, CipherSuite, Trust};
use std::fs;
use std::os::unix::fs::PermissionsExt;

const PEM: &str = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";

const GOOD: &str = r#"
targets_csv = "more.csv"

[agent]
id = "a1"
site = "dc1"
data_dir = "data"

[collector]
endpoints = ["https://collector:7443"]
ca_file = "ca.pem"
token_file = "token"

[cadence]
sensors = "30s"

[credentials.root]
user = "root"
password_file = "pass"

[[targets]]
id = "bmc1"
url = "ipmi://10.0.0.1"
credentials = "root"
cipher = 3
cadence = { log = "5s" }

[[targets]]
id = "bmc2"
url = "https://10.0.0.2"
credentials = "root"
"#;

/// A directory with everything that [`GOOD`] names.
fn site() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    };
    put("ca.pem", PEM);
    put("token", "t0ken\n");
    put("pass", "hunter2\n");
    put("more.csv", "id,url,credentials\nbmc3,https://10.0.0.3,root\n");
    dir
}

fn check(dir: &tempfile::TempDir, text: &str) -> Result<Config, Vec<(Option<usize>, String, String)>> {
    let path = dir.path().join("agent.toml");
    read(&path, text, &Surroundings::default())
        .map_err(|e| e.problems.into_iter().map(|p| (p.line, p.field, p.message)).collect())
}

/// The one problem that replacing `from` by `to` in the good config makes.
fn problem(from: &str, to: &str) -> (Option<usize>, String, String) {
    assert!(GOOD.contains(from), "{from}");
    let mut problems = check(&site(), &GOOD.replacen(from, to, 1)).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems.remove(0)
}

#[test]
fn a_good_config_means_what_it_says() {
    let dir = site();
    let config = check(&dir, GOOD).unwrap();
    assert_eq!(config.data_dir, dir.path().join("data"));
    assert_eq!(config.targets.keys().map(|t| t.as_str()).collect::<Vec<_>>(), ["bmc1", "bmc2", "bmc3"]);
    let bmc1 = &config.targets[&TargetId::new("bmc1").unwrap()];
    assert_eq!(bmc1.target.address, Address::Ipmi { host: "10.0.0.1".into(), port: 623 });
    assert_eq!(bmc1.target.cipher, Some(CipherSuite::Three));
    assert_eq!(bmc1.target.credentials.password.expose(), "hunter2");
    assert_eq!((bmc1.cadence.sensors, bmc1.cadence.log), (Duration::from_secs(30), Duration::from_secs(5)));
    assert_eq!(config.targets[&TargetId::new("bmc2").unwrap()].target.trust, Trust::FirstUse);
}

#[test]
fn the_agents_own_server_needs_no_login_and_takes_nothing_of_a_network() {
    let dir = site();
    let local = |more: &str| format!("{GOOD}\n[[targets]]\nid = \"self\"\nurl = \"local://\"\n{more}");
    let config = check(&dir, &local("smartctl = \"/bin/sh\"")).unwrap();
    let own = &config.targets[&TargetId::new("self").unwrap()].target;
    let expected = Address::Local { device: "/dev/ipmi0".into(), smartctl: Some("/bin/sh".into()) };
    assert_eq!((&own.address, own.credentials.user.as_str()), (&expected, ""));
    for (field, value) in [
        ("credentials", "\"root\""),
        ("cipher", "17"),
        ("fingerprint", "\"00\""),
        ("push", "\"sse\""),
        ("smartctl", "\"smartctl\""),
        ("smartctl", "\"/nowhere/smartctl\""),
    ] {
        let problems = check(&dir, &local(&format!("{field} = {value}"))).unwrap_err();
        let fields: Vec<&str> = problems.iter().map(|p| p.1.as_str()).collect();
        assert_eq!(fields, [format!("targets[2].{field}")], "{problems:?}");
    }
    let (_, field, message) = problem("cipher = 3", "smartctl = \"/bin/sh\"");
    assert!(field == "targets[0].smartctl" && message.contains("local://"), "{field}: {message}");
    let (_, field, _) = problem("url = \"ipmi://10.0.0.1\"\ncredentials = \"root\"", "url = \"ipmi://10.0.0.1\"");
    assert_eq!(field, "targets[0].credentials");
}

#[test]
fn the_password_is_nowhere_in_what_debug_shows() {
    let dir = site();
    let shown = format!("{:?}", check(&dir, GOOD).unwrap());
    assert!(!shown.contains("hunter2") && !shown.contains("t0ken"));
}

#[test]
fn every_problem_is_listed_at_once_in_the_order_of_the_file() {
    let text = GOOD
        .replace("id = \"a1\"", "id = \"a 1\"\nname = \"x\"")
        .replace("sensors = \"30s\"", "sensors = 30")
        .replace("url = \"https://10.0.0.2\"", "url = \"http://10.0.0.2\"");
    let fields: Vec<String> = check(&site(), &text).unwrap_err().into_iter().map(|p| p.1).collect();
    assert_eq!(fields, ["agent.id", "agent.name", "cadence.sensors", "targets[1].url"]);
}

#[test]
fn a_problem_names_its_line_and_field() {
    let (line, field, message) = problem("cipher = 3", "cipher = 5");
    assert_eq!((line, field.as_str()), (Some(25), "targets[0].cipher"));
    assert!(message.contains("3 and 17"), "{message}");
    let (line, field, _) = problem("id = \"bmc2\"", "id = \"bmc1\"");
    assert_eq!((line, field.as_str()), (Some(29), "targets[1].id"));
}

#[test]
fn an_unknown_field_is_refused_and_the_known_ones_are_told() {
    let (_, field, message) = problem("user = \"root\"", "user = \"root\"\npasword = \"x\"");
    assert_eq!(field, "credentials.root.pasword");
    assert!(message.contains("password_file"), "{message}");
}

#[test]
fn a_missing_value_is_told_with_an_example() {
    let (_, field, message) = problem("site = \"dc1\"", "");
    assert_eq!(field, "agent.site");
    assert!(message.contains("site = "), "{message}");
}

#[test]
fn a_password_in_a_url_is_refused_and_not_repeated() {
    let (_, field, message) = problem("https://10.0.0.2", "https://root:calvin@10.0.0.2");
    assert_eq!(field, "targets[1].url");
    assert!(!message.contains("calvin"), "{message}");
}

#[test]
fn an_endpoint_without_tls_is_refused() {
    let (_, field, message) = problem("https://collector:7443", "http://collector:7443");
    assert_eq!(field, "collector.endpoints[0]");
    assert!(message.contains("in the clear"), "{message}");
}

#[test]
fn the_name_of_the_agents_own_host_is_taken() {
    assert_eq!(problem("id = \"bmc2\"", "id = \"agent\"").1, "targets[1].id");
}

#[test]
fn fields_of_the_other_protocol_are_refused() {
    assert_eq!(problem("cipher = 3", "ca_file = \"ca.pem\"").1, "targets[0].ca_file");
    assert_eq!(problem("id = \"bmc2\"", "id = \"bmc2\"\ncipher = 17").1, "targets[1].cipher");
}

#[test]
fn a_secret_that_others_may_read_is_a_problem_of_its_field() {
    let dir = site();
    fs::set_permissions(dir.path().join("pass"), fs::Permissions::from_mode(0o644)).unwrap();
    let problems = check(&dir, GOOD).unwrap_err();
    assert_eq!(problems[0].1, "credentials.root.password_file");
    assert!(problems[0].2.contains("chmod 600"));
}

#[test]
fn a_bad_row_of_the_csv_is_told_with_its_own_file_and_line() {
    let dir = site();
    fs::write(
        dir.path().join("more.csv"),
        "id,url,credentials,colour\nbmc3,https://h,root,red\nbmc1,ftp://h,nobody,\n",
    )
    .unwrap();
    let error = read(&dir.path().join("agent.toml"), GOOD, &Surroundings::default()).unwrap_err();
    let told: Vec<_> = error
        .problems
        .iter()
        .map(|p| (p.file.file_name().unwrap().to_str().unwrap(), p.line, p.field.as_str()))
        .collect();
    let csv = |line, field| ("more.csv", Some(line), field);
    assert_eq!(told, [csv(1, "colour"), csv(3, "credentials"), csv(3, "id"), csv(3, "url")]);
}

#[test]
fn text_that_is_no_toml_is_told_as_such_and_nothing_else_is() {
    let problems = check(&site(), "[agent]\nid = \n[x\n").unwrap_err();
    assert_eq!(problems.iter().map(|p| p.0).collect::<Vec<_>>(), [Some(2), Some(3)], "{problems:?}");
}

#[test]
fn lists_of_the_wrong_things_are_problems_and_not_panics() {
    for text in [
        "targets = 5",
        "targets = [1, \"x\", {}]",
        "credentials = []",
        "agent = []",
        "[collector]\nendpoints = [[], {}, 1]",
    ] {
        assert!(check(&site(), text).is_err(), "{text}");
    }
}

mod any_text {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_config_panics(cut in 0..GOOD.len(), at in 0..GOOD.len(), junk in "[\\[\\]{}=\"a-z0-9.,\n]{0,12}") {
            let mut text = GOOD.to_owned();
            text.insert_str(at, &junk);
            text.truncate(cut.max(1));
            let dir = site();
            // Whatever it finds, it ends; and it never finds a config with a problem good.
            prop_assert!(check(&dir, &text).is_ok() || !check(&dir, &text).unwrap_err().is_empty());
        }
    }
}

const SCHEMA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../schemas/json/agent.schema.json");

/// To renew it after a change: `OUTBAND_BLESS=1 cargo test -p outband-agent the_schema`.
#[test]
fn the_schema_in_the_tree_is_that_of_the_code() {
    let schema = serde_json::to_string_pretty(&file::schema()).unwrap() + "\n";
    if std::env::var_os("OUTBAND_BLESS").is_some() {
        fs::create_dir_all(Path::new(SCHEMA).parent().unwrap()).unwrap();
        fs::write(SCHEMA, &schema).unwrap();
    }
    let kept = fs::read_to_string(SCHEMA).unwrap_or_default();
    assert!(kept == schema, "the config changed: renew schemas/json/agent.schema.json");
}

#[test]
fn push_needs_no_config_and_its_listener_is_off_unless_it_is_wanted() {
    let dir = site();
    let config = check(&dir, GOOD).unwrap();
    assert_eq!(config.push, Push { stream: true, log: Duration::from_secs(600), listener: None });
    assert!(config.targets.values().all(|t| t.push == PushMode::Auto));
    let text = GOOD.replace("[cadence]", "[push]\nlisten = \"[::]:7443\"\nurl = \"https://10.0.0.5:7443/\"\n[cadence]");
    let listener = check(&dir, &text).unwrap().push.listener.unwrap();
    assert_eq!((listener.at.port(), listener.url.as_str(), listener.identity), (7443, "https://10.0.0.5:7443", None));
}

#[test]
fn every_mistake_about_push_is_named() {
    let dir = site();
    let push = "[push]\nlog = \"soon\"\nlisten = \"here\"\nurl = \"https://a/b\"\ncert_file = \"ca.pem\"\n[cadence]";
    let text = GOOD.replace("[cadence]", push).replace("cipher = 3", "cipher = 3\npush = \"sometimes\"");
    let fields: Vec<String> = check(&dir, &text).unwrap_err().into_iter().map(|(_, field, _)| field).collect();
    assert_eq!(fields, ["push.key_file", "push.log", "push.listen", "push.url", "targets[0].push"]);
    let half = GOOD.replace("[cadence]", "[push]\nlisten = \"0.0.0.0:1\"\n[cadence]");
    assert_eq!(check(&dir, &half).unwrap_err()[0].1, "push.url");
}

#[test]
fn the_listeners_key_is_for_its_owner_alone() {
    let dir = site();
    let key = dir.path().join("key.pem");
    fs::write(&key, "x").unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let push = "[push]\nlisten = \"0.0.0.0:1\"\nurl = \"https://a\"\ncert_file = \"ca.pem\"\nkey_file = \"key.pem\"\n[cadence]";
    let problems = check(&dir, &GOOD.replace("[cadence]", push)).unwrap_err();
    assert_eq!((problems.len(), problems[0].1.as_str()), (1, "push.key_file"));
    assert!(problems[0].2.contains("chmod 600"), "{problems:?}");
}

#[test]
fn a_weak_session_is_allowed_by_name_and_told() {
    for (named, weak) in [("17", None), ("16", Some("not encrypted")), ("\"1.5-md5\"", Some("broken hash"))] {
        let config = check(&site(), &GOOD.replace("cipher = 3", &format!("cipher = {named}"))).unwrap();
        let target = config.targets.values().next().unwrap();
        assert_eq!(target.target.cipher.unwrap().to_string(), named.trim_matches('"'));
        let told = target.weakness();
        assert_eq!(told.is_some(), weak.is_some(), "{told:?}");
        assert!(weak.is_none_or(|words| told.unwrap().contains(words)));
    }
    assert!(problem("cipher = 3", "cipher = \"md5\"").2.contains("1.5-md5"));
    assert!(problem("cipher = 3", "cipher = 300").2.contains("a cipher suite"));
}
