//! A Redfish service that lies, hangs, forgets its sessions or shows another certificate: the client tells of it and goes on.

#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]

use outband_bmc::client::Bmc;
use outband_bmc::{ConnectError, Credentials, Fingerprint, Polled, Rung, Secret, Target, Trust};
use outband_schemas::{
    Cause, Clock, Gap, LogEvent, Observation, Quality, Reading, Section, SensorKind, Suspicion, Timestamp, Value,
};
use outband_tests::sim::machine::{Happening, Machine, Shared, Spec};
use outband_tests::sim::redfish_bmc::{Fault, Login, Misdeed, Options, RedfishServer, Service, Where};
use std::time::Duration;
use tokio::runtime::Runtime;

const USER: &str = "operator";
const PASSWORD: &str = "correct horse";

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(1_800_000_000)
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn machine() -> Shared {
    Shared::new(Machine::new(Spec::new("r1-u01", "NG0000018", 18), Vec::new()), 1.0)
}

async fn serve(faults: Vec<Fault>) -> Service {
    let login = Some(Login { user: USER.to_owned(), password: PASSWORD.to_owned() });
    RedfishServer::serve(machine(), Options { login, faults, ..Options::default() }).await.unwrap()
}

fn target(service: &Service, trust: Trust) -> Target {
    Target {
        address: service.url().parse().unwrap(),
        credentials: Credentials::new(USER, Secret::new(PASSWORD)),
        cipher: None,
        trust,
        request_deadline: Duration::from_millis(700),
    }
}

async fn connect(service: &Service) -> Bmc {
    Bmc::connect(&target(service, Trust::FirstUse)).await.unwrap()
}

async fn refused(target: &Target) -> ConnectError {
    Bmc::connect(target).await.unwrap_err()
}

fn gaps(polled: &Polled) -> Vec<&Gap> {
    polled.observations.iter().filter_map(|o| if let Observation::Gap(g) = o { Some(g) } else { None }).collect()
}

fn readings(polled: &Polled, kind: SensorKind) -> Vec<&Reading> {
    let readings =
        polled.observations.iter().filter_map(|o| if let Observation::Reading(r) = o { Some(r) } else { None });
    readings.filter(|r| r.kind == kind).collect()
}

fn events(polled: &Polled) -> Vec<&LogEvent> {
    polled.observations.iter().filter_map(|o| if let Observation::Event(e) = o { Some(e) } else { None }).collect()
}

const THERMAL: &str = "/redfish/v1/Chassis/1/Thermal";
const POWER: &str = "/redfish/v1/Chassis/1/Power";

#[test]
fn a_session_is_opened_once_used_throughout_and_deleted_on_close() {
    runtime().block_on(async {
        let service = serve(Vec::new()).await;
        let mut bmc = connect(&service).await;
        for section in Section::OF_BMC {
            let polled = bmc.poll(section, None, &Fixed).await.unwrap();
            // What is put off to a later poll is told so.
            let lost: Vec<_> = gaps(&polled).into_iter().filter(|g| g.cause != Cause::Cancelled).collect();
            assert!(lost.is_empty(), "{lost:?}");
            if section == Section::Drives {
                let smart = [SensorKind::ReallocatedSectors, SensorKind::LifeLeft, SensorKind::PowerOnHours];
                let told = smart.map(|kind| readings(&polled, kind).len());
                assert!(told.iter().all(|n| *n > 0), "{told:?}");
            }
        }
        assert_eq!(service.open_sessions(), 1);
        bmc.close().await.unwrap();
        assert_eq!(service.open_sessions(), 0);
        let logins = service.requests().iter().filter(|r| r.starts_with("POST")).count();
        assert_eq!(logins, 1, "{:?}", service.requests());
    });
}

#[test]
fn a_resource_that_fails_in_whatever_way_is_a_gap_and_the_rest_is_told() {
    let misdeeds = [
        (Misdeed::Html(200), Cause::BmcError),
        (Misdeed::Html(504), Cause::BmcError),
        (Misdeed::TruncatedJson, Cause::Malformed),
        (Misdeed::Status(503), Cause::Busy),
        (Misdeed::Status(500), Cause::BmcError),
        (Misdeed::Status(403), Cause::Denied),
        (Misdeed::Hang, Cause::Timeout),
        (Misdeed::BrokenOff, Cause::Unreachable),
        (Misdeed::Body("[1, 2]".into()), Cause::Malformed),
        (Misdeed::Body("".into()), Cause::Malformed),
    ];
    runtime().block_on(async {
        for (misdeed, cause) in misdeeds {
            let service = serve(Vec::new()).await;
            let mut bmc = connect(&service).await;
            service.set_faults(vec![Fault::always(Where::At(THERMAL.to_owned()), misdeed.clone())]);
            let polled = bmc.poll(Section::Sensors, None, &Fixed).await.unwrap();
            let gaps = gaps(&polled);
            assert_eq!(gaps.len(), 1, "{misdeed:?}: {gaps:?}");
            assert_eq!((gaps[0].cause, gaps[0].source.0.as_str()), (cause, THERMAL), "{misdeed:?}: {gaps:?}");
            assert_eq!(
                readings(&polled, SensorKind::InputVoltage).len(),
                2,
                "{misdeed:?}: the power supplies are told all the same"
            );
            service.set_faults(Vec::new());
            let polled = bmc.poll(Section::Sensors, None, &Fixed).await.unwrap();
            assert!(!readings(&polled, SensorKind::Temperature).is_empty(), "{misdeed:?}: told again when it is over");
        }
    });
}

#[test]
fn a_busy_bmc_is_asked_again() {
    runtime().block_on(async {
        let service = serve(Vec::new()).await;
        let mut bmc = connect(&service).await;
        service.set_faults(vec![Fault::first(1, Where::At(THERMAL.to_owned()), Misdeed::Status(503))]);
        let polled = bmc.poll(Section::Sensors, None, &Fixed).await.unwrap();
        assert!(gaps(&polled).is_empty(), "{:?}", gaps(&polled));
        assert!(!readings(&polled, SensorKind::Temperature).is_empty());
    });
}

#[test]
fn null_and_text_for_numbers_lose_nothing_else() {
    let body = r#"{"@odata.id": "/redfish/v1/Chassis/1/Thermal", "Temperatures": [
        {"Name": "A", "ReadingCelsius": null, "Status": {"State": "Enabled"}}, {"Name": "B", "ReadingCelsius": "46 degrees C"}, "nonsense",
        {"Name": "C", "ReadingCelsius": 21, "Status": "OK"}, {"Name": "D", "ReadingCelsius": 0, "Status": {"State": "Absent"}}], "Fans": null}"#;
    runtime().block_on(async {
        let service = serve(vec![Fault::always(Where::At(THERMAL.to_owned()), Misdeed::Body(body.into()))]).await;
        let mut bmc = connect(&service).await;
        let polled = bmc.poll(Section::Sensors, None, &Fixed).await.unwrap();
        let told: Vec<_> = readings(&polled, SensorKind::Temperature)
            .into_iter()
            .map(|r| (r.sensor.as_str(), r.value.clone(), r.quality.clone()))
            .collect();
        assert_eq!(
            told,
            [
                ("A", None, Quality::Unavailable(Cause::NoReading)),
                ("B", Some(Value::Number(46.0)), Quality::Suspect(Suspicion::Coerced)),
                ("C", Some(Value::Number(21.0)), Quality::Good),
            ]
        );
    });
}

#[test]
fn a_bmc_that_stops_answering_ends_the_poll_soon() {
    runtime().block_on(async {
        let service = serve(Vec::new()).await;
        let mut bmc = connect(&service).await;
        service.set_faults(vec![Fault::always(Where::Everywhere, Misdeed::Hang)]);
        let began = std::time::Instant::now();
        let error = bmc.poll(Section::Sensors, None, &Fixed).await.unwrap_err();
        assert_eq!(error.cause, Cause::Timeout);
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    });
}

#[test]
fn a_session_that_the_bmc_forgot_is_opened_again_without_losing_the_poll() {
    runtime().block_on(async {
        let service = serve(Vec::new()).await;
        let mut bmc = connect(&service).await;
        service.forget_sessions();
        let polled = bmc.poll(Section::Sensors, None, &Fixed).await.unwrap();
        assert!(gaps(&polled).is_empty(), "{:?}", gaps(&polled));
        assert_eq!(service.open_sessions(), 1);
    });
}

#[test]
fn a_login_that_is_no_longer_good_fails_the_poll_and_is_tried_once() {
    runtime().block_on(async {
        let service = serve(Vec::new()).await;
        let mut bmc = connect(&service).await;
        service.set_faults(vec![Fault::always(Where::Everywhere, Misdeed::Status(401))]);
        let error = bmc.poll(Section::Sensors, None, &Fixed).await.unwrap_err();
        assert_eq!(error.cause, Cause::Denied, "{error}");
        let logins = service.requests().iter().filter(|r| r.starts_with("POST")).count();
        assert_eq!(logins, 2, "a user is not to be locked out by trying: {:?}", service.requests());
    });
}

#[test]
fn a_changed_certificate_is_refused_with_both_fingerprints() {
    runtime().block_on(async {
        let service = serve(Vec::new()).await;
        let pinned = Fingerprint([7; 32]);
        let error = refused(&target(&service, Trust::Pinned(pinned))).await;
        assert_eq!((error.rung, error.cause), (Rung::Security, Cause::Certificate));
        assert!(
            error.detail.contains(&pinned.to_string())
                && error.detail.contains(&Fingerprint(service.fingerprint).to_string()),
            "{error}"
        );
        assert!(service.requests().is_empty(), "nothing was asked of it: {:?}", service.requests());
        let right = target(&service, Trust::Pinned(Fingerprint(service.fingerprint)));
        assert_eq!(Bmc::connect(&right).await.unwrap().certificate(), Some(Fingerprint(service.fingerprint)));
    });
}

#[test]
fn a_ca_that_does_not_vouch_is_told_apart_from_one_that_does() {
    runtime().block_on(async {
        let (service, other) = (serve(Vec::new()).await, serve(Vec::new()).await);
        let error = refused(&target(&service, Trust::Ca(other.certificate_pem.clone()))).await;
        assert_eq!((error.rung, error.cause), (Rung::Security, Cause::Certificate), "{error}");
        let vouched = Bmc::connect(&target(&service, Trust::Ca(service.certificate_pem.clone()))).await;
        assert!(vouched.is_ok(), "{:?}", vouched.err());
    });
}

#[test]
fn a_wrong_password_and_a_full_house_are_told_apart_and_show_no_password() {
    runtime().block_on(async {
        let service = serve(Vec::new()).await;
        let mut wrong = target(&service, Trust::FirstUse);
        wrong.credentials.password = Secret::new("hunter2");
        let error = refused(&wrong).await;
        assert_eq!((error.rung, error.cause), (Rung::Login, Cause::Denied));
        assert_eq!(
            error.climbed.iter().map(|r| r.rung).collect::<Vec<_>>(),
            [Rung::Reach, Rung::Protocol, Rung::Security]
        );
        assert!(!format!("{error} {error:?}").contains("hunter2"));

        let login = Some(Login { user: USER.to_owned(), password: PASSWORD.to_owned() });
        let full =
            RedfishServer::serve(machine(), Options { login, max_sessions: 1, ..Options::default() }).await.unwrap();
        let first = connect(&full).await;
        let error = refused(&Target { credentials: wrong.credentials, ..target(&full, Trust::FirstUse) }).await;
        assert_eq!((error.rung, error.cause), (Rung::Login, Cause::Denied));
        first.close().await.unwrap();
    });
}

#[test]
fn a_bmc_out_of_sessions_is_read_with_user_and_password_and_says_so() {
    runtime().block_on(async {
        let login = Some(Login { user: USER.to_owned(), password: PASSWORD.to_owned() });
        let full =
            RedfishServer::serve(machine(), Options { login, max_sessions: 1, ..Options::default() }).await.unwrap();
        let _left_behind = connect(&full).await;
        let mut second = connect(&full).await;
        let polled = second.poll(Section::Inventory, None, &Fixed).await.unwrap();
        let told = polled
            .observations
            .iter()
            .any(|o| matches!(o, Observation::Gap(g) if g.detail.contains("out of sessions")));
        assert!(told, "{:?}", polled.observations);
        second.close().await.unwrap();
        assert_eq!(full.open_sessions(), 1);
    });
}

#[test]
fn what_is_not_there_or_no_redfish_breaks_the_right_rung() {
    runtime().block_on(async {
        let service = serve(vec![Fault::always(Where::Everywhere, Misdeed::Html(200))]).await;
        assert_eq!(refused(&target(&service, Trust::FirstUse)).await.rung, Rung::Protocol);
        let closed = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let mut nobody = target(&service, Trust::FirstUse);
        nobody.address = format!("https://{}", closed.local_addr().unwrap()).parse().unwrap();
        let mute = refused(&nobody).await;
        assert_eq!((mute.rung, mute.cause), (Rung::Protocol, Cause::Timeout), "{mute}");
        drop(closed);
        let error = refused(&nobody).await;
        assert_eq!((error.rung, error.cause), (Rung::Reach, Cause::Unreachable));
        assert!(error.detail.contains("refused"), "{error}");
    });
}

#[test]
fn a_bmc_without_sessions_is_read_with_user_and_password_and_says_so() {
    runtime().block_on(async {
        let faults = ["/redfish/v1/SessionService/Sessions", "/redfish/v1/Sessions"]
            .map(|p| Fault::always(Where::At(p.to_owned()), Misdeed::Status(405)));
        let service = serve(faults.to_vec()).await;
        let mut bmc = connect(&service).await;
        let polled = bmc.poll(Section::Sensors, None, &Fixed).await.unwrap();
        assert!(!readings(&polled, SensorKind::Temperature).is_empty());
        let polled = bmc.poll(Section::Inventory, None, &Fixed).await.unwrap();
        assert!(gaps(&polled).iter().any(|g| g.detail.contains("no session")), "{:?}", gaps(&polled));
        bmc.close().await.unwrap();
    });
}

#[test]
fn log_entries_come_once_across_polls_and_after_a_reconnect() {
    runtime().block_on(async {
        let login = Some(Login { user: USER.to_owned(), password: PASSWORD.to_owned() });
        let machine = machine();
        for _ in 0..119 {
            machine.now().log(Happening::EccCorrected { dimm: 2 }, true);
        }
        let service = RedfishServer::serve(machine.clone(), Options { login, ..Options::default() }).await.unwrap();
        let mut bmc = connect(&service).await;
        let first = bmc.poll(Section::Log, None, &Fixed).await.unwrap();
        let told = events(&first).len();
        assert!(told >= 120, "{told}");
        let pages = |service: &Service| service.requests().iter().filter(|r| r.contains("/Sel/Entries")).count();
        let before = pages(&service);
        let again = bmc.poll(Section::Log, first.bookmark.as_ref(), &Fixed).await.unwrap();
        assert!(events(&again).is_empty(), "{:?}", events(&again));
        assert_eq!(
            (before, pages(&service) - before),
            (3, 1),
            "reading goes on where it ended: {:?}",
            service.requests()
        );
        bmc.close().await.unwrap();
        machine.now().log(Happening::EccCorrected { dimm: 3 }, true);
        let mut bmc = connect(&service).await;
        let new = bmc.poll(Section::Log, again.bookmark.as_ref(), &Fixed).await.unwrap();
        assert_eq!(events(&new).len(), 1, "{:?}", events(&new));
    });
}

#[test]
fn a_log_whose_second_page_fails_is_read_on_from_the_old_place() {
    runtime().block_on(async {
        let login = Some(Login { user: USER.to_owned(), password: PASSWORD.to_owned() });
        let machine = machine();
        for _ in 0..99 {
            machine.now().log(Happening::EccCorrected { dimm: 2 }, true);
        }
        let service = RedfishServer::serve(machine, Options { login, ..Options::default() }).await.unwrap();
        let mut bmc = connect(&service).await;
        // The pages are asked for at one path: only the second request to it fails.
        let entries = "/redfish/v1/Systems/1/LogServices/Sel/Entries".to_owned();
        let whole = bmc.poll(Section::Log, None, &Fixed).await.unwrap();
        let first = Fault::first(1, Where::At(entries.clone()), Misdeed::Slow(Duration::ZERO));
        service.set_faults(vec![first, Fault::first(1, Where::At(entries), Misdeed::Hang)]);
        let part = bmc.poll(Section::Log, None, &Fixed).await.unwrap();
        assert_eq!(gaps(&part).len(), 1);
        assert!(events(&part).len() < events(&whole).len());
        let rest = bmc.poll(Section::Log, part.bookmark.as_ref(), &Fixed).await.unwrap();
        assert!(events(&part).len() + events(&rest).len() >= events(&whole).len());
    });
}

#[test]
fn names_stay_the_same_from_poll_to_poll_while_other_resources_fail() {
    runtime().block_on(async {
        let service = serve(Vec::new()).await;
        let mut bmc = connect(&service).await;
        let names = |polled: &Polled| -> Vec<String> {
            let mut names: Vec<_> = readings(polled, SensorKind::Temperature)
                .iter()
                .map(|r| format!("{} {}", r.component, r.sensor))
                .collect();
            names.sort();
            names
        };
        let before = names(&bmc.poll(Section::Sensors, None, &Fixed).await.unwrap());
        service.set_faults(vec![Fault::always(Where::At(POWER.to_owned()), Misdeed::Status(500))]);
        assert_eq!(names(&bmc.poll(Section::Sensors, None, &Fixed).await.unwrap()), before);
    });
}
