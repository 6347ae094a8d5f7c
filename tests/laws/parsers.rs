//! Whatever bytes arrive, a parser answers; none panics.

use narrows_tests::tokens;
use narrows_verifier::{
    BlockId, Caveat, UnverifiedToken,
    biscuit::{append_hop, append_plain, parse_check, seal},
    caveat::parse_list,
    json::{Limits, parse},
    proof::{HolderClaims, PossessionClaims, ReportClaims, check_holder, check_possession, check_report},
    token_bytes,
};
use proptest::{collection::vec, prelude::*, sample::Index};

use super::cases;

proptest! {
    #![proptest_config(cases(1000))]

    #[test]
    fn any_bytes_as_a_token(bytes in vec(any::<u8>(), 0..600)) {
        let _ = UnverifiedToken::from_bytes(&bytes);
        let _ = seal(&bytes);
    }

    #[test]
    fn any_text_as_a_token(text in ".{0,300}") {
        if let Ok(bytes) = token_bytes(&text) {
            let _ = UnverifiedToken::from_bytes(&bytes);
        }
    }

    /// A parent from outside is guarded before the library sees it, whose appending panics on foreign blocks.
    #[test]
    fn damaged_tokens_as_parents(changes in vec((any::<Index>(), any::<u8>()), 1..6)) {
        let mut token = tokens::hop(&tokens::sample(), &tokens::PLANNER, &tokens::EXECUTOR, "[]");
        for (at, byte) in changes {
            let at = at.index(token.len());
            token[at] = byte;
        }
        let _ = append_plain(&token, &[], &[9; 32]);
        let _ = append_hop(&token, &[12; 32], &tokens::WORKER.claims(Vec::new()), &[9; 32]);
    }

    /// The content of a hop is signed by its delegator, who may be anyone: any bytes come with good signatures.
    #[test]
    fn any_bytes_as_the_content_of_a_hop(bytes in vec(any::<u8>(), 0..100), damage in vec((any::<Index>(), any::<u8>()), 0..4), fresh in any::<bool>()) {
        let token = tokens::edit(&tokens::hop(&tokens::sample(), &tokens::PLANNER, &tokens::EXECUTOR, "[]"), |token| {
            let content = &mut token.blocks[0].block;
            if fresh {
                *content = bytes;
            }
            for (at, byte) in damage {
                let at = at.index(content.len() + 1);
                content.insert(at, byte);
            }
            tokens::sign_chain(token, &[tokens::PLANNER.seed]);
        });
        let _ = UnverifiedToken::from_bytes(&token).and_then(|token| token.verify(&tokens::roots()));
        let _ = append_plain(&token, &[], &[9; 32]);
    }

    #[test]
    fn any_text_as_caveats(text in caveat_text()) {
        if let Ok(value) = parse(text.as_bytes(), Limits::CAVEATS) {
            let _ = parse_list(&value);
            if let Ok(caveat) = Caveat::from_json(&value) {
                // what is read can be written, rendered and read again
                prop_assert_eq!(Caveat::read(&caveat.check()), Some(caveat.clone()));
                prop_assert_eq!(Caveat::from_json(&caveat.to_json()), Ok(caveat));
            }
        }
    }

    #[test]
    fn any_text_as_a_condition(text in "[a-z$(){}\\[\\]!&|<>=.,\" 0-9]{0,80}") {
        let _ = parse_check(&text);
    }

    #[test]
    fn any_text_as_a_proof(text in prop_oneof![".{0,100}", "[A-Za-z0-9_-]{0,200}\\.[A-Za-z0-9_-]{86}"], payload in "[{}\":,a-z0-9]{0,80}") {
        let holder = tokens::EXECUTOR.key();
        let block = BlockId([1; 32]);
        for text in [text, tokens::statement("narrows/possession/1", &payload, &tokens::EXECUTOR.seed)] {
            let claims = PossessionClaims { block, tool: "t", args_digest: [0; 32], audience: "a" };
            prop_assert!(check_possession(&text, &claims, &holder, tokens::NOW).is_err());
            let claims = HolderClaims { issuer: "i", client: "c", subject_digest: [0; 32] };
            prop_assert!(check_holder(&text, &claims, &holder, tokens::NOW).is_err());
            let claims = ReportClaims { issuer: "i", block };
            prop_assert!(check_report(&text, &claims, [&holder, &holder], tokens::NOW).is_err());
        }
    }
}

/// Texts near to caveats: members of all kinds, put together at random.
fn caveat_text() -> impl Strategy<Value = String> {
    let member = prop::sample::select(vec![
        r#""kind":"tools""#,
        r#""kind":"arg""#,
        r#""kind":"closed_args""#,
        r#""kind":"expires""#,
        r#""kind":"depth""#,
        r#""kind":"audience""#,
        r#""allow":["a",{"prefix":"b"}]"#,
        r#""allow":[{"prefix":1}]"#,
        r#""tool":"t""#,
        r#""path":"/a""#,
        r#""path":"~""#,
        r#""is":{"exact":1}"#,
        r#""is":{"one_of":["a",2,true]}"#,
        r#""is":{"range":{"min":-1}}"#,
        r#""is":{"prefix":""}"#,
        r#""is":{}"#,
        r#""names":["a"]"#,
        r#""names":[]"#,
        r#""at":"""#,
        r#""at":"2026-11-21T12:00:00Z""#,
        r#""at":"2026-11-21T12:00:00+23:59""#,
        r#""at":"0000-01-01T00:00:00Z""#,
        r#""at":"2026-12-31T23:59:60Z""#,
        r#""one_of":["https://a.example"]"#,
        r#""max":3"#,
        r#""max":-1"#,
        r#""max":1.5"#,
    ]);
    prop_oneof![
        4 => vec(member, 0..5).prop_map(|members| format!("{{{}}}", members.join(","))),
        1 => ".{0,60}",
    ]
}
