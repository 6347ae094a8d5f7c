//! The holder key that a client names in `req_cnf` (RFC 9201 section 3.1, confirmation method `jwk`).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use narrows_verifier::{PublicKey, Reason};
use serde_json::{Map, Value};

use super::json::parse_object;

/// The Ed25519 key in a `req_cnf` value: `{"jwk":{"kty":"OKP","crv":"Ed25519","x":…}}` as JSON text, or its unpadded base64url.
///
/// Errors: `HOLDER_KEY` when it is anything else, also when it holds a private member; `WEAK_KEY` for a key under which
/// anyone could sign.
pub fn parse_holder_key(req_cnf: &str) -> Result<[u8; 32], Reason> {
    if req_cnf.len() > MAX_TEXT_BYTES {
        return Err(Reason::HolderKey);
    }
    let confirmation = match req_cnf.starts_with('{') {
        true => parse_object(req_cnf.as_bytes()),
        false => URL_SAFE_NO_PAD.decode(req_cnf).ok().and_then(|bytes| parse_object(&bytes)),
    };
    let confirmation = confirmation.ok_or(Reason::HolderKey)?;
    match confirmation.get("jwk") {
        Some(Value::Object(jwk)) if confirmation.len() == 1 => parse_jwk(jwk),
        _ => Err(Reason::HolderKey),
    }
}

fn parse_jwk(jwk: &Map<String, Value>) -> Result<[u8; 32], Reason> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    // A closed list: a private member (`d`) that travelled here is no longer private, whoever sent it.
    let known = jwk.keys().all(|name| PUBLIC_MEMBERS.contains(&name.as_str()));
    let fits = text("kty") == Some("OKP")
        && text("crv") == Some("Ed25519")
        && jwk.get("use").is_none_or(|usage| usage == "sig")
        && jwk.get("alg").is_none_or(|name| name == "EdDSA" || name == "Ed25519");
    match text("x").and_then(|x| URL_SAFE_NO_PAD.decode(x).ok()) {
        Some(key) if known && fits && key.len() == 32 => PublicKey::from_bytes(&key).map(|key| *key.as_bytes()),
        _ => Err(Reason::HolderKey),
    }
}

const MAX_TEXT_BYTES: usize = 1024;
const PUBLIC_MEMBERS: [&str; 7] = ["kty", "crv", "x", "kid", "use", "alg", "key_ops"];

#[cfg(test)]
mod tests {
    use super::*;

    fn req_cnf(json: &str) -> String {
        URL_SAFE_NO_PAD.encode(json)
    }

    #[test]
    fn holder_key_is_one_public_strong_ed25519_key() {
        let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]).verifying_key().to_bytes();
        let x = URL_SAFE_NO_PAD.encode(key);
        let good = req_cnf(&format!(r#"{{"jwk":{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}}}"#));
        assert_eq!(parse_holder_key(&good), Ok(key));
        let plain = format!(r#"{{"jwk":{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}}}"#);
        assert_eq!(parse_holder_key(&plain), Ok(key));
        assert_eq!(parse_holder_key(&plain.replace("}}", r#"},"jwk":{}}"#)), Err(Reason::HolderKey));

        let identity =
            URL_SAFE_NO_PAD.encode([1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        let zero = URL_SAFE_NO_PAD.encode([0; 32]);
        let cases = [
            (format!(r#"{{"jwk":{{"kty":"OKP","crv":"Ed25519","x":"{identity}"}}}}"#), Reason::WeakKey),
            (format!(r#"{{"jwk":{{"kty":"OKP","crv":"Ed25519","x":"{zero}"}}}}"#), Reason::WeakKey),
            (format!(r#"{{"jwk":{{"kty":"OKP","crv":"Ed25519","x":"{x}","d":"{x}"}}}}"#), Reason::HolderKey),
            (format!(r#"{{"jwk":{{"kty":"OKP","crv":"X25519","x":"{x}"}}}}"#), Reason::HolderKey),
            (format!(r#"{{"jwk":{{"kty":"OKP","crv":"Ed25519","x":"{x}="}}}}"#), Reason::HolderKey),
            (format!(r#"{{"jwk":{{"kty":"OKP","crv":"Ed25519","x":"{x}","use":"enc"}}}}"#), Reason::HolderKey),
            (format!(r#"{{"jwk":{{"kty":"OKP","kty":"OKP","crv":"Ed25519","x":"{x}"}}}}"#), Reason::HolderKey),
            (r#"{"jwk":{"kty":"oct","k":"AAAA"}}"#.to_owned(), Reason::HolderKey),
            (format!(r#"{{"jwk":{{"kty":"RSA","n":"{x}{x}","e":"AQ"}}}}"#), Reason::HolderKey),
            (format!(r#"{{"jwk":{{"kty":"EC","crv":"P-256","x":"{x}","y":"{x}"}}}}"#), Reason::HolderKey),
            (format!(r#"{{"jwk":{{"kty":"OKP","crv":"Ed25519","x":"{x}","k":"{x}"}}}}"#), Reason::HolderKey),
            (r#"{"kid":"one"}"#.to_owned(), Reason::HolderKey),
            ("[]".to_owned(), Reason::HolderKey),
        ];
        for (json, reason) in cases {
            assert_eq!(parse_holder_key(&req_cnf(&json)), Err(reason), "{json}");
        }
        assert_eq!(parse_holder_key(&format!("{good}=")), Err(Reason::HolderKey));
        assert_eq!(parse_holder_key(&"A".repeat(2_000)), Err(Reason::HolderKey));
    }
}
