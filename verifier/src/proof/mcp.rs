//! Where token and proof lie in a Model Context Protocol request: in `_meta` of a `tools/call`.

use std::collections::BTreeMap;

use crate::{
    Reason,
    json::{Key, Limits, Value, parse},
};

/// The member of `_meta` that is ours: a name in reverse DNS notation, as MCP asks for.
pub const META_KEY: &str = "dev.narrows/authorization";

/// Bounds for the parameters of a call: the arguments' own, with room for token, proof, receipts and other members.
pub const PARAMETERS: Limits = Limits { bytes: 256 * 1024, depth: 34, values: 2048 };

/// A tool call with its authorization, as its parameters say. Nothing in it has been verified.
pub struct McpCall {
    /// The token's text.
    pub token: String,
    /// How the caller proves possession.
    pub proof: McpProof,
    /// Receipts of the token's derivations as they travel; empty where there are none.
    pub receipts: String,
    /// The tool's name: `name`.
    pub tool: String,
    /// `arguments`, or an empty object when there are none. `_meta` and whatever else stands beside them is no part of
    /// what the holder signed; a tool takes its input from here alone.
    pub arguments: Value,
}

/// A proof of possession by its kind.
#[derive(Clone, PartialEq, Eq)]
pub enum McpProof {
    /// A signed statement for this call.
    Possession(String),
    /// The MAC of a session for this call.
    Session(String),
}

/// Reads the `params` of a `tools/call` request, from its JSON text.
///
/// Give it the text as received and run the call that it returns: a lenient reader elsewhere may take another of two members
/// of one name.
///
/// # Errors
/// A reason of the JSON reader; `MCP_MALFORMED`; `TOKEN_MISSING` without our member of `_meta`, `PROOF_MISSING` when it
/// holds a token alone.
pub fn read_call(params: &[u8]) -> Result<McpCall, Reason> {
    let Value::Object(mut params) = parse(params, PARAMETERS)? else { return Err(Reason::McpMalformed) };
    let tool = take_text(&mut params, "name")?.filter(|name| !name.is_empty()).ok_or(Reason::McpMalformed)?;
    let arguments = take(&mut params, "arguments").unwrap_or_else(|| Value::object([]));
    if arguments.as_object().is_none() {
        return Err(Reason::McpMalformed);
    }
    // whatever carries a call, its arguments have the same bounds
    parse(arguments.canonical().as_bytes(), Limits::ARGUMENTS)?;
    let mut meta = match take(&mut params, "_meta") {
        None => return Err(Reason::TokenMissing),
        Some(Value::Object(meta)) => meta,
        Some(_) => return Err(Reason::McpMalformed),
    };
    let mut ours = match take(&mut meta, META_KEY) {
        None => return Err(Reason::TokenMissing),
        Some(Value::Object(ours)) => ours,
        Some(_) => return Err(Reason::McpMalformed),
    };
    let token = take_text(&mut ours, "token")?.ok_or(Reason::TokenMissing)?;
    let proof = match (take_text(&mut ours, "proof")?, take_text(&mut ours, "session")?) {
        (Some(proof), None) => McpProof::Possession(proof),
        (None, Some(session)) => McpProof::Session(session),
        (None, None) => return Err(Reason::ProofMissing),
        (Some(_), Some(_)) => return Err(Reason::McpMalformed),
    };
    let receipts = take_text(&mut ours, "receipts")?.unwrap_or_default();
    // what is left is not understood, and may have been meant to restrict
    if ours.is_empty() { Ok(McpCall { token, proof, receipts, tool, arguments }) } else { Err(Reason::McpMalformed) }
}

/// Puts a call with its authorization into `params`, beside what is there already.
///
/// # Errors
/// `MCP_MALFORMED` when `params`, or its `_meta`, is no object.
pub fn write_call(params: Value, call: &McpCall) -> Result<Value, Reason> {
    let Value::Object(mut params) = params else { return Err(Reason::McpMalformed) };
    let mut meta = match take(&mut params, "_meta") {
        None => BTreeMap::new(),
        Some(Value::Object(meta)) => meta,
        Some(_) => return Err(Reason::McpMalformed),
    };
    let (kind, proof) = match &call.proof {
        McpProof::Possession(proof) => ("proof", proof),
        McpProof::Session(proof) => ("session", proof),
    };
    let receipts = Some(("receipts", &call.receipts)).filter(|(_, receipts)| !receipts.is_empty());
    let ours = [("token", &call.token), (kind, proof)].into_iter().chain(receipts);
    let ours = Value::Object(ours.map(|(name, text)| (Key(name.to_owned()), Value::Text(text.clone()))).collect());
    meta.insert(Key(META_KEY.to_owned()), ours);
    params.insert(Key("_meta".to_owned()), Value::Object(meta));
    params.insert(Key("name".to_owned()), Value::Text(call.tool.clone()));
    params.insert(Key("arguments".to_owned()), call.arguments.clone());
    Ok(Value::Object(params))
}

fn take(members: &mut BTreeMap<Key, Value>, name: &str) -> Option<Value> {
    members.remove(&Key(name.to_owned()))
}

fn take_text(members: &mut BTreeMap<Key, Value>, name: &str) -> Result<Option<String>, Reason> {
    match take(members, name) {
        None => Ok(None),
        Some(Value::Text(text)) => Ok(Some(text)),
        Some(_) => Err(Reason::McpMalformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<McpCall, Reason> {
        read_call(text.as_bytes())
    }

    #[test]
    fn what_is_written_is_read_and_the_rest_is_left_alone() {
        for (proof, receipts) in [(McpProof::Possession("p".into()), ""), (McpProof::Session("s".into()), "r.r")] {
            let arguments = Value::object([("id", Value::Integer(1))]);
            let call = McpCall { token: "t".into(), proof, receipts: receipts.into(), tool: "crm.read".into(), arguments };
            let before = parse(br#"{"_meta":{"progressToken":7,"dev.narrows/authorization":0},"task":{}}"#, PARAMETERS).unwrap();
            let params = write_call(before, &call).unwrap().canonical();
            assert!(params.contains(r#""progressToken":7"#) && params.contains(r#""task":{}"#), "{params}");
            let back = read(&params).ok().unwrap();
            assert_eq!((back.token, back.receipts), (call.token, call.receipts));
            assert_eq!((back.tool, back.arguments), (call.tool, call.arguments));
            assert!(back.proof == call.proof);
        }
    }

    #[test]
    fn a_call_without_arguments_has_none() {
        let call = read(r#"{"name":"x","_meta":{"dev.narrows/authorization":{"token":"t","proof":"p"}}}"#).ok().unwrap();
        assert_eq!(call.arguments.canonical(), "{}");
    }

    #[test]
    fn anything_with_a_second_reading_is_refused() {
        let ours = |ours: &str| format!(r#"{{"name":"x","arguments":{{}},"_meta":{{"dev.narrows/authorization":{ours}}}}}"#);
        let good = r#"{"token":"t","proof":"p"}"#;
        let wide = format!(r#"{{"name":"x","arguments":{{"a":[{}]}},"_meta":{{}}}}"#, ["1"; 1024].join(","));
        let table = [
            ("[]".to_owned(), Reason::McpMalformed),
            ("{".to_owned(), Reason::JsonMalformed),
            (ours(good).replace(r#""name":"x""#, r#""name":"x","name":"y""#), Reason::JsonDuplicateKey),
            (ours(good).replace(r#""name":"x","#, ""), Reason::McpMalformed),
            (ours(good).replace(r#""x""#, r#""""#), Reason::McpMalformed),
            (ours(good).replace(r#""x""#, "1"), Reason::McpMalformed),
            (ours(good).replace(r#""arguments":{}"#, r#""arguments":[]"#), Reason::McpMalformed),
            (ours(good).replace(r#""arguments":{}"#, r#""arguments":null"#), Reason::McpMalformed),
            (wide, Reason::JsonTooLarge),
            (r#"{"name":"x"}"#.to_owned(), Reason::TokenMissing),
            (r#"{"name":"x","_meta":[]}"#.to_owned(), Reason::McpMalformed),
            (r#"{"name":"x","_meta":{"other":1}}"#.to_owned(), Reason::TokenMissing),
            (ours("1"), Reason::McpMalformed),
            (ours("{}"), Reason::TokenMissing),
            (ours(r#"{"token":1,"proof":"p"}"#), Reason::McpMalformed),
            (ours(r#"{"token":"t","proof":"p","receipts":["r.r"]}"#), Reason::McpMalformed),
            (ours(r#"{"token":"t"}"#), Reason::ProofMissing),
            (ours(r#"{"token":"t","proof":"p","session":"s"}"#), Reason::McpMalformed),
            (ours(r#"{"token":"t","proof":"p","only":"reads"}"#), Reason::McpMalformed),
        ];
        for (text, reason) in table {
            assert_eq!(read(&text).err(), Some(reason), "{text}");
        }
        assert!(write_call(Value::Null, &read(&ours(good)).ok().unwrap()).is_err());
        assert!(write_call(Value::object([("_meta", Value::Null)]), &read(&ours(good)).ok().unwrap()).is_err());
    }
}
