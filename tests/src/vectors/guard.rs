//! What is refused before any signature is looked at: sizes, encodings, versions, keys and Datalog outside the profile.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD},
};
use biscuit_auth::{
    KeyPair, PrivateKey,
    builder::{Algorithm, BlockBuilder},
    format::schema,
};

use super::{Cases, TokenVector, Vector, Verdict, answer, token_vector};
use crate::tokens::{
    AUTHORITY_CAVEATS, EXECUTOR, PLANNER, authority, block, block_mut, caveats, claims, decode, edit, edit_block, hop, hop_block, hop_fact,
    mint, mint_block, mint_with, plain, plain_block, required_checks, sample, sign_chain,
};

pub(super) fn cases(cases: &mut Cases) {
    texts(cases);
    bytes(cases);
    versions_and_keys(cases);
    datalog(cases);
    floods(cases);
    messages(cases);
}

fn texts(cases: &mut Cases) {
    // the subject makes the bytes a length for which the encodings differ
    let mut odd = claims(caveats(AUTHORITY_CAVEATS));
    odd.subject = "p-7f3a?".to_owned();
    let token = (0..3)
        .map(|more| {
            odd.subject = format!("p-7f3a?{}", "~".repeat(more));
            mint(&odd)
        })
        .find(|token| token.len() % 3 == 1)
        .expect("one of three lengths");
    let good = URL_SAFE_NO_PAD.encode(&token);
    let standard = STANDARD_NO_PAD.encode(&token);
    assert!(standard.contains(['+', '/']), "the sample shows no difference");
    // the last character carries four unused bits, which are zero in the one true text
    let (body, last) = good.split_at(good.len() - 1);
    let trailing = format!("{body}{}", (last.as_bytes()[0] + 1) as char);
    let mut refuse = |name: &str, about: &str, text: String, reason: &str| {
        let vector = token_vector(about, &token, answer(Verdict::Deny).because(reason, None));
        cases.add(name, Vector::Token(TokenVector { token: text, ..vector }));
    };
    refuse("text_padded", "base64url with padding", URL_SAFE.encode(&token), "TOKEN_ENCODING");
    refuse("text_standard_alphabet", "standard base64", standard, "TOKEN_ENCODING");
    refuse("text_trailing_bits", "unused bits that are not zero", trailing, "TOKEN_ENCODING");
    refuse("text_line_feed", "a line feed at the end", format!("{good}\n"), "TOKEN_ENCODING");
    refuse("text_empty", "no text", String::new(), "TOKEN_NOT_CANONICAL");
    refuse("text_too_large", "more than 22 KiB of text", "A".repeat(22 * 1024 + 1), "TOKEN_TOO_LARGE");
}

fn bytes(cases: &mut Cases) {
    let token = sample();
    cases.refused("bytes_not_protobuf", "bytes that are no message", &[0xff; 40], "TOKEN_MALFORMED", None);
    cases.refused("bytes_cut", "the last byte is missing", &token[..token.len() - 1], "TOKEN_MALFORMED", None);
    let appended = [token.as_slice(), &[0xfa, 0x01, 0x01, 0x00]].concat();
    cases.refused("bytes_unknown_field", "an unknown field at the end, which the library ignores", &appended, "TOKEN_NOT_CANONICAL", None);
    let long_number = [&[0x08, 0x87, 0x00], &token[2..]].concat();
    assert_eq!(decode(&long_number).root_key_id, Some(7));
    cases.refused("bytes_long_number", "a number in more bytes than it needs", &long_number, "TOKEN_NOT_CANONICAL", None);
    let inner = edit(&token, |token| {
        token.authority.block.extend([0xfa, 0x01, 0x01, 0x00]);
        sign_chain(token, &[]);
    });
    cases.refused(
        "bytes_inner_unknown_field",
        "an unknown field inside a block, under a good signature",
        &inner,
        "TOKEN_NOT_CANONICAL",
        Some(0),
    );
    let inner_garbage = edit(&plain(&token, "[]"), |token| {
        token.blocks[0].block = vec![0xff; 8];
        sign_chain(token, &[]);
    });
    cases.refused("bytes_inner_not_protobuf", "a block that is no message", &inner_garbage, "TOKEN_MALFORMED", Some(1));
    let oversize = edit(&token, |token| {
        edit_block(&mut token.authority, |content| content.symbols.push("x".repeat(16 * 1024)));
        sign_chain(token, &[]);
    });
    cases.refused("bytes_too_large", "more than 16 KiB", &oversize, "TOKEN_TOO_LARGE", None);
    let long_symbol = edit(&token, |token| {
        edit_block(&mut token.authority, |content| content.symbols.push("x".repeat(1025)));
        sign_chain(token, &[]);
    });
    cases.refused("symbol_too_long", "a string of 1,025 bytes", &long_symbol, "OUTSIDE_PROFILE", Some(0));
    let no_proof = edit(&token, |token| token.proof.content = None);
    cases.refused("proof_missing", "neither secret nor seal", &no_proof, "TOKEN_MALFORMED", None);
    let short_secret = edit(&token, |token| token.proof.content = Some(schema::proof::Content::NextSecret(vec![1; 31])));
    cases.refused("proof_short_secret", "a secret of 31 bytes", &short_secret, "KEY_ALGORITHM", None);
}

fn versions_and_keys(cases: &mut Cases) {
    let facts = authority("").dump_code();
    let without_null = facts.replace("profile(\"narrows/1\", null)", "profile(\"narrows/1\", 1)");
    assert_ne!(facts, without_null);
    let v0 = biscuit_auth::builder::BiscuitBuilder::new().code(without_null + &required_checks().replace(" or ", " ")).unwrap();
    cases.refused(
        "signature_v0",
        "without the null in the profile fact, the library signs version 0",
        &mint_block(v0),
        "SIGNATURE_VERSION",
        Some(0),
    );
    let dropped = edit(&hop(&sample(), &PLANNER, &EXECUTOR, "[]"), |token| token.blocks[0].version = None);
    cases.refused("signature_v0_later", "a later block without a version", &dropped, "SIGNATURE_VERSION", Some(1));
    let second = edit(&sample(), |token| {
        token.authority.version = Some(2);
        sign_chain(token, &[]);
    });
    cases.refused("signature_v2", "a version that the profile does not have, well signed", &second, "SIGNATURE_VERSION", Some(0));
    let p256 = KeyPair::from(&PrivateKey::from_bytes(&[3; 32], Algorithm::Secp256r1).unwrap());
    let next_p256 = mint_with(authority(&required_checks()).root_key_id(7), &p256);
    cases.refused("p256_next_key", "P-256 signatures can be changed by anyone", &next_p256, "KEY_ALGORITHM", Some(0));
    let p256_public = decode(&next_p256).authority.next_key;
    let external = edit(&hop(&sample(), &PLANNER, &EXECUTOR, "[]"), |token| {
        token.blocks[0].external_signature.as_mut().expect("a hop").public_key = p256_public;
    });
    cases.refused("p256_external_key", "a P-256 key as signer of a hop", &external, "KEY_ALGORITHM", Some(1));
    let short = edit(&sample(), |token| token.authority.signature.truncate(63));
    cases.refused("signature_short", "a signature of 63 bytes", &short, "KEY_ALGORITHM", Some(0));
    let weak = edit(&sample(), |token| {
        token.authority.next_key.key = {
            let mut key = vec![0; 32];
            key[0] = 1;
            key
        }
    });
    cases.refused("weak_next_key", "a next key of small order", &weak, "WEAK_KEY", Some(0));
}

/// Datalog that the library evaluates and the profile does not have. The tables say what each is for.
fn datalog(cases: &mut Cases) {
    for (name, about, code, reason) in IN_PLAIN_BLOCK {
        cases.refused(name, about, &plain_block(&sample(), block(code)), reason, Some(1));
    }
    let checks = required_checks();
    for (name, about, code, reason) in IN_AUTHORITY {
        cases.refused(name, about, &mint_block(authority(&format!("{checks}{code}"))), reason, Some(0));
    }
    let in_hop = format!("{}check if tool($t), $t.matches(\"a\");", hop_fact(1, &EXECUTOR));
    cases.refused(
        "hop_with_regex",
        "a regular expression in a hop",
        &hop_block(&sample(), &PLANNER.seed, block(&in_hop)),
        "OUTSIDE_PROFILE",
        Some(1),
    );
    let scope = BlockBuilder::new().scope(biscuit_auth::builder::Scope::Previous);
    cases.refused(
        "scope_of_block",
        "a block that trusts its predecessors' facts",
        &plain_block(&sample(), scope),
        "OUTSIDE_PROFILE",
        Some(1),
    );
    let context = BlockBuilder::new().context("for your eyes only".to_owned());
    cases.refused("context", "free text that nobody checks", &plain_block(&sample(), context), "OUTSIDE_PROFILE", Some(1));
}

fn floods(cases: &mut Cases) {
    let flood = (0..16).fold(sample(), |token, _| plain_block(&token, BlockBuilder::new()));
    cases.refused("block_flood", "seventeen blocks", &flood, "TOO_MANY_BLOCKS", None);
    let facts: String = (0..58).map(|number| format!("agent(\"a{number}\");")).collect();
    cases.refused("fact_flood", "65 facts", &mint_block(authority(&(required_checks() + &facts))), "TOO_MANY_FACTS", Some(0));
    let checks = "check if depth($d), $d <= 5;".repeat(129);
    cases.refused("check_flood", "129 checks in a block", &plain_block(&sample(), block(&checks)), "TOO_MANY_CHECKS", Some(1));
    let queries = format!("check if {};", ["tool($t), $t.starts_with(\"a\")"; 9].join(" or "));
    cases.refused("query_flood", "nine alternatives in a check", &plain_block(&sample(), block(&queries)), "OUTSIDE_PROFILE", Some(1));
    let names: Vec<String> = (0..257).map(|number| format!("\"t{number}\"")).collect();
    let set = format!("check if tool($t), {{{}}}.contains($t);", names.join(","));
    cases.refused("set_flood", "257 elements in a set", &plain_block(&sample(), block(&set)), "OUTSIDE_PROFILE", Some(1));
    let bomb =
        "check if arg_int($p, $a), arg_int($q, $b), arg_int($r, $c), arg_int($s, $d), arg_int($u, $e), $a + $b + $c + $d + $e === -1;";
    cases.refused(
        "join_bomb",
        "a join of five facts, which holds the library's engine for seconds",
        &plain_block(&sample(), block(bomb)),
        "COST_BOUND",
        Some(1),
    );
    let smaller = "check if arg_int($p, $a), arg_int($q, $b), arg_int($r, $c), arg_int($s, $d), $a < $b, $b < $c, $c < $d;";
    cases.refused(
        "join_of_four",
        "a join within the bound, but of no known caveat",
        &plain_block(&sample(), block(smaller)),
        "UNKNOWN_CAVEAT",
        Some(1),
    );
}

/// Forms that no builder writes and that mean the same to a lenient reader.
fn messages(cases: &mut Cases) {
    let set = || plain(&sample(), r#"[{"kind":"tools","allow":["a","b"]}]"#);
    let resigned = |token: &[u8], change: &dyn Fn(&mut schema::Block)| {
        edit(token, |token| {
            edit_block(block_mut(token, 1), change);
            let hops = token.blocks.iter().filter(|block| block.external_signature.is_some()).count();
            sign_chain(token, &[PLANNER.seed].repeat(hops));
        })
    };
    let doubled = resigned(&set(), &|content| {
        let elements = set_of(content);
        elements.push(elements[0].clone());
    });
    cases.refused("set_with_duplicate", "an element given twice", &doubled, "OUTSIDE_PROFILE", Some(1));
    let mixed = resigned(&set(), &|content| {
        set_of(content).push(schema::Term { content: Some(schema::term::Content::Integer(1)) });
    });
    cases.refused("set_of_mixed_types", "texts and an integer in one set", &mixed, "MIXED_TYPES", Some(1));
    let repeated = resigned(&set(), &|content| content.symbols.push("a".to_owned()));
    cases.refused("symbol_repeated", "a string given twice in a block", &repeated, "OUTSIDE_PROFILE", Some(1));
    let known = resigned(&set(), &|content| content.symbols.push("read".to_owned()));
    cases.refused("symbol_of_default_table", "a string that has a number already", &known, "OUTSIDE_PROFILE", Some(1));
    let unknown = resigned(&set(), &|content| content.symbols.clear());
    cases.refused("symbol_missing", "numbers of strings that are not there", &unknown, "OUTSIDE_PROFILE", Some(1));
    let kind = resigned(&set(), &|content| content.checks[0].kind = Some(schema::check::Kind::One as i32));
    cases.refused("check_kind_written", "the default kind of a check, written out", &kind, "OUTSIDE_PROFILE", Some(1));
    let external_name = resigned(&set(), &|content| {
        let operators = content.checks[0].queries[0].expressions[0].ops.iter_mut();
        for op in operators {
            if let Some(schema::op::Content::Binary(binary)) = &mut op.content {
                binary.ffi_name = Some(0);
            }
        }
    });
    cases.refused("operator_with_external_name", "an external function's name on an operator", &external_name, "OUTSIDE_PROFILE", Some(1));
    let named_head = resigned(&set(), &|content| content.checks[0].queries[0].head.name = 0);
    cases.refused("query_head_renamed", "a query's head has one name", &named_head, "OUTSIDE_PROFILE", Some(1));
    let no_queries = resigned(&set(), &|content| content.checks[0].queries.clear());
    cases.refused("check_without_query", "a check that nothing can meet", &no_queries, "OUTSIDE_PROFILE", Some(1));
    let argument = plain(&sample(), r#"[{"kind":"arg","tool":"a","path":"/b","is":{"exact":1}}]"#);
    let signed = hop(&sample(), &PLANNER, &EXECUTOR, "[]");
    for (name, about, token, version) in [
        ("schema_2", "a Datalog version before the first", &set(), 2),
        ("schema_7", "a Datalog version after the last", &set(), 7),
        ("schema_3_with_unequal", "`!==` needs version 4; the library refuses the block", &argument, 3),
        ("schema_4_in_hop", "a signed block needs version 5; the library refuses it", &signed, 4),
    ] {
        let declared = resigned(token, &|content| content.version = Some(version));
        cases.refused(name, about, &declared, "OUTSIDE_PROFILE", Some(1));
    }
    let understated = edit(&sample(), |token| {
        edit_block(&mut token.authority, |content| content.version = Some(5));
        sign_chain(token, &[]);
    });
    cases.refused("schema_5_with_null", "null needs version 6; the library refuses the block", &understated, "OUTSIDE_PROFILE", Some(0));
    let unordered = resigned(&set(), &|content| set_of(content).reverse());
    cases.verified("set_in_other_order", "the order of a set's elements means nothing", &unordered, &PLANNER);
    let nested = resigned(&set(), &|content| {
        let ops = &mut content.checks[0].queries[0].expressions[0].ops;
        *ops = (0..60).fold(std::mem::take(ops), |ops, _| {
            vec![schema::Op { content: Some(schema::op::Content::Closure(schema::OpClosure { params: Vec::new(), ops })) }]
        });
    });
    let about = "closures nested deeper than a protobuf reader may go";
    cases.refused("closures_nested", about, &nested, "TOKEN_MALFORMED", Some(1));
    // 254 letters between quotes
    let rule = format!(r#"{{"glob":"{}"}}"#, "a".repeat(254));
    let eight = format!(r#"{{"all":[{}]}}"#, [rule.as_str(); 8].join(","));
    let most = arg(&eight);
    cases.verified("rules_most", "rules of 2,048 bytes in a block, each read where it is referred to", &plain(&sample(), &most), &PLANNER);
    let flood: String =
        caveats(&arg(&format!(r#"{{"any":[{eight},{rule}]}}"#))).iter().map(|caveat| format!("{};", caveat.check())).collect();
    let about = "one rule that stands once in the token and is to be read nine times, 2,304 bytes in all";
    cases.refused("rules_flood", about, &plain_block(&sample(), block(&flood)), "COST_BOUND", Some(1));
}

fn arg(is: &str) -> String {
    format!(r#"[{{"kind":"arg","tool":"crm.read","path":"/a","is":{is}}}]"#)
}

fn set_of(content: &mut schema::Block) -> &mut Vec<schema::Term> {
    let ops = &mut content.checks[0].queries[0].expressions[0].ops;
    ops.iter_mut()
        .find_map(|op| match &mut op.content {
            Some(schema::op::Content::Value(schema::Term { content: Some(schema::term::Content::Set(set)) })) => Some(&mut set.set),
            _ => None,
        })
        .expect("the check has a set")
}

const IN_PLAIN_BLOCK: [(&str, &str, &str, &str); 17] = [
    (
        "regex",
        "a regular expression: compiled at each evaluation, and false when it is bad",
        "check if tool($t), $t.matches(\"^crm\");",
        "OUTSIDE_PROFILE",
    ),
    ("reject_if", "a negative check, which a missing fact opens", "reject if tool(\"db.drop\");", "OUTSIDE_PROFILE"),
    ("check_all", "a check over all bindings", "check all tool($t), $t.starts_with(\"crm.\");", "OUTSIDE_PROFILE"),
    ("rule", "a rule", "agent($t) <- tool($t);", "OUTSIDE_PROFILE"),
    ("scope_of_query", "a query that trusts its predecessors' facts", "check if tool(\"crm.read\") trusting previous;", "OUTSIDE_PROFILE"),
    ("check_over_profile_fact", "a check that a block's own fact could meet", "check if holder($h);", "OUTSIDE_PROFILE"),
    ("check_over_unknown_fact", "a check that no verifier can meet", "check if session_clean(true);", "OUTSIDE_PROFILE"),
    ("arithmetic", "an operator that can overflow", "check if arg_int(\"/a\", $v), $v + 1 > 0;", "OUTSIDE_PROFILE"),
    (
        "lenient_unequal",
        "the lenient form of a comparison",
        "check if tool($t), $t != \"crm.read\" or arg_int(\"/a\", 1);",
        "OUTSIDE_PROFILE",
    ),
    (
        "conjunction_in_expression",
        "a lazy operator, which holds a closure",
        "check if tool($t), $t === \"a\" && $t === \"b\";",
        "OUTSIDE_PROFILE",
    ),
    ("array", "an array", "check if tool($t), [\"a\"].contains($t);", "OUTSIDE_PROFILE"),
    (
        "mixed_types",
        "an integer read as a text",
        "check if tool($t), $t !== \"a\" or arg_int(\"/x\", $v), $v.starts_with(\"b\");",
        "MIXED_TYPES",
    ),
    ("mixed_types_of_constant", "a text where an integer stands", "check if arg_int(\"/x\", \"5\");", "MIXED_TYPES"),
    ("mixed_types_of_variable", "one variable in positions of two types", "check if arg_int($p, $p);", "MIXED_TYPES"),
    ("unknown_caveat", "a check of known facts that is no known caveat", "check if tool($t), $t === \"crm.read\";", "UNKNOWN_CAVEAT"),
    (
        "caveat_with_other_variable",
        "a known caveat with another variable name is another check",
        "check if time($x), $x < 2026-11-21T12:00:00Z;",
        "UNKNOWN_CAVEAT",
    ),
    (
        "caveat_reversed_range",
        "a range that the JSON form refuses",
        "check if tool($t), $t !== \"a\" or arg_int(\"/x\", $v), $v >= 2, $v <= 1;",
        "UNKNOWN_CAVEAT",
    ),
];

const IN_AUTHORITY: [(&str, &str, &str, &str); 6] = [
    (
        "ambient_fact_in_authority",
        "a fact that only verifiers supply would meet every later block's check",
        "tool(\"db.drop\");",
        "OUTSIDE_PROFILE",
    ),
    ("ambient_time_in_authority", "the same with the time", "time(2020-01-01T00:00:00Z);", "OUTSIDE_PROFILE"),
    ("unknown_fact_in_authority", "a fact that the profile does not have", "right(\"db.drop\");", "OUTSIDE_PROFILE"),
    ("fact_of_wrong_type", "a text where bytes stand", "task(\"task\");", "MIXED_TYPES"),
    ("fact_of_wrong_length", "a fact with one more argument", "subject(\"a\", \"b\");", "MIXED_TYPES"),
    ("rule_in_authority", "a rule that makes a holder for each argument", "agent($v) <- arg_text($p, $v);", "OUTSIDE_PROFILE"),
];
