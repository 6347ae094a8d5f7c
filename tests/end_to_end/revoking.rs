//! Authority ends: at the issuer with the answer, at a tool with its next look at the feed, and over every restart.

use std::sync::{Arc, Mutex};

use narrows::{
    CallError, ClientAuthentication, Held, HolderKey, IssuerClient, IssuerKeys, Reason, Revoke, ToolClient, arguments,
    revocation::Revocations,
    tool::{Guard, RevocationFeed},
};
use narrows_issuer::{
    clients::secret_hash,
    log::{Evidence, check_database},
};
use narrows_tests::{
    forged::ForgedProvider,
    http::{Answer, Form, client, get, send, try_send},
    issuer::{AUDIENCE, CLIENT, Issuer, evidence, now},
    program, tool,
};
use rand_core::{OsRng, RngCore};
use serde_json::Value;

use super::{capability, hop_to, trusting};

/// Clients beside [`CLIENT`]: one of no rights, one that may revoke everything, and the server of the tools.
const OTHER: &str = "other-app";
const OFFICER: &str = "officer";
const SERVER: &str = "tool-server";
const SECRET: &str = "a-secret-of-a-test-with-43-characters-xxxxx";

fn others() -> String {
    let client = |id: &str, more: &str| {
        format!("[[client]]\nid = \"{id}\"\nauth_method = \"client_secret_basic\"\nsecret_hashes = [\"{}\"]\n{more}\n", secret_hash(SECRET))
    };
    // snapshots that decide for longer than any test takes
    let feed = "[feed]\nread_seconds = 3600\nwrite_seconds = 3600\negress_seconds = 3600\nirreversible_seconds = 3600\n";
    let server = format!("resource_server = true\naudiences = [\"{AUDIENCE}\", \"https://more.example\"]");
    format!("{feed}{}{}{}", client(OTHER, ""), client(OFFICER, "revoker = true"), client(SERVER, &server))
}

/// An issuer with these clients, its keys, and Alice's planner.
struct Bench {
    issuer: Issuer,
    provider: ForgedProvider,
    sdk: IssuerClient,
    keys: IssuerKeys,
}

impl Bench {
    async fn new() -> Self {
        let (issuer, provider) = trusting(&others()).await;
        let (sdk, keys) = issuer.sdk().await;
        Self { issuer, provider, sdk, keys }
    }

    async fn planner(&self) -> Held {
        capability(&self.issuer, &self.provider, &self.keys, HolderKey::generate()).await
    }

    /// What the planner hands on, and who holds it.
    fn executor(&self, planner: &Held) -> (narrows::Narrowed, Held) {
        let key = HolderKey::generate();
        let narrowed = planner.narrow(&hop_to(&key), now()).ok().unwrap();
        let held = Held::new(&narrowed.token, key, &self.keys.roots).ok().unwrap();
        (narrowed, held)
    }

    async fn revoke(&self, form: &[(&str, &str)], client: &str) -> Answer {
        let secret = if client == CLIENT { self.issuer.secret() } else { SECRET };
        Form::new(form).basic(client, secret).post(&self.issuer.at("/oauth/revoke")).await
    }

    async fn introspect(&self, token: &str, client: &str) -> Value {
        let secret = if client == CLIENT { self.issuer.secret() } else { SECRET };
        let answer = Form::new(&[("token", token)]).basic(client, secret).post(&self.issuer.at("/oauth/introspect")).await;
        assert_eq!((answer.header("cache-control"), answer.header("pragma")), ("no-store", "no-cache"));
        answer.granted()
    }

    fn feed(&self) -> RevocationFeed {
        RevocationFeed::new(self.issuer.url(), &self.keys).unwrap()
    }

    async fn poll(&self, guard: &Guard) {
        self.feed().poll(guard, now()).await.expect("the feed");
    }

    /// Whether the issuer refuses to record what is made of a token.
    async fn refuses(&self, held: &Held) -> bool {
        let narrowed = held.narrow(&hop_to(&HolderKey::generate()), now()).ok().unwrap();
        match self.sdk.report(&held.report_hop(&narrowed, self.issuer.url(), now()), &self.keys).await {
            Ok(_) => false,
            Err(error) => {
                assert_eq!(error.reason(), Some(Reason::Revoked), "{error}");
                true
            }
        }
    }
}

fn system_clock() -> narrows::tool::Clock {
    narrows::tool::system_clock()
}

async fn calls(tools: &ToolClient, held: &Held) -> Result<(), Reason> {
    match tools.call(&held.prove("crm.read", &arguments("{}").unwrap(), AUDIENCE, now())).await {
        Ok(_) => Ok(()),
        Err(CallError::Refused(refusal)) => Err(refusal.known_reason().unwrap()),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_revoked_hop_is_refused_by_the_issuer_at_once_and_by_a_tool_after_its_next_look() {
    let bench = Bench::new().await;
    let (address, guard) = tool::start_current(AUDIENCE, bench.keys.roots.clone(), system_clock()).await;
    let tools = ToolClient::new(&address).unwrap();
    let planner = bench.planner().await;
    let (handed_on, executor) = bench.executor(&planner);
    let (_, worker) = bench.executor(&executor);
    assert_eq!(calls(&tools, &executor).await, Err(Reason::RevocationsMissing), "a guard that was told nothing yet denies");
    bench.poll(&guard).await;
    for held in [&planner, &executor, &worker] {
        assert_eq!(calls(&tools, held).await, Ok(()));
    }

    // the client of the planner's mint, of what was made from it
    let client = ClientAuthentication::SecretBasic { client: CLIENT, secret: bench.issuer.secret() };
    let revoked = bench.sdk.revoke(Revoke::Token(&handed_on.token), &client, &bench.keys).await.unwrap().unwrap();
    assert!(bench.refuses(&executor).await && bench.refuses(&worker).await && !bench.refuses(&planner).await);
    assert_eq!(calls(&tools, &executor).await, Ok(()), "the tool has not looked yet");
    bench.poll(&guard).await;
    for (held, expected) in [(&planner, Ok(())), (&executor, Err(Reason::Revoked)), (&worker, Err(Reason::Revoked))] {
        assert_eq!(calls(&tools, held).await, expected);
    }

    // again: the same leaf
    let size = bench.issuer.log_size().await;
    let again = bench.sdk.revoke(Revoke::Token(&handed_on.token), &client, &bench.keys).await.unwrap().unwrap();
    assert_eq!((again.entry, &again.leaf), (revoked.entry, &revoked.leaf));
    assert_eq!(bench.issuer.log_size().await, size);
    // and the whole chain, by the same token
    bench.sdk.revoke(Revoke::Chain(&handed_on.token), &client, &bench.keys).await.unwrap().unwrap();
    assert!(bench.refuses(&planner).await);
    bench.poll(&guard).await;
    assert_eq!(calls(&tools, &planner).await, Err(Reason::Revoked));
    assert_eq!(calls(&tools, &bench.planner().await).await, Ok(()), "another task of the same client stands");
    bench.issuer.audit(&[]).succeeded();
}

#[tokio::test]
async fn a_holder_gives_up_what_it_holds_and_takes_back_what_it_handed_on() {
    let bench = Bench::new().await;
    let planner = bench.planner().await;
    let url = bench.issuer.url();
    let (handed_on, executor) = bench.executor(&planner);
    let (_, other) = bench.executor(&planner);
    bench.sdk.end(&planner.take_back(&handed_on, url, now()), &bench.keys).await.unwrap();
    assert!(bench.refuses(&executor).await && !bench.refuses(&other).await && !bench.refuses(&planner).await);
    bench.sdk.end(&other.give_up(url, now()), &bench.keys).await.unwrap();
    assert!(bench.refuses(&other).await && !bench.refuses(&planner).await);

    // nobody else: a thief of the bytes, or one beside it in the chain
    let (stolen, mine) = (planner.give_up(url, now()), bench.planner().await.give_up(url, now()));
    let post = async |token: &str, proof: &str| {
        let body = serde_json::json!({ "token": token, "proof": proof }).to_string();
        send(client().post(bench.issuer.at("/v1/revocations")).header("content-type", "application/json").body(body)).await
    };
    post(&stolen.token, &mine.proof).await.refused(400, "PROOF_SIGNATURE", "another holder's proof");
    post(&stolen.token, "x").await.refused(400, "PROOF_MALFORMED", "no proof");
    let report = planner.report(url, now());
    post(&stolen.token, &report.proof).await.refused(400, "PROOF_SIGNATURE", "a proof of another kind");
    post("AAAA", &stolen.proof).await.refused(400, "TOKEN_MALFORMED", "no token");
    send(client().post(bench.issuer.at("/v1/revocations")).body("{}")).await.refused(415, "CONTENT_TYPE", "no type");
    assert!(!bench.refuses(&planner).await);
    post(&stolen.token, &stolen.proof).await.granted();
    post(&stolen.token, &stolen.proof).await.refused(400, "PROOF_REPLAYED", "a proof is good once");
    assert!(bench.refuses(&planner).await);
}

#[tokio::test]
async fn a_client_revokes_its_own_and_an_officer_everything() {
    let bench = Bench::new().await;
    let planner = bench.planner().await;
    let token = planner.sealed().to_owned();
    let ids = planner.inspect().block_ids();
    let (block, task) = (ids[0].to_string(), planner.inspect().authority.task.to_string());
    let key = planner.inspect().holder.key().unwrap().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let subject = planner.inspect().authority.subject.clone();
    let size = bench.issuer.log_size().await;

    let own = |form: Form| Form::basic(form, CLIENT, bench.issuer.secret());
    let at = bench.issuer.at("/oauth/revoke");
    own(Form::new(&[("token", &token)])).anonymous().post(&at).await.refused_as(401, "invalid_client", "CLIENT_AUTH", "nobody");
    own(Form::new(&[("token", &token)])).basic(CLIENT, "wrong").post(&at).await.refused_as(401, "invalid_client", "CLIENT_AUTH", "wrong");
    for (form, error, reason) in [
        (vec![], "invalid_request", "PARAMETER_MISSING"),
        (vec![("token", token.as_str()), ("token", "x")], "invalid_request", "PARAMETER_REPEATED"),
        (vec![("token", &token), ("task", &task)], "invalid_request", "PARAMETER_INVALID"),
        (vec![("token", &token), ("reach", "all")], "invalid_request", "PARAMETER_INVALID"),
        (vec![("task", "x")], "invalid_request", "PARAMETER_INVALID"),
        (vec![("block", &task)], "invalid_request", "PARAMETER_INVALID"),
        (vec![("key", "00")], "invalid_request", "PARAMETER_INVALID"),
        (vec![("subject", &subject), ("before", "soon")], "invalid_request", "PARAMETER_INVALID"),
        // others have tokens of these as well
        (vec![("subject", &subject)], "unauthorized_client", "TOKEN_OTHER_CLIENT"),
        (vec![("agent", "planner")], "unauthorized_client", "TOKEN_OTHER_CLIENT"),
        (vec![("key", &key)], "unauthorized_client", "TOKEN_OTHER_CLIENT"),
        (vec![("task", &"0".repeat(32))], "unauthorized_client", "TOKEN_OTHER_CLIENT"),
        (vec![("block", &"0".repeat(64))], "unauthorized_client", "TOKEN_OTHER_CLIENT"),
    ] {
        bench.revoke(&form, CLIENT).await.refused_as(400, error, reason, &format!("{form:?}"));
    }
    for form in [[("token", token.as_str())], [("block", &block)], [("task", &task)]] {
        bench.revoke(&form, OTHER).await.refused_as(400, "unauthorized_client", "TOKEN_OTHER_CLIENT", &format!("{form:?} of another"));
    }
    // what is no living token of ours needs no end (RFC 7009 §2.2)
    for gone in ["AAAA", "not base64!", &"A".repeat(30_000)] {
        assert_eq!(bench.revoke(&[("token", gone), ("token_type_hint", "refresh_token")], CLIENT).await.granted(), serde_json::json!({}));
    }
    assert_eq!(bench.issuer.log_size().await, size, "none of these left a trace");
    assert!(!bench.refuses(&planner).await);

    // each handle on a token of its own
    type Handle = fn(&Held) -> String;
    let handles: [(&str, Handle, &str); 6] = [
        ("token", |held| held.sealed().to_owned(), CLIENT),
        ("block", |held| held.inspect().block_ids()[0].to_string(), CLIENT),
        ("task", |held| held.inspect().authority.task.to_string(), CLIENT),
        ("block", |held| held.inspect().block_ids()[0].to_string(), OFFICER),
        ("key", |held| held.inspect().holder.key().unwrap().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect(), OFFICER),
        ("subject", |held| held.inspect().authority.subject.clone(), OFFICER),
    ];
    for (name, of, client) in handles {
        let held = bench.planner().await;
        bench.revoke(&[(name, &of(&held)), ("token_type_hint", "no such type")], client).await.granted();
        assert!(bench.refuses(&held).await, "{name} by {client}");
    }
    assert!(bench.refuses(&planner).await, "the subject's token of before was meant as well");
    bench.issuer.audit(&[]).succeeded();
}

#[tokio::test]
async fn a_cut_off_ahead_keeps_the_subject_from_getting_more() {
    let bench = Bench::new().await;
    let planner = bench.planner().await;
    let ahead = (now() + 3600).to_string();
    let form = |before: &str| vec![("agent", "planner".to_owned()), ("before", before.to_owned())];
    let revoke = async |form: Vec<(&str, String)>| {
        let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        bench.revoke(&form, OFFICER).await
    };
    let far = (now() + 100_000).to_string();
    revoke(form(&far)).await.refused_as(400, "invalid_request", "PARAMETER_INVALID", "more than a day ahead");
    revoke(form("1")).await.granted();
    assert!(!bench.refuses(&planner).await, "nothing was issued before");
    revoke(form(&ahead)).await.granted();
    assert!(bench.refuses(&planner).await);
    let answer = bench.issuer.token(&bench.issuer.request(&HolderKey::generate(), &bench.provider.login("alice"))).await;
    answer.refused_as(400, "invalid_request", "REVOKED", "a token of that agent");
    let other = bench.issuer.request(&HolderKey::generate(), &bench.provider.login("alice"));
    let details = r#"[{"type":"narrows","tools":["crm.read"],"agent":"another"}]"#;
    bench.issuer.token(&other.with("authorization_details", details)).await.granted();
}

#[tokio::test]
async fn an_introspection_tells_the_owner_and_the_resource_server_and_nobody_else() {
    let bench = Bench::new().await;
    let planner = bench.planner().await;
    let (handed_on, executor) = bench.executor(&planner);
    let (token, ids) = (handed_on.token.as_str(), executor.inspect().block_ids());
    let no = serde_json::json!({ "active": false });

    let at = bench.issuer.at("/oauth/introspect");
    let form = || Form::new(&[("token", token)]);
    form().post(&at).await.refused_as(401, "invalid_client", "CLIENT_AUTH", "nobody");
    form().basic(CLIENT, "wrong").post(&at).await.refused_as(401, "invalid_client", "CLIENT_AUTH", "a wrong secret");
    let none = Form::new(&[]).basic(CLIENT, bench.issuer.secret()).post(&at).await;
    none.refused_as(400, "invalid_request", "PARAMETER_MISSING", "no token");
    assert_eq!(get(&at).await.status, 405);

    for client in [CLIENT, SERVER] {
        let known = bench.introspect(token, client).await;
        let authority = &executor.inspect().authority;
        for (member, expected) in [
            ("active", Value::from(true)),
            ("iss", bench.issuer.url().into()),
            ("sub", authority.subject.clone().into()),
            ("client_id", CLIENT.into()),
            ("aud", serde_json::json!([AUDIENCE])),
            ("exp", executor.inspect().expires.into()),
            ("iat", authority.issued.into()),
            ("nbf", authority.issued.into()),
            ("jti", ids[1].to_string().into()),
            ("act", serde_json::json!({ "sub": "executor", "act": { "sub": "planner" } })),
            ("token_type", "DPoP".into()),
        ] {
            assert_eq!(known[member], expected, "{member}: {known}");
        }
        let jkt = narrows_verifier::proof::dpop::thumbprint(executor.inspect().holder.key().unwrap());
        use base64::Engine as _;
        assert_eq!(known["cnf"]["jkt"], base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(jkt));
        assert_eq!(known["narrows"]["blocks"], serde_json::json!([ids[0].to_string(), ids[1].to_string()]));
        let words = serde_json::json!([{ "agent": "planner", "word_of": "issuer" }, { "agent": "executor", "word_of": "delegator" }]);
        assert_eq!(known["narrows"]["chain"], words);
        assert_eq!(known["authorization_details"][0]["tools"], serde_json::json!(["crm.read", "payments.send"]));
    }
    assert_eq!(bench.introspect(token, OTHER).await, no, "somebody else's");
    assert_eq!(bench.introspect(token, OFFICER).await, no, "a right to revoke is none to read");
    for text in ["AAAA", "not base64!", &"A".repeat(30_000)] {
        assert_eq!(bench.introspect(text, CLIENT).await, no, "{}", &text[..4]);
    }
    bench.revoke(&[("token", token)], CLIENT).await.granted();
    for client in [CLIENT, SERVER] {
        assert_eq!(bench.introspect(token, client).await, no, "revoked");
        assert_eq!(bench.introspect(planner.sealed(), client).await["active"], true, "its parent");
    }
}

#[tokio::test]
async fn what_was_revoked_stays_revoked_over_a_restart_and_the_feed_counts_on() {
    let mut bench = Bench::new().await;
    let planner = bench.planner().await;
    let (address, guard) = tool::start_current(AUDIENCE, bench.keys.roots.clone(), system_clock()).await;
    let tools = ToolClient::new(&address).unwrap();
    bench.poll(&guard).await;
    let form = [("task", planner.inspect().authority.task.to_string())];
    let form = form.each_ref().map(|(name, value)| (*name, value.as_str()));
    let answer = bench.revoke(&form, CLIENT).await.granted();
    bench.issuer.stop();
    bench.issuer.start().await;
    assert!(bench.refuses(&planner).await);
    let before = guard.revocations().unwrap().list().sequence;
    bench.poll(&guard).await;
    let after = guard.revocations().unwrap();
    assert!(after.list().sequence > before, "{} after {before}", after.list().sequence);
    assert_eq!(calls(&tools, &planner).await, Err(Reason::Revoked));
    let report = check_database(&bench.issuer.database(), &bench.keys.log, Evidence { receipts: &[evidence(&answer)], checkpoints: &[] });
    let report = report.unwrap();
    assert_eq!((report.revocations, report.receipts), (1, 1));
}

/// A restored backup knows fewer revocations than verifiers do. Its numbers are lower, so they deny rather than believe it, until
/// the operator says that it is meant.
#[tokio::test]
async fn a_feed_that_was_rolled_back_is_refused_until_its_operator_says_so() {
    let mut bench = Bench::new().await;
    let planner = bench.planner().await;
    bench.issuer.stop();
    let backup = bench.issuer.keep("backup", "");
    std::fs::remove_file(&backup).unwrap();
    let copy = |from: &std::path::Path, to: &std::path::Path| {
        std::fs::create_dir_all(to).unwrap();
        for file in std::fs::read_dir(from).unwrap() {
            let file = file.unwrap().path();
            std::fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
        }
    };
    copy(&bench.issuer.data(), &backup);
    let (_, guard) = tool::start_current(AUDIENCE, bench.keys.roots.clone(), system_clock()).await;
    // more starts than the backup has seen
    for _ in 0..2 {
        bench.issuer.start().await;
        bench.issuer.stop();
    }
    bench.issuer.start().await;
    bench.revoke(&[("task", &planner.inspect().authority.task.to_string())], CLIENT).await.granted();
    bench.poll(&guard).await;
    let held = guard.revocations().unwrap();
    bench.issuer.kill();
    copy(&backup, &bench.issuer.data());
    for journal in ["log.db-wal", "log.db-shm"] {
        let _there = std::fs::remove_file(bench.issuer.data().join(journal));
    }
    bench.issuer.start().await;
    assert!(!bench.refuses(&planner).await, "the backup does not know");
    let refused = bench.feed().poll(&guard, now()).await.unwrap_err();
    assert_eq!(refused.reason(), Some(Reason::FeedRolledBack));
    assert_eq!(guard.revocations().unwrap().list(), held.list(), "what the guard knew stands");
    bench.issuer.stop();
    bench.issuer.configure("[feed]\nsequence_offset = 100000000000\n", narrows_tests::issuer::PACK);
    bench.issuer.start().await;
    bench.poll(&guard).await;
    assert!(guard.revocations().unwrap().list().revoked.is_empty());
}

#[tokio::test]
async fn a_tool_that_hears_nothing_more_denies() {
    let bench = Bench::new().await;
    let planner = bench.planner().await;
    let (_, guard) = tool::start_current(AUDIENCE, bench.keys.roots.clone(), system_clock()).await;
    bench.poll(&guard).await;
    let at = |ahead: u64| {
        let call = planner.prove("crm.read", &arguments("{}").unwrap(), AUDIENCE, now() + ahead);
        let decided = guard.check(&call.token, (&call).into(), &call.tool, b"{}", now() + ahead);
        decided.map(drop).map_err(|refused| refused.reason())
    };
    assert_eq!(at(0), Ok(()));
    let longest = guard.revocations().unwrap().list().max_staleness.irreversible;
    assert_eq!(at(longest + 30), Err(Reason::RevocationsStale));
    // an issuer that does not answer changes nothing about that
    let feed = bench.feed();
    drop(bench.issuer);
    assert_eq!(feed.poll(&guard, now()).await.unwrap_err().reason(), Some(Reason::PeerUnreachable));
    assert_eq!(at(0), Ok(()));
}

#[tokio::test]
async fn the_feed_is_served_whole_in_part_or_not_at_all() {
    let bench = Bench::new().await;
    // a delta is served where it is shorter than the whole
    for agent in ["crawler", "scraper", "indexer", "mirror", "archiver", "summarizer", "translator", "classifier"] {
        bench.revoke(&[("agent", agent)], OFFICER).await.granted();
    }
    let at = |query: &str| bench.issuer.at(&format!("/v1/revocations{query}"));
    let first = get(&at("")).await;
    assert_eq!((first.status, first.header("content-type")), (200, "text/plain; charset=utf-8"));
    assert_eq!(first.header("cache-control"), "public, max-age=1, must-revalidate");
    let key = &bench.keys.feed[0];
    let load = |text: &str, previous: Option<&Revocations>| Revocations::update(text, key, bench.issuer.url(), previous, now()).unwrap();
    let held = load(&first.text(), None);
    assert_eq!(first.header("etag"), format!("\"{}\"", held.list().sequence));

    let planner = bench.planner().await;
    bench.revoke(&[("task", &planner.inspect().authority.task.to_string())], CLIENT).await.granted();
    let since = format!("?since={}", held.list().sequence);
    let delta = get(&at(&since)).await;
    let next = load(&delta.text(), Some(&held));
    assert!(next.list().revoked.tasks.contains(&planner.inspect().authority.task));
    assert!(delta.header("etag").is_empty());
    let whole = get(&at("")).await;
    assert_eq!(load(&whole.text(), Some(&next)).list().revoked, next.list().revoked, "deltas and snapshots say the same");
    let unknown = get(&at("?since=1")).await;
    assert!(load(&unknown.text(), Some(&next)).list().sequence >= next.list().sequence, "from an unknown number, the whole");
    for bad in ["?since=x", "?since=-1", "?since=1&since=2", "?from=1"] {
        assert_eq!(get(&at(bad)).await.status, 400, "{bad}");
    }
    // keys of their own for each purpose
    let published = get(&bench.issuer.at("/.well-known/narrows-keys")).await.granted();
    assert_ne!(published["feed"][0]["public_key"], published["issuer"][0]["public_key"]);
    let metadata = get(&bench.issuer.at("/.well-known/oauth-authorization-server")).await.granted();
    assert_eq!(metadata["revocation_endpoint"], bench.issuer.at("/oauth/revoke"));
    assert_eq!(metadata["introspection_endpoint"], bench.issuer.at("/oauth/introspect"));
}

#[tokio::test]
async fn a_client_has_a_rate_of_revocations() {
    let (issuer, provider) = trusting("[limits]\nmax_revocations_per_minute = 2\n").await;
    let (_, keys) = issuer.sdk().await;
    let mut answers = Vec::new();
    for _ in 0..3 {
        let held = capability(&issuer, &provider, &keys, HolderKey::generate()).await;
        let form = Form::new(&[("task", &held.inspect().authority.task.to_string())]).basic(CLIENT, issuer.secret());
        answers.push(form.post(&issuer.at("/oauth/revoke")).await);
    }
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 2);
    answers[2].refused_as(429, "temporarily_unavailable", "REVOCATION_RATE", "the third");
    assert!(answers[2].header("retry-after").parse::<u32>().unwrap() > 0);
}

#[tokio::test]
async fn the_command_line_ends_authority_and_the_task_shows_it() {
    let bench = Bench::new().await;
    let planner = bench.planner().await;
    let (handed_on, executor) = bench.executor(&planner);
    bench.sdk.report(&planner.report_hop(&handed_on, bench.issuer.url(), now()), &bench.keys).await.unwrap();
    let file = |name: &str, text: &str| bench.issuer.keep(name, text).to_string_lossy().into_owned();
    let (token, secret, officers) = (file("token", &handed_on.token), file("secret", bench.issuer.secret()), file("officers", SECRET));
    let revoke = |more: &[&str]| program::run([&["token", "revoke", "--issuer", bench.issuer.url()], more].concat());
    revoke(&[&token, "--client", OTHER, "--secret", &officers]).refused("TOKEN_OTHER_CLIENT");
    let told = revoke(&[&token, "--client", CLIENT, "--secret", &secret]).succeeded();
    assert!(told.contains("revoked: entry "), "{told}");
    assert!(bench.refuses(&executor).await && !bench.refuses(&planner).await);
    let none = file("none", "AAAA");
    assert!(revoke(&[&none, "--client", CLIENT, "--secret", &secret]).succeeded().contains("nothing to revoke"));
    let task = planner.inspect().authority.task.to_string();
    revoke(&["--task", &task, "--client", CLIENT, "--secret", &secret]).succeeded();
    assert!(bench.refuses(&planner).await);
    for (flag, value) in [("--agent", "crawler"), ("--subject", "p-nobody"), ("--holder", &format!("01{}", "00".repeat(31)))] {
        let answer = revoke(&[flag, value, "--client", OFFICER, "--secret", &officers]);
        if flag == "--holder" { answer.refused("WEAK_KEY") } else { drop(answer.succeeded()) }
    }

    let (data, config) = (bench.issuer.data(), bench.issuer.data().join("narrows.toml"));
    let told = program::run(["audit", "task", &task, "--data", &data.to_string_lossy(), "--names"]).succeeded();
    let block = executor.inspect().newest().to_string();
    assert!(told.contains("· revoke ·") && told.contains(&format!("block {block} and whatever was made from it")), "{told}");
    assert!(told.contains("no later leaf derives from what was revoked"), "{told}");
    assert!(told.contains("by: \"client planner-app\""), "{told}");
    let told = program::run(["audit", "verify", "--config", &config.to_string_lossy()]).succeeded();
    assert!(told.contains("revocations  4 in the table"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_nine_loses_no_revocation_that_was_answered() {
    let mut bench = Bench::new().await;
    let mut answered: Vec<(Held, (String, Vec<u8>))> = Vec::new();
    for _ in 0..4 {
        let mut tokens = Vec::new();
        for _ in 0..24 {
            tokens.push(bench.planner().await);
        }
        // at any time: before the first answer, within a commit, between commit and answer
        let enough = OsRng.next_u32() as usize % 20;
        let answers = Arc::new(Mutex::new(Vec::new()));
        let mut clients = tokio::task::JoinSet::new();
        for (place, held) in tokens.iter().enumerate() {
            let form = Form::new(&[("task", &held.inspect().authority.task.to_string())]).basic(CLIENT, bench.issuer.secret());
            let (http, address, answers) = (client(), bench.issuer.at("/oauth/revoke"), Arc::clone(&answers));
            clients.spawn(async move {
                if let Ok(answer) = try_send(form.request(&http, &address)).await {
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    answers.lock().unwrap().push((place, evidence(&answer.json())));
                }
            });
        }
        while answers.lock().unwrap().len() < enough {
            tokio::task::yield_now().await;
        }
        bench.issuer.kill();
        while let Some(ended) = clients.join_next().await {
            ended.unwrap();
        }
        let places: Vec<_> = answers.lock().unwrap().drain(..).collect();
        let mut tokens: Vec<_> = tokens.into_iter().map(Some).collect();
        answered.extend(places.into_iter().map(|(place, kept)| (tokens[place].take().unwrap(), kept)));
        bench.issuer.start().await;
        let (_, guard) = tool::start_current(AUDIENCE, bench.keys.roots.clone(), system_clock()).await;
        bench.poll(&guard).await;
        let feed = guard.revocations().unwrap();
        for (held, _) in &answered {
            assert!(feed.list().revoked.matched(held.inspect()).is_some(), "an answered revocation is not in the feed");
        }
    }
    for (held, _) in &answered {
        assert!(bench.refuses(held).await);
    }
    let receipts: Vec<_> = answered.into_iter().map(|(_, kept)| kept).collect();
    let report = check_database(&bench.issuer.database(), &bench.keys.log, Evidence { receipts: &receipts, checkpoints: &[] }).unwrap();
    assert_eq!(report.receipts, receipts.len() as u64);
    assert!(report.revocations >= report.receipts);
}
