//! What the verifier answers to a vector, in the words of the vector.

use narrows_tests::{
    tokens::hex,
    vectors::{
        ActorText, ArgsAnswer, BundleAnswer, BundleVector, CallText, CaveatAnswer, Claims, FeedAnswer, FeedVector, ProofAnswer,
        ProofVector, SparedAnswer, SparedVector, TokenAnswer, TokenVector, Vector, Verdict,
    },
};
use narrows_verifier::{
    BlockId, Call, Caveat, Denial, Holder, PublicKey, Reason, RootKey, RootState, Roots, State, UnverifiedToken, VerifiedToken, Verifier,
    caveat::Plane,
    json::{self, Limits},
    log::{Bundle, Policy, VerifierKey, verify_spared},
    proof::{
        HolderClaims, NarrowClaims, Once, PossessionClaims, ReportClaims, RevokeClaims, check_holder, check_narrow, check_possession,
        check_report, check_revoke, narrow_request_digest,
    },
    revocation::{Revocations, ToolClass},
    token_bytes,
};

use super::presenting;

/// The expected answer and the given one, as texts that can be compared and shown.
pub(super) fn of(vector: &Vector) -> (String, String) {
    match vector {
        Vector::Token(vector) => show(&vector.expect, &token(vector)),
        Vector::Args(vector) => show(
            &vector.expect,
            &match json::parse(vector.text.as_bytes(), Limits::ARGUMENTS) {
                Ok(value) => ArgsAnswer::Read { canonical: value.canonical(), digest: hex(&value.digest()) },
                Err(reason) => ArgsAnswer::Refused { reason: reason.to_string() },
            },
        ),
        Vector::Caveat(vector) => {
            let read = json::parse(vector.json.as_bytes(), Limits::CAVEATS).and_then(|value| Caveat::from_json(&value));
            let answer = match read {
                Ok(caveat) => CaveatAnswer::Read {
                    canonical: caveat.to_json().canonical(),
                    // the check has a test of its own, which reads it out of a block
                    check: match &vector.expect {
                        CaveatAnswer::Read { check, .. } => check.clone(),
                        CaveatAnswer::Refused { .. } => String::new(),
                    },
                    sentence: caveat.sentence(),
                },
                Err(reason) => CaveatAnswer::Refused { reason: reason.to_string() },
            };
            show(&vector.expect, &answer)
        }
        Vector::Proof(vector) => show(
            &vector.expect,
            &match proof(vector) {
                Ok(once) => ProofAnswer::Accepted { replay_key: hex(&once.key), forget_after: once.forget_after },
                Err(reason) => ProofAnswer::Refused { reason: reason.to_string() },
            },
        ),
        Vector::Feed(vector) => {
            show(&vector.expect, &feed(vector).map_or_else(|reason| FeedAnswer::refused(reason.code()), |()| FeedAnswer::ACCEPTED))
        }
        Vector::Bundle(vector) => show(&vector.expect, &bundle(vector)),
        Vector::Spared(vector) => show(&vector.expect, &spared(vector)),
        Vector::Session(vector) => show(&vector.expect, &presenting::session(vector)),
        Vector::Dpop(vector) => show(&vector.expect, &presenting::dpop(vector)),
    }
}

fn bundle(vector: &BundleVector) -> BundleAnswer {
    let keys: Vec<VerifierKey> = vector.keys.iter().map(|key| VerifierKey::parse(key).unwrap()).collect();
    let refused =
        BundleAnswer { verdict: Verdict::Deny, reason: None, index: None, indices: Vec::new(), gapless: false, goes_on: false, minimum: 0 };
    let verified = Bundle::parse(&vector.text).map_err(Into::into).and_then(|bundle| bundle.verify(&keys));
    match verified {
        Err(error) => BundleAnswer { reason: Some(error.refusal.reason.to_string()), index: error.index, ..refused },
        Ok(verified) => BundleAnswer {
            verdict: Verdict::Allow,
            indices: verified.entries.iter().map(|entry| entry.index).collect(),
            gapless: verified.gapless,
            minimum: verified.retention.as_ref().map_or(0, |logged| logged.state.minimum),
            goes_on: verified.goes_on,
            ..refused
        },
    }
}

fn spared(vector: &SparedVector) -> SparedAnswer {
    let (roots, policy) = (trusted(&vector.roots), Policy::parse(vector.policy.as_bytes()).unwrap());
    // Without the receipts no such token is good, whatever becomes of it with them.
    let plain = UnverifiedToken::from_text(&vector.token).unwrap().verify(&roots);
    assert_eq!(plain.err().map(|refusal| refusal.reason), Some(Reason::RootTainted));
    match verify_spared(&Verifier::new(0, [1, 2]), &vector.token, &vector.receipts, &roots, &policy) {
        Ok(_) => SparedAnswer { verdict: Verdict::Allow, reason: None },
        Err(refusal) => SparedAnswer { verdict: Verdict::Deny, reason: Some(refusal.reason.to_string()) },
    }
}

/// The trusted keys of a vector.
pub(super) fn roots(vector: &TokenVector) -> Roots {
    trusted(&vector.roots)
}

fn trusted(roots: &[narrows_tests::vectors::Root]) -> Roots {
    let read = |root: &narrows_tests::vectors::Root| RootKey {
        state: root.state.as_deref().map_or(RootState::Active, |name| RootState::from_name(name).unwrap()),
        not_before: root.not_before.unwrap_or(0),
        not_after: root.not_after,
        spared_below: root.spared_below,
        ..RootKey::active(root.id, key(&root.key))
    };
    Roots::new(roots.iter().map(read).collect()).unwrap()
}

/// What the vector's verifier knows beside the call.
pub(super) fn state(call: &CallText) -> State {
    let known = call.state.clone().unwrap_or_default();
    let plane = |name: &str| [Plane::Network, Plane::Sandbox, Plane::Redact].into_iter().find(|plane| plane.kind() == name);
    State {
        calls: known.calls,
        spend: known.spend,
        history: known.history,
        labels: known.labels,
        approvals: known.approvals,
        enforced: known.enforced.into_iter().map(|directive| (plane(&directive.plane).expect("a plane"), directive.values)).collect(),
    }
}

/// The checks that fail, each as block and place in the block.
pub(crate) fn failed_checks(token: &VerifiedToken, decision: &Result<(), Denial>) -> Vec<(usize, usize)> {
    let Err(denial) = decision else { return Vec::new() };
    let mut failures = denial.failures.iter().peekable();
    let mut places = Vec::new();
    for (block, caveats) in token.blocks.iter().map(|block| &block.caveats).enumerate() {
        for (place, caveat) in caveats.iter().enumerate() {
            if failures.next_if(|failure| failure.block == block && failure.caveat == *caveat).is_some() {
                places.push((block, place));
            }
        }
    }
    assert_eq!(failures.next(), None, "a failure names a caveat that its block does not have");
    places
}

fn token(vector: &TokenVector) -> TokenAnswer {
    let deny = |reason: Reason, block| TokenAnswer {
        verdict: Verdict::Deny,
        reason: Some(reason.to_string()),
        block,
        block_ids: Vec::new(),
        holder: None,
        holder_jkt: None,
        bearer: false,
        actors: Vec::new(),
        lineage: Vec::new(),
    };
    let bytes = match token_bytes(&vector.token) {
        Ok(bytes) => bytes,
        Err(reason) => return deny(reason, None),
    };
    let verified = match UnverifiedToken::from_bytes(&bytes).and_then(|token| token.verify(&roots(vector))) {
        Ok(verified) => verified,
        Err(refusal) => return deny(refusal.reason, refusal.block),
    };
    let decided = decide(vector, &verified);
    let answer = match decided {
        Ok(()) => TokenAnswer { verdict: Verdict::Allow, ..deny(Reason::ProofMissing, None) },
        Err(denial) => deny(denial.reason, denial.failures.first().map(|failure| failure.block)),
    };
    TokenAnswer {
        reason: answer.reason.filter(|_| answer.verdict == Verdict::Deny),
        block_ids: verified.block_ids().iter().map(BlockId::to_string).collect(),
        holder: verified.holder.key().ok().map(|key| hex(key.as_bytes())),
        holder_jkt: if let Holder::Thumbprint(thumbprint) = &verified.holder { Some(hex(thumbprint)) } else { None },
        bearer: verified.holder == Holder::Bearer,
        actors: verified.authority.actors.iter().map(ActorText::from).collect(),
        lineage: verified.authority.lineage.iter().map(BlockId::to_string).collect(),
        ..answer
    }
}

/// The call's caveats first, then the proof, for the arguments that were decided on.
fn decide(vector: &TokenVector, token: &VerifiedToken) -> Result<(), Denial> {
    let Some(call) = &vector.call else { return Ok(()) };
    let arguments = json::parse(call.arguments_text.as_bytes(), Limits::ARGUMENTS).map_err(Denial::outright)?;
    let asked = Call { tool: &call.tool, arguments: &arguments, audience: &call.audience, time: call.time };
    token.decide_with(&asked, &state(call))?;
    let Some(proof) = &vector.proof else { return Ok(()) };
    let claims = PossessionClaims { block: token.newest(), tool: &call.tool, args_digest: arguments.digest(), audience: &call.audience };
    let proved = token.holder.key().and_then(|holder| check_possession(&proof.text, &claims, holder, proof.now));
    proved.map(drop).map_err(Denial::outright)
}

fn proof(vector: &ProofVector) -> Result<Once, Reason> {
    let signers: Vec<_> = vector.signers.iter().map(|signer| key(signer)).collect();
    match &vector.claims {
        Claims::Possession { block, tool, args_digest, audience } => {
            let claims = PossessionClaims { block: block_id(block), tool, args_digest: bytes(args_digest), audience };
            check_possession(&vector.text, &claims, &signers[0], vector.now)
        }
        Claims::Holder { issuer, client, subject_digest } => {
            let claims = HolderClaims { issuer, client, subject_digest: bytes(subject_digest) };
            check_holder(&vector.text, &claims, &signers[0], vector.now)
        }
        Claims::Report { issuer, block } => {
            let claims = ReportClaims { issuer, block: block_id(block) };
            check_report(&vector.text, &claims, [&signers[0], &signers[1]], vector.now)
        }
        Claims::Narrow { issuer, client, block, new_holder, parameters } => {
            let request_digest = narrow_request_digest(parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())));
            let claims = NarrowClaims { issuer, client, block: block_id(block), new_holder: bytes(new_holder), request_digest };
            check_narrow(&vector.text, &claims, &signers[0], vector.now)
        }
        Claims::Revoke { issuer, block } => {
            let claims = RevokeClaims { issuer, block: block_id(block) };
            check_revoke(&vector.text, &claims, [&signers[0], &signers[1]], vector.now)
        }
    }
}

fn feed(vector: &FeedVector) -> Result<(), Reason> {
    let load = |text: &str, previous: Option<&Revocations>| {
        Revocations::update(text, &key(&vector.feed_key), &vector.issuer, previous, vector.now)
    };
    let previous = vector.previous.as_deref().map(|text| load(text, None).unwrap());
    let snapshot = load(&vector.text, previous.as_ref())?;
    let Some(check) = &vector.check else { return Ok(()) };
    let token = UnverifiedToken::from_text(&check.token).unwrap().verify(&trusted(&check.roots)).unwrap();
    snapshot.check(&token, ToolClass::from_name(&check.class).unwrap(), check.now).map_err(|refused| refused.reason)
}

fn show<T: std::fmt::Debug>(expected: &T, answered: &T) -> (String, String) {
    (format!("{expected:?}"), format!("{answered:?}"))
}

pub(super) fn key(text: &str) -> PublicKey {
    PublicKey::from_bytes(&bytes(text)).unwrap()
}

pub(super) fn block_id(text: &str) -> BlockId {
    BlockId::from_hex(text).unwrap()
}

pub(super) fn bytes(text: &str) -> [u8; 32] {
    // 32 bytes of hex are read the way block ids are
    block_id(text).0
}
