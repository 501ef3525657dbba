use super::*;

const SCHEMA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../schemas/json/collector.schema.json");
const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/collector.toml");

fn problems(text: &str) -> Vec<String> {
    Config::parse(text).err().map(|p| p.0.into_iter().map(|p| p.at).collect()).unwrap_or_default()
}

#[test]
fn an_empty_file_is_the_default_and_listens_on_the_loopback_only() {
    let config = Config::parse("").unwrap();
    assert_eq!(config, Config::default());
    assert!(config.listen.agents.ip().is_loopback() && config.listen.operators.ip().is_loopback());
}

#[test]
fn all_problems_are_found_in_one_run() {
    let found = problems(
        "[listen]\nagents = 'here'\nport = 1\n[data]\ndir = 'rel'\n[tls]\nserver_names = ['https://x']\n[sla]\ntimezone = 'Mars/X'\n[reteniton]\n",
    );
    for at in ["listen.agents", "listen.port", "data.dir", "tls.server_names[0]", "sla", "reteniton"] {
        assert!(found.iter().any(|f| f == at), "{at} is not among {found:?}");
    }
}

#[test]
fn one_address_cannot_serve_both() {
    assert_eq!(problems("[listen]\nagents = '127.0.0.1:1'\noperators = '127.0.0.1:1'"), ["listen.operators"]);
    assert!(problems("[listen]\nagents = '127.0.0.1:0'\noperators = '127.0.0.1:0'").is_empty());
}

#[test]
fn the_default_reads_back_from_its_own_text() {
    let text = toml::to_string(&Config::default()).unwrap();
    assert_eq!(Config::parse(&text).unwrap(), Config::default());
}

/// To renew it after a change: `OUTBAND_BLESS=1 cargo test -p outband-collector the_schema`.
#[test]
fn the_schema_in_the_tree_is_that_of_the_code() {
    let schema = serde_json::to_string_pretty(&Config::schema()).unwrap() + "\n";
    if std::env::var_os("OUTBAND_BLESS").is_some() {
        fs::create_dir_all(Path::new(SCHEMA).parent().unwrap()).unwrap();
        fs::write(SCHEMA, &schema).unwrap();
    }
    let kept = fs::read_to_string(SCHEMA).unwrap_or_default();
    assert!(kept == schema, "the config changed: renew schemas/json/collector.schema.json");
}

#[test]
fn the_example_in_deploy_is_right() {
    let text = fs::read_to_string(EXAMPLE).unwrap();
    Config::parse(&text).unwrap_or_else(|p| panic!("deploy/collector.toml:{p}"));
}

/// The example shows every field commented out with its default: taking the `#` away must give a config that can be read.
#[test]
fn the_example_with_every_comment_taken_away_is_right_too() {
    let text = fs::read_to_string(EXAMPLE).unwrap();
    let uncommented: String = text
        .lines()
        .map(|line| line.strip_prefix('#').filter(|l| !l.starts_with(' ')).unwrap_or(line))
        .flat_map(|line| [line, "\n"])
        .collect();
    Config::parse(&uncommented).unwrap_or_else(|p| panic!("deploy/collector.toml, uncommented:{p}"));
}

/// Every field of the config stands in the example, so that nobody has to read the code to find one.
#[test]
fn the_example_shows_every_field() {
    let text = fs::read_to_string(EXAMPLE).unwrap();
    let default = serde_json::to_value(Config::default()).unwrap();
    let mut missing = Vec::new();
    look_for_leaves(&default, "", &text, &mut missing);
    assert!(missing.is_empty(), "deploy/collector.toml does not show {missing:?}");
}

fn look_for_leaves(value: &serde_json::Value, at: &str, text: &str, missing: &mut Vec<String>) {
    for (key, inner) in value.as_object().into_iter().flatten() {
        let path = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
        match inner {
            serde_json::Value::Object(fields) if !fields.is_empty() => look_for_leaves(inner, &path, text, missing),
            // A table whose keys the user chooses.
            _ if at.is_empty() && text.contains(&format!("\n[{key}]\n")) => {}
            _ => {
                let section = text.split("\n[").find(|s| s.starts_with(&format!("{at}]")));
                let shown = |s: &str| s.contains(&format!("{key} =")) || s.contains(&format!("{path}."));
                if !section.is_some_and(shown) {
                    missing.push(path);
                }
            }
        }
    }
}
