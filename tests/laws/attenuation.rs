//! L1: whatever is made from a token permits nothing that the token refuses.

use biscuit_auth::{UnverifiedBiscuit, format::schema};
use narrows_tests::tokens::{self, THIEF};
use narrows_verifier::{Caveat, VerifiedToken, biscuit::append_plain};
use proptest::{collection::vec, prelude::*, sample::Index, strategy::ValueTree, test_runner::TestRunner};

use super::{
    cases,
    generate::{Node, OwnedCall, call, caveat, tree, verify},
};

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn a_child_permits_nothing_that_its_parent_refuses(tree in tree(), calls in vec(call(), 1..12)) {
        let nodes = tree.nodes();
        for node in &nodes {
            let (Ok(child), Some(parent)) = (verify(&node.bytes), node.parent) else { continue };
            let parent = verify(&nodes[parent].bytes).expect("the parent of a token that verifies");
            prop_assert!(child.block_ids().starts_with(&parent.block_ids()));
            prop_assert!(child.expires <= parent.expires);
            prop_assert_eq!(child.holder, node.holder.key().into());
            for call in &calls {
                prop_assert!(!permits(&child, call) || permits(&parent, call), "{call:?}");
            }
        }
    }

    /// Someone who has read the bytes of every token of the tree, open ones among them, and holds no holder's key.
    #[test]
    fn a_thief_of_the_bytes_gains_nothing(tree in tree(), attacks in vec(attack(), 1..4), calls in vec(call(), 1..12)) {
        let nodes = tree.nodes();
        let known: Vec<_> = nodes.iter().filter_map(|node| verify(&node.bytes).ok()).collect();
        let Some(stolen) = attacks.iter().try_fold(nodes[0].bytes.clone(), |base, attack| attack.make(&base, &nodes)) else {
            return Ok(());
        };
        let Ok(stolen) = verify(&stolen) else { return Ok(()) };
        let origin = known.iter().filter(|known| stolen.block_ids().starts_with(&known.block_ids())).max_by_key(|known| known.blocks.len());
        let origin = origin.expect("a token that verifies goes on from one of the tree");
        prop_assert_eq!(stolen.holder, origin.holder, "the holder changed");
        for call in &calls {
            prop_assert!(!permits(&stolen, call) || permits(origin, call), "{call:?}");
        }
    }
}

/// A law that is met because nothing ever happens would be worth nothing.
#[test]
fn random_tokens_calls_and_attacks_reach_every_answer() {
    let mut runner = TestRunner::deterministic();
    let mut sample = || (tree(), attack(), call()).new_tree(&mut runner).unwrap().current();
    let (mut verified, mut refused, mut permitted, mut denied, mut stolen) = (0, 0, 0, 0, 0);
    for (tree, attack, call) in std::iter::repeat_with(&mut sample).take(150) {
        let nodes = tree.nodes();
        for node in &nodes {
            match verify(&node.bytes) {
                Ok(token) if permits(&token, &call) => permitted += 1,
                Ok(_) => denied += 1,
                Err(_) => refused += 1,
            }
        }
        let made = attack.make(&nodes[nodes.len() - 1].bytes, &nodes);
        verified += usize::from(verify(&nodes[nodes.len() - 1].bytes).is_ok());
        stolen += usize::from(made.is_some_and(|bytes| verify(&bytes).is_ok()));
    }
    for count in [verified, refused, permitted, denied, stolen] {
        assert!(
            count >= 10,
            "{verified} verified, {refused} refused, {permitted} permitted, {denied} denied, {stolen} accepted of a thief"
        );
    }
}

fn permits(token: &VerifiedToken, call: &OwnedCall) -> bool {
    token.decide_with(&call.borrow(), &call.state).is_ok()
}

/// What can be done with bytes alone, next secrets of open tokens included.
#[derive(Clone, Debug)]
enum Attack {
    /// Goes on from another token of the tree.
    Take(Index),
    Plain(Vec<Caveat>),
    PlainWithFact(String),
    OwnHop(Vec<Caveat>),
    /// Wraps the last block under another next key.
    Rewrap,
    /// Drops blocks from the end, and closes the chain with a secret that is known or not.
    Cut(usize, bool),
    /// Puts a block of another token at the end, with its outer signature made again.
    Transplant(Index, Index),
    /// Turns the last block into a plain one, with its outer signature made again.
    StripSigner,
    /// Makes the thief the signer of the last hop.
    ReplaceSigner,
}

impl Attack {
    /// The bytes that come of it, or nothing when it can't be done to this token.
    fn make(&self, base: &[u8], nodes: &[Node]) -> Option<Vec<u8>> {
        let count = tokens::decode(base).blocks.len();
        if count >= 15 {
            return None;
        }
        let rewrapped = |change: &dyn Fn(&mut schema::SignedBlock), external: Option<&tokens::Seed>, next| {
            let last = count.checked_sub(1)?;
            Some(tokens::edit(base, |token| {
                change(&mut token.blocks[last]);
                tokens::sign_block(token, count, &tokens::next_seed(last), external, &next);
                tokens::close(token, &next);
            }))
        };
        match self {
            Attack::Take(node) => Some(nodes[node.index(nodes.len())].bytes.clone()),
            Attack::Plain(caveats) => append_plain(base, caveats, &tokens::next_seed(count + 1)).ok(),
            // the library itself refuses to go on from some of what came before
            Attack::PlainWithFact(fact) => UnverifiedBiscuit::from(base).is_ok().then(|| tokens::plain_block(base, tokens::block(fact))),
            Attack::OwnHop(caveats) => {
                narrows_verifier::biscuit::append_hop(base, &THIEF.seed, &THIEF.claims(caveats.clone()), &tokens::next_seed(count + 1)).ok()
            }
            Attack::Rewrap => rewrapped(&|_| (), None, tokens::next_seed(count)),
            Attack::Cut(blocks, known) => Some(tokens::edit(base, |token| {
                token.blocks.truncate(count.saturating_sub(*blocks));
                let secret = if *known { tokens::next_seed(token.blocks.len()) } else { THIEF.seed };
                tokens::close(token, &secret);
            })),
            Attack::Transplant(node, block) => {
                let blocks = tokens::decode(&nodes[node.index(nodes.len())].bytes).blocks;
                let taken = blocks.get(block.index(blocks.len().max(1)))?.clone();
                Some(tokens::edit(base, |token| {
                    token.blocks.push(taken);
                    tokens::sign_block(token, count + 1, &tokens::next_seed(count), None, &tokens::next_seed(count + 1));
                    tokens::close(token, &tokens::next_seed(count + 1));
                }))
            }
            Attack::StripSigner => rewrapped(&|block| block.external_signature = None, None, tokens::next_seed(count)),
            Attack::ReplaceSigner => rewrapped(&|_| (), Some(&THIEF.seed), tokens::next_seed(count)),
        }
    }
}

fn attack() -> impl Strategy<Value = Attack> {
    let facts = prop::sample::select(vec![
        format!("holder(hex:{});", THIEF.hex()),
        tokens::hop_fact(1, &THIEF),
        tokens::hop_fact(2, &THIEF),
        "tool(\"a\");".to_owned(),
    ]);
    prop_oneof![
        3 => any::<Index>().prop_map(Attack::Take),
        2 => vec(caveat(), 0..3).prop_map(Attack::Plain),
        1 => facts.prop_map(Attack::PlainWithFact),
        1 => vec(caveat(), 0..3).prop_map(Attack::OwnHop),
        2 => Just(Attack::Rewrap),
        1 => (1_usize..3, any::<bool>()).prop_map(|(blocks, known)| Attack::Cut(blocks, known)),
        2 => (any::<Index>(), any::<Index>()).prop_map(|(node, block)| Attack::Transplant(node, block)),
        1 => Just(Attack::StripSigner),
        1 => Just(Attack::ReplaceSigner),
    ]
}
