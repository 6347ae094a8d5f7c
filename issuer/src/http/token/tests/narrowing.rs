//! Our own token as the subject: the service makes a narrower one, for its holder and nobody else.

use narrows_verifier::{
    EarlierActor, EntryId, Holder, Word,
    biscuit::{AuthorityClaims, HopClaims, append_hop, append_plain, seal},
    log::Leaf,
    public_key, token_bytes, token_text,
};
use serde_json::json;

use super::desk::{ACCESS_TOKEN, AUDIENCE, BISCUIT, Desk, Dpop, Form, ID_TOKEN, JWT, OTHER_AUDIENCE, caveats};
use crate::app::random;

const READ: (&str, &str) = ("authorization_details", r#"[{"type":"narrows","tools":["crm.read"]}]"#);

/// A token of alice's for both audiences and three tools, held by the key 11.
async fn token(desk: &Desk) -> String {
    let details = r#"[{"type":"narrows","tools":["crm.read","payments.send","mail.send"],"agent":"planner"}]"#;
    desk.send(&desk.exchange(11).also("audience", OTHER_AUDIENCE).with("authorization_details", details)).await.token()
}

/// The same token after a hop of the key 11 to the key 12.
fn hop(token: &str, more: &str) -> String {
    hop_by(token, 11, 12, "executor", more)
}

fn hop_by(token: &str, holder: u8, new_holder: u8, agent: &str, more: &str) -> String {
    let claims = HopClaims { holder: public_key(&[new_holder; 32]), agent: agent.into(), entry: EntryId(random()), caveats: caveats(more) };
    token_text(&append_hop(&token_bytes(token).unwrap(), &[holder; 32], &claims, &random()).unwrap())
}

fn plain(token: &str, more: &str) -> String {
    token_text(&append_plain(&token_bytes(token).unwrap(), &caveats(more), &random()).unwrap())
}

#[tokio::test]
async fn a_narrowed_token_has_all_that_the_old_one_demands_and_more() {
    let desk = Desk::open();
    let first = token(&desk).await;
    let amount = r#"{"kind":"arg","tool":"payments.send","path":"/amount","is":{"range":{"max":50}}}"#;
    let old = hop(&first, &format!(r#"[{{"kind":"tools","allow":["crm.read","payments.send"]}},{amount}]"#));
    let old = plain(&old, r#"[{"kind":"closed_args","tool":"payments.send","names":["amount","to"]}]"#);
    let details = r#"[{"type":"narrows","tools":["payments.send"],"caveats":[{"kind":"arg","tool":"payments.send","path":"/to","is":{"exact":"shop"}}],"agent":"worker"}]"#;
    let answer = desk.send(&desk.narrowing(&old, 12, 13, &[("authorization_details", details), ("resource", AUDIENCE)])).await.granted();
    assert_eq!((&answer["issued_token_type"], &answer["token_type"]), (&json!(ACCESS_TOKEN), &json!("DPoP")));
    let (old, new) = (desk.verify(&old), desk.verify(answer["access_token"].as_str().unwrap()));
    assert_eq!((new.authority.task, &new.authority.subject), (old.authority.task, &old.authority.subject));
    assert_eq!(new.authority.lineage, old.block_ids());
    // the executor's name is the planner's word, in whichever token it stands
    assert_eq!(new.authority.actors, [EarlierActor::attested("planner"), EarlierActor::named("executor")]);
    assert_eq!(new.chain()[2].word, Word::Delegator("planner"));
    assert_eq!(new.principals().map(|(name, ..)| name).collect::<Vec<_>>(), ["worker"]);
    assert_eq!((new.holder, new.expires), (Holder::Key(public_key(&[13; 32])), old.expires.min(desk.now() + 800)));
    let expected = caveats(&format!(
        r#"[{{"kind":"tools","allow":["payments.send"]}},{{"kind":"audience","one_of":["{AUDIENCE}"]}},{{"kind":"depth","max":2}},{amount},
        {{"kind":"arg","tool":"payments.send","path":"/amount","is":{{"range":{{"min":1,"max":500}}}}}},
        {{"kind":"closed_args","tool":"payments.send","names":["amount","to"]}},
        {{"kind":"arg","tool":"payments.send","path":"/to","is":{{"exact":"shop"}}}}]"#
    ));
    let found = &new.blocks[0].caveats;
    for caveat in &expected {
        assert!(found.contains(caveat), "{caveat:?} is not in {found:?}");
    }
    let leaf = leaf(&answer);
    assert_eq!(
        (leaf.kind.as_str(), leaf.task, &leaf.parents, &leaf.blocks),
        ("exchange", Some(old.authority.task), &old.block_ids(), &new.block_ids())
    );
    assert_eq!(leaf.chain.len(), 4, "subject, two who acted before, the agent");

    // once more, from the new one: the lineage grows
    let next = desk.send(&desk.narrowing(answer["access_token"].as_str().unwrap(), 13, 14, &[])).await.token();
    let next = desk.verify(&next);
    assert_eq!(next.authority.lineage, [old.block_ids(), new.block_ids()].concat());
    let actors = [EarlierActor::attested("planner"), EarlierActor::named("executor"), EarlierActor::attested("worker")];
    assert_eq!(next.authority.actors, actors);
}

fn leaf(answer: &serde_json::Value) -> Leaf {
    use base64::{Engine, engine::general_purpose::STANDARD};
    Leaf::parse(&STANDARD.decode(answer["narrows"]["leaf"].as_str().unwrap()).unwrap()).unwrap()
}

#[tokio::test]
async fn whoever_names_nothing_gets_what_there_is_and_never_more() {
    let desk = Desk::open();
    let old =
        hop(&token(&desk).await, &format!(r#"[{{"kind":"audience","one_of":["{AUDIENCE}"]}},{{"kind":"tools","allow":["crm.read"]}}]"#));
    for kind in [BISCUIT, ACCESS_TOKEN] {
        let form = desk.narrowing(&old, 12, 13, &[]).with("subject_token_type", kind).consent(&desk, "app", &old, 12, 13);
        let answer = desk.send(&form).await.granted();
        assert_eq!(answer["authorization_details"][0]["tools"], json!(["crm.read"]));
        assert_eq!(answer["authorization_details"][0]["caveats"][1], json!({ "kind": "audience", "one_of": [AUDIENCE] }));
        assert_eq!(answer["scope"], "crm");
    }
    let biscuit = desk.narrowing(&old, 12, 13, &[("requested_token_type", BISCUIT)]);
    assert_eq!(desk.send(&biscuit).await.granted()["issued_token_type"], BISCUIT);
}

#[tokio::test]
async fn widening_is_refused_by_what_it_asks_for() {
    let desk = Desk::open();
    let old = hop(
        &token(&desk).await,
        &format!(
            r#"[{{"kind":"audience","one_of":["{AUDIENCE}"]}},{{"kind":"tools","allow":["crm.read","payments.send"]}},{{"kind":"depth","max":2}},{{"kind":"arg","tool":"payments.send","path":"/amount","is":{{"range":{{"min":1,"max":50}}}}}}]"#
        ),
    );
    let asking = |details: &str| desk.narrowing(&old, 12, 13, &[("authorization_details", details)]);
    let amount = r#"[{"type":"narrows","tools":["payments.send"],"caveats":[{"kind":"arg","tool":"payments.send","path":"/amount","is":{"range":{"min":1,"max":51}}}]}]"#;
    let depth = |max: u32| format!(r#"[{{"type":"narrows","tools":["crm.read"],"caveats":[{{"kind":"depth","max":{max}}}]}}]"#);
    let details = "invalid_authorization_details";
    for (case, form, error, reason) in [
        ("a tool of the first block", asking(r#"[{"type":"narrows","tools":["mail.send"]}]"#), details, "TOOL_ABOVE_CEILING"),
        ("a tool of no block", asking(r#"[{"type":"narrows","tools":["crm.read","crm.write"]}]"#), details, "TOOL_ABOVE_CEILING"),
        ("a prefix", asking(r#"[{"type":"narrows","tools":[{"prefix":"crm."}]}]"#), details, "TOOL_NOT_IN_POLICY"),
        ("an argument", asking(amount), details, "ARGUMENT_ABOVE_CEILING"),
        ("a scope", desk.narrowing(&old, 12, 13, &[("scope", "admin")]), "invalid_scope", "SCOPE_ABOVE_CEILING"),
        (
            "an audience of the first block",
            desk.narrowing(&old, 12, 13, &[("audience", OTHER_AUDIENCE)]),
            "invalid_target",
            "AUDIENCE_ABOVE_CEILING",
        ),
        (
            "one good target and one bad",
            desk.narrowing(&old, 12, 13, &[("audience", AUDIENCE), ("resource", OTHER_AUDIENCE)]),
            "invalid_target",
            "AUDIENCE_ABOVE_CEILING",
        ),
        ("the hop that was made, once more", asking(&depth(2)), "invalid_request", "DEPTH_ABOVE_CEILING"),
        ("no holder", desk.narrowing(&old, 12, 13, &[]).unbound(), "invalid_request", "BEARER_ABOVE_CEILING"),
    ] {
        desk.send(&form).await.refused(400, error, reason, case);
    }
    desk.send(&asking(&depth(1))).await.granted();
    let longer = desk.send(&desk.narrowing(&old, 12, 13, &[("expires_in", "86400")])).await.granted();
    assert_eq!(longer["expires_in"], 600, "a longer life is clamped to the old token's end");
    let again = desk.send(&desk.narrowing(&old, 12, 13, &[])).await.token();
    assert_eq!(desk.verify(&again).blocks[0].caveats.iter().filter(|caveat| **caveat == narrows_verifier::Caveat::Depth(1)).count(), 1);
}

#[tokio::test]
async fn nobody_but_the_newest_holder_can_ask() {
    let desk = Desk::open();
    let first = token(&desk).await;
    let old = hop(&first, "[]");
    let good = || desk.narrowing(&old, 12, 13, &[READ]);
    let consent = |form: Form, seed: u8| form.consent(&desk, "app", &old, seed, 13);
    for (case, form, reason) in [
        ("no consent", good().without("narrow_proof"), "PROOF_MISSING"),
        ("a thief's", consent(good(), 66), "PROOF_SIGNATURE"),
        ("the former holder's", consent(good(), 11), "PROOF_SIGNATURE"),
        ("for a token without the hop", good().consent(&desk, "app", &first, 12, 13), "PROOF_MISMATCH"),
        ("for another client", good().consent(&desk, "other", &old, 12, 13), "PROOF_MISMATCH"),
        ("for another new holder", good().consent(&desk, "app", &old, 12, 14), "PROOF_MISMATCH"),
        ("for other tools", good().with("authorization_details", r#"[{"type":"narrows","tools":["mail.send"]}]"#), "PROOF_MISMATCH"),
        ("for another audience", good().also("audience", AUDIENCE), "PROOF_MISMATCH"),
        ("for another life", good().also("expires_in", "600"), "PROOF_MISMATCH"),
        ("for another form", good().also("requested_token_type", JWT), "PROOF_MISMATCH"),
        (
            "with an actor that it does not name",
            good().also("actor_token", &desk.login("x")).also("actor_token_type", ID_TOKEN),
            "PROOF_MISMATCH",
        ),
        ("a new key that proves nothing", good().without("holder_proof"), "PROOF_MISSING"),
        ("a new key that another proves", good().with("holder_proof", &first), "PROOF_MALFORMED"),
    ] {
        desk.send(&form).await.refused(400, "invalid_request", reason, case);
    }
    let stale = good();
    desk.pass(61);
    desk.send(&stale.bound(&desk, "app", &old, 13)).await.refused(400, "invalid_request", "PROOF_TIME", "a minute later");
    desk.send(&good().also("unknown", "x")).await.granted();
}

#[tokio::test]
async fn a_token_that_is_not_sound_is_not_narrowed() {
    let desk = Desk::open();
    let stranger = Desk::open();
    let old = token(&desk).await;
    let text = |bytes: Vec<u8>| token_text(&bytes);
    let sealed = text(seal(&token_bytes(&old).unwrap()).unwrap());
    let foreign = token(&stranger).await;
    let good = |token: &str| desk.narrowing(&old, 11, 13, &[READ]).with("subject_token", token).bound(&desk, "app", token, 13);
    let standard = {
        use base64::{Engine, engine::general_purpose::STANDARD};
        STANDARD.encode(token_bytes(&old).unwrap())
    };
    let cut = text(token_bytes(&old).unwrap()[..100].to_vec());
    for (case, token, reason) in [
        ("sealed", sealed, "TOKEN_SEALED"),
        ("of another issuer", foreign, "UNKNOWN_ROOT"),
        ("cut off", cut, "TOKEN_MALFORMED"),
        ("in standard base64", standard, "TOKEN_ENCODING"),
        ("too large", "A".repeat(30_000), "TOKEN_TOO_LARGE"),
        ("a hop by a key that nobody named", hop_by(&old, 66, 12, "thief", "[]"), "HOP_SIGNER"),
        ("a JWT", desk.login("alice"), "TOKEN_ENCODING"),
    ] {
        desk.send(&good(&token)).await.refused(400, "invalid_request", reason, case);
    }
    desk.pass(600);
    desk.send(&desk.narrowing(&old, 11, 13, &[READ])).await.refused(400, "invalid_request", "EXPIRED", "expired");
}

#[tokio::test]
async fn a_token_that_permits_nothing_since_it_made_more_hops_than_it_may_is_not_brought_back() {
    let desk = Desk::open();
    let hopped = hop(&token(&desk).await, "[]");
    let over = plain(&hopped, r#"[{"kind":"depth","max":0}]"#);
    desk.send(&desk.narrowing(&over, 12, 13, &[READ])).await.refused(400, "invalid_request", "HOP_DEPTH", "one hop of none");
    let spent = plain(&hopped, r#"[{"kind":"depth","max":1}]"#);
    let new = desk.verify(&desk.send(&desk.narrowing(&spent, 12, 13, &[READ])).await.token());
    assert!(new.blocks[0].caveats.contains(&caveats(r#"[{"kind":"depth","max":0}]"#)[0]), "no hop is left");
}

#[tokio::test]
async fn what_a_new_block_would_forget_is_not_carried_into_one() {
    let desk = Desk::open();
    for caveat in [
        r#"{"kind":"calls","name":"n","max":5}"#,
        r#"{"kind":"calls","name":"n","max":5,"per_seconds":60}"#,
        r#"{"kind":"single_use","name":"n"}"#,
        r#"{"kind":"budget","name":"n","unit":"EUR","max":"5","cost":{"each":"1"}}"#,
    ] {
        let old = plain(&token(&desk).await, &format!("[{caveat}]"));
        desk.send(&desk.narrowing(&old, 11, 13, &[READ])).await.refused(400, "invalid_request", "STATE_NOT_CARRIED", caveat);
    }
    let old =
        plain(&token(&desk).await, r#"[{"kind":"approval","name":"f","count":1,"of":["k"]},{"kind":"forbids_prior","actions":["a"]}]"#);
    desk.send(&desk.narrowing(&old, 11, 13, &[READ])).await.granted();
}

#[tokio::test]
async fn lineage_and_those_who_acted_before_are_bounded() {
    let desk = Desk::open();
    let mut token = token(&desk).await;
    for _ in 0..14 {
        token = plain(&token, "[]");
    }
    for blocks in [15, 30] {
        let old = desk.verify(&token);
        assert_eq!(old.authority.lineage.len() + old.blocks.len(), blocks);
        token = desk.send(&desk.narrowing(&token, 11, 11, &[READ])).await.token();
        for _ in 0..if blocks == 15 { 14 } else { 3 } {
            token = plain(&token, "[]");
        }
    }
    desk.send(&desk.narrowing(&token, 11, 11, &[READ])).await.refused(400, "invalid_request", "LINEAGE_TOO_LONG", "33 blocks");
    assert_eq!(
        desk.verify(&token).authority.actors,
        [EarlierActor::attested("planner")],
        "an agent that asks for itself stands there once"
    );

    let nested = (1..8).fold(json!({ "sub": "0" }), |inner, number| json!({ "sub": number.to_string(), "act": inner }));
    let login = desk.jwt(json!({}), json!({ "act": nested }));
    let full = desk.send(&desk.exchange_of(&login, 11)).await.token();
    desk.send(&desk.narrowing(&full, 11, 11, &[READ])).await.granted();
    let named = r#"[{"type":"narrows","tools":["crm.read"],"agent":"ninth"}]"#;
    let ninth = desk.narrowing(&full, 11, 11, &[("authorization_details", named)]);
    desk.send(&ninth).await.refused(400, "invalid_request", "ACT_TOO_DEEP", "nine who acted before");
}

#[tokio::test]
async fn the_person_a_token_is_for_does_not_act_on_it() {
    let desk = Desk::open();
    let old = token(&desk).await;
    let acting = |name: &str| {
        let actor = desk.login(name);
        desk.narrowing(&old, 11, 13, &[READ, ("actor_token", &actor), ("actor_token_type", ID_TOKEN)])
    };
    desk.send(&acting("alice")).await.refused(400, "invalid_request", "SUBJECT_IS_ACTOR", "under her pseudonym");
    let new = desk.send(&acting("executor")).await.token();
    assert_eq!(desk.verify(&new).principals().next().unwrap().0, "executor");
    let own = desk.send(&desk.client_credentials(11)).await.token();
    desk.send(&desk.narrowing(&own, 11, 13, &[READ])).await.granted();
}

#[tokio::test]
async fn a_token_can_be_narrowed_to_a_dpop_key_and_then_no_further_by_statements() {
    let desk = Desk::open();
    let old = token(&desk).await;
    let key = Dpop::p256();
    let form = desk.narrowing(&old, 11, 13, &[READ]).unbound().consent_for(&desk, "app", &old, 11, key.thumbprint());
    let new = desk.send(&form.dpop(key.proof(&desk))).await.token();
    assert_eq!(desk.verify(&new).holder, Holder::Thumbprint(key.thumbprint()));
    desk.send(&desk.narrowing(&new, 11, 13, &[READ])).await.refused(
        400,
        "invalid_request",
        "HOLDER_THUMBPRINT",
        "a key that signs no statements",
    );
}

#[tokio::test]
async fn a_task_gets_so_many_narrower_tokens_and_no_more() {
    let desk = Desk::open_with("[limits]\nmax_hops_per_task = 2\n");
    let old = token(&desk).await;
    for _ in 0..2 {
        desk.send(&desk.narrowing(&old, 11, 13, &[READ])).await.granted();
    }
    desk.send(&desk.narrowing(&old, 11, 13, &[READ])).await.refused(400, "invalid_request", "TASK_QUOTA", "the third");
}

#[tokio::test]
async fn a_token_that_this_service_did_not_issue_begins_nothing_whoever_signed_it() {
    let desk = Desk::open();
    let issued = desk.verify(&token(&desk).await);
    let claims = AuthorityClaims {
        task: issued.authority.task,
        entry: EntryId(random()),
        issued: issued.authority.issued,
        issuer: issued.authority.issuer.clone(),
        subject: issued.authority.subject.clone(),
        actors: Vec::new(),
        agent: "planner".into(),
        holder: Holder::Key(public_key(&[11; 32])),
        lineage: Vec::new(),
        dev: desk.app.dev,
        caveats: issued.blocks[0].caveats.to_vec(),
    };
    let forged = desk.app.keyring.mint().unwrap().sign(&claims, &zeroize::Zeroizing::new(random())).unwrap();
    let answer = desk.send(&desk.narrowing(&token_text(&forged.token), 11, 12, &[READ, ("resource", AUDIENCE)])).await;
    answer.refused(400, "invalid_request", "TASK_UNKNOWN", "signed by nobody's order");
}
