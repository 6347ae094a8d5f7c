//! What the verifier answers to sessions and DPoP proofs.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use narrows_tests::{
    tokens::hex,
    vectors::{self, DpopAnswer, DpopVector, SessionAnswer, SessionVector},
};
use narrows_verifier::{
    Reason,
    proof::{
        Evidence, PossessionClaims,
        dpop::{Bound, DpopHolder, DpopRequest, check_dpop},
        session::{OpenClaims, OpenRandomness, SessionGrant, SessionProof, check_session_open, sign_session_open},
    },
    public_key,
};
use serde_json::Value;

use super::answers::{block_id, bytes, key};

/// Plays both sides: the tool checks the opening, the holder the acceptance, the tool the proofs.
pub(super) fn session(vector: &SessionVector) -> SessionAnswer {
    match play(vector) {
        Ok(None) => SessionAnswer::Accepted { evidence: "none".to_owned() },
        Ok(Some(Evidence::ToolWord)) => SessionAnswer::Accepted { evidence: "tool_word".to_owned() },
        Ok(Some(Evidence::Holder)) => SessionAnswer::Accepted { evidence: "holder".to_owned() },
        Ok(Some(Evidence::Nobody)) => SessionAnswer::Accepted { evidence: "nobody".to_owned() },
        Err(reason) => SessionAnswer::Refused { reason: reason.to_string() },
    }
}

fn play(vector: &SessionVector) -> Result<Option<Evidence>, Reason> {
    let (holder, tool) = (bytes(&vector.seeds.holder), bytes(&vector.seeds.tool));
    let (request, _) = check_session_open(&vector.open, block_id(&vector.block), &vector.audience, &public_key(&holder), vector.now)?;
    let Some(accept) = &vector.accept else { return Ok(None) };

    let asked = payload(&vector.open);
    let tools = names(&asked);
    let claims =
        OpenClaims { block: block_id(&vector.block), audience: &vector.audience, tools: &tools, expires: asked["exp"].as_u64().unwrap() };
    let random = OpenRandomness { nonce: decode(&asked["nonce"]), ephemeral: bytes(&vector.seeds.holder_ephemeral).into() };
    let opening = sign_session_open(&claims, asked["iat"].as_u64().unwrap(), &random, &holder)?;
    assert_eq!(opening.text(), vector.open, "the holder writes another opening");
    opening.accepted(accept, &public_key(&tool), vector.now)?;
    let Some(call) = &vector.call else { return Ok(None) };

    let granted = payload(accept);
    let grant = SessionGrant {
        tools: names(&granted),
        expires: granted["exp"].as_u64().unwrap(),
        id: decode(&granted["session"]),
        ephemeral: bytes(&vector.seeds.tool_ephemeral).into(),
    };
    let (written, session) = request.accept(grant, &tool)?;
    assert_eq!(&written, accept, "the tool writes another acceptance");
    let claims = PossessionClaims {
        block: block_id(&call.block),
        tool: &call.tool,
        args_digest: bytes(&call.args_digest),
        audience: &call.audience,
    };
    let answer = |proof: &String| SessionProof::parse(proof).and_then(|proof| session.accepts(&proof, &claims, call.now));
    let (last, before) = call.proofs.split_last().expect("a proof");
    for proof in before {
        answer(proof).expect("all proofs before the last are accepted");
    }
    answer(last).map(Some)
}

pub(super) fn dpop(vector: &DpopVector) -> DpopAnswer {
    let request = &vector.request;
    let request = DpopRequest {
        method: &request.method,
        url: &request.url,
        token: &request.token,
        nonce: request.nonce.as_deref(),
        tool: &request.tool,
        args_digest: bytes(&request.args_digest),
        audience: &request.audience,
    };
    let checked = match &vector.holder {
        vectors::DpopHolder::Key(holder) => check_dpop(&vector.text, &request, DpopHolder::Key(&key(holder)), vector.now),
        vectors::DpopHolder::Jkt(jkt) => {
            check_dpop(&vector.text, &request, DpopHolder::Thumbprint(&decode(&Value::from(jkt.as_str()))), vector.now)
        }
    };
    match checked {
        Ok((once, bound)) => DpopAnswer::Accepted {
            bound: if bound == Bound::Call { "call" } else { "url" }.to_owned(),
            replay_key: hex(&once.key),
            forget_after: once.forget_after,
        },
        Err(reason) => DpopAnswer::Refused { reason: reason.to_string() },
    }
}

fn payload(statement: &str) -> Value {
    let (payload, _) = statement.split_once('.').unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

fn names(payload: &Value) -> std::collections::BTreeSet<String> {
    payload["tools"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

fn decode<const N: usize>(text: &Value) -> [u8; N] {
    URL_SAFE_NO_PAD.decode(text.as_str().unwrap()).unwrap().try_into().unwrap()
}
