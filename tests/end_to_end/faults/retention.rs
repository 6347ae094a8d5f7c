//! Days pass under the real program, and what is too old goes as its log has said.

use std::{
    fs,
    time::{Duration, Instant},
};

use narrows_issuer::clients::secret_hash;
use narrows_tests::{
    http::get,
    issuer::evidence,
    program::{Ran, run},
};
use narrows_verifier::log::{Leaf, verify};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{
    super::auditing::{ADA, asked, audit, indices, vkey},
    clocks::Turned,
};

#[tokio::test]
async fn days_later_leaves_and_names_are_gone_and_every_receipt_still_holds() {
    let mut place = Turned::configured(&retention(true)).await;
    let old = granted(&place, 0, 270).await;
    let head = head(&place).await;
    assert_eq!(
        (&head["minimum_index"], &head["retention"]["leaf"], &head["retention"]["applied"]),
        (&json!(0), &Value::Null, &Value::Null)
    );
    let keys: Value = serde_json::from_str(&get(&place.issuer.at("/.well-known/narrows-keys")).await.text()).unwrap();
    assert_eq!(keys["log"]["retention"], head["retention"]["digest"]);

    // forty days at once, as for a service that was stopped; then the day that the log waits
    place.turn(40 * DAY);
    until(&place, |head| head["retention"]["leaf"] == 272).await;
    place.turn(41 * DAY);
    let head = until(&place, |head| head["minimum_index"] == 256 && head["retention"]["leaf"] == 274).await;
    assert_eq!(head["retention"]["applied"], head["retention"]["digest"]);

    let (first, last) = (&old[0].1, &old.last().unwrap().1);
    let id = |leaf: &[u8]| Leaf::parse(leaf).unwrap().id.to_string();
    get(&place.issuer.at("/log/tile/entries/000")).await.refused(410, "ENTRY_PRUNED", "a bundle, whoever asks");
    assert_eq!(get(&place.issuer.at("/log/tile/0/000")).await.status, 200, "hashes stay");
    asked(&place.issuer, ADA, &format!("/v1/audit/entries/{}", id(first))).await.refused(410, "ENTRY_PRUNED", "an entry");
    assert_eq!(asked(&place.issuer, ADA, &format!("/v1/audit/entries/{}", id(last))).await.status, 200);
    let fresh = get(&place.issuer.at(&format!("/v1/receipts/{}", id(first)))).await.text();
    verify(&fresh, first, &[vkey(&place.issuer)]).unwrap();

    let told = over_http(&place, "head", &[]).succeeded();
    assert!(told.contains("can be had    from leaf 256") && told.contains("\"entries_days\":30"), "{told}");
    let task = Leaf::parse(first).unwrap().task.unwrap().to_string();
    let below = "leaves below 256 are pruned under policy sha256:";
    let told = over_http(&place, "fsck", &[]).succeeded();
    assert!(told.contains("of 256 only the hashes are there") && told.contains(below), "{told}");
    let told = over_http(&place, "task", &[&task]);
    assert!(told.code == Some(1) && told.errors.contains(below) && !told.out.contains("complete"), "{told:?}");
    let found = over_http(&place, "search", &["--principal", "alice", "--limit", "5000"]).succeeded();
    assert!(found.contains("0 leaves, each proven") && found.contains(below), "{found}");
    let shown = over_http(&place, "show", &[&id(last), "--names"]).succeeded();
    assert!(shown.contains("chain/0  expired"), "{shown}");
    over_http(&place, "show", &["3"]).refused("ENTRY_PRUNED");
    let out = place.issuer.keep("out", "");
    fs::remove_file(&out).unwrap();
    let exported = over_http(&place, "export", &["--before", "265", "--out", out.to_str().unwrap()]).succeeded();
    assert!(exported.contains(below), "{exported}");
    let key = vkey(&place.issuer).to_string();
    let told = run(["audit", "verify", out.to_str().unwrap(), "--vkey", &key]).succeeded();
    assert!(told.contains(below) && told.contains("no leaf of the range is left out that the log keeps"), "{told}");

    let answers: Vec<String> = [&old[0], &old[269]]
        .iter()
        .enumerate()
        .flat_map(|(number, (receipt, leaf))| {
            let receipt = place.issuer.keep(&format!("receipt{number}"), receipt).to_string_lossy().into_owned();
            let leaf = place.issuer.keep(&format!("leaf{number}"), leaf).to_string_lossy().into_owned();
            ["--receipt".to_owned(), receipt, "--leaf".to_owned(), leaf]
        })
        .collect();
    place.issuer.stop();
    let told = audit(&place.issuer, "verify", answers).succeeded();
    assert!(told.contains("of 255 only the hashes are there") && told.contains("2 of 2 given verify") && told.contains(below), "{told}");
    audit(&place.issuer, "fsck", Vec::new()).succeeded();
    run(["audit", "index", "compare", "--data", &place.issuer.data().to_string_lossy()]).succeeded();
    let planted = id(first);
    for file in fs::read_dir(place.issuer.data()).unwrap().map(|file| file.unwrap().path()) {
        let text = String::from_utf8_lossy(&fs::read(&file).unwrap()).into_owned();
        assert!(!text.contains(&planted) && !text.contains(&task), "{}", file.display());
    }
    // a start finds all of it in order, and grants go on
    place.turn(0);
    place.issuer.start().await;
    granted(&place, 5, 1).await;
}

#[tokio::test]
async fn what_is_denied_stays_for_the_operator_who_can_also_let_it_go_at_once() {
    let mut place = Turned::configured(&retention(false)).await;
    let old = granted(&place, 0, 260).await;
    place.issuer.stop();
    place.turn(45 * DAY);
    let plan = place.retain(&["--dry-run"]).succeeded();
    assert!(
        plan.contains("leaves below 256 are pruned") && plan.contains("would expire") && plan.contains("nothing was changed"),
        "{plan}"
    );
    assert!(audit(&place.issuer, "fsck", Vec::new()).succeeded().contains("leaves       262, each hashed anew"));
    let done = place.retain(&[]).succeeded();
    assert!(done.contains("leaves below 256 are pruned") && done.contains("keys         1 of people"), "{done}");
    let told = audit(&place.issuer, "fsck", Vec::new()).succeeded();
    assert!(told.contains("each hashed anew") && told.contains("pruned       leaves below 256 are pruned under policy sha256:"), "{told}");

    let id = Leaf::parse(&old[7].1).unwrap().id.to_string();
    audit(&place.issuer, "show", vec![id.clone()]).refused("ENTRY_PRUNED");
    let kept = audit(&place.issuer, "show", vec![id, "--pruned".to_owned()]).succeeded();
    assert!(kept.contains("kind     mint") && kept.contains("chain/0  expired"), "{kept}");
    place.issuer.start().await;
    place.retain(&[]).refused("LOG_BUSY");
    place.retain(&["--dry-run"]).succeeded();
    let (_, found) = super::super::auditing::evidence(&asked(&place.issuer, ADA, "/v1/audit/search?limit=256").await, &vkey(&place.issuer));
    assert_eq!(indices(&found)[0], 256);
}

impl Turned {
    /// `narrows audit retain` on the machine whose clock is turned.
    fn retain(&self, more: &[&str]) -> Ran {
        self.issuer.run(&[&["audit", "retain", "--config", &self.issuer.config().to_string_lossy()], more].concat())
    }
}

/// A policy of thirty days, and an administrator.
fn retention(delete: bool) -> String {
    format!(
        "[log.retention]\nentries_days = 30\ndelete = {delete}\ndisclosures_days = 7\n\
         [[auditor]]\nname = \"ada\"\nsecret_hashes = [\"{}\"]\nrole = \"administrator\"\n",
        secret_hash(ADA)
    )
}

/// Grants, by somebody whose clock is so many seconds from the true time: receipts and leaves in the order of the log.
async fn granted(place: &Turned, seconds: i64, count: usize) -> Vec<(String, Vec<u8>)> {
    let (mut granted, mut asking, mut left) = (Vec::new(), JoinSet::new(), count);
    while granted.len() < count {
        // a few at a time: commits are shared, and no request waits for long
        while left > 0 && asking.len() < 8 {
            let (request, address) = (place.request(seconds), place.issuer.at("/oauth/token"));
            asking.spawn(async move { evidence(&request.post(&address).await.granted()) });
            left -= 1;
        }
        granted.extend(asking.join_next().await.transpose().unwrap());
    }
    granted.sort_by_key(|(receipt, _)| narrows_verifier::log::Receipt::parse(receipt).unwrap().index);
    granted
}

async fn head(place: &Turned) -> Value {
    serde_json::from_str(&get(&place.issuer.at("/v1/audit/head")).await.text()).unwrap()
}

/// The head once it is so; the service looks at its clock each second.
async fn until(place: &Turned, is_so: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let head = head(place).await;
        if is_so(&head) {
            return head;
        }
        assert!(Instant::now() < deadline, "{head} {}", place.issuer.log_lines());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn over_http(place: &Turned, verb: &str, more: &[&str]) -> Ran {
    let (key, secret) = (vkey(&place.issuer).to_string(), place.issuer.keep("ada.secret", ADA));
    let source = ["--url", place.issuer.url(), "--vkey", &key, "--credential", secret.to_str().unwrap()];
    run([&["audit", verb], more, &source].concat())
}

const DAY: i64 = 86_400;
