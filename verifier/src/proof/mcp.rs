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

/// Bounds for a whole message: those of the parameters, and what stands around them.
pub const MESSAGE: Limits = Limits { bytes: PARAMETERS.bytes + 1024, depth: PARAMETERS.depth + 1, values: PARAMETERS.values + 4 };

/// The method that calls a tool.
pub const CALL: &str = "tools/call";

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

/// What stands in our member of `_meta`.
pub struct McpAuthorization {
    /// The token's text.
    pub token: String,
    /// How the caller proves possession.
    pub proof: McpProof,
    /// Receipts of the token's derivations as they travel; empty where there are none.
    pub receipts: String,
}

/// A JSON-RPC request or notification to an MCP server. Nothing in it has been verified.
pub struct McpMessage {
    /// The method.
    pub method: String,
    /// The tool and the arguments, when the method is `tools/call`.
    pub call: Option<(String, Value)>,
    /// The authorization that came in `_meta`; a client that knows nothing of us puts it into headers.
    pub authorization: Option<McpAuthorization>,
    /// The message without that, as the value that was read: what a server behind a guard takes for the message.
    pub message: Value,
}

impl McpMessage {
    /// The request's id; null for a notification, which has none.
    pub fn id(&self) -> Value {
        self.message.as_object().and_then(|message| message.get(&Key("id".to_owned()))).cloned().unwrap_or(Value::Null)
    }
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
    let (tool, arguments) = tool_of(&params)?;
    let McpAuthorization { token, proof, receipts } = take_authorization(&mut params)?.ok_or(Reason::TokenMissing)?;
    Ok(McpCall { token, proof, receipts, tool, arguments })
}

/// Reads a whole message, as it is the body of an HTTP request: a request or a notification, never a batch.
///
/// # Errors
/// A reason of the JSON reader; `MCP_MALFORMED`; `PROOF_MISSING` when our member of `_meta` holds a token alone.
pub fn read_message(body: &[u8]) -> Result<McpMessage, Reason> {
    let Value::Object(mut message) = parse(body, MESSAGE)? else { return Err(Reason::McpMalformed) };
    let known = ["id", "jsonrpc", "method", "params"];
    let version = message.get(&Key("jsonrpc".to_owned())).and_then(Value::as_text);
    let id = message.get(&Key("id".to_owned()));
    if version != Some("2.0")
        || !matches!(id, None | Some(Value::Integer(_) | Value::Text(_)))
        || !message.keys().all(|key| known.contains(&key.0.as_str()))
    {
        return Err(Reason::McpMalformed);
    }
    let method = message.get(&Key("method".to_owned())).and_then(Value::as_text).ok_or(Reason::McpMalformed)?.to_owned();
    let (mut call, mut authorization) = (None, None);
    match message.get_mut(&Key("params".to_owned())) {
        Some(Value::Object(params)) => {
            call = if method == CALL { Some(tool_of(params)?) } else { None };
            authorization = take_authorization(params)?;
        }
        None if method != CALL => {}
        None | Some(_) => return Err(Reason::McpMalformed),
    }
    Ok(McpMessage { method, call, authorization, message: Value::Object(message) })
}

fn tool_of(params: &BTreeMap<Key, Value>) -> Result<(String, Value), Reason> {
    let tool = params.get(&Key("name".to_owned())).and_then(Value::as_text).filter(|name| !name.is_empty());
    let arguments = params.get(&Key("arguments".to_owned())).cloned().unwrap_or_else(|| Value::object([]));
    let tool = tool.filter(|_| arguments.as_object().is_some()).ok_or(Reason::McpMalformed)?;
    // whatever carries a call, its arguments have the same bounds
    parse(arguments.canonical().as_bytes(), Limits::ARGUMENTS)?;
    Ok((tool.to_owned(), arguments))
}

/// Takes our member out of `_meta`.
fn take_authorization(params: &mut BTreeMap<Key, Value>) -> Result<Option<McpAuthorization>, Reason> {
    let meta = match params.get_mut(&Key("_meta".to_owned())) {
        None => return Ok(None),
        Some(Value::Object(meta)) => meta,
        Some(_) => return Err(Reason::McpMalformed),
    };
    let mut ours = match take(meta, META_KEY) {
        None => return Ok(None),
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
    if ours.is_empty() { Ok(Some(McpAuthorization { token, proof, receipts })) } else { Err(Reason::McpMalformed) }
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

    #[test]
    fn a_message_is_read_with_its_call_and_without_our_member() {
        let params =
            r#"{"_meta":{"dev.narrows/authorization":{"token":"t","proof":"p"},"progressToken":7},"arguments":{"id":1.0},"name":"x"}"#;
        let message =
            read_message(format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#).as_bytes()).ok().unwrap();
        assert_eq!(message.call.map(|(tool, arguments)| (tool, arguments.canonical())), Some(("x".to_owned(), r#"{"id":1}"#.to_owned())));
        assert_eq!(message.authorization.map(|ours| ours.token).as_deref(), Some("t"));
        let left =
            r#"{"id":1,"jsonrpc":"2.0","method":"tools/call","params":{"_meta":{"progressToken":7},"arguments":{"id":1},"name":"x"}}"#;
        assert_eq!(message.message.canonical(), left);
        for text in
            [r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, r#"{"jsonrpc":"2.0","id":"a","method":"tools/list","params":{}}"#]
        {
            let message = read_message(text.as_bytes()).ok().unwrap();
            assert!(message.call.is_none() && message.authorization.is_none(), "{text}");
        }
    }

    #[test]
    fn what_is_no_single_message_is_refused() {
        let good = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x"}}"#;
        assert!(read_message(good.as_bytes()).is_ok());
        let table = [
            format!("[{good}]"),
            good.replace("2.0", "1.0"),
            good.replace(r#""id":1"#, r#""id":null"#),
            good.replace(r#""id":1"#, r#""id":1.5"#),
            good.replace(r#""id":1"#, r#""also":1"#),
            good.replace(r#","params":{"name":"x"}"#, ""),
            good.replace(r#"{"name":"x"}"#, r#"["x"]"#),
            good.replace(r#"{"name":"x"}"#, "{}"),
            r#"{"jsonrpc":"2.0","id":1,"result":{}}"#.to_owned(),
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":[]}"#.to_owned(),
        ];
        for text in table {
            assert_eq!(read_message(text.as_bytes()).err(), Some(Reason::McpMalformed), "{text}");
        }
        let twice = good.replace(r#""id":1"#, r#""id":1,"id":2"#);
        assert_eq!(read_message(twice.as_bytes()).err(), Some(Reason::JsonDuplicateKey));
    }
}
