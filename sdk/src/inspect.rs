//! A token as plain text, for people who decide whether to trust it.

use narrows_verifier::{Block, Explanation, Holder, Maker, Role, VerifiedToken, Word};

/// Describes a verified token, one line a fact: who made each block, whose word each name is, every caveat.
pub fn inspect(token: &VerifiedToken) -> String {
    let authority = &token.authority;
    let mut lines = vec![
        format!("task {}", authority.task),
        format!("issuer `{}`{}", authority.issuer.escape_debug(), if authority.dev { ", for development only" } else { "" }),
        format!("subject {}", quote(&authority.subject)),
        match (token.holder, token.sealed) {
            (Holder::Bearer, _) => "bearer: bound to no key, so whoever has its text can use it".to_owned(),
            (_, true) => "sealed: it can't be narrowed further".to_owned(),
            (_, false) => "open: its holder can narrow it".to_owned(),
        },
    ];
    let actors = authority.actors.iter().map(|actor| {
        format!("through {}, by {}", quote(&actor.name), if actor.attested { "the issuer's word" } else { "the word of whoever is before" })
    });
    lines.splice(3..3, actors);
    let mut holder = String::new();
    for (index, block) in token.blocks.iter().enumerate() {
        lines.push(format!("block {index} {}: {}", block.id, maker(block, token, &mut holder)));
        lines.extend(block.caveats.iter().map(|caveat| format!("  {}", caveat.sentence())));
    }
    let effective = token.effective();
    lines.push("together:".to_owned());
    if effective.permits_nothing {
        lines.push("  nothing: the caveats exclude each other".to_owned());
    }
    lines.extend(effective.caveats.iter().map(|caveat| format!("  {}", caveat.sentence())));
    lines.join("\n")
}

/// Explains a refused call: in whose name the token speaks, and then four or five lines a caveat: where it stands, what it
/// expects, what the call had, what would be accepted, and who could supply what is not known here.
pub fn explain(token: &VerifiedToken, explanations: &[Explanation]) -> String {
    let told = |explanation: &Explanation| {
        let place = match explanation.hop {
            0 => "the issuer's block".to_owned(),
            hop => format!("block {} of hop {hop}", explanation.block),
        };
        let by = explanation.added_by.escape_debug();
        let mut lines = vec![
            format!("{}: a caveat `{}` in {place}, added by {by}", explanation.reason, explanation.kind),
            format!("  expects       {}", explanation.expected),
            format!("  the call had  {}", explanation.actual),
            format!("  would accept  {}", explanation.accepted),
        ];
        lines.extend(explanation.needs.map(|needs| format!("  ask           {}", needs.supplied_by())));
        lines.join("\n")
    };
    [chain(token)].into_iter().chain(explanations.iter().map(told)).collect::<Vec<_>>().join("\n")
}

/// The composite principal in one line, each name with whose word it is.
fn chain(token: &VerifiedToken) -> String {
    let named = token.chain().into_iter().map(|principal| {
        let name = quote(principal.name);
        match (principal.role, principal.word) {
            (Role::Subject, _) => format!("for {name} by the issuer's word"),
            (Role::Actor, _) => format!("through {name} by the issuer's word"),
            (Role::Agent, Word::Issuer) => format!("by {name} by the issuer's word"),
            (Role::Agent, Word::Delegator(delegator)) => format!("by {name} by the word of {} alone", quote(delegator)),
        }
    });
    named.collect::<Vec<_>>().join(", ")
}

/// `holder` is the name of the newest holder so far.
fn maker(block: &Block, token: &VerifiedToken, holder: &mut String) -> String {
    match &block.maker {
        Maker::Issuer { agent, .. } => {
            *holder = quote(agent);
            format!("the issuer to {holder}, whose name the issuer attests")
        }
        Maker::Delegator { signer, agent, .. } if *signer == token.root.key => {
            *holder = quote(agent);
            format!("the issuer to {holder}, whose name the issuer attests")
        }
        Maker::Delegator { agent, .. } => {
            let delegator = core::mem::replace(holder, quote(agent));
            format!("{delegator} to {holder}, a name by the word of {delegator} alone")
        }
        Maker::Anyone => "a plain block, by whoever held the open token".to_owned(),
    }
}

fn quote(name: &str) -> String {
    format!("`{}`", name.escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Held, HolderKey, NarrowRequest,
        tests::{NOW, held, root},
    };

    #[test]
    fn inspection_says_whose_word_each_name_is() {
        let request = NarrowRequest { holder: HolderKey::of(12).public(), agent: "exec\nutor".into(), caveats: Vec::new() };
        let token = held("[]").narrow(&request, NOW).ok().unwrap().token;
        let text = inspect(Held::new(&token, HolderKey::of(12), &root().into()).ok().unwrap().inspect());
        assert!(text.contains("the issuer to `planner`, whose name the issuer attests"), "{text}");
        assert!(text.contains("`planner` to `exec\\nutor`, a name by the word of `planner` alone"), "{text}");
        assert!(text.contains("  at most 2 hops"), "{text}");
    }
}
