//! No proof is good for anything but the one call that it was made for, and no text makes a reader of proofs panic.

use std::collections::BTreeSet;

use narrows_tests::tokens::{EXECUTOR, NOW, PLANNER};
use narrows_verifier::{
    BlockId,
    json::{Limits, parse},
    proof::{
        Evidence, PossessionClaims, check_possession,
        dpop::{Bound, DpopHolder, DpopRequest, check_dpop, normal_url, sign_dpop},
        mcp::{read_call, write_call},
        session::{HolderSession, OpenClaims, OpenRandomness, Session, SessionGrant, SessionProof, check_session_open, sign_session_open},
        sign_possession,
    },
    public_key,
};
use proptest::{collection::vec, prelude::*};

use super::cases;

/// A call out of a small space, so that two of them often differ in one part alone.
#[derive(Clone, Debug, PartialEq)]
struct Asked {
    block: u8,
    tool: &'static str,
    args: u8,
    audience: &'static str,
}

impl Asked {
    fn claims(&self) -> PossessionClaims<'_> {
        PossessionClaims { block: BlockId([self.block; 32]), tool: self.tool, args_digest: [self.args; 32], audience: self.audience }
    }

    fn request<'a>(&'a self, url: &'a str) -> DpopRequest<'a> {
        let Self { tool, args, audience, .. } = self;
        // the token stands for the block, which it ends with
        let token = if self.block == 0 { "dG9rZW4" } else { "b3RoZXI" };
        DpopRequest { method: "POST", url, token, nonce: None, tool, args_digest: [*args; 32], audience }
    }
}

fn asked() -> impl Strategy<Value = Asked> {
    // names and audiences that run into each other when nothing separates them
    let (tools, audiences) =
        (vec!["crm.read", "crm.readh", "crm"], vec!["https://a.example", "ttps://a.example", ".readhttps://a.example"]);
    (0..2_u8, prop::sample::select(tools), 0..2_u8, prop::sample::select(audiences)).prop_map(|(block, tool, args, audience)| Asked {
        block,
        tool,
        args,
        audience,
    })
}

/// A session for the block and audience of a call, for every tool.
fn session(asked: &Asked, random: u8) -> (HolderSession, Session) {
    let tools: BTreeSet<_> = ["crm.read", "crm.readh", "crm"].map(str::to_owned).into();
    let claims = OpenClaims { block: BlockId([asked.block; 32]), audience: asked.audience, tools: &tools, expires: NOW + 60 };
    let randomness = OpenRandomness { nonce: [random; 16], ephemeral: [random; 32].into() };
    let opening = sign_session_open(&claims, NOW, &randomness, &EXECUTOR.seed).ok().unwrap();
    let (request, _) = check_session_open(opening.text(), claims.block, claims.audience, &EXECUTOR.key(), NOW).ok().unwrap();
    let grant = SessionGrant { tools, expires: NOW + 60, id: [random; 16], ephemeral: [random ^ 0x80; 32].into() };
    let (accept, session) = request.accept(grant, &[40; 32]).ok().unwrap();
    (opening.accepted(&accept, &public_key(&[40; 32]), NOW).ok().unwrap(), session)
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn a_possession_proof_is_good_for_its_call_alone(made in asked(), shown in asked()) {
        let text = sign_possession(&made.claims(), NOW, &[3; 16], &EXECUTOR.seed);
        prop_assert_eq!(check_possession(&text, &shown.claims(), &EXECUTOR.key(), NOW).is_ok(), made == shown);
        prop_assert!(check_possession(&text, &shown.claims(), &PLANNER.key(), NOW).is_err());
    }

    #[test]
    fn a_dpop_proof_is_good_for_its_call_alone(made in asked(), shown in asked(), moved in any::<bool>()) {
        let (url, other) = ("https://a.example/tools", "https://b.example/tools");
        let text = sign_dpop(&made.request(url), NOW, &[3; 16], &EXECUTOR.seed);
        let shown_at = shown.request(if moved { other } else { url });
        let checked = check_dpop(&text, &shown_at, DpopHolder::Key(&EXECUTOR.key()), NOW);
        prop_assert_eq!(checked.is_ok(), made == shown && !moved);
        prop_assert!(checked.is_err() || checked.is_ok_and(|(_, bound)| bound == Bound::Call));
    }

    #[test]
    fn a_session_proof_is_good_for_its_call_and_counter_alone(made in asked(), shown in asked(), skip in 0..3_u8, raise in 0..3_u8) {
        let (holder, tool) = session(&made, 1);
        for _ in 0..skip {
            holder.prove(made.tool, [made.args; 32], NOW).ok().unwrap();
        }
        let proof = holder.prove(made.tool, [made.args; 32], NOW).ok().unwrap();
        // the same proof under a higher counter
        let mut bytes = unpack(&proof);
        bytes[24] += raise;
        let shown_proof = SessionProof::parse(&pack(&bytes)).ok().unwrap();
        let accepted = tool.accepts(&shown_proof, &shown.claims(), NOW);
        prop_assert_eq!(accepted.is_ok(), made == shown && raise == 0);
        if accepted == Ok(Evidence::ToolWord) {
            prop_assert!(tool.accepts(&shown_proof, &shown.claims(), NOW).is_err());
        }
        // another session of the same holder, for the same call
        let (_, other) = session(&made, 2);
        prop_assert!(other.accepts(&proof, &made.claims(), NOW).is_err());
    }

    /// Any text, and any bytes in the form of each proof.
    #[test]
    fn no_text_passes_for_a_proof(text in ".{0,120}", bytes in vec(any::<u8>(), 57), header in "[{}\":,a-z0-9]{0,60}", claims in "[{}\":,a-z0-9]{0,60}") {
        let made = Asked { block: 0, tool: "crm.read", args: 0, audience: "https://a.example" };
        let (_, tool) = session(&made, 1);
        for text in [text.clone(), pack(&bytes)] {
            prop_assert!(SessionProof::parse(&text).and_then(|proof| tool.accepts(&proof, &made.claims(), NOW)).is_err());
        }
        let jws = [pack(header.as_bytes()), pack(claims.as_bytes()), pack(&[0; 64])].join(".");
        for text in [&text, &jws] {
            prop_assert!(check_dpop(text, &made.request("https://a.example/"), DpopHolder::Key(&EXECUTOR.key()), NOW).is_err());
            prop_assert!(check_session_open(text, BlockId([0; 32]), "a", &EXECUTOR.key(), NOW).is_err());
        }
        let _ = normal_url(&text);
    }

    /// Normalising twice changes nothing more, or a proof could be good at one of two addresses and not at both.
    #[test]
    fn normal_addresses_stay_as_they_are(path in "[a-zA-Z0-9%./~?#:@!$&'()*+,;=-]{0,40}") {
        if let Ok(normal) = normal_url(&format!("https://a.example/{path}")) {
            prop_assert_eq!(normal_url(&normal), Ok(normal.clone()), "{}", path);
        }
    }

    #[test]
    fn an_mcp_call_that_is_read_can_be_written_and_read_again(members in vec(mcp_member(), 0..6)) {
        let text = format!("{{{}}}", members.join(","));
        if let Ok(call) = read_call(text.as_bytes()) {
            let params = parse(text.as_bytes(), Limits::ARGUMENTS).unwrap();
            let again = read_call(write_call(params, &call).unwrap().canonical().as_bytes()).ok().unwrap();
            prop_assert_eq!((again.token, again.tool, again.arguments), (call.token, call.tool, call.arguments));
            prop_assert!(again.proof == call.proof);
        }
    }
}

fn mcp_member() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        r#""name":"crm.read""#,
        r#""name":"crm.read""#,
        r#""name":1"#,
        r#""arguments":{}"#,
        r#""arguments":{"id":1}"#,
        r#""arguments":[]"#,
        r#""_meta":{"dev.narrows/authorization":{"token":"t","proof":"p"}}"#,
        r#""_meta":{"dev.narrows/authorization":{"token":"t","session":"s"},"progressToken":1}"#,
        r#""_meta":{"dev.narrows/authorization":{"token":"t","session":"s","more":1}}"#,
        r#""_meta":{}"#,
        r#""task":{"ttl":1}"#,
    ])
}

fn pack(bytes: &[u8]) -> String {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    URL_SAFE_NO_PAD.encode(bytes)
}

fn unpack(proof: &SessionProof) -> Vec<u8> {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    URL_SAFE_NO_PAD.decode(proof.to_string()).unwrap()
}
