//! Revocation: it reaches everything below, nothing above, and nothing brings it back.

use std::collections::BTreeSet;

use narrows_tests::tokens::{
    AUTHORITY_CAVEATS, EXECUTOR, ISSUED, NOW, PLANNER, Party, THIEF, WORKER, caveats, claims, close, edit, hop, mint, next_seed, plain,
    roots, sample, sign_block,
};
use narrows_verifier::{
    BlockId, Holder, Reason, RootKey, RootState, Roots, TaskId, UnverifiedToken, VerifiedToken,
    biscuit::AuthorityClaims,
    public_key,
    revocation::{Entries, Matched, MaxStaleness, NotCurrent, RevocationList, Revocations, ToolClass},
};
use proptest::prelude::*;

use super::cases;

#[test]
fn revoking_a_hop_kills_all_below_it_and_nothing_above() {
    let chain: Vec<_> = chain(8).iter().map(|bytes| verify(bytes)).collect();
    let newest = chain.last().unwrap().block_ids();
    for (revoked, id) in newest.iter().enumerate() {
        let feed = feed(revoking(Entries { blocks: [*id].into(), ..Entries::default() }));
        for (depth, token) in chain.iter().enumerate() {
            let expected = if depth < revoked { Ok(()) } else { Err(Some(Matched::Block { id: *id, index: revoked })) };
            assert_eq!(answer(&feed, token), expected, "depth {depth}, revoked {revoked}");
        }
    }
}

#[test]
fn revoking_a_hop_leaves_its_siblings() {
    let parent = hop(&sample(), &PLANNER, &EXECUTOR, "[]");
    let (one, other) = (verify(&hop(&parent, &EXECUTOR, &WORKER, "[]")), verify(&hop(&parent, &EXECUTOR, &THIEF, "[]")));
    let feed = feed(revoking(Entries { blocks: [one.newest()].into(), ..Entries::default() }));
    assert!(answer(&feed, &one).is_err());
    assert_eq!(answer(&feed, &other), Ok(()));
}

#[test]
fn revoking_a_block_kills_what_the_service_made_from_it() {
    let chain = chain(8);
    for (depth, parent) in chain.iter().enumerate() {
        let child = made_from(&[parent]);
        // made from the child in its turn, and handed on
        let grandchild = hop(&made_from(&[&child]), &PLANNER, &EXECUTOR, "[]");
        let (child, grandchild) = (verify(&child), verify(&grandchild));
        let all = verify(chain.last().unwrap()).block_ids();
        for (revoked, id) in all.iter().enumerate() {
            let feed = feed(revoking(Entries { blocks: [*id].into(), ..Entries::default() }));
            let expected = if revoked <= depth { Err(Some(Matched::Lineage(*id))) } else { Ok(()) };
            assert_eq!(answer(&feed, &child), expected, "made at depth {depth}, revoked {revoked}");
            assert_eq!(answer(&feed, &grandchild), expected, "made again from depth {depth}, revoked {revoked}");
        }
        let feed = feed(revoking(Entries { blocks: [child.newest()].into(), ..Entries::default() }));
        assert_eq!(answer(&feed, &grandchild), Err(Some(Matched::Lineage(child.newest()))));
        assert_eq!(answer(&feed, &verify(parent)), Ok(()), "what a token is made from does not fall with it");
    }
}

#[test]
fn wrapping_again_appending_again_and_making_again_bring_nothing_back() {
    let parent = hop(&sample(), &PLANNER, &EXECUTOR, "[]");
    let revoked = hop(&parent, &EXECUTOR, &WORKER, "[]");
    let feed = feed(revoking(Entries { blocks: [verify(&revoked).newest()].into(), ..Entries::default() }));
    assert_eq!(answer(&feed, &verify(&parent)), Ok(()));

    // whoever holds the open parent wraps the signed hop under a next key of its own
    let wrapped = edit(&revoked, wrap_again);
    assert_ne!(wrapped, revoked);
    // the delegator signs the same hop a second time, which the issuer's log takes as the same derivation
    let signed_again = hop(&parent, &EXECUTOR, &WORKER, "[]");
    let narrowed = plain(&revoked, r#"[{"kind":"depth","max":4}]"#);
    let handed_on = hop(&revoked, &WORKER, &THIEF, "[]");
    let made_again = made_from(&[&revoked]);
    let sealed = narrows_verifier::biscuit::seal(&revoked).unwrap();
    for (case, bytes) in [
        ("wrapped again", wrapped),
        ("signed again", signed_again),
        ("narrowed", narrowed),
        ("handed on", handed_on),
        ("made again", made_again),
        ("sealed", sealed),
    ] {
        assert_eq!(refusal(&feed, &verify(&bytes)), Some(Reason::Revoked), "{case}");
    }
}

/// Looked up all the same, and no handle: its maker makes another one.
#[test]
fn the_id_of_a_plain_block_reaches_that_block_alone() {
    let parent = hop(&sample(), &PLANNER, &EXECUTOR, "[]");
    let revoked = plain(&parent, r#"[{"kind":"depth","max":4}]"#);
    let feed = feed(revoking(Entries { blocks: [verify(&revoked).newest()].into(), ..Entries::default() }));
    assert!(answer(&feed, &verify(&revoked)).is_err());
    assert_eq!(answer(&feed, &verify(&plain(&parent, r#"[{"kind":"depth","max":5}]"#))), Ok(()));
}

#[test]
fn a_cut_off_reaches_what_was_issued_before_it() {
    let token = verify(&hop(&hop(&sample(), &PLANNER, &EXECUTOR, "[]"), &EXECUTOR, &WORKER, "[]"));
    let subject = token.authority.subject.clone();
    for (before, revoked) in [(ISSUED, false), (ISSUED + 1, true)] {
        let by_subject = feed(revoking(Entries { subjects: [(subject.clone(), before)].into(), ..Entries::default() }));
        assert_eq!(answer(&by_subject, &token), if revoked { Err(Some(Matched::Subject(before))) } else { Ok(()) });
        for holder in [PLANNER, EXECUTOR, WORKER] {
            let key = *holder.key().as_bytes();
            let by_key = feed(revoking(Entries { keys: [(key, before)].into(), ..Entries::default() }));
            assert_eq!(answer(&by_key, &token), if revoked { Err(Some(Matched::Key { key, before })) } else { Ok(()) }, "{}", holder.name);
            // by its name, whether the issuer chose that or a delegator
            let agent = holder.name.to_owned();
            let by_name = feed(revoking(Entries { agents: [(agent.clone(), before)].into(), ..Entries::default() }));
            assert_eq!(answer(&by_name, &token), if revoked { Err(Some(Matched::Agent { agent, before })) } else { Ok(()) });
        }
    }
    let others = Entries {
        subjects: [("p-other".to_owned(), NOW)].into(),
        agents: [("auditor".to_owned(), NOW), ("Planner".to_owned(), NOW)].into(),
        keys: [(*THIEF.key().as_bytes(), NOW)].into(),
        tasks: [TaskId([9; 16])].into(),
        ..Entries::default()
    };
    assert_eq!(answer(&feed(revoking(others)), &token), Ok(()));
    let task = token.authority.task;
    let by_task = feed(revoking(Entries { tasks: [task].into(), ..Entries::default() }));
    assert_eq!(answer(&by_task, &token), Err(Some(Matched::Task(task))));
}

#[test]
fn a_holder_known_by_its_thumbprint_is_cut_off_by_it() {
    let token = verify(&mint(&AuthorityClaims { holder: Holder::Thumbprint([8; 32]), ..claims(caveats(AUTHORITY_CAVEATS)) }));
    let feed = feed(revoking(Entries { keys: [([8; 32], NOW)].into(), ..Entries::default() }));
    assert_eq!(answer(&feed, &token), Err(Some(Matched::Key { key: [8; 32], before: NOW })));
}

#[test]
fn a_feed_speaks_for_its_issuer_alone_and_not_for_the_future() {
    let with = |change: &dyn Fn(&mut AuthorityClaims)| {
        let mut claims = claims(caveats(AUTHORITY_CAVEATS));
        change(&mut claims);
        verify(&mint(&claims))
    };
    let feed = feed(list());
    assert_eq!(refusal(&feed, &with(&|claims| claims.issuer = "https://other.example".to_owned())), Some(Reason::FeedIssuer));
    assert_eq!(refusal(&feed, &with(&|claims| claims.issued = NOW + 11)), Some(Reason::IssuedAhead));
    assert_eq!(refusal(&feed, &with(&|claims| claims.issued = NOW + 10)), None);
}

#[test]
fn a_stale_snapshot_denies_by_class_and_still_names_what_it_revokes() {
    let token = verify(&sample());
    let (empty, full) = (feed(list()), feed(revoking(Entries { blocks: [token.newest()].into(), ..Entries::default() })));
    let ages = [(ToolClass::Read, 3600), (ToolClass::Write, 300), (ToolClass::Egress, 60), (ToolClass::Irreversible, 10)];
    for (class, age) in ages {
        assert_eq!(empty.check(&token, class, NOW + age), Ok(()), "{class:?}");
        assert_eq!(empty.check(&token, class, NOW + age + 1), Err(NotCurrent::from(Reason::RevocationsStale)), "{class:?}");
        assert_eq!(full.check(&token, class, NOW + age + 1).unwrap_err().reason, Reason::Revoked, "{class:?}");
    }
}

/// Whoever keeps verified tokens asks the set of the day, and gets the answer that verification would give.
#[test]
fn a_token_that_was_kept_is_judged_by_the_new_set_of_root_keys() {
    let (bytes, token) = (sample(), verify(&sample()));
    let root = token.root;
    let sets = [
        (roots(), None),
        (Roots::default(), Some(Reason::UnknownRoot)),
        (RootKey { state: RootState::Tainted, ..root }.into(), Some(Reason::RootTainted)),
        (RootKey { not_before: ISSUED + 1, ..root }.into(), Some(Reason::RootNotValid)),
        (RootKey { not_after: Some(ISSUED - 1), ..root }.into(), Some(Reason::RootNotValid)),
        (RootKey { state: RootState::Retired, not_after: Some(ISSUED), ..root }.into(), None),
    ];
    for (set, expected) in sets {
        assert_eq!(set.admit(&token).err(), expected);
        let verified = UnverifiedToken::from_bytes(&bytes).unwrap().verify(&set);
        assert_eq!(verified.err().map(|refusal| refusal.reason), expected);
    }
    // another key of the same number: verification says that the signature is not its own
    assert_eq!(Roots::from(RootKey { key: THIEF.key(), ..root }).admit(&token), Err(Reason::UnknownRoot));
}

proptest! {
    #![proptest_config(cases(400))]

    /// More entries and later cut-offs never permit more.
    #[test]
    fn revocation_is_monotone(some in entries(), more in entries(), depth in 0..=4_usize) {
        let token = verify(&chain(4)[depth]);
        let union = some.iter().chain(more.iter()).collect();
        let (some, union) = (feed(revoking(some)), feed(revoking(union)));
        prop_assert!(answer(&some, &token).is_ok() || answer(&union, &token).is_err());
        // and exactly one of the two lists is enough
        let more = feed(revoking(more));
        prop_assert_eq!(answer(&some, &token).is_ok() && answer(&more, &token).is_ok(), answer(&union, &token).is_ok());
    }
}

/// Entries that now and then hit a token of the chain.
fn entries() -> impl Strategy<Value = Entries> {
    let ids: Vec<_> = verify(&chain(4)[4]).block_ids().into_iter().chain((0..8).map(|byte| BlockId([byte; 32]))).collect();
    let tasks = vec![TaskId([0x51; 16]), TaskId([1; 16]), TaskId([2; 16]), TaskId([3; 16])];
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let keys: Vec<_> = (0..8).map(|index| *helper(index).key().as_bytes()).collect();
    let time = ISSUED - 2..ISSUED + 2;
    let cut_offs = |count| prop::collection::vec(time.clone(), count);
    (
        prop::sample::subsequence(ids, 0..=3),
        prop::sample::subsequence(tasks, 0..=1),
        (prop::sample::subsequence(names(&["p-7f3a", "p-1", "p-2"]), 0..=1), cut_offs(1)),
        (prop::sample::subsequence(names(&["planner", "helper", "other"]), 0..=1), cut_offs(1)),
        (prop::sample::subsequence(keys, 0..=2), cut_offs(2)),
    )
        .prop_map(|(blocks, tasks, (subjects, subject_times), (agents, agent_times), (keys, key_times))| Entries {
            blocks: blocks.into_iter().collect(),
            tasks: tasks.into_iter().collect(),
            subjects: subjects.into_iter().zip(subject_times).collect(),
            agents: agents.into_iter().zip(agent_times).collect(),
            keys: keys.into_iter().zip(key_times).collect(),
        })
}

/// A chain at every depth from none to this one.
fn chain(depth: u8) -> Vec<Vec<u8>> {
    let mut tokens = vec![sample()];
    for index in 0..depth {
        let next = hop(tokens.last().unwrap(), &helper(index), &helper(index + 1), "[]");
        tokens.push(next);
    }
    tokens
}

/// The holder at a depth; the first is the one that the authority block names.
fn helper(index: u8) -> Party {
    if index == 0 { PLANNER } else { Party { name: "helper", seed: [index + 20; 32] } }
}

/// What the service mints from these tokens, as permit, exchange and narrowing do it.
fn made_from(tokens: &[&Vec<u8>]) -> Vec<u8> {
    let mut claims = claims(caveats(AUTHORITY_CAVEATS));
    let parents = tokens.iter().map(|bytes| verify(bytes));
    let ids: BTreeSet<_> = parents.flat_map(|parent| [parent.block_ids(), parent.authority.lineage.clone()].concat()).collect();
    claims.lineage = ids.into_iter().collect();
    mint(&claims)
}

/// The newest block under another next key: its external signature and its content stay.
fn wrap_again(token: &mut biscuit_auth::format::schema::Biscuit) {
    let newest = token.blocks.len();
    sign_block(token, newest, &next_seed(newest - 1), None, &[99; 32]);
    close(token, &[99; 32]);
}

fn verify(bytes: &[u8]) -> VerifiedToken {
    UnverifiedToken::from_bytes(bytes).unwrap().verify(&roots()).unwrap()
}

fn list() -> RevocationList {
    revoking(Entries::default())
}

fn revoking(revoked: Entries) -> RevocationList {
    RevocationList { issuer: "https://issuer.example".to_owned(), sequence: 1, issued: NOW, max_staleness: MaxStaleness::USUAL, revoked }
}

/// The list as a verifier has it: signed and loaded.
fn feed(list: RevocationList) -> Revocations {
    Revocations::load(&list.sign(&FEED).unwrap(), &public_key(&FEED), &list.issuer, None, NOW).unwrap()
}

fn answer(feed: &Revocations, token: &VerifiedToken) -> Result<(), Option<Matched>> {
    feed.check(token, ToolClass::Irreversible, NOW).map_err(|refused| {
        assert_eq!(refused.reason, Reason::Revoked);
        refused.matched
    })
}

fn refusal(feed: &Revocations, token: &VerifiedToken) -> Option<Reason> {
    feed.check(token, ToolClass::Irreversible, NOW).err().map(|refused| refused.reason)
}

const FEED: [u8; 32] = [30; 32];
