//! The decision of a tool on one call, in a fixed order, with a reason for each refusal.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use rand_core::RngCore;

use narrows_verifier::{
    BlockId, Denial, Reason, Refusal, Roots, TaskId, VerifiedToken, Verifier,
    json::Value,
    log::{Policy, admit_spared, verify_spared},
    proof::{
        Evidence, Once, ReplayCache,
        mcp::{McpProof, read_call},
    },
    revocation::{Revocations, ToolClass},
};

use super::{
    Manifest, Proof, Requires, ToolKey,
    possession::{Asked, OpenSessions, Proven},
    presented::{Admitted, Presented, Sent},
    receipts::{Credentials, TrustedLogs},
};

/// Decides on calls to the tools of one manifest.
///
/// The memory of used proofs is this value's own: two guards that answer to one audience each accept a proof once.
/// Root keys and revocations can be replaced while calls are decided.
pub struct Guard {
    manifest: Manifest,
    /// Locked only to take or set the pointer. What it points to is never changed, so no panic leaves it half-written.
    roots: RwLock<Arc<Roots>>,
    /// As `roots`.
    revocations: RwLock<Option<Arc<Revocations>>>,
    revocation: Revocation,
    logs: TrustedLogs,
    accept_dev: bool,
    /// Locked only to look up and insert, never across work.
    replay: Mutex<ReplayCache>,
    sessions: Option<OpenSessions>,
    /// Remembers what it verified; expiry, revocation and proof are looked at for each call.
    verifier: Verifier,
}

/// How strict a guard is.
#[derive(Clone, Copy, Debug)]
pub struct GuardOptions {
    /// Accepts tokens of development issuers, at which whoever reaches the port can be anyone. Never in production.
    pub accept_dev: bool,
    /// How many used proofs are remembered. A proof is remembered for a minute; when the memory is full, calls are refused.
    pub replay_capacity: usize,
    /// Whether revocations are looked up.
    pub revocation: Revocation,
}

/// Whether a guard looks up revocations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// A call is permitted only under a snapshot of the issuer's feed that is young enough for the tool's class.
    Required,
    /// Nothing is looked up. Then a token, stolen or not, is good until it expires, and only the replacement of the root
    /// keys ends it earlier. For issuers without a feed, with tokens of a few minutes.
    NotChecked,
}

/// A call that the tool may run. It runs these arguments, never the bytes that came in.
#[derive(Clone, Debug)]
pub struct PermittedCall {
    /// The tool's exact name.
    pub tool: String,
    /// The arguments that were decided on.
    pub arguments: Value,
    /// The task that the call is part of.
    pub task: TaskId,
    /// The person or workload at the root, by pseudonym unless the issuer's policy says otherwise.
    pub subject: String,
    /// Those through whom the subject's authority came to the first agent. For information.
    pub actors: Vec<Principal>,
    /// The agents from the first to the caller.
    pub principals: Vec<Principal>,
    /// The token's block ids, the authority block's first.
    pub blocks: Vec<BlockId>,
    /// Whose word it is that the caller asked for this call with these arguments. What is recorded of the call says so.
    pub evidence: Evidence,
}

/// One agent of the chain, or somebody before them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The name.
    pub agent: String,
    /// Whether the issuer attests the name; otherwise it is the word of whoever comes before.
    pub attested: bool,
}

/// Why a call was refused, by what was wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The tool: it is not in the manifest, or it requires more than a token.
    Tool(Reason),
    /// The token.
    Token(Refusal),
    /// The arguments: not JSON with exactly one reading.
    Arguments(Reason),
    /// The proof of possession.
    Proof(Reason),
    /// The call: the token does not permit it.
    Call(Denial),
    /// The guard itself, which can't tell whether the proof was used before or the token revoked.
    Guard(Reason),
}

impl Guard {
    /// A guard that trusts tokens signed by `roots`. One that must look up revocations refuses every call until the first
    /// [`Guard::replace_revocations`].
    pub fn new(manifest: Manifest, roots: Roots, options: GuardOptions) -> Self {
        let GuardOptions { accept_dev, replay_capacity, revocation } = options;
        let (roots, revocations) = (RwLock::new(Arc::new(roots)), RwLock::new(None));
        let replay = Mutex::new(ReplayCache::new(replay_capacity));
        Self {
            manifest,
            roots,
            revocations,
            revocation,
            logs: TrustedLogs::remembering(REMEMBERED_TOKENS),
            accept_dev,
            replay,
            sessions: None,
            verifier: Verifier::new(REMEMBERED_TOKENS, seed()),
        }
    }

    /// The same guard, which also opens sessions for tools that its manifest calls reversible: at most `capacity` at once,
    /// accepted under `key`. All holders share the capacity; when it is used up, calls are proved by signature as ever.
    pub fn with_sessions(self, key: ToolKey, capacity: usize) -> Self {
        Self { sessions: Some(OpenSessions::new(key, capacity)), ..self }
    }

    /// The same guard, which remembers about so many verified tokens instead of 4,096, so that a token that comes again costs
    /// no signatures, and neither do the receipts that come with it. Each takes some kilobytes; with 0 every token is verified
    /// each time. It comes before [`Guard::replace_logs`], since it forgets which logs are trusted.
    pub fn remembering(self, tokens: usize) -> Self {
        Self { verifier: Verifier::new(tokens, seed()), logs: TrustedLogs::remembering(tokens), ..self }
    }

    /// Trusts other root keys from now on. Every call that has not been decided yet is decided under them.
    pub fn replace_roots(&self, roots: Roots) {
        *self.roots.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(roots);
    }

    /// Takes a newer snapshot of the issuer's revocations.
    ///
    /// # Errors
    /// `FEED_ROLLED_BACK` or `FEED_ISSUER` when it does not follow the one at hand, which then stays.
    pub fn replace_revocations(&self, revocations: Revocations) -> Result<(), Reason> {
        let mut current = self.revocations.write().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().map_or(Ok(()), |current| revocations.follows(current))?;
        *current = Some(Arc::new(revocations));
        Ok(())
    }

    /// The snapshot at hand, by which the next one is to be loaded.
    pub fn revocations(&self) -> Option<Arc<Revocations>> {
        self.revocations.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Believes receipts that this trust policy accepts from now on, and no others: of its logs, cosigned by its quorum. Log
    /// keys alone are a policy without witnesses. A tool whose manifest demands receipts refuses every call before the first.
    pub fn replace_logs(&self, trust: impl Into<Policy>) {
        self.logs.replace(trust.into());
    }

    fn roots(&self) -> Arc<Roots> {
        Arc::clone(&self.roots.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Decides on one call. `body` holds the arguments as JSON, `now` is in seconds since the Unix epoch.
    ///
    /// A signed proof is spent only by a call that is permitted, and then for good; a session's counter by any call whose
    /// MAC is right.
    ///
    /// # Errors
    /// The first refusal in this order: tool, token, development issuer, receipts, revocation, arguments, proof, caveats, second
    /// use.
    pub fn check<'a>(
        &self,
        credentials: impl Into<Credentials<'a>>,
        proof: Proof<'_>,
        tool: &str,
        body: &[u8],
        now: u64,
    ) -> Result<PermittedCall, Refused> {
        let url = self.manifest.url_of(tool);
        self.admit(credentials, tool)?.check(self, proof, Sent { body, url: url.as_deref(), now })
    }

    /// Decides on one MCP tool call. `params` is the JSON text of the request's `params`, as it was received.
    ///
    /// Answer with what the tool makes of [`PermittedCall::arguments`]; nothing else in `params` was signed.
    ///
    /// # Errors
    /// A reading error first, as a refusal of arguments, token or proof; then as [`Guard::check`].
    pub fn check_mcp(&self, params: &[u8], now: u64) -> Result<PermittedCall, Refused> {
        let call = read_call(params).map_err(|reason| match reason {
            Reason::TokenMissing => Refused::Token(reason.into()),
            Reason::ProofMissing => Refused::Proof(reason),
            reason => Refused::Arguments(reason),
        })?;
        let proof = match &call.proof {
            McpProof::Possession(proof) => Proof::Possession(proof),
            McpProof::Session(proof) => Proof::Session(proof),
        };
        let credentials = Credentials { token: &call.token, receipts: &call.receipts };
        let body = call.arguments.canonical();
        self.admit(credentials, &call.tool)?.check(self, proof, Sent { body: body.as_bytes(), url: self.manifest.endpoint(), now })
    }

    /// Opens a session for a token: checks the holder's signed `opening` and gives the signed acceptance.
    ///
    /// # Errors
    /// The first refusal in this order: token, development issuer, opening, revocation, second use, room. `SESSION_TOOL` when no tool of
    /// the opening is one that sessions are opened for, or when this guard opens none.
    pub fn open_session(&self, token: &str, opening: &str, now: u64) -> Result<String, Refused> {
        self.verify(token)?.open_session(self, opening, now)
    }

    /// What this guard guards.
    pub(super) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Its sessions, if it opens any.
    pub(super) fn sessions(&self) -> Option<&OpenSessions> {
        self.sessions.as_ref()
    }

    /// Whether this guard opens sessions at all.
    pub(super) fn opens_sessions(&self) -> bool {
        self.sessions.is_some()
    }

    /// The part of the decision that needs no body, so that nobody without a token makes a server read one.
    pub(super) fn admit<'a>(&self, credentials: impl Into<Credentials<'a>>, tool: &str) -> Result<Admitted, Refused> {
        let Credentials { token, receipts } = credentials.into();
        match self.manifest.requires(tool) {
            None => return Err(Refused::Tool(Reason::UnknownTool)),
            Some(Requires::Permit) => return Err(Refused::Tool(Reason::PermitRequired)),
            Some(Requires::Token) => {}
        }
        let token = self.verify_with(token, receipts)?;
        self.logs.check(&token.token, receipts, self.manifest.receipts(tool))?;
        Ok(Admitted { token, tool: tool.to_owned() })
    }

    /// The same for a token that comes with receipts, which may show that it was made before its key was given up.
    fn verify_with(&self, text: &str, receipts: &str) -> Result<Presented, Refused> {
        match self.verify(text) {
            Err(Refused::Token(refusal)) if refusal.reason == Reason::RootTainted && !receipts.is_empty() => {
                let token = verify_spared(&self.verifier, text, receipts, &self.roots(), &self.logs.policy()).map_err(Refused::Token)?;
                self.presented(token, text, true)
            }
            verified => verified,
        }
    }

    /// Verifies a token for a call or a session; its caveats have not been looked at.
    pub(super) fn verify(&self, text: &str) -> Result<Presented, Refused> {
        if text.is_empty() {
            return Err(Refused::Token(Reason::TokenMissing.into()));
        }
        let token = self.verifier.verify(text, &self.roots()).map_err(Refused::Token)?;
        self.presented(token, text, false)
    }

    fn presented(&self, token: Arc<VerifiedToken>, text: &str, spared: bool) -> Result<Presented, Refused> {
        if token.authority.dev && !self.accept_dev {
            return Err(Refused::Token(Reason::DevToken.into()));
        }
        Ok(Presented { token, text: text.to_owned(), spared })
    }

    /// Whether a verified token is still good: a body can take its time, and a key be tainted or a block revoked meanwhile.
    pub(super) fn stands(&self, presented: &Presented, class: ToolClass, now: u64) -> Result<(), Refused> {
        let refused = |reason: Reason| Refused::Token(reason.into());
        let (token, roots) = (&presented.token, self.roots());
        if presented.spared { admit_spared(&roots, token) } else { roots.admit(token) }.map_err(refused)?;
        token.authority.issued_by(now).map_err(refused)?;
        if self.revocation == Revocation::NotChecked {
            return Ok(());
        }
        let snapshot = self.revocations().ok_or(Refused::Guard(Reason::RevocationsMissing))?;
        snapshot.check(token, class, now).map_err(|refusal| match refusal.reason {
            Reason::RevocationsStale => Refused::Guard(refusal.reason),
            reason => refused(reason),
        })
    }

    /// What a tool can do; the worst when nothing is said of it.
    pub(super) fn class(&self, tool: &str) -> ToolClass {
        self.manifest.class(tool).unwrap_or_default()
    }

    /// Whether the holder proves what was asked.
    pub(super) fn prove(&self, proof: Proof<'_>, asked: &Asked<'_>) -> Result<Proven, Refused> {
        proof.check(asked, self.sessions()).map_err(Refused::Proof)
    }

    /// Uses a proof up, at the end, so that only what is permitted does.
    pub(super) fn settle(&self, proven: Proven, now: u64) -> Result<Evidence, Refused> {
        proven.once.map_or(Ok(()), |once| self.spend(once, now))?;
        Ok(proven.evidence)
    }

    /// Takes note of a proof that was signed for one use.
    pub(super) fn spend(&self, once: Once, now: u64) -> Result<(), Refused> {
        let mut replay = self.replay.lock().map_err(|_| Refused::Guard(Reason::Internal))?;
        replay.accept(once, now).map_err(|reason| match reason {
            Reason::ReplayCacheFull => Refused::Guard(reason),
            reason => Refused::Proof(reason),
        })
    }
}

impl Refused {
    /// The stable reason.
    pub fn reason(&self) -> Reason {
        match self {
            Refused::Tool(reason) | Refused::Arguments(reason) | Refused::Proof(reason) | Refused::Guard(reason) => *reason,
            Refused::Token(refusal) => refusal.reason,
            Refused::Call(denial) => denial.reason,
        }
    }
}

/// Fresh randomness for the tables of what is remembered.
pub(super) fn seed() -> [u64; 2] {
    let mut rng = rand_core::OsRng;
    [rng.next_u64(), rng.next_u64()]
}

const REMEMBERED_TOKENS: usize = 4096;

#[cfg(test)]
pub(super) mod tests {
    use narrows_verifier::{
        Caveat,
        proof::{PossessionClaims, sign_possession},
        token_text,
    };

    use super::*;
    use crate::{
        Held, HolderKey, NarrowRequest, Presentation,
        tests::{AUDIENCE, EXPIRES, NOW, TASK, arguments, caveats, held, mint, root},
    };

    pub(in super::super) fn guard() -> Guard {
        guard_with(GuardOptions { accept_dev: false, replay_capacity: 8, revocation: Revocation::NotChecked })
    }

    fn guard_with(options: GuardOptions) -> Guard {
        let manifest = Manifest::parse(&format!(
            "audience = \"{AUDIENCE}\"\nurl = \"https://crm.example\"\n[[tool]]\nname = \"crm.read\"\nrequires = \"token\"\nclass = \"read\"\n[[tool]]\nname = \"payments.send\""
        ));
        Guard::new(manifest.unwrap(), root().into(), options)
    }

    fn check(guard: &Guard, call: &Presentation) -> Result<PermittedCall, Refused> {
        guard.check(&call.token, call.into(), &call.tool, call.arguments.as_bytes(), NOW)
    }

    fn reason(result: Result<PermittedCall, Refused>) -> Option<Reason> {
        result.err().map(|refused| refused.reason())
    }

    /// The token that an executor got from the planner, with its key.
    fn executor() -> Held {
        let request = NarrowRequest {
            holder: HolderKey::of(12).public(),
            agent: "executor".into(),
            caveats: caveats(r#"[{"kind":"arg","tool":"crm.read","path":"/id","is":{"range":{"max":10}}}]"#),
        };
        let token = held("[]").narrow(&request, NOW).ok().unwrap().token;
        Held::new(&token, HolderKey::of(12), &root().into()).ok().unwrap()
    }

    #[test]
    fn a_permitted_call_names_the_whole_chain_and_the_parsed_arguments() {
        let holder = executor();
        let call = holder.prove("crm.read", &arguments(r#"{"id":10}"#), AUDIENCE, NOW);
        // the bytes differ from the canonical ones, the value does not
        let permitted = guard().check(&call.token, (&call).into(), &call.tool, b" { \"id\" : 10 } ", NOW).unwrap();
        assert_eq!(permitted.arguments, arguments(r#"{"id":10}"#));
        assert_eq!((permitted.task, permitted.subject.as_str(), permitted.tool.as_str()), (TASK, "p-1", "crm.read"));
        let principals = [("planner", true), ("executor", false)];
        assert_eq!(permitted.principals, principals.map(|(agent, attested)| Principal { agent: agent.into(), attested }));
        assert_eq!(permitted.blocks, holder.inspect().block_ids());
    }

    #[test]
    fn refusals_come_in_a_fixed_order() {
        // everything is wrong at once; each line puts one thing right
        let guard = guard();
        let good = executor();
        let dev = Held::new(&token_text(&mint("[]", true)), HolderKey::of(11), &root().into()).ok().unwrap();
        let wide = good.prove("crm.read", &arguments(r#"{"id":11}"#), AUDIENCE, NOW);
        let fit = good.prove("crm.read", &arguments(r#"{"id":1}"#), AUDIENCE, NOW);
        let table = [
            ("", "", "crm.drop", "{", Some(Reason::UnknownTool)),
            ("", "", "payments.send", "{", Some(Reason::PermitRequired)),
            ("", "", "crm.read", "{", Some(Reason::TokenMissing)),
            ("AAAA", "", "crm.read", "{", Some(Reason::TokenMalformed)),
            (dev.sealed(), "", "crm.read", "{", Some(Reason::DevToken)),
            (good.sealed(), "", "crm.read", "{", Some(Reason::JsonMalformed)),
            (good.sealed(), "", "crm.read", "{\"id\":11}", Some(Reason::ProofMissing)),
            (good.sealed(), "a.", "crm.read", "{\"id\":11}", Some(Reason::ProofMalformed)),
            (good.sealed(), &wide.proof, "crm.read", "{\"id\":11}", Some(Reason::ArgumentRefused)),
            (good.sealed(), &fit.proof, "crm.read", "{\"id\":1}", None),
        ];
        for (token, proof, tool, body, expected) in table {
            assert_eq!(reason(guard.check(token, Proof::Possession(proof), tool, body.as_bytes(), NOW)), expected);
        }
    }

    #[test]
    fn a_proof_is_good_for_one_call() {
        let guard = guard();
        let call = executor().prove("crm.read", &arguments(r#"{"id":1}"#), AUDIENCE, NOW);
        assert_eq!(reason(check(&guard, &call)), None);
        assert_eq!(reason(check(&guard, &call)), Some(Reason::ProofReplayed));
    }

    #[test]
    fn a_refused_call_spends_no_memory_and_a_full_memory_refuses() {
        let guard = guard_with(GuardOptions { accept_dev: false, replay_capacity: 1, revocation: Revocation::NotChecked });
        let holder = executor();
        let call = |id: u8| holder.prove("crm.read", &arguments(&format!("{{\"id\":{id}}}")), AUDIENCE, NOW);
        assert_eq!(reason(check(&guard, &call(11))), Some(Reason::ArgumentRefused));
        assert_eq!(reason(check(&guard, &call(1))), None);
        assert_eq!(check(&guard, &call(2)).err(), Some(Refused::Guard(Reason::ReplayCacheFull)));
    }

    #[test]
    fn a_stolen_token_is_useless_without_its_key() {
        let victim = executor();
        let arguments = arguments("{}");
        let claims =
            PossessionClaims { block: victim.inspect().newest(), tool: "crm.read", args_digest: arguments.digest(), audience: AUDIENCE };
        // a stranger, and the delegator, who may not act under the name of the one it delegated to
        for thief in [99, 11] {
            let proof = sign_possession(&claims, NOW, &[1; 16], HolderKey::of(thief).seed());
            let refused = guard().check(victim.sealed(), Proof::Possession(&proof), "crm.read", b"{}", NOW);
            assert_eq!(reason(refused), Some(Reason::ProofSignature));
        }
    }

    #[test]
    fn a_proof_for_another_audience_tool_or_time_is_refused() {
        let guard = guard();
        let holder = executor();
        let arguments = arguments(r#"{"id":1}"#);
        let elsewhere = holder.prove("crm.read", &arguments, "https://other.example", NOW);
        assert_eq!(reason(check(&guard, &elsewhere)), Some(Reason::ProofMismatch));
        let other = Presentation { tool: "crm.read".into(), ..holder.prove("crm.list", &arguments, AUDIENCE, NOW) };
        assert_eq!(reason(check(&guard, &other)), Some(Reason::ProofMismatch));
        assert_eq!(reason(check(&guard, &holder.prove("crm.read", &arguments, AUDIENCE, NOW - 61))), Some(Reason::ProofTime));
    }

    #[test]
    fn a_token_for_another_audience_is_refused_even_with_a_proof_for_ours() {
        let narrowed = [Caveat::Audience(["https://other.example".to_owned()].into())];
        let request = NarrowRequest { holder: HolderKey::of(12).public(), agent: "executor".into(), caveats: narrowed.into() };
        let token = held("[]").narrow(&request, NOW).ok().unwrap().token;
        let holder = Held::new(&token, HolderKey::of(12), &root().into()).ok().unwrap();
        let refused = check(&guard(), &holder.prove("crm.read", &arguments("{}"), AUDIENCE, NOW)).err();
        let Some(Refused::Call(denial)) = refused else { panic!("{refused:?}") };
        assert_eq!((denial.reason, denial.failures[0].block, denial.failures[0].added_by.as_str()), (Reason::WrongAudience, 1, "planner"));
    }

    #[test]
    fn arguments_changed_after_the_proof_are_refused() {
        let call = executor().prove("crm.read", &arguments(r#"{"id":1}"#), AUDIENCE, NOW);
        for body in [r#"{"id":2}"#, r#"{"id":"1"}"#, r#"{"id":1,"more":true}"#, "[]"] {
            let call = Presentation { arguments: body.into(), ..call.clone() };
            assert_eq!(reason(check(&guard(), &call)), Some(Reason::ProofMismatch), "{body}");
        }
    }

    #[test]
    fn arguments_with_two_readings_are_refused() {
        let call = executor().prove("crm.read", &arguments(r#"{"id":1}"#), AUDIENCE, NOW);
        let table = [
            (r#"{"id":1,"id":1}"#, Reason::JsonDuplicateKey),
            (r#"{"id":9007199254740993}"#, Reason::JsonNumber),
            ("{\"id\":\"\\ud800\"}", Reason::JsonString),
            ("", Reason::JsonMalformed),
        ];
        for (body, expected) in table {
            let call = Presentation { arguments: body.into(), ..call.clone() };
            assert_eq!(check(&guard(), &call).err(), Some(Refused::Arguments(expected)), "{body}");
        }
    }

    #[test]
    fn an_expired_token_is_refused() {
        let call = executor().prove("crm.read", &arguments(r#"{"id":1}"#), AUDIENCE, EXPIRES);
        let refused = guard().check(&call.token, (&call).into(), &call.tool, call.arguments.as_bytes(), EXPIRES);
        assert_eq!(reason(refused), Some(Reason::Expired));
    }

    #[test]
    fn a_development_token_is_accepted_only_on_request() {
        let holder = Held::new(&token_text(&mint("[]", true)), HolderKey::of(11), &root().into()).ok().unwrap();
        let call = holder.prove("crm.read", &arguments("{}"), AUDIENCE, NOW);
        assert_eq!(reason(check(&guard(), &call)), Some(Reason::DevToken));
        assert_eq!(
            reason(check(&guard_with(GuardOptions { accept_dev: true, replay_capacity: 8, revocation: Revocation::NotChecked }), &call)),
            None
        );
    }
}
