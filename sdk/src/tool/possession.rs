//! The ways in which a caller proves that it holds the token's key, and the token for which nobody does.

use std::{
    collections::BTreeSet,
    sync::{Arc, RwLock},
};

use narrows_verifier::{
    Holder, Reason, VerifiedToken,
    proof::{
        Evidence, Once, PossessionClaims, check_possession,
        dpop::{Bound, DpopHolder, DpopRequest, check_dpop},
        session::{Session, SessionGrant, SessionProof, SessionRequest, Sessions, check_session_open},
    },
};
use rand_core::{OsRng, RngCore as _};
use zeroize::Zeroizing;

use super::{Manifest, Requires, ToolKey, manifest::Weak};
use crate::{Presentation, ProofKind};

/// A proof of possession as it arrives.
#[derive(Clone, Copy)]
pub enum Proof<'a> {
    /// A statement over the call, signed by the holder (`Narrows-Proof`).
    Possession(&'a str),
    /// The MAC of a session (`Narrows-Session`).
    Session(&'a str),
    /// A DPoP proof (`DPoP`) of a `POST` to the address that the manifest names.
    Dpop(&'a str),
    /// None: the token is bound to no key (`Authorization: Bearer`).
    Bearer,
}

/// The sessions of a guard, and the key that opens them.
pub(super) struct OpenSessions {
    key: ToolKey,
    /// Locked only to look up and insert, never across work.
    table: RwLock<Sessions>,
}

/// A call as it was asked for.
pub(super) struct Asked<'a> {
    pub(super) token: &'a VerifiedToken,
    /// The token as it was presented.
    pub(super) text: &'a str,
    pub(super) tool: &'a str,
    pub(super) args_digest: [u8; 32],
    /// Where it was sent; `None` when the manifest names no address, and DPoP proofs are not read.
    pub(super) url: Option<&'a str>,
    /// What is enough for it.
    pub(super) weak: Weak,
    pub(super) audience: &'a str,
    pub(super) now: u64,
}

/// What a proof has shown. A session's counter is used up already; `once` is for the guard to remember.
pub(super) struct Proven {
    pub(super) once: Option<Once>,
    pub(super) evidence: Evidence,
}

impl<'a> From<&'a Presentation> for Proof<'a> {
    fn from(call: &'a Presentation) -> Self {
        match call.kind {
            ProofKind::Possession => Proof::Possession(&call.proof),
            ProofKind::Session => Proof::Session(&call.proof),
            ProofKind::Dpop => Proof::Dpop(&call.proof),
            ProofKind::Bearer => Proof::Bearer,
        }
    }
}

impl Proof<'_> {
    pub(super) fn check(&self, asked: &Asked<'_>, sessions: Option<&OpenSessions>) -> Result<Proven, Reason> {
        if let Proof::Possession("") | Proof::Session("") | Proof::Dpop("") = self {
            return Err(Reason::ProofMissing);
        }
        let (token, tool, audience) = (asked.token, asked.tool, asked.audience);
        let claims = PossessionClaims { block: token.newest(), tool, args_digest: asked.args_digest, audience };
        match self {
            Proof::Possession(text) => {
                let once = check_possession(text, &claims, token.holder.key()?, asked.now)?;
                Ok(Proven { once: Some(once), evidence: Evidence::Holder })
            }
            Proof::Session(text) => {
                let proof = SessionProof::parse(text)?;
                let session = sessions.and_then(|sessions| sessions.find(&proof)).ok_or(Reason::SessionUnknown)?;
                Ok(Proven { once: None, evidence: session.accepts(&proof, &claims, asked.now)? })
            }
            Proof::Dpop(text) => {
                let url = asked.url.ok_or(Reason::DpopOff)?;
                let (method, args_digest) = ("POST", asked.args_digest);
                let request = DpopRequest { method, url, token: asked.text, nonce: None, tool, args_digest, audience };
                let holder = match &token.holder {
                    Holder::Key(key) => DpopHolder::Key(key),
                    Holder::Thumbprint(thumbprint) => DpopHolder::Thumbprint(thumbprint),
                    Holder::Bearer => return Err(Reason::HolderBearer),
                };
                let (once, bound) = check_dpop(text, &request, holder, asked.now)?;
                if bound == Bound::UrlOnly && !asked.weak.url_only {
                    return Err(Reason::DpopUrlOnly);
                }
                Ok(Proven { once: Some(once), evidence: bound.evidence() })
            }
            Proof::Bearer => match token.holder {
                Holder::Key(_) | Holder::Thumbprint(_) => Err(Reason::BearerBound),
                Holder::Bearer if !asked.weak.bearer => Err(Reason::BearerOff),
                Holder::Bearer => Ok(Proven { once: None, evidence: Evidence::Nobody }),
            },
        }
    }
}

impl OpenSessions {
    pub(super) fn new(key: ToolKey, capacity: usize) -> Self {
        Self { key, table: RwLock::new(Sessions::new(capacity)) }
    }

    /// Checks an opening for a token. Grants what the manifest calls reversible and hands out for a token alone.
    pub(super) fn requested(
        token: &VerifiedToken,
        opening: &str,
        manifest: &Manifest,
        now: u64,
    ) -> Result<(SessionRequest, Once, SessionGrant), Reason> {
        let (request, once) = check_session_open(opening, token.newest(), manifest.audience(), token.holder.key()?, now)?;
        let granted = |tool: &&String| manifest.is_reversible(tool) && manifest.requires(tool) == Some(Requires::Token);
        let tools: BTreeSet<_> = request.tools().iter().filter(granted).cloned().collect();
        if tools.is_empty() {
            return Err(Reason::SessionTool);
        }
        let mut grant =
            SessionGrant { tools, expires: request.expires().min(token.expires), id: [0; 16], ephemeral: Zeroizing::new([0; 32]) };
        OsRng.fill_bytes(&mut grant.id);
        OsRng.fill_bytes(grant.ephemeral.as_mut());
        Ok((request, once, grant))
    }

    /// Signs what is granted and keeps the session.
    pub(super) fn accept(&self, request: &SessionRequest, grant: SessionGrant, now: u64) -> Result<String, Reason> {
        let (accept, session) = request.accept(grant, self.key.seed())?;
        self.table.write().map_err(|_| Reason::Internal)?.insert(session, now)?;
        Ok(accept)
    }

    fn find(&self, proof: &SessionProof) -> Option<Arc<Session>> {
        self.table.read().ok()?.find(proof.unverified_session())
    }
}

#[cfg(test)]
mod tests {
    use narrows_verifier::{
        json::Value,
        proof::{dpop::sign_dpop, session::HolderSession},
    };

    use super::*;
    use crate::{
        Held, HolderKey, NarrowRequest,
        tests::{AUDIENCE, EXPIRES, NOW, arguments, caveats, held, root},
        tool::{Guard, GuardOptions, PermittedCall, Refused, Revocation},
    };

    const ORIGIN: &str = "https://tools.example";

    /// A tool that reads, one whose effects can be undone, one whose can't, and one that wants a permit.
    fn guard() -> Guard {
        let manifest = Manifest::parse(&format!(
            "audience = \"{AUDIENCE}\"\nurl = \"{ORIGIN}\"\n\
             [[tool]]\nname = \"crm.read\"\nrequires = \"token\"\nclass = \"read\"\ndpop = \"url\"\n\
             [[tool]]\nname = \"crm.tag\"\nrequires = \"token\"\nclass = \"write\"\nreversible = true\n\
             [[tool]]\nname = \"crm.mail\"\nrequires = \"token\"\n\
             [[tool]]\nname = \"crm.wipe\"\nclass = \"write\"\nreversible = true"
        ));
        Guard::new(
            manifest.unwrap(),
            root().into(),
            GuardOptions { accept_dev: false, replay_capacity: 8, revocation: Revocation::NotChecked },
        )
    }

    fn key() -> ToolKey {
        ToolKey::of(40)
    }

    fn with_sessions(capacity: usize) -> Guard {
        guard().with_sessions(key(), capacity)
    }

    fn check(guard: &Guard, call: &Presentation, now: u64) -> Result<PermittedCall, Reason> {
        guard.check(&call.token, call.into(), &call.tool, call.arguments.as_bytes(), now).map_err(|refused| refused.reason())
    }

    fn open(guard: &Guard, holder: &Held, tools: &[&str], seconds: u64) -> Result<HolderSession, Refused> {
        let opening = holder.open_session(tools, AUDIENCE, seconds, NOW).ok().unwrap();
        let accept = guard.open_session(opening.token(), opening.text(), NOW)?;
        Ok(opening.accepted(&accept, &key().public(), NOW).ok().unwrap())
    }

    #[test]
    fn a_session_is_granted_for_reversible_tools_alone_and_not_beyond_the_token() {
        let (guard, holder) = (with_sessions(8), held("[]"));
        let session = open(&guard, &holder, &["crm.mail", "crm.none", "crm.read", "crm.tag", "crm.wipe"], 3600).ok().unwrap();
        assert!(session.tools().iter().eq(["crm.read", "crm.tag"]));
        assert_eq!(session.expires(), EXPIRES);
        for tools in [&["crm.mail"][..], &["crm.wipe"], &["crm.none"]] {
            assert_eq!(open(&guard, &holder, tools, 60).err(), Some(Refused::Tool(Reason::SessionTool)));
        }
    }

    #[test]
    fn calls_of_a_session_are_decided_by_the_caveats_and_marked_as_the_tools_word() {
        let guard = with_sessions(8);
        let holder = held(r#"[{"kind":"arg","tool":"crm.tag","path":"/id","is":{"range":{"max":10}}}]"#);
        let session = open(&guard, &holder, &["crm.tag"], 60).ok().unwrap();
        let prove = |id: u8, now| holder.session_proof(&session, "crm.tag", &arguments(&format!("{{\"id\":{id}}}")), now).ok().unwrap();
        let call = prove(10, NOW);
        assert_eq!(check(&guard, &call, NOW).map(|call| call.evidence), Ok(Evidence::ToolWord));
        assert_eq!(check(&guard, &call, NOW).err(), Some(Reason::SessionCounter));
        let wide = prove(11, NOW);
        assert_eq!(check(&guard, &wide, NOW).err(), Some(Reason::ArgumentRefused));
        assert_eq!(check(&guard, &wide, NOW).err(), Some(Reason::SessionCounter), "a refused call is used up too");
        let changed = Presentation { arguments: r#"{"id":1}"#.into(), ..prove(2, NOW) };
        assert_eq!(check(&guard, &changed, NOW).err(), Some(Reason::SessionMac));
        assert_eq!(check(&guard, &prove(3, NOW + 59), NOW + 60).err(), Some(Reason::SessionExpired));
        assert_eq!(holder.session_proof(&session, "crm.read", &arguments("{}"), NOW).err(), Some(Reason::SessionTool));
    }

    #[test]
    fn a_session_belongs_to_one_block_and_one_guard() {
        let (guard, parent) = (with_sessions(8), held("[]"));
        let session = open(&guard, &parent, &["crm.read"], 60).ok().unwrap();
        let request = NarrowRequest { holder: HolderKey::of(12).public(), agent: "executor".into(), caveats: caveats("[]") };
        let child = Held::new(&parent.narrow(&request, NOW).ok().unwrap().token, HolderKey::of(12), &root().into()).ok().unwrap();
        assert_eq!(child.session_proof(&session, "crm.read", &arguments("{}"), NOW).err(), Some(Reason::ProofMismatch));
        let call = parent.session_proof(&session, "crm.read", &arguments("{}"), NOW).ok().unwrap();
        let moved = Presentation { token: child.sealed().into(), ..call.clone() };
        assert_eq!(check(&guard, &moved, NOW).err(), Some(Reason::ProofMismatch));
        assert_eq!(check(&with_sessions(8), &call, NOW).err(), Some(Reason::SessionUnknown));
        assert_eq!(check(&self::guard(), &call, NOW).err(), Some(Reason::SessionUnknown), "a guard without sessions");
        assert!(check(&guard, &call, NOW).is_ok());
    }

    #[test]
    fn openings_are_refused_in_a_fixed_order() {
        let holder = held("[]");
        let opening = holder.open_session(&["crm.read"], AUDIENCE, 60, NOW).ok().unwrap();
        let elsewhere = holder.open_session(&["crm.read"], "https://other.example", 60, NOW).ok().unwrap();
        let open = |guard: &Guard, token: &str, text: &str, now| guard.open_session(token, text, now).map(drop).err();
        let guard = with_sessions(1);
        assert_eq!(open(&guard, "", "", NOW), Some(Refused::Token(Reason::TokenMissing.into())));
        assert_eq!(open(&self::guard(), opening.token(), opening.text(), NOW), Some(Refused::Tool(Reason::SessionTool)));
        assert_eq!(open(&guard, opening.token(), "a.b", NOW), Some(Refused::Proof(Reason::ProofMalformed)));
        assert_eq!(open(&guard, opening.token(), elsewhere.text(), NOW), Some(Refused::Proof(Reason::ProofMismatch)));
        assert_eq!(open(&guard, opening.token(), opening.text(), NOW + 61), Some(Refused::Proof(Reason::ProofTime)));
        assert_eq!(open(&guard, opening.token(), opening.text(), EXPIRES), Some(Refused::Token(Reason::Expired.into())));
        assert_eq!(open(&guard, opening.token(), opening.text(), NOW), None);
        assert_eq!(open(&guard, opening.token(), opening.text(), NOW), Some(Refused::Proof(Reason::ProofReplayed)));
        let second = holder.open_session(&["crm.read"], AUDIENCE, 60, NOW).ok().unwrap();
        assert_eq!(open(&guard, second.token(), second.text(), NOW), Some(Refused::Guard(Reason::SessionsFull)));
        // the room of a session that has ended is free again
        let third = holder.open_session(&["crm.read"], AUDIENCE, 60, NOW + 60).ok().unwrap();
        assert_eq!(open(&guard, third.token(), third.text(), NOW + 60), None);
    }

    #[test]
    fn an_acceptance_by_another_key_makes_no_session() {
        let opening = held("[]").open_session(&["crm.read"], AUDIENCE, 60, NOW).ok().unwrap();
        let accept = with_sessions(1).open_session(opening.token(), opening.text(), NOW).ok().unwrap();
        assert_eq!(opening.accepted(&accept, &ToolKey::generate().public(), NOW).err(), Some(Reason::SessionAcceptSignature));
    }

    #[test]
    fn a_dpop_proof_over_the_call_is_the_holders_word_and_good_once() {
        let (guard, holder) = (guard(), held("[]"));
        let call = holder.dpop("crm.mail", &arguments(r#"{"id":1}"#), AUDIENCE, ORIGIN, NOW);
        assert_eq!(check(&guard, &call, NOW).map(|call| call.evidence), Ok(Evidence::Holder));
        assert_eq!(check(&guard, &call, NOW).err(), Some(Reason::ProofReplayed));
        let changed = Presentation { arguments: r#"{"id":2}"#.into(), ..holder.dpop("crm.mail", &arguments("{}"), AUDIENCE, ORIGIN, NOW) };
        assert_eq!(check(&guard, &changed, NOW).err(), Some(Reason::ProofMismatch));
        let elsewhere = holder.dpop("crm.mail", &arguments("{}"), AUDIENCE, "https://other.example", NOW);
        assert_eq!(check(&guard, &elsewhere, NOW).err(), Some(Reason::ProofMismatch));
        let silent = Manifest::parse(&format!("audience = \"{AUDIENCE}\"\n[[tool]]\nname = \"crm.mail\"\nrequires = \"token\"")).unwrap();
        let silent =
            Guard::new(silent, root().into(), GuardOptions { accept_dev: false, replay_capacity: 8, revocation: Revocation::NotChecked });
        assert_eq!(check(&silent, &call, NOW).err(), Some(Reason::DpopOff));
    }

    fn plain_dpop(holder: &Held, tool: &str, key: &HolderKey) -> Presentation {
        let proof = crate::tests::plain_dpop(holder.sealed(), &format!("{ORIGIN}/tools/{tool}"), "-BwC3ESc6acc2lTc", key);
        Presentation { kind: ProofKind::Dpop, proof, ..holder.prove(tool, &arguments(r#"{"id":1}"#), AUDIENCE, NOW) }
    }

    #[test]
    fn a_plain_dpop_proof_reads_where_the_manifest_says_so_and_does_nothing_else() {
        let (guard, holder, key) = (guard(), held("[]"), HolderKey::of(11));
        assert_eq!(check(&guard, &plain_dpop(&holder, "crm.read", &key), NOW).map(|call| call.evidence), Ok(Evidence::ToolWord));
        assert_eq!(check(&guard, &plain_dpop(&holder, "crm.tag", &key), NOW).err(), Some(Reason::DpopUrlOnly));
        assert_eq!(check(&guard, &plain_dpop(&holder, "crm.read", &HolderKey::of(12)), NOW).err(), Some(Reason::ProofSignature));
    }

    #[test]
    fn a_holder_known_by_its_thumbprint_calls_by_dpop_alone() {
        use crate::tests::{claims, mint_claims};
        let key = HolderKey::of(11);
        let holder = Holder::Thumbprint(narrows_verifier::proof::dpop::thumbprint(&key.public()));
        let token = mint_claims(root().id, 9, &narrows_verifier::biscuit::AuthorityClaims { holder, ..claims("[]", false) });
        let token = narrows_verifier::token_text(&token);
        let (guard, ordinary) = (with_sessions(8), held("[]"));
        let by = |seed: &[u8; 32]| {
            let request = DpopRequest {
                method: "POST",
                url: &format!("{ORIGIN}/tools/crm.mail"),
                token: &token,
                nonce: None,
                tool: "crm.mail",
                args_digest: arguments("{}").digest(),
                audience: AUDIENCE,
            };
            let proof = sign_dpop(&request, NOW, &[1; 16], seed);
            Presentation { token: token.clone(), proof, ..ordinary.dpop("crm.mail", &arguments("{}"), AUDIENCE, ORIGIN, NOW) }
        };
        assert_eq!(check(&guard, &by(key.seed()), NOW).map(|call| call.evidence), Ok(Evidence::Holder));
        assert_eq!(check(&guard, &by(HolderKey::of(12).seed()), NOW).err(), Some(Reason::ProofSignature));
        let signed = Presentation { token: token.clone(), ..ordinary.prove("crm.mail", &arguments("{}"), AUDIENCE, NOW) };
        assert_eq!(check(&guard, &signed, NOW).err(), Some(Reason::HolderThumbprint));
        let opening = ordinary.open_session(&["crm.read"], AUDIENCE, 60, NOW).ok().unwrap();
        assert_eq!(guard.open_session(&token, opening.text(), NOW).err(), Some(Refused::Proof(Reason::HolderThumbprint)));
    }

    #[test]
    fn a_guard_that_can_not_look_up_revocations_opens_no_session() {
        let manifest =
            Manifest::parse(&format!("audience = \"{AUDIENCE}\"\n[[tool]]\nname = \"crm.read\"\nrequires = \"token\"\nclass = \"read\""));
        let options = GuardOptions { accept_dev: false, replay_capacity: 8, revocation: Revocation::Required };
        let guard = Guard::new(manifest.unwrap(), root().into(), options).with_sessions(key(), 8);
        assert_eq!(open(&guard, &held("[]"), &["crm.read"], 60).err(), Some(Refused::Guard(Reason::RevocationsMissing)));
    }

    #[test]
    fn a_bound_dpop_proof_for_another_tool_does_not_pass_as_a_plain_one() {
        let (guard, holder) = (guard(), held("[]"));
        let request = DpopRequest {
            method: "POST",
            url: &format!("{ORIGIN}/tools/crm.read"),
            token: holder.sealed(),
            nonce: None,
            tool: "crm.tag",
            args_digest: arguments("{}").digest(),
            audience: AUDIENCE,
        };
        let proof = sign_dpop(&request, NOW, &[1; 16], HolderKey::of(11).seed());
        let call = Presentation { proof, ..holder.dpop("crm.read", &arguments("{}"), AUDIENCE, ORIGIN, NOW) };
        assert_eq!(check(&guard, &call, NOW).err(), Some(Reason::ProofMismatch));
    }

    #[test]
    fn a_proof_of_one_kind_is_none_of_another() {
        let (guard, holder) = (with_sessions(8), held("[]"));
        let session = open(&guard, &holder, &["crm.read"], 60).ok().unwrap();
        let none = arguments("{}");
        let calls = [
            holder.prove("crm.read", &none, AUDIENCE, NOW),
            holder.session_proof(&session, "crm.read", &none, NOW).ok().unwrap(),
            holder.dpop("crm.read", &none, AUDIENCE, ORIGIN, NOW),
        ];
        for call in &calls {
            for kind in [ProofKind::Possession, ProofKind::Session, ProofKind::Dpop].into_iter().filter(|kind| *kind != call.kind) {
                let refused = check(&guard, &Presentation { kind, ..call.clone() }, NOW).err().unwrap();
                let malformed = [Reason::ProofMalformed, Reason::SessionMalformed, Reason::DpopMalformed];
                assert!(malformed.contains(&refused), "{:?} as {kind:?}: {refused}", call.kind);
                let missing = Presentation { kind, proof: String::new(), ..call.clone() };
                assert_eq!(check(&guard, &missing, NOW).err(), Some(Reason::ProofMissing));
            }
            assert!(check(&guard, call, NOW).is_ok());
        }
    }

    #[test]
    fn an_mcp_call_is_decided_like_any_other() {
        let (guard, holder) = (with_sessions(8), held("[]"));
        let session = open(&guard, &holder, &["crm.read"], 60).ok().unwrap();
        let id = arguments(r#"{"id":1}"#);
        let by_signature = holder.prove("crm.read", &id, AUDIENCE, NOW);
        let by_session = holder.session_proof(&session, "crm.read", &id, NOW).ok().unwrap();
        for (call, evidence) in [(&by_signature, Evidence::Holder), (&by_session, Evidence::ToolWord)] {
            let params = call.mcp_params().ok().unwrap().canonical();
            let other = params.replace(r#"{"id":1}"#, r#"{"id":2}"#);
            assert!(guard.check_mcp(other.as_bytes(), NOW).is_err());
            let permitted = guard.check_mcp(params.as_bytes(), NOW).ok().unwrap();
            assert_eq!((permitted.evidence, permitted.tool.as_str(), permitted.arguments), (evidence, "crm.read", id.clone()));
        }
        let refused = |params: &str| guard.check_mcp(params.as_bytes(), NOW).err();
        assert_eq!(refused(r#"{"name":"crm.read"}"#), Some(Refused::Token(Reason::TokenMissing.into())));
        let unproved = Value::object([("token", Value::Text(holder.sealed().into()))]).canonical();
        let unproved = format!(r#"{{"name":"crm.read","_meta":{{"dev.narrows/authorization":{unproved}}}}}"#);
        assert_eq!(refused(&unproved), Some(Refused::Proof(Reason::ProofMissing)));
        assert_eq!(refused("[]"), Some(Refused::Arguments(Reason::McpMalformed)));
        let dpop = holder.dpop("crm.read", &id, AUDIENCE, ORIGIN, NOW);
        assert_eq!(dpop.mcp_params().err(), Some(Reason::McpMalformed));
    }
}
