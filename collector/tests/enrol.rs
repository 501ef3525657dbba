//! How agents come to certificates, use them, renew them and lose them: over the wire, with real TLS.

#![allow(clippy::unwrap_used, reason = "helpers of a test, outside of its functions")]

mod common;

use common::{Agent, Home, PATIENCE, WithToken, hello, with_token};
use outband_collector::app::Collector;
use outband_collector::datadir::DataDir;
use outband_collector::token::{Role, make};
use outband_proto::agent::ListAgentsRequest;
use outband_proto::agent::agent_service_client::AgentServiceClient;
use outband_proto::enrol::enrol_service_client::EnrolServiceClient;
use outband_proto::enrol::identity_service_client::IdentityServiceClient;
use outband_proto::enrol::renewal_service_client::RenewalServiceClient;
use outband_proto::enrol::{
    ApprovePendingAgentRequest, CollectRequest, CreateInviteRequest, IssuedCertificate, JoinRequest, KnockRequest,
    ListInvitesRequest, ListPendingAgentsRequest, RenewCertificateRequest, RevokeAgentRequest, RevokeInviteRequest,
};
use outband_proto::ingest::ingest_service_client::IngestServiceClient;
use outband_proto::ingest::{StreamResponse, stream_response};
use outband_schemas::enrol::{InviteLine, words, words_input};
use outband_schemas::{SiteId, Timestamp};
use outband_store::Page;
use outband_store::audit::{Actor, Audit, AuditFilter, Deed, Noted, Outcome, Sha256Hash};
use outband_store::enrol::{Enrolments, Invite};
use rcgen::{CertificateParams, KeyPair, PublicKeyData};
use sha2::{Digest, Sha256};
use std::net::SocketAddr;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity};
use tonic::{Code, Status, Streaming};

/// A key of an agent, and its request.
struct Key {
    key: KeyPair,
    csr: Vec<u8>,
}

impl Key {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let csr = CertificateParams::default().serialize_request(&key).unwrap().der().to_vec();
        Self { key, csr }
    }
}

struct Site {
    home: Home,
    collector: Collector,
    admin: IdentityServiceClient<WithToken>,
}

impl Site {
    async fn new() -> Self {
        let home = Home::new();
        let mut collector = home.start().await;
        let (token, _) = make(&DataDir::open(home.dir()).unwrap(), Role::Admin, "zhao").unwrap();
        collector.reload(home.config()).unwrap();
        let channel = home.channel(collector.operators_addr()).await;
        let admin = IdentityServiceClient::new(with_token(channel, token.reveal()));
        Self { home, collector, admin }
    }

    /// A line for an agent at `site-a`.
    async fn line(&mut self, agent: &str) -> InviteLine {
        let agent = if agent.is_empty() { String::new() } else { format!("agents/{agent}") };
        let request = CreateInviteRequest { site: "sites/site-a".to_owned(), agent, ..Default::default() };
        self.admin.create_invite(request).await.unwrap().into_inner().line.parse().unwrap()
    }

    async fn stranger(&self) -> EnrolServiceClient<Channel> {
        EnrolServiceClient::new(self.home.channel(self.collector.agents_addr()).await)
    }

    async fn join(&self, line: &InviteLine, key: &Key, agent: &str) -> Result<IssuedCertificate, Status> {
        let request = JoinRequest { secret: line.secret.to_vec(), csr: key.csr.clone(), agent: agent.to_owned() };
        let answer = self.stranger().await.join(request).await?;
        Ok(answer.into_inner().issued.unwrap())
    }

    /// An agent that has joined.
    async fn member(&mut self, agent: &str) -> (Key, IssuedCertificate) {
        let (line, key) = (self.line(agent).await, Key::new());
        let issued = self.join(&line, &key, "").await.unwrap();
        (key, issued)
    }

    async fn channel(&self, key: &Key, issued: &IssuedCertificate) -> Channel {
        let identity = Identity::from_pem(&issued.certificate_pem, key.key.serialize_pem());
        connect(self.collector.agents_addr(), &issued.ca_pem, identity).await.unwrap()
    }

    /// Opens a stream with a certificate; what comes first.
    async fn stream(&self, key: &Key, issued: &IssuedCertificate, agent: &str, site: &str) -> Result<Stream, Status> {
        let hello = outband_proto::ingest::Hello { site: site.to_owned(), ..hello(agent, 7) };
        Stream::open(self.channel(key, issued).await, hello).await
    }
}

async fn connect(to: SocketAddr, ca: &str, identity: Identity) -> Result<Channel, tonic::transport::Error> {
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca)).domain_name("localhost");
    Channel::from_shared(format!("https://{to}")).unwrap().tls_config(tls.identity(identity))?.connect().await
}

/// A stream that was welcomed.
struct Stream {
    down: Streaming<StreamResponse>,
    _up: mpsc::Sender<outband_proto::ingest::StreamRequest>,
}

impl Stream {
    async fn open(channel: Channel, hello: outband_proto::ingest::Hello) -> Result<Self, Status> {
        let (up, messages) = mpsc::channel(4);
        let message = outband_proto::ingest::stream_request::Message::Hello(hello);
        up.send(outband_proto::ingest::StreamRequest { message: Some(message) }).await.unwrap();
        let mut client = IngestServiceClient::new(channel);
        let down = client.stream(ReceiverStream::new(messages)).await?.into_inner();
        let mut stream = Self { down, _up: up };
        match stream.next().await? {
            Some(stream_response::Message::Welcome(_)) => Ok(stream),
            other => panic!("no Welcome but {other:?}"),
        }
    }

    async fn next(&mut self) -> Result<Option<stream_response::Message>, Status> {
        let answer = tokio::time::timeout(PATIENCE, self.down.message()).await.unwrap()?;
        Ok(answer.and_then(|a| a.message))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_lets_one_agent_in_with_a_certificate_of_its_own() {
    let mut site = Site::new().await;
    let (key, issued) = site.member("a1").await;
    assert_eq!((issued.agent.as_str(), issued.site.as_str()), ("agents/a1", "sites/site-a"));
    let week = 7 * 24 * 3600 * 1000;
    assert_eq!(issued.not_after_ms - issued.not_before_ms, week);
    let _stream = site.stream(&key, &issued, "a1", "site-a").await.unwrap();
    let operator = site.home.operator(&site.collector).await;
    let listed =
        AgentServiceClient::new(operator).list_agents(ListAgentsRequest::default()).await.unwrap().into_inner();
    let of = |a: &outband_proto::agent::Agent| (a.name.clone(), a.identity.clone(), a.certificate_until_ms);
    let told: Vec<_> = listed.agents.iter().map(of).collect();
    assert_eq!(told, [("agents/a1".to_owned(), "certificate".to_owned(), issued.not_after_ms)]);
    let audited = site.collector.store().audited(&AuditFilter::default(), &Page::first(50)).unwrap().rows;
    let join = audited.iter().find(|e| e.deed.method == "outband.enrol.v1.EnrolService/Join").unwrap();
    assert_eq!((join.actor.name.as_str(), join.deed.resource.as_str()), ("a1", "agents/a1"));
    site.collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_joined_and_never_came_is_listed_until_it_is_revoked() {
    let mut site = Site::new().await;
    let (_, issued) = site.member("a1").await;
    let mut operator = AgentServiceClient::new(site.home.operator(&site.collector).await);
    let listed = operator.list_agents(ListAgentsRequest::default()).await.unwrap().into_inner().agents;
    assert_eq!(listed.len(), 1);
    let one = &listed[0];
    assert_eq!(
        (one.name.as_str(), one.site.as_str(), one.identity.as_str()),
        ("agents/a1", "sites/site-a", "certificate")
    );
    assert_eq!((one.connected, one.last_heard_ms, one.certificate_until_ms), (false, 0, issued.not_after_ms));
    let request = RevokeAgentRequest { name: "agents/a1".to_owned(), ..Default::default() };
    site.admin.revoke_agent(request).await.unwrap();
    assert!(operator.list_agents(ListAgentsRequest::default()).await.unwrap().into_inner().agents.is_empty());
    site.collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_with_a_token_goes_on_working_beside_it() {
    let mut site = Site::new().await;
    site.member("a1").await;
    let mut client = site.home.ingest(&site.collector).await;
    let (_agent, _) = Agent::join(&mut client, hello("a2", 8)).await;
    let operator = site.home.operator(&site.collector).await;
    let listed =
        AgentServiceClient::new(operator).list_agents(ListAgentsRequest::default()).await.unwrap().into_inner();
    let told: Vec<_> = listed.agents.iter().map(|a| (a.name.as_str(), a.identity.as_str())).collect();
    assert_eq!(told, [("agents/a1", "certificate"), ("agents/a2", "token")]);
    site.collector.stop().await.unwrap();
}

/// Whatever is wrong with a line, a stranger hears the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_used_a_revoked_an_expired_and_a_forged_line_let_nobody_in() {
    let mut site = Site::new().await;
    let key = Key::new();
    let used = site.line("a1").await;
    site.join(&used, &key, "").await.unwrap();
    let revoked = site.line("a2").await;
    let open = site.admin.list_invites(ListInvitesRequest::default()).await.unwrap().into_inner().invites;
    assert_eq!(open.len(), 1, "the used one is over: {open:?}");
    let request = RevokeInviteRequest { name: open[0].name.clone(), ..Default::default() };
    assert_eq!(site.admin.revoke_invite(request).await.unwrap().into_inner().invite.unwrap().ended, "revoked");
    let forged = InviteLine::new(used.addresses().to_vec(), used.ca_sha256, [9; 16]).unwrap();
    let expired = InviteLine::new(used.addresses().to_vec(), used.ca_sha256, [8; 16]).unwrap();
    let store = site.collector.store();
    let invite = Invite {
        id: store.reserve_invite().unwrap(),
        site: SiteId::new("site-a").unwrap(),
        agent: None,
        who: "zhao".to_owned(),
        created_at: Timestamp::from_secs(1_000),
        expires_at: Timestamp::from_secs(2_000),
        ended_at: None,
        used_by: None,
    };
    let deed = Deed {
        at: Timestamp::from_secs(1_000),
        role: "admin".to_owned(),
        method: "test".to_owned(),
        resource: String::new(),
        detail: String::new(),
        outcome: Outcome::Done,
        request_id: None,
        before: None,
        after: None,
    };
    let noted = Noted { actor: Actor { name: "zhao".to_owned(), peer: None }, deed, answer: None };
    store.add_invite(invite, Sha256Hash(Sha256::digest(expired.secret).into()), noted).unwrap();
    let mut heard = Vec::new();
    for line in [&used, &revoked, &forged, &expired] {
        let refused = site.join(line, &Key::new(), "a9").await.unwrap_err();
        heard.push((refused.code(), refused.message().to_owned()));
    }
    assert!(heard.iter().all(|h| *h == heard[0] && h.0 == Code::PermissionDenied), "{heard:?}");
    assert_eq!(store.certificates().unwrap().len(), 1);
    site.collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_come_with_one_line_at_a_time_one_gets_in() {
    let mut site = Site::new().await;
    let line = site.line("").await;
    let mut all = tokio::task::JoinSet::new();
    for n in 0..8 {
        let (mut client, secret) = (site.stranger().await, line.secret.to_vec());
        all.spawn(async move {
            client.join(JoinRequest { secret, csr: Key::new().csr, agent: format!("a{n}") }).await.is_ok()
        });
    }
    assert_eq!(all.join_all().await.into_iter().filter(|joined| *joined).count(), 1);
    site.collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_a_name_that_somebody_has() {
    let mut site = Site::new().await;
    site.member("a1").await;
    let line = site.line("").await;
    let refused = site.join(&line, &Key::new(), "a1").await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    assert_eq!(site.join(&line, &Key::new(), "").await.unwrap_err().code(), Code::FailedPrecondition);
    // The line is not used up by that.
    assert_eq!(site.join(&line, &Key::new(), "a2").await.unwrap().agent, "agents/a2");
    // An invite that names it is for it alone.
    let line = site.line("a1").await;
    assert_eq!(site.join(&line, &Key::new(), "a3").await.unwrap_err().code(), Code::FailedPrecondition);
    assert_eq!(site.join(&line, &Key::new(), "a1").await.unwrap().agent, "agents/a1");
    site.collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_speaks_for_its_agent_at_its_site_and_for_nothing_else() {
    let mut site = Site::new().await;
    let (key, issued) = site.member("a1").await;
    for (agent, place) in [("a2", "site-a"), ("a1", "site-b")] {
        let denied = site.stream(&key, &issued, agent, place).await.err().unwrap();
        assert_eq!(denied.code(), Code::PermissionDenied, "{denied}");
        assert!(denied.message().starts_with("permission ingest.stream"), "{denied}");
    }
    // Operators' listener asks for no certificate: there it is nobody's.
    let identity = Identity::from_pem(&issued.certificate_pem, key.key.serialize_pem());
    let channel = connect(site.collector.operators_addr(), &issued.ca_pem, identity).await.unwrap();
    let refused = AgentServiceClient::new(channel).list_agents(ListAgentsRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    site.collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_another_ca_opens_nothing() {
    let mut site = Site::new().await;
    let (key, issued) = site.member("a1").await;
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![rcgen::SanType::URI("outband://site-a/agents/a1".try_into().unwrap())];
    let forged = IssuedCertificate { certificate_pem: params.self_signed(&key.key).unwrap().pem(), ..issued.clone() };
    let identity = Identity::from_pem(&forged.certificate_pem, key.key.serialize_pem());
    // With TLS 1.3 the refusal comes after the client believes itself connected.
    let refused = match connect(site.collector.agents_addr(), &forged.ca_pem, identity).await {
        Err(_) => true,
        Ok(channel) => Stream::open(channel, hello("a1", 7)).await.is_err(),
    };
    assert!(refused);
    // The same call with the real one is let in.
    site.stream(&key, &issued, "a1", "site-a").await.unwrap();
    site.collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_agent_loses_its_stream_and_its_certificate_at_once() {
    let mut site = Site::new().await;
    let (key, issued) = site.member("a1").await;
    let (other, others) = site.member("a2").await;
    let mut stream = site.stream(&key, &issued, "a1", "site-a").await.unwrap();
    let mut beside = site.stream(&other, &others, "a2", "site-a").await.unwrap();
    // The connection stays open: what comes over it is refused, too.
    let mut renewal = RenewalServiceClient::new(site.channel(&key, &issued).await);
    renewal.renew_certificate(RenewCertificateRequest { csr: Key::new().csr }).await.unwrap();

    let request =
        RevokeAgentRequest { name: "agents/a1".to_owned(), reason: "stolen".to_owned(), ..Default::default() };
    assert!(site.admin.revoke_agent(request.clone()).await.unwrap().into_inner().cut);
    let cut = stream.next().await.unwrap_err();
    assert_eq!((cut.code(), cut.message()), (Code::PermissionDenied, "agent a1 was revoked"));
    let refused = site.stream(&key, &issued, "a1", "site-a").await.err().unwrap();
    assert_eq!(refused.code(), Code::Unauthenticated, "{refused}");
    let refused = renewal.renew_certificate(RenewCertificateRequest { csr: Key::new().csr }).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated, "{refused}");
    let nobody = RevokeAgentRequest { name: "agents/nobody".to_owned(), ..request };
    assert_eq!(site.admin.revoke_agent(nobody).await.unwrap_err().code(), Code::NotFound);

    // Others are not touched; and an invite that names it lets it in again, even in the same second.
    let (key, issued) = site.member("a1").await;
    site.stream(&key, &issued, "a1", "site-a").await.unwrap();
    let alive = RenewalServiceClient::new(site.channel(&other, &others).await)
        .renew_certificate(RenewCertificateRequest { csr: Key::new().csr })
        .await;
    assert!(alive.is_ok());
    assert!(tokio::time::timeout(std::time::Duration::from_millis(1), beside.next()).await.is_err(), "it stands");
    site.collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_speaks_for_an_agent_that_was_revoked() {
    let mut site = Site::new().await;
    let mut client = site.home.ingest(&site.collector).await;
    let (mut agent, _) = Agent::join(&mut client, hello("a2", 8)).await;
    let request = RevokeAgentRequest { name: "agents/a2".to_owned(), ..Default::default() };
    assert!(site.admin.revoke_agent(request).await.unwrap().into_inner().cut);
    assert_eq!(agent.next().await.unwrap_err().message(), "agent a2 was revoked");
    let (key, issued) = site.member("a2").await;
    let mut joined = site.stream(&key, &issued, "a2", "site-a").await.unwrap();
    let refused = Agent::call(&mut client, hello("a2", 8)).await.unwrap().next().await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
    assert!(tokio::time::timeout(std::time::Duration::from_millis(1), joined.next()).await.is_err(), "it stands");
    site.collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_holds_over_a_restart() {
    let mut site = Site::new().await;
    let (key, issued) = site.member("a1").await;
    let request = RevokeAgentRequest { name: "agents/a1".to_owned(), ..Default::default() };
    site.admin.revoke_agent(request).await.unwrap();
    site.collector.stop().await.unwrap();
    site.collector = site.home.start().await;
    let refused = site.stream(&key, &issued, "a1", "site-a").await.err().unwrap();
    assert_eq!(refused.code(), Code::Unauthenticated, "{refused}");
    site.collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_renewed_for_the_agent_that_has_one_and_for_nobody_else() {
    let mut site = Site::new().await;
    let (key, issued) = site.member("a1").await;
    let mut client = RenewalServiceClient::new(site.channel(&key, &issued).await);
    let next = Key::new();
    let renewed = client.renew_certificate(RenewCertificateRequest { csr: next.csr.clone() }).await.unwrap();
    let renewed = renewed.into_inner().issued.unwrap();
    assert_eq!((&renewed.agent, &renewed.site), (&issued.agent, &issued.site));
    assert_ne!(renewed.certificate_pem, issued.certificate_pem);
    site.stream(&next, &renewed, "a1", "site-a").await.unwrap();
    let nobody = site.home.channel(site.collector.agents_addr()).await;
    let request = || RenewCertificateRequest { csr: Key::new().csr };
    let refused = RenewalServiceClient::new(nobody.clone()).renew_certificate(request()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    let by_token = with_token(nobody, &site.home.token("agent"));
    let refused = RenewalServiceClient::new(by_token).renew_certificate(request()).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    site.collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn six_words_that_are_the_same_on_both_sides_let_an_agent_in() {
    let mut site = Site::new().await;
    let (key, mut stranger) = (Key::new(), site.stranger().await);
    let knock = KnockRequest { csr: key.csr.clone(), agent: "a1".to_owned() };
    let handle = stranger.knock(knock).await.unwrap().into_inner().handle;
    // As the agent derives them, from the CA that it sees.
    let line = site.line("x").await;
    let hash = |ca: &[u8; 32]| Sha256::digest(words_input(ca, &key.key.subject_public_key_info())).into();
    let shown = words(&hash(&line.ca_sha256)).join(" ");
    let waiting = site.admin.list_pending_agents(ListPendingAgentsRequest {}).await.unwrap().into_inner().agents;
    assert_eq!(waiting.iter().map(|p| p.words.as_str()).collect::<Vec<_>>(), [shown.as_str()]);
    let collect = |handle: &[u8]| CollectRequest { handle: handle.to_vec() };
    assert_eq!(stranger.collect(collect(&handle)).await.unwrap().into_inner().issued, None);

    // Somebody in between has another CA: the agent shows other words.
    let approve = |words: &str| ApprovePendingAgentRequest {
        words: words.to_owned(),
        site: "sites/site-a".to_owned(),
        ..Default::default()
    };
    let between = words(&hash(&[7; 32])).join(" ");
    assert_eq!(site.admin.approve_pending_agent(approve(&between)).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(site.admin.approve_pending_agent(approve("one two")).await.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(stranger.collect(collect(&handle)).await.unwrap().into_inner().issued, None);

    let approved = site.admin.approve_pending_agent(approve(&shown.to_uppercase())).await.unwrap().into_inner();
    assert_eq!((approved.name.as_str(), approved.site.as_str()), ("agents/a1", "sites/site-a"));
    assert_eq!(stranger.collect(collect(&[1; 16])).await.unwrap_err().code(), Code::NotFound);
    let issued = stranger.collect(collect(&handle)).await.unwrap().into_inner().issued.unwrap();
    site.stream(&key, &issued, "a1", "site-a").await.unwrap();
    assert_eq!(site.admin.approve_pending_agent(approve(&shown)).await.unwrap_err().code(), Code::NotFound, "once");
    site.collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_answered_by_nothing_but_enrolment_and_not_often() {
    let site = Site::new().await;
    let channel = site.home.channel(site.collector.agents_addr()).await;
    let denied = Stream::open(channel.clone(), hello("a1", 1)).await.err().unwrap();
    assert_eq!(denied.code(), Code::Unauthenticated);
    // What operators call is not there; nor is enrolment where operators call.
    let refused = IdentityServiceClient::new(channel).list_invites(ListInvitesRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
    let mut stranger = EnrolServiceClient::new(site.home.channel(site.collector.operators_addr()).await);
    assert_eq!(stranger.collect(CollectRequest::default()).await.unwrap_err().code(), Code::Unimplemented);
    let mut stranger = site.stranger().await;
    let mut codes = Vec::new();
    for _ in 0..60 {
        codes.push(stranger.join(JoinRequest::default()).await.unwrap_err().code());
    }
    assert_eq!(codes[0], Code::PermissionDenied);
    assert!(codes.contains(&Code::ResourceExhausted), "{codes:?}");
    site.collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_for_a_certificate_is_refused_before_the_line_is_looked_at() {
    let mut site = Site::new().await;
    let line = site.line("a1").await;
    for csr in [Vec::new(), vec![0x30; 500], Key::new().csr[..100].to_vec()] {
        let request = JoinRequest { secret: line.secret.to_vec(), csr, agent: String::new() };
        let refused = site.stranger().await.join(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    }
    site.join(&line, &Key::new(), "").await.unwrap();
    site.collector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_of_a_line_is_in_the_store_and_the_same_request_gets_the_same_line() {
    let mut site = Site::new().await;
    let request = || CreateInviteRequest {
        site: "sites/site-a".to_owned(),
        request_id: "once".to_owned(),
        addresses: vec!["collector.example:7442".to_owned()],
        ..Default::default()
    };
    let first = site.admin.create_invite(request()).await.unwrap().into_inner();
    let again = site.admin.create_invite(request()).await.unwrap().into_inner();
    assert_eq!(first, again);
    let line: InviteLine = first.line.parse().unwrap();
    assert_eq!(line.addresses(), ["collector.example:7442"]);
    site.collector.stop().await.unwrap();
    let hex: String = line.secret.iter().map(|b| format!("{b:02x}")).collect();
    for name in ["store.db", "store.db-wal"] {
        let bytes = std::fs::read(site.home.dir().join(name)).unwrap_or_default();
        assert!(
            !bytes.windows(16).any(|w| w == line.secret) && !bytes.windows(32).any(|w| w == hex.as_bytes()),
            "{name}"
        );
    }
}
