//! Root keys and revocations that are replaced while a guard decides.

use std::{
    sync::{
        Barrier,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use narrows_verifier::{
    BlockId, Reason, RootKey, RootState, Roots, public_key,
    revocation::{Entries, MaxStaleness, RevocationList, Revocations},
    token_text,
};

use super::{Guard, GuardOptions, Manifest, Proof, Refused, Revocation, presented::Sent};
use crate::{
    Held, HolderKey,
    tests::{AUDIENCE, ISSUER, NOW, arguments, held, mint_under, root},
};

#[test]
fn rotation_under_load_refuses_no_good_token_and_a_tainted_key_at_once() {
    let [old, new] = holders();
    let guard = guard(rotation(RootState::Active, RootState::Prepared), Revocation::NotChecked);
    let (started, running, tainted) = (Barrier::new(THREADS + 1), AtomicUsize::new(THREADS), AtomicBool::new(false));
    thread::scope(|scope| {
        for holder in [&old, &new, &old, &new] {
            scope.spawn(|| {
                started.wait();
                for _ in 0..CALLS {
                    assert_eq!(call(&guard, holder), Ok(()));
                }
                running.fetch_sub(1, Ordering::SeqCst);
                while !tainted.load(Ordering::SeqCst) {
                    thread::yield_now();
                }
                let is_old = holder.inspect().root.id == root().id;
                assert_eq!(call(&guard, holder), if is_old { Err(Reason::RootTainted) } else { Ok(()) });
            });
        }
        started.wait();
        let mut rotations = 0;
        while rotations == 0 || running.load(Ordering::SeqCst) > 0 {
            for (old, new) in
                [(RootState::Active, RootState::Prepared), (RootState::Active, RootState::Active), (RootState::Retired, RootState::Active)]
            {
                guard.replace_roots(rotation(old, new));
                rotations += 1;
                thread::yield_now();
            }
        }
        guard.replace_roots(rotation(RootState::Tainted, RootState::Active));
        tainted.store(true, Ordering::SeqCst);
    });
}

/// A body can take its time: the key is looked at again when the call is decided.
#[test]
fn a_key_tainted_while_the_body_arrives_refuses_the_call() {
    let holder = held("[]");
    let guard = guard(root().into(), Revocation::NotChecked);
    let call = holder.prove("crm.read", &arguments("{}"), AUDIENCE, NOW);
    let admitted = guard.admit(&call.token, "crm.read").unwrap();
    guard.replace_roots(RootKey { state: RootState::Tainted, ..root() }.into());
    let refused = admitted.check(&guard, Proof::Possession(&call.proof), Sent { body: b"{}", url: None, now: NOW }).err();
    assert_eq!(refused, Some(Refused::Token(Reason::RootTainted.into())));
}

#[test]
fn a_guard_that_must_look_up_revocations_denies_without_a_fresh_snapshot() {
    let holder = held("[]");
    let guard = guard(root().into(), Revocation::Required);
    let at = |tool: &str, now| {
        let call = holder.prove(tool, &arguments("{}"), AUDIENCE, now);
        guard.check(&call.token, Proof::Possession(&call.proof), &call.tool, b"{}", now).map(drop)
    };
    assert_eq!(at("crm.read", NOW), Err(Refused::Guard(Reason::RevocationsMissing)));
    guard.replace_revocations(snapshot(1, NOW, &[])).unwrap();
    assert_eq!(at("crm.read", NOW), Ok(()));
    assert_eq!(at("crm.write", NOW + 10), Ok(()));
    // a tool without a class is taken for one that can't be undone
    assert_eq!(at("crm.write", NOW + 11), Err(Refused::Guard(Reason::RevocationsStale)));
    assert_eq!(at("crm.read", NOW + 11), Ok(()));
}

#[test]
fn a_revoked_block_is_refused_from_the_snapshot_that_names_it_on() {
    let holder = held("[]");
    let guard = guard(root().into(), Revocation::Required);
    guard.replace_revocations(snapshot(1, NOW, &[])).unwrap();
    assert_eq!(call(&guard, &holder), Ok(()));
    guard.replace_revocations(snapshot(2, NOW, &[holder.inspect().newest()])).unwrap();
    assert_eq!(call(&guard, &holder), Err(Reason::Revoked));
    assert_eq!(guard.replace_revocations(snapshot(1, NOW, &[])), Err(Reason::FeedRolledBack));
    assert_eq!(call(&guard, &holder), Err(Reason::Revoked));
    assert_eq!(guard.revocations().map(|snapshot| snapshot.list().sequence), Some(2));
}

#[test]
fn a_guard_that_looks_up_none_permits_what_a_snapshot_revokes() {
    let holder = held("[]");
    let guard = guard(root().into(), Revocation::NotChecked);
    guard.replace_revocations(snapshot(1, NOW, &[holder.inspect().newest()])).unwrap();
    assert_eq!(call(&guard, &holder), Ok(()));
}

#[test]
fn a_token_from_the_future_is_refused_with_and_without_a_snapshot() {
    let holder = held("[]");
    let issued = holder.inspect().authority.issued;
    for revocation in [Revocation::NotChecked, Revocation::Required] {
        let guard = guard(root().into(), revocation);
        guard.replace_revocations(snapshot(1, issued - 11, &[])).unwrap();
        for (now, expected) in [(issued - 11, Some(Reason::IssuedAhead)), (issued - 10, None)] {
            let call = holder.prove("crm.read", &arguments("{}"), AUDIENCE, now);
            let refused =
                guard.check(&call.token, Proof::Possession(&call.proof), &call.tool, b"{}", now).err().map(|refused| refused.reason());
            assert_eq!(refused, expected, "{revocation:?} {now}");
        }
    }
}

/// A token under the old root key, and one under the new.
fn holders() -> [Held; 2] {
    let all = rotation(RootState::Active, RootState::Active);
    [(root().id, 9), (NEW_ID, NEW_SEED)].map(|(id, seed)| {
        let token = token_text(&mint_under(id, seed, "[]", false));
        Held::new(&token, HolderKey::of(11), &all).ok().unwrap()
    })
}

/// Both keys have their bounds: what the old one signed is issued before its end, what the new one signed after its beginning.
fn rotation(old: RootState, new: RootState) -> Roots {
    let old = RootKey { state: old, not_after: Some(NOW), ..root() };
    let new = RootKey { state: new, not_before: NOW - 60, ..RootKey::active(NEW_ID, public_key(&[NEW_SEED; 32])) };
    Roots::new(vec![old, new]).unwrap()
}

fn guard(roots: Roots, revocation: Revocation) -> Guard {
    let tools =
        "[[tool]]\nname = \"crm.read\"\nrequires = \"token\"\nclass = \"read\"\n[[tool]]\nname = \"crm.write\"\nrequires = \"token\"";
    let manifest = Manifest::parse(&format!("audience = \"{AUDIENCE}\"\n{tools}")).unwrap();
    Guard::new(manifest, roots, GuardOptions { accept_dev: false, replay_capacity: 10_000, revocation })
}

fn call(guard: &Guard, holder: &Held) -> Result<(), Reason> {
    let call = holder.prove("crm.read", &arguments("{}"), AUDIENCE, NOW);
    guard.check(&call.token, Proof::Possession(&call.proof), &call.tool, b"{}", NOW).map(drop).map_err(|refused| refused.reason())
}

pub(super) fn snapshot(sequence: u64, issued: u64, blocks: &[BlockId]) -> Revocations {
    let list = RevocationList {
        issuer: ISSUER.to_owned(),
        sequence,
        issued,
        max_staleness: MaxStaleness::USUAL,
        revoked: Entries { blocks: blocks.iter().copied().collect(), ..Entries::default() },
    };
    Revocations::load(&list.sign(&FEED).unwrap(), &public_key(&FEED), ISSUER, None, issued).unwrap()
}

const THREADS: usize = 4;
const CALLS: usize = 25;
const NEW_ID: u32 = 8;
const NEW_SEED: u8 = 8;
const FEED: [u8; 32] = [30; 32];
