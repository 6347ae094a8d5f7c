//! A type that holds a private key or a token's bytes can't be printed, and a key can't be copied.

use super::sources::{Source, assert_none, shipped};

const KEY_NAMES: [&str; 3] = ["Secret", "SigningKey", "PrivateKey"];
const KEY_FIELDS: [&str; 4] = ["SigningKey", "SecretKey", "PrivateKey", "Zeroizing"];
const NOT_FOR_KEYS: [&str; 3] = ["Debug", "Clone", "Serialize"];
const NOT_FOR_TOKENS: [&str; 1] = ["Debug"];

/// A token's own bytes or text; what was verified and read out of it may be shown.
const RAW: [&str; 4] = ["u8", "Bytes", "String", "str"];

#[test]
fn keys_and_tokens_are_not_printed_by_a_derive() {
    let mut offences = Vec::new();
    for source in shipped() {
        for declared in declarations(&source) {
            let holds_a_key =
                KEY_NAMES.iter().any(|name| declared.name.contains(name)) || declared.body.iter().any(|word| KEY_FIELDS.contains(word));
            let holds_a_token = declared.name.ends_with("Token") && declared.body.iter().any(|word| RAW.contains(word));
            let refused: &[_] = match (holds_a_key, holds_a_token) {
                (true, _) => &NOT_FOR_KEYS,
                (false, true) => &NOT_FOR_TOKENS,
                (false, false) => &[],
            };
            let derived = declared.derives.iter().filter(|derived| refused.contains(derived));
            offences.extend(derived.map(|derived| format!("{}:{} `{}` derives {derived}", source.file, declared.line, declared.name)));
        }
    }
    assert_none("secrets", &offences);
}

struct Declaration<'a> {
    name: &'a str,
    line: usize,
    derives: Vec<&'a str>,
    body: Vec<&'a str>,
}

/// Every struct and enum, with what it derives and the words of its body.
fn declarations(source: &Source) -> Vec<Declaration<'_>> {
    let tokens = &source.tokens;
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let (mut found, mut derives) = (Vec::new(), Vec::new());
    for (at, token) in tokens.iter().enumerate() {
        match token.text.as_str() {
            "derive" if text(at + 1) == "(" => derives.extend(words_until(source, at + 2, ")")),
            "struct" | "enum" => {
                let body = words_until(source, at + 2, if ends_with_semicolon(source, at) { ";" } else { "}" });
                found.push(Declaration { name: text(at + 1), line: token.line, derives: std::mem::take(&mut derives), body });
            }
            // Any other item that derives nothing: what was collected belonged to none of ours.
            "fn" | "impl" | "mod" => derives.clear(),
            _ => {}
        }
    }
    found
}

fn words_until<'a>(source: &'a Source, start: usize, end: &str) -> Vec<&'a str> {
    source.tokens[start..].iter().map(|token| token.text.as_str()).take_while(|text| *text != end).collect()
}

/// A tuple or unit struct ends at a semicolon; any other declaration has braces.
fn ends_with_semicolon(source: &Source, start: usize) -> bool {
    let end = source.tokens[start..].iter().find(|token| matches!(token.text.as_str(), "{" | ";"));
    end.is_some_and(|token| token.text == ";")
}
