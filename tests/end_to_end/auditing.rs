//! The log as auditors read it: over HTTP under a credential, offline from its file, and from evidence carried away.

use std::{fs, path::Path};

use narrows::{Held, HolderKey, UnverifiedToken};
use narrows_issuer::clients::secret_hash;
use narrows_tests::{
    forged::ForgedProvider,
    http::{Answer, client, get, send},
    issuer::{Issuer, now},
    program::{Ran, run},
};
use narrows_verifier::log::{Bundle, Kept, VerifiedBundle, VerifierKey, verify};
use rusqlite::Connection;
use serde_json::{Value, json};

use super::{capability, hop_to, trusting};

pub(super) const IDA: &str = "ida-reads-leaves-and-no-names";
pub(super) const ADA: &str = "ada-reads-names-as-well";

#[tokio::test]
async fn entries_take_a_credential_and_each_reading_is_a_leaf() {
    let (issuer, provider) = audited("").await;
    let answer = issuer.granted(&HolderKey::generate(), &provider.login("alice")).await;
    let key = vkey(&issuer);
    let entry = format!("/v1/audit/entries/{}", answer["narrows"]["entry"].as_str().unwrap());
    let task = format!("/v1/audit/tasks/{}", answer["narrows"]["task"].as_str().unwrap());
    let before = issuer.log_size().await;
    for path in [entry.as_str(), &task, "/v1/audit/search", "/v1/audit/export"] {
        let refused = get(&issuer.at(path)).await;
        refused.refused(401, "AUDITOR_AUTH", path);
        assert_eq!(refused.header("www-authenticate"), "Bearer realm=\"narrows-audit\"");
        asked(&issuer, "wrong", path).await.refused(401, "AUDITOR_AUTH", path);
        asked(&issuer, IDA, &format!("{path}?names=true")).await.refused(403, "AUDITOR_ROLE", path);
    }
    let bundle_of_tiles = format!("/log/tile/entries/000.p/{before}");
    get(&issuer.at(&bundle_of_tiles)).await.refused(403, "ENTRIES_PRIVATE", "a tile");
    asked(&issuer, "wrong", &bundle_of_tiles).await.refused(401, "AUDITOR_AUTH", "a tile");
    assert_eq!(issuer.log_size().await, before, "what is refused leaves no leaf and grows nothing");

    for (path, kind) in
        [(entry.as_str(), "audit.read"), (&task, "audit.read"), ("/v1/audit/search", "audit.read"), ("/v1/audit/export", "audit.export")]
    {
        let size = issuer.log_size().await;
        let (_, verified) = evidence(&asked(&issuer, IDA, path).await, &key);
        assert!(verified.entries.iter().all(|entry| entry.disclosures.is_empty()), "{path}: no name");
        assert_eq!((verified.checkpoint.size, issuer.log_size().await), (size + 1, size + 1), "{path}: the reading is under it");
        let after = format!("/v1/audit/search?after={}&before={}&names=true", size - 1, size + 1);
        let (_, reading) = evidence(&asked(&issuer, ADA, &after).await, &key);
        assert_eq!(reading.entries[0].leaf.kind.as_str(), kind);
        let by = reading.entries[0].disclosures.iter().find(|it| it.name == "by").unwrap();
        assert_eq!(by.value.as_text(), Some("ida"), "{path}");
    }
    let (_, with_names) = evidence(&asked(&issuer, ADA, &format!("{entry}?names=true")).await, &key);
    assert!(with_names.entries[0].disclosures.iter().any(|it| it.value.canonical().contains("alice")));
    let tile = asked(&issuer, IDA, &bundle_of_tiles).await;
    assert_eq!((tile.status, tile.header("cache-control")), (200, "private, no-store"));
    issuer.audit(&[]).succeeded();
}

#[tokio::test]
async fn what_somebody_searched_for_is_recorded_without_the_name() {
    let (issuer, provider) = audited("").await;
    issuer.granted(&HolderKey::generate(), &provider.login("alice")).await;
    let (_, found) = evidence(&asked(&issuer, IDA, "/v1/audit/search?principal=alice&kind=mint").await, &vkey(&issuer));
    assert_eq!(found.entries.len(), 1);
    let size = issuer.log_size().await;
    let (_, reading) = evidence(&asked(&issuer, ADA, &format!("/v1/audit/search?after={}&names=true", size - 2)).await, &vkey(&issuer));
    let query = reading.entries[0].disclosures.iter().find(|it| it.name == "query").unwrap();
    assert_eq!(query.value.canonical(), r#"{"kind":"mint","principal":true}"#);
}

#[tokio::test]
async fn an_open_log_is_read_by_everybody_without_names_or_a_trace() {
    let (issuer, provider) = audited("[log]\npublic = true\n").await;
    issuer.granted(&HolderKey::generate(), &provider.login("alice")).await;
    let size = issuer.log_size().await;
    let (_, all) = evidence(&get(&issuer.at("/v1/audit/search")).await, &vkey(&issuer));
    assert!(all.gapless && all.entries.len() as u64 == size && all.entries.iter().all(|entry| entry.disclosures.is_empty()));
    get(&issuer.at("/v1/audit/search?names=true")).await.refused(403, "AUDITOR_ROLE", "names");
    asked(&issuer, "wrong", "/v1/audit/search").await.refused(401, "AUDITOR_AUTH", "a wrong credential is not read over");
    assert_eq!(issuer.log_size().await, size);
}

#[tokio::test]
async fn questions_are_read_strictly() {
    let (issuer, _provider) = audited("[log]\npublic = true\n").await;
    for (path, status, reason) in [
        ("search?color=red", 400, "PARAMETER_INVALID"),
        ("search?Kind=mint", 400, "PARAMETER_INVALID"),
        ("search?kind=mint&kind=hop", 400, "PARAMETER_REPEATED"),
        ("search?limit=257", 400, "PARAMETER_INVALID"),
        ("search?task=0", 400, "PARAMETER_INVALID"),
        ("search?size=99", 404, "CHECKPOINT_UNKNOWN"),
        ("search?size=0", 404, "CHECKPOINT_UNKNOWN"),
        ("export?from=yesterday", 400, "PARAMETER_INVALID"),
        ("head?x=1", 400, "PARAMETER_INVALID"),
        ("tasks/0", 404, "ENTRY_UNKNOWN"),
        ("tasks/00000000000000000000000000000000?kind=mint", 400, "PARAMETER_INVALID"),
        ("entries/00000000000000000000000000000000", 404, "ENTRY_UNKNOWN"),
        ("entries/0", 404, "ENTRY_UNKNOWN"),
        ("proof", 400, "PARAMETER_MISSING"),
        ("proof?index=0&entry=00000000000000000000000000000000", 400, "PARAMETER_MISSING"),
        ("proof?index=99", 404, "ENTRY_UNKNOWN"),
        ("proof?index=01", 400, "PARAMETER_INVALID"),
        ("proof?index=0&size=7", 404, "CHECKPOINT_UNKNOWN"),
        ("consistency", 400, "PARAMETER_MISSING"),
        ("consistency?from=0", 404, "CHECKPOINT_UNKNOWN"),
        ("consistency?from=9", 404, "CHECKPOINT_UNKNOWN"),
        ("consistency?from=1&to=9223372036854775808", 400, "PARAMETER_INVALID"),
    ] {
        get(&issuer.at(&format!("/v1/audit/{path}"))).await.refused(status, reason, path);
    }
}

#[tokio::test]
async fn an_auditor_can_not_grow_the_log_without_bound() {
    let (issuer, _provider) = audited("").await;
    let (http, address) = (client(), issuer.at("/v1/audit/search?limit=1"));
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..400 {
        waiting.spawn(send(http.get(&address).bearer_auth(IDA)));
    }
    let answers = waiting.join_all().await;
    let refused: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 429).collect();
    assert!(!refused.is_empty());
    refused[0].refused(429, "AUDITOR_RATE", "too often");
    assert_eq!(refused[0].header("retry-after"), "1");
    assert_eq!(asked(&issuer, ADA, "/v1/audit/search?limit=1").await.status, 200, "each has an allowance of its own");
}

#[tokio::test]
async fn every_search_finds_the_same_with_and_without_its_index() {
    let (mut issuer, provider) = audited("").await;
    let (sdk, keys) = issuer.sdk().await;
    let seed = HolderKey::generate();
    let answer = issuer.granted(&seed, &provider.login("alice")).await;
    let text = answer["access_token"].as_str().unwrap();
    let planner = Held::new(text, seed, &keys.roots).ok().unwrap();
    let narrowed = planner.narrow(&hop_to(&HolderKey::generate()), now()).unwrap();
    sdk.report(&planner.report_hop(&narrowed, issuer.url(), now()), &keys).await.unwrap();
    let denied = issuer.token(&issuer.request(&HolderKey::generate(), &provider.login("bob"))).await;
    assert_eq!(denied.reason(), "POLICY_DENIED");
    let other = issuer.granted(&HolderKey::generate(), &provider.login("alice")).await;
    let token = UnverifiedToken::from_text(text).unwrap().verify(&keys.roots).unwrap();
    let (task, block) = (token.authority.task.to_string(), token.newest().to_string());
    let trace = denied.header("narrows-trace").to_owned();
    let key = vkey(&issuer);
    let questions: Vec<(String, Vec<u64>)> = vec![
        (format!("task={task}"), vec![2, 3]),
        (format!("task={task}&kind=hop"), vec![3]),
        (format!("block={block}"), vec![2, 3]),
        (format!("parent={block}"), vec![3]),
        (format!("trace={trace}"), vec![4]),
        ("verdict=block".into(), vec![4]),
        ("reason=POLICY_DENIED".into(), vec![4]),
        ("kind=mint".into(), vec![2, 4, 5]),
        ("kind=mint&verdict=allow&principal=alice".into(), vec![2, 5]),
        ("principal=bob".into(), vec![4]),
        ("principal=nobody".into(), vec![]),
        ("agent=executor".into(), vec![3]),
        ("agent=planner&kind=hop".into(), vec![3]),
        ("tool=crm.read&after=2".into(), vec![4, 5]),
        ("kind=log.open".into(), vec![0]),
        ("kind=key".into(), vec![1]),
        ("kind=mint&before=5".into(), vec![2, 4]),
        ("kind=mint&from=1970-01-01T00:00:00Z".into(), vec![2, 4, 5]),
        ("kind=mint&to=1".into(), vec![]),
    ];
    // the service may or may not have indexed these; the file is read without any index
    for (question, expected) in &questions {
        let (bundle, verified) = evidence(&asked(&issuer, IDA, &format!("/v1/audit/search?{question}")).await, &key);
        assert_eq!((indices(&verified), bundle.next), (expected.clone(), None), "{question}");
        let pairs = question.split('&').flat_map(|pair| pair.split_once('=')).flat_map(|(name, value)| [format!("--{name}"), value.into()]);
        let offline = audit(&issuer, "search", pairs.chain(["--json".into(), "--before".into(), "6".into()]).collect::<Vec<_>>());
        if !question.contains("before") {
            assert_eq!(indices(&verify_text(&offline.succeeded(), &key)), *expected, "{question}, offline");
        }
    }
    issuer.stop();
    let data = issuer.data().to_string_lossy().into_owned();
    let told = run(["audit", "index", "rebuild", "--data", &data]).succeeded();
    assert!(told.starts_with("made anew from "), "{told}");
    issuer.start().await;
    for (question, expected) in &questions {
        let (_, verified) = evidence(&asked(&issuer, IDA, &format!("/v1/audit/search?{question}")).await, &key);
        assert_eq!(indices(&verified), *expected, "{question}, indexed");
    }
    let mut found = Vec::new();
    let mut page = "/v1/audit/search?kind=mint&limit=1".to_owned();
    loop {
        let (bundle, verified) = evidence(&asked(&issuer, IDA, &page).await, &key);
        found.extend(indices(&verified));
        let Some(next) = bundle.next else { break };
        page = format!("/v1/audit/search?kind=mint&limit=1&after={next}");
    }
    assert_eq!(found, [2, 4, 5], "page by page");
    assert!(other["narrows"]["entry"].is_string());
}

#[tokio::test]
async fn an_index_that_lies_is_named_and_adds_nothing_to_an_answer() {
    let (mut issuer, provider) = audited("").await;
    for _ in 0..3 {
        issuer.granted(&HolderKey::generate(), &provider.login("alice")).await;
    }
    issuer.stop();
    let data = issuer.data().to_string_lossy().into_owned();
    let compare = || run(["audit", "index", "compare", "--data", &data]);
    let fsck = || run(["audit", "fsck", "--data", &data]);
    let rebuild = || run(["audit", "index", "rebuild", "--data", &data]).succeeded();
    rebuild();
    assert!(compare().succeeded().contains("first 5 leaves"));
    assert!(fsck().succeeded().contains("index        5 leaves"));
    for (sql, leaf) in [
        ("INSERT INTO term (field, value, idx) VALUES (1, CAST('hop' AS BLOB), 3)", "at leaf 3"),
        ("DELETE FROM term WHERE idx = 2 AND field = 4", "at leaf 2"),
        ("UPDATE term SET idx = 4 WHERE idx = 3 AND field = 5", "at leaf 3"),
        ("INSERT INTO term (field, value, idx) VALUES (1, CAST('mint' AS BLOB), 9)", "at leaf 9"),
        ("UPDATE cursor SET next = 9", "at leaf 5"),
    ] {
        rebuild();
        index(&issuer).execute_batch(sql).unwrap();
        let told = compare();
        assert!(told.errors.contains(leaf), "{sql}: {told:?}");
        told.refused("LOG_INDEX_CHANGED");
        fsck().refused("LOG_INDEX_CHANGED");
    }
    rebuild();
    // a row that leads to a leaf of another kind, one that leads nowhere, and one for a name that the leaf does not have
    index(&issuer)
        .execute_batch(
            "INSERT INTO term (field, value, idx) VALUES (1, CAST('hop' AS BLOB), 2), (1, CAST('hop' AS BLOB), 77);
             INSERT INTO term SELECT field, value, 0 FROM term WHERE field = 32 AND idx = 2;",
        )
        .unwrap();
    issuer.start().await;
    let (_, hops) = evidence(&asked(&issuer, IDA, "/v1/audit/search?kind=hop&before=5").await, &vkey(&issuer));
    assert_eq!(indices(&hops), Vec::<u64>::new());
    let (_, named) = evidence(&asked(&issuer, IDA, "/v1/audit/search?principal=alice").await, &vkey(&issuer));
    assert_eq!(indices(&named), [2, 3, 4]);
    issuer.stop();
    fs::write(issuer.data().join("index.db"), "not a database").unwrap();
    issuer.start().await;
    let (_, named) = evidence(&asked(&issuer, IDA, "/v1/audit/search?principal=alice").await, &vkey(&issuer));
    assert_eq!(indices(&named), [2, 3, 4], "a damaged index is made anew");
}

#[tokio::test]
async fn an_auditor_reads_over_http_what_the_owner_reads_from_the_file() {
    let (mut issuer, provider) = audited("").await;
    let answer = issuer.granted(&HolderKey::generate(), &provider.login("alice")).await;
    let entry = answer["narrows"]["entry"].as_str().unwrap().to_owned();
    let (key, secret) = (vkey(&issuer).to_string(), issuer.keep("ida.secret", format!("{IDA}\n")));
    let admin = issuer.keep("ada.secret", ADA);
    let (state, url) = (issuer.keep("unused", "").with_file_name("state"), issuer.url().to_owned());
    let over_http = |verb: &str, more: &[&str]| {
        let secret = if more.contains(&"--names") { &admin } else { &secret };
        let place = ["--url", &url, "--vkey", &key, "--credential", secret.to_str().unwrap(), "--state", state.to_str().unwrap()];
        run([&["audit", verb], &place[..], more].concat())
    };
    let told = over_http("head", &[]).succeeded();
    assert!(told.contains("leaves        3") && told.contains("from leaf 0"), "{told}");
    let head: Value = serde_json::from_str(&over_http("head", &["--json"]).succeeded()).unwrap();
    assert_eq!((&head["size"], head["checkpoint"].as_str()), (&json!(3), Some(over_http("head", &["--checkpoint"]).succeeded().as_str())));
    assert!(over_http("show", &[&entry]).succeeded().contains("kind     mint"));
    let told = over_http("show", &[&entry, "--names"]).succeeded();
    assert!(told.contains("alice") && told.contains("proven to be in the log"), "{told}");
    assert!(audit(&issuer, "show", vec!["2".into(), "--names".into()]).succeeded().contains("alice"));
    let told = over_http("tail", &["--count", "2"]).succeeded();
    assert!(told.contains("audit.read") && told.contains("2 leaves, each proven"), "{told}");
    let leaf = issuer.keep("leaf", evidence_of(&answer));
    let receipt = over_http("prove", &[&entry, "--leaf", leaf.to_str().unwrap()]).succeeded();
    verify(&receipt, &fs::read(&leaf).unwrap(), &[vkey(&issuer)]).unwrap();
    let proof: Value = serde_json::from_str(&over_http("prove", &[&entry, "--json"]).succeeded()).unwrap();
    verify(proof["receipt"].as_str().unwrap(), &fs::read(&leaf).unwrap(), &[vkey(&issuer)]).unwrap();
    over_http("prove", &["0", "--leaf", leaf.to_str().unwrap()]).refused("INCLUSION_PROOF");
    let receipt = issuer.keep("receipt", receipt);
    let check = ["audit", "verify", receipt.to_str().unwrap(), "--leaf", leaf.to_str().unwrap(), "--vkey", &key];
    run(check).succeeded();
    let checked: Value = serde_json::from_str(&run([&check[..], &["--json"]].concat()).succeeded()).unwrap();
    assert_eq!((&checked["result"], &checked["index"]), (&json!("in_order"), &json!(2)));
    let checked: Value = serde_json::from_str(&audit(&issuer, "verify", vec!["--json".into()]).succeeded()).unwrap();
    assert_eq!((&checked["result"], &checked["key_pinned"]), (&json!("in_order"), &json!(false)));
    let told = over_http("fsck", &[]).succeeded();
    assert!(told.contains("in order: nothing logged has been changed"), "{told}");

    let other = VerifierKey::new(vkey(&issuer).name(), narrows_verifier::public_key(&[7; 32]).as_bytes()).unwrap().to_string();
    run(["audit", "head", "--url", &url, "--vkey", &other]).refused("CHECKPOINT_SIGNATURE");
    run(["audit", "search", "--url", &url, "--vkey", &key]).refused("AUDITOR_AUTH");
    assert_eq!(run(["audit", "head", "--url", &url]).code, Some(2), "nothing else vouches for the log");
    assert_eq!(run(["audit", "head", "--url", &url, "--data", "x", "--vkey", &key]).code, Some(2));
    assert_eq!(run(["audit", "search", "--data", "x", "--kind"]).code, Some(2));
    audit(&issuer, "search", vec!["--verdict".into(), "maybe".into()]).refused("PARAMETER_INVALID");

    // the log goes on, and then an old copy of it comes back
    issuer.stop();
    let old = Backup::of(&issuer);
    issuer.start().await;
    issuer.granted(&HolderKey::generate(), &provider.login("alice")).await;
    over_http("head", &[]).succeeded();
    let kept = fs::read_to_string(&state).unwrap();
    issuer.stop();
    let newer = Backup::of(&issuer);
    old.restore(&issuer);
    let from_file = |issuer: &Issuer, verb: &str| audit(issuer, verb, vec!["--state".into(), state.to_string_lossy().into_owned()]);
    from_file(&issuer, "head").refused("AUDIT_ROLLBACK_DETECTED");
    issuer.start().await;
    let told = over_http("head", &[]);
    assert!(told.errors.contains(&kept), "both notes are shown: {told:?}");
    told.refused("AUDIT_ROLLBACK_DETECTED");
    // and goes on in another direction
    while issuer.log_size().await <= Kept::new(&kept, &[vkey(&issuer)]).unwrap().checkpoint().size {
        issuer.granted(&HolderKey::generate(), &provider.login("alice")).await;
    }
    over_http("head", &[]).refused("SPLIT_VIEW");
    over_http("search", &[]).refused("SPLIT_VIEW");
    assert_eq!(fs::read_to_string(&state).unwrap(), kept, "what was seen stays what it was");
    issuer.stop();
    from_file(&issuer, "head").refused("SPLIT_VIEW");
    let compare = |first: &Path, more: &[&str]| run([&["audit", "compare", first.to_str().unwrap()], more].concat());
    let data = issuer.data().to_string_lossy().into_owned();
    let told = compare(&state, &["--data", &data]);
    assert!(told.errors.contains(&kept), "{told:?}");
    told.refused("SPLIT_VIEW");
    newer.restore(&issuer);
    let told = compare(&state, &["--data", &data]).succeeded();
    assert!(told.starts_with("consistent:"), "{told}");
    assert!(compare(&state, &[state.to_str().unwrap(), "--vkey", &key]).succeeded().starts_with("consistent:"));
    assert!(compare(&state, &["--data", &data, "--json"]).succeeded().starts_with(r#"{"from":"#));
}

#[tokio::test]
async fn a_whole_log_is_checked_over_http_as_one_reading() {
    let (issuer, provider) = audited("").await;
    while issuer.log_size().await < 300 {
        issuer.granted(&HolderKey::generate(), &provider.login("alice")).await;
    }
    let (key, secret) = (vkey(&issuer).to_string(), issuer.keep("ida.secret", IDA));
    let fsck = |more: &[&str]| {
        let source = ["audit", "fsck", "--url", issuer.url(), "--vkey", &key, "--credential", secret.to_str().unwrap()];
        run([&source[..], more].concat())
    };
    let size = issuer.log_size().await;
    let told = fsck(&[]).succeeded();
    assert!(told.contains(&format!("leaves       {size}, each hashed anew")) && told.contains("tiles        3"), "{told}");
    assert_eq!(issuer.log_size().await, size + 1, "one leaf says that all of it was read");
    let report: Value = serde_json::from_str(&fsck(&["--json"]).succeeded()).unwrap();
    assert_eq!((&report["result"], &report["size"], &report["tiles"]), (&json!("in_order"), &json!(size + 1), &json!(3)));
    let reading = asked(&issuer, IDA, "/v1/audit/reading").await.json();
    let entry = reading["reading"].as_str().unwrap();
    let (_, of) = evidence(&asked(&issuer, ADA, &format!("/v1/audit/entries/{entry}?names=true")).await, &vkey(&issuer));
    let query = of.entries[0].disclosures.iter().find(|it| it.name == "query").unwrap();
    assert_eq!(query.value.canonical(), format!(r#"{{"first":"0","size":"{}"}}"#, size + 2));

    let tile = async |secret: &str, path: &str| {
        let before = issuer.log_size().await;
        let answer = send(client().get(issuer.at(path)).bearer_auth(secret).header("narrows-reading", entry)).await;
        (answer.status, issuer.log_size().await - before)
    };
    let size = issuer.log_size().await;
    assert_eq!(tile(IDA, "/log/tile/entries/000").await, (200, 0));
    assert_eq!(tile(ADA, "/log/tile/entries/000").await, (200, 1), "somebody else's reading covers nothing");
    let later = format!("/log/tile/entries/001.p/{}", size - 256);
    assert_eq!(tile(IDA, &later).await, (200, 1), "nor does it cover what came later");
    assert_eq!(tile("wrong", "/log/tile/entries/000").await, (401, 0));
    get(&issuer.at("/v1/audit/reading")).await.refused(401, "AUDITOR_AUTH", "a reading");
    asked(&issuer, IDA, "/v1/audit/reading?size=9999").await.refused(404, "CHECKPOINT_UNKNOWN", "a reading");
    asked(&issuer, IDA, "/v1/audit/reading?last=9").await.refused(400, "PARAMETER_INVALID", "a reading");
}

#[tokio::test]
async fn a_log_is_followed_leaf_by_leaf() {
    let (issuer, provider) = audited("").await;
    let data = issuer.data().to_string_lossy().into_owned();
    let follow = |more: &'static [&'static str]| {
        let words: Vec<String> = ["audit", "tail", "--data", &data, "--follow", "--until", "5", "--count", "1"].map(str::to_owned).into();
        tokio::task::spawn_blocking(move || run(words.into_iter().chain(more.iter().map(|word| (*word).to_owned()))))
    };
    let (lines, bundles) = (follow(&[]), follow(&["--json"]));
    for _ in 0..3 {
        issuer.granted(&HolderKey::generate(), &provider.login("alice")).await;
    }
    let told = lines.await.unwrap().succeeded();
    let shown: Vec<&str> = told.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(shown.ends_with(&["4"]) && shown.windows(2).all(|pair| pair[0] < pair[1]), "each leaf once, in order: {told}");
    let key = vkey(&issuer);
    let bundles = bundles.await.unwrap().succeeded();
    let seen: Vec<u64> = bundles.lines().flat_map(|bundle| indices(&verify_text(bundle, &key))).collect();
    assert!(seen.ends_with(&[4]) && seen.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{seen:?}");
    assert_eq!(run(["audit", "tail", "--data", &data, "--until", "4"]).code, Some(2), "an end is of something that goes on");
}

#[tokio::test]
async fn two_trees_of_one_size_are_shown_as_proof_to_anybody() {
    let (mut issuer, provider) = audited("").await;
    issuer.stop();
    let old = Backup::of(&issuer);
    let mut notes = Vec::new();
    for branch in ["one", "two"] {
        old.restore(&issuer);
        issuer.start().await;
        issuer.granted(&HolderKey::generate(), &provider.login("alice")).await;
        notes.push(issuer.keep(branch, get(&issuer.at("/log/checkpoint")).await.text()).to_string_lossy().into_owned());
        issuer.stop();
    }
    let told = run(["audit", "compare", &notes[0], &notes[1], "--vkey", &vkey(&issuer).to_string()]);
    assert!(told.errors.contains("these notes prove it to anybody"), "{told:?}");
    let object = run(["audit", "compare", &notes[0], &notes[1], "--vkey", &vkey(&issuer).to_string(), "--json"]);
    let split: Value = serde_json::from_str(&object.out).unwrap();
    assert_eq!((object.code, &split["result"], &split["reason"]), (Some(1), &json!("split_view"), &json!("SPLIT_VIEW")));
    for note in &notes {
        assert!(told.errors.contains(&fs::read_to_string(note).unwrap()));
    }
    told.refused("SPLIT_VIEW");
}

#[tokio::test]
async fn exported_evidence_is_checked_where_nobody_knows_the_issuer() {
    let (mut issuer, provider) = audited("").await;
    let answer = issuer.granted(&HolderKey::generate(), &provider.login("alice")).await;
    let task = answer["narrows"]["task"].as_str().unwrap();
    let key = vkey(&issuer).to_string();
    let admin = issuer.keep("ada.secret", ADA);
    let place = issuer.keep("place", "");
    let file = |name: &str| place.with_file_name(name).to_string_lossy().into_owned();
    let (of_task, whole) = (file("task.json"), file("whole.json"));
    let source = ["--url", issuer.url(), "--vkey", &key, "--credential", admin.to_str().unwrap()];
    let told = run([&["audit", "export"], &source[..], &["--task", task, "--names", "--out", &of_task]].concat()).succeeded();
    assert!(told.contains("1 leaves under the checkpoint of 4"), "{told}");
    run([&["audit", "export"], &source[..], &["--out", &whole]].concat()).succeeded();
    assert_eq!(run([&["audit", "export"], &source[..], &["--out", &whole]].concat()).code, Some(1), "nothing is overwritten");
    issuer.stop();
    let log_only: Vec<_> = ["log.key", "issuer.key", "log.db", "index.db"].iter().map(|name| issuer.data().join(name)).collect();
    for path in log_only.iter().filter(|path| path.exists()) {
        fs::remove_file(path).unwrap();
    }
    let told = run(["audit", "verify", &of_task, "--vkey", &key]).succeeded();
    assert!(told.contains("alice") && told.contains("1 leaves, each in the log"), "{told}");
    let told = run(["audit", "verify", &whole, "--vkey", &key]).succeeded();
    assert!(told.contains("no leaf of the range is left out"), "{told}");
    let told: Value = serde_json::from_str(&run(["audit", "verify", &whole, "--vkey", &key, "--json"]).succeeded()).unwrap();
    assert_eq!((&told["gapless"], &told["goes_on"]), (&json!(true), &json!(false)));
    assert_eq!(run(["audit", "verify", &whole]).code, Some(2), "the key is pinned by whoever checks");
    let other = VerifierKey::new(VerifierKey::parse(&key).unwrap().name(), narrows_verifier::public_key(&[7; 32]).as_bytes()).unwrap();
    run(["audit", "verify", &whole, "--vkey", &other.to_string()]).refused("CHECKPOINT_SIGNATURE");
    let bundle: Value = serde_json::from_str(&fs::read_to_string(&whole).unwrap()).unwrap();
    let count = bundle["entries"].as_array().unwrap().len();
    type Change = (&'static str, fn(&mut Value), &'static str);
    let changes: [Change; 5] = [
        (
            "a leaf",
            |it| it["entries"][1]["leaf"] = json!(it["entries"][1]["leaf"].as_str().unwrap().replace("allow", "block")),
            "INCLUSION_PROOF",
        ),
        ("a leaf left out", |it| drop(it["entries"].as_array_mut().unwrap().remove(1)), "BUNDLE_GAP"),
        ("the last left out", |it| drop(it["entries"].as_array_mut().unwrap().pop()), "BUNDLE_GAP"),
        ("a pack", |it| it["packs"] = json!([]), "BUNDLE_MALFORMED"),
        ("the question", |it| it["selection"] = json!({"kind": "mint"}), "BUNDLE_SELECTION"),
    ];
    assert!(count > 3);
    for (case, change, reason) in changes {
        let mut changed = bundle.clone();
        change(&mut changed);
        let changed = issuer.keep("changed.json", changed.to_string());
        let told = run(["audit", "verify", changed.to_str().unwrap(), "--vkey", &key]);
        assert!(told.errors.contains(reason), "{case}: {told:?}");
        told.refused(reason);
    }
}

#[tokio::test]
async fn a_task_is_rebuilt_and_what_is_missing_is_named() {
    let (issuer, provider) = audited("").await;
    let (sdk, keys) = issuer.sdk().await;
    let planner = capability(&issuer, &provider, &keys, HolderKey::generate()).await;
    let task = planner.inspect().authority.task.to_string();
    let (key, admin) = (vkey(&issuer).to_string(), issuer.keep("ada.secret", ADA));
    let over_http = || {
        let source = ["--url", issuer.url(), "--vkey", &key, "--credential", admin.to_str().unwrap(), "--names"];
        run([&["audit", "task", &task], &source[..]].concat())
    };
    let executor = HolderKey::generate();
    let seen = planner.narrow(&hop_to(&executor), now()).unwrap();
    sdk.report(&planner.report_hop(&seen, issuer.url(), now()), &keys).await.unwrap();
    for told in [over_http().succeeded(), audit(&issuer, "task", vec![task.clone()]).succeeded()] {
        assert!(told.contains("└─ agent") && told.contains("· hop ·") && told.contains("complete: nothing"), "{told}");
    }
    assert!(over_http().succeeded().contains("agent \"executor\""));
    assert!(audit(&issuer, "task", vec![task.clone()]).succeeded().contains("none is left out"));

    // a hop that nobody reported shows as soon as one below it is
    let (middle, worker) = (HolderKey::generate(), HolderKey::generate());
    let unseen = planner.narrow(&hop_to(&middle), now()).unwrap();
    let unseen = Held::new(&unseen.token, middle, &keys.roots).ok().unwrap();
    let below = unseen.narrow(&hop_to(&worker), now()).unwrap();
    sdk.report(&unseen.report_hop(&below, issuer.url(), now()), &keys).await.unwrap();
    let hole = format!("derived from block {}, which is in no leaf", unseen.inspect().newest());
    for told in [over_http(), audit(&issuer, "task", vec![task.clone()])] {
        assert!(told.code == Some(1) && told.out.contains("incomplete:") && told.out.contains(&hole), "{told:?}");
    }
    audit(&issuer, "task", vec!["00".repeat(16)]).refused("ENTRY_UNKNOWN");
}

/// A running issuer with two auditors: ida reads leaves, ada names as well.
pub(super) async fn audited(more: &str) -> (Issuer, ForgedProvider) {
    let auditor = |name: &str, secret: &str, role: &str| {
        format!("[[auditor]]\nname = \"{name}\"\nsecret_hashes = [\"{}\"]\nrole = \"{role}\"\n", secret_hash(secret))
    };
    trusting(&format!("{more}{}{}", auditor("ida", IDA, "auditor"), auditor("ada", ADA, "administrator"))).await
}

pub(super) async fn asked(issuer: &Issuer, secret: &str, path: &str) -> Answer {
    send(client().get(issuer.at(path)).bearer_auth(secret)).await
}

/// An answer's evidence, verified under the key that the auditor has pinned.
pub(super) fn evidence(answer: &Answer, key: &VerifierKey) -> (Bundle, VerifiedBundle) {
    assert_eq!((answer.status, answer.header("cache-control")), (200, "no-store"), "{}", answer.text());
    let bundle = Bundle::parse(&answer.text()).unwrap();
    let verified = bundle.verify(std::slice::from_ref(key)).unwrap();
    (bundle, verified)
}

fn verify_text(text: &str, key: &VerifierKey) -> VerifiedBundle {
    Bundle::parse(text.trim_end()).unwrap().verify(std::slice::from_ref(key)).unwrap()
}

pub(super) fn indices(verified: &VerifiedBundle) -> Vec<u64> {
    verified.entries.iter().map(|entry| entry.index).collect()
}

fn evidence_of(answer: &Value) -> Vec<u8> {
    narrows_tests::issuer::evidence(answer).1
}

pub(super) fn vkey(issuer: &Issuer) -> VerifierKey {
    VerifierKey::parse(fs::read_to_string(issuer.data().join("log.vkey")).unwrap().trim()).unwrap()
}

pub(super) fn audit(issuer: &Issuer, verb: &str, more: Vec<String>) -> Ran {
    let data = issuer.data().to_string_lossy().into_owned();
    run(["audit".to_owned(), verb.to_owned(), "--data".to_owned(), data].into_iter().chain(more))
}

pub(super) fn index(issuer: &Issuer) -> Connection {
    Connection::open(issuer.data().join("index.db")).unwrap()
}

/// Database and anchor together, which the service alone can't tell from its own past.
pub(super) struct Backup {
    database: Vec<u8>,
    anchor: Vec<u8>,
}

impl Backup {
    pub(super) fn of(issuer: &Issuer) -> Self {
        Self { database: fs::read(issuer.database()).unwrap(), anchor: fs::read(issuer.data().join("log.anchor")).unwrap() }
    }

    pub(super) fn restore(&self, issuer: &Issuer) {
        fs::write(issuer.database(), &self.database).unwrap();
        fs::write(issuer.data().join("log.anchor"), &self.anchor).unwrap();
    }
}
