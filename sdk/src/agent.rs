//! What an agent does with its token: look into it, narrow it, prove it, report it. All of it offline.

use narrows_verifier::{
    BlockId, Caveat, EntryId, Maker, PublicKey, Reason, Refusal, Roots, UnverifiedToken, VerifiedToken,
    biscuit::{HopClaims, append_hop, seal},
    json::Value,
    log::{PresentedReceipt, read_receipts, write_receipts},
    proof::{
        NarrowClaims, PossessionClaims, ReportClaims, RevokeClaims,
        dpop::{DpopRequest, sign_dpop},
        mcp::{McpCall, McpProof, write_call},
        narrow_request_digest,
        session::{HolderSession, OpenClaims, OpenRandomness, Opening, sign_session_open},
        sign_narrow, sign_possession, sign_report, sign_revoke,
    },
    token_bytes, token_text,
};
use rand_core::{CryptoRngCore, OsRng, RngCore as _};
use zeroize::Zeroizing;

use crate::{HolderKey, Recorded};

/// A verified token together with the key that it is bound to.
pub struct Held {
    /// Of an open token these hold the secret for appending.
    bytes: Zeroizing<Vec<u8>>,
    sealed: String,
    token: VerifiedToken,
    key: HolderKey,
    receipts: Vec<PresentedReceipt>,
}

/// What to hand on, and to whom.
#[derive(Clone, Debug)]
pub struct NarrowRequest {
    /// The key of the new holder, which the new holder made and kept.
    pub holder: PublicKey,
    /// The new holder's name: our word, nobody attests it.
    pub agent: String,
    /// What the new holder may not do any more.
    pub caveats: Vec<Caveat>,
}

/// A token that was narrowed by one hop.
pub struct Narrowed {
    /// The open token, for the new holder alone: who has its bytes can append plain blocks, though not act.
    pub token: Zeroizing<String>,
    /// A copy to which nothing can be appended, for tools and for the report.
    pub sealed: String,
    /// The new hop.
    pub block: BlockId,
    /// The log entry under which the hop is to be reported.
    pub entry: EntryId,
    /// Seconds since the Unix epoch from which on the token is no longer accepted.
    pub expires: u64,
}

/// One call as a tool is to receive it.
#[derive(Clone)]
pub struct Presentation {
    /// The sealed token.
    pub token: String,
    /// Receipts of its derivations, for tools that demand them; empty where the holder has none.
    pub receipts: String,
    /// What kind of proof it carries.
    pub kind: ProofKind,
    /// The proof of possession for this very call. It is accepted once, within a minute or in its session.
    pub proof: String,
    /// The tool's exact name.
    pub tool: String,
    /// The arguments in canonical form.
    pub arguments: String,
}

/// How a presentation proves that the presenter holds the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofKind {
    /// By a signature over the call.
    Possession,
    /// By the MAC of a session that a signature opened.
    Session,
    /// By a DPoP proof (RFC 9449) that also signs the call.
    Dpop,
    /// Not at all: the token is bound to no key.
    Bearer,
}

/// A session that was asked for: what to send to the tool, and the secret half to keep.
pub struct SessionOpening {
    token: String,
    opening: Opening,
}

/// A hop as the issuer is to hear of it: that it was made, or that it is to end.
#[derive(Clone)]
pub struct Report {
    /// The sealed token whose newest hop it is about.
    pub token: String,
    /// The proof by the delegator or the holder.
    pub proof: String,
}

impl Held {
    /// Verifies a token under the issuer's keys and takes it together with its key.
    ///
    /// # Errors
    /// What the verifier refuses, and `HOP_SIGNER` when `key` is not the one that the newest hop names as holder.
    pub fn new(token: &str, key: HolderKey, roots: &Roots) -> Result<Self, Refusal> {
        let bytes = Zeroizing::new(token_bytes(token)?);
        let token = UnverifiedToken::from_bytes(&bytes)?.verify(roots)?;
        if token.holder != key.public().into() {
            return Err(Reason::HopSigner.into());
        }
        let sealed = token_text(&seal(&bytes)?);
        Ok(Self { bytes, sealed, token, key, receipts: Vec::new() })
    }

    /// The same token with a receipt of one of its derivations, to be presented with each call.
    #[must_use]
    pub fn keeping(mut self, recorded: &Recorded) -> Self {
        self.receipts.push(presented(recorded));
        self
    }

    /// The same token with the receipts that came with it from its delegator: those of [`Held::receipts_with`].
    ///
    /// They are not verified here, since only a tool knows which logs it trusts.
    ///
    /// # Errors
    /// `RECEIPTS_MALFORMED`.
    pub fn with_receipts(self, text: &str) -> Result<Self, Reason> {
        Ok(Self { receipts: read_receipts(text).map_err(|refusal| refusal.reason)?, ..self })
    }

    /// What the next holder needs beside its token when tools demand `every_hop`: our receipts, and that of the hop to it.
    pub fn receipts_with(&self, hop: &Recorded) -> String {
        let all: Vec<_> = self.receipts.iter().cloned().chain([presented(hop)]).collect();
        write_receipts(&all)
    }

    /// The verified contents: who delegated to whom, and every caveat.
    pub fn inspect(&self) -> &VerifiedToken {
        &self.token
    }

    /// A copy to which nothing can be appended.
    pub fn sealed(&self) -> &str {
        &self.sealed
    }

    /// Hands the token on with less authority. Needs no service; report the hop afterwards.
    ///
    /// # Errors
    /// `TOKEN_SEALED`, `EXPIRED`, `HOP_OUTLIVES_PARENT`, `HOP_DEPTH`, or what the profile refuses of the new block.
    pub fn narrow(&self, request: &NarrowRequest, now: u64) -> Result<Narrowed, Refusal> {
        self.narrow_with(request, now, &mut OsRng)
    }

    /// As [`Held::narrow`], with the caller's entropy.
    ///
    /// # Errors
    /// As [`Held::narrow`].
    pub fn narrow_with(&self, request: &NarrowRequest, now: u64, random: &mut impl CryptoRngCore) -> Result<Narrowed, Refusal> {
        self.check_narrowing(request, now)?;
        let entry = EntryId(fresh(random));
        let mut next_seed = Zeroizing::new([0; 32]);
        random.fill_bytes(next_seed.as_mut());
        let hop = HopClaims { holder: request.holder, agent: request.agent.clone(), entry, caveats: request.caveats.clone() };
        let bytes = Zeroizing::new(append_hop(&self.bytes, self.key.seed(), &hop, &next_seed)?);
        // what a tool would refuse must not be handed on
        let child = UnverifiedToken::from_bytes(&bytes)?.verify(&self.token.root.into())?;
        Ok(Narrowed {
            sealed: token_text(&seal(&bytes)?),
            token: Zeroizing::new(token_text(&bytes)),
            block: child.newest(),
            entry,
            expires: child.expires,
        })
    }

    /// Proves possession for one call at one audience. Whether the call is permitted is for the tool to say;
    /// `inspect().decide(…)` tells it beforehand.
    pub fn prove(&self, tool: &str, arguments: &Value, audience: &str, now: u64) -> Presentation {
        self.prove_with(tool, arguments, audience, now, &mut OsRng)
    }

    /// As [`Held::prove`], with the caller's entropy.
    pub fn prove_with(&self, tool: &str, arguments: &Value, audience: &str, now: u64, random: &mut impl CryptoRngCore) -> Presentation {
        let claims = PossessionClaims { block: self.token.newest(), tool, args_digest: arguments.digest(), audience };
        let proof = sign_possession(&claims, now, &fresh(random), self.key.seed());
        self.present(ProofKind::Possession, proof, tool, arguments)
    }

    /// Asks for a session of so many seconds, an hour at most, for tools whose effects can be undone.
    ///
    /// The tool signs its answer with a key that has to be known beforehand; see [`SessionOpening::accepted`].
    ///
    /// # Errors
    /// `SESSION_MALFORMED` or `SESSION_LIFETIME` for what can't be asked for.
    pub fn open_session(&self, tools: &[&str], audience: &str, seconds: u64, now: u64) -> Result<SessionOpening, Reason> {
        let mut random = OpenRandomness { nonce: fresh(&mut OsRng), ephemeral: Zeroizing::new([0; 32]) };
        OsRng.fill_bytes(random.ephemeral.as_mut());
        let tools = tools.iter().map(|tool| (*tool).to_owned()).collect();
        let claims = OpenClaims { block: self.token.newest(), audience, tools: &tools, expires: now.saturating_add(seconds) };
        let opening = sign_session_open(&claims, now, &random, self.key.seed())?;
        Ok(SessionOpening { token: self.sealed.clone(), opening })
    }

    /// Consents to a token request in which the issuer is to make a narrower token of this one, for a key of this thumbprint:
    /// the parameter `narrow_proof`. `parameters` are all others of the request, of which those that ask for something count.
    pub fn consent(&self, client: &str, new_holder: [u8; 32], parameters: &[(&str, &str)], now: u64) -> String {
        let request_digest = narrow_request_digest(parameters.iter().copied());
        let issuer = &self.token.authority.issuer;
        let claims = NarrowClaims { issuer, client, block: self.token.newest(), new_holder, request_digest };
        sign_narrow(&claims, now, &fresh(&mut OsRng), self.key.seed())
    }

    /// Proves possession for one call within a session, by a MAC.
    ///
    /// Send the calls of a session one after the other: the tool refuses a counter below one that it has seen.
    ///
    /// # Errors
    /// `PROOF_MISMATCH` for a session of another token, `SESSION_TOOL`, `SESSION_EXPIRED` or `SESSION_COUNTER`.
    pub fn session_proof(&self, session: &HolderSession, tool: &str, arguments: &Value, now: u64) -> Result<Presentation, Reason> {
        if session.block() != self.token.newest() {
            return Err(Reason::ProofMismatch);
        }
        let proof = session.prove(tool, arguments.digest(), now)?;
        Ok(self.present(ProofKind::Session, proof.to_string(), tool, arguments))
    }

    /// Proves possession for one call by a DPoP proof, for tools behind something that reads these. `origin` is where the
    /// tool's manifest says that it is called, such as `https://crm.example`.
    pub fn dpop(&self, tool: &str, arguments: &Value, audience: &str, origin: &str, now: u64) -> Presentation {
        let request = DpopRequest {
            method: "POST",
            url: &format!("{origin}/tools/{tool}"),
            token: &self.sealed,
            nonce: None,
            tool,
            args_digest: arguments.digest(),
            audience,
        };
        let proof = sign_dpop(&request, now, &fresh(&mut OsRng), self.key.seed());
        self.present(ProofKind::Dpop, proof, tool, arguments)
    }

    fn present(&self, kind: ProofKind, proof: String, tool: &str, arguments: &Value) -> Presentation {
        Presentation {
            token: self.sealed.clone(),
            receipts: write_receipts(&self.receipts),
            kind,
            proof,
            tool: tool.to_owned(),
            arguments: arguments.canonical(),
        }
    }

    /// A report of the hop by which this token came to us. `issuer` is the issuer's identifier.
    pub fn report(&self, issuer: &str, now: u64) -> Report {
        self.sign_report(&self.sealed, self.token.newest(), issuer, now)
    }

    /// A report of a hop that we made.
    pub fn report_hop(&self, hop: &Narrowed, issuer: &str, now: u64) -> Report {
        self.sign_report(&hop.sealed, hop.block, issuer, now)
    }

    /// The end of the hop by which this token came to us, and of everything that we made from it, for
    /// [`crate::IssuerClient::end`]. A first agent ends the token that the issuer minted for it.
    pub fn give_up(&self, issuer: &str, now: u64) -> Report {
        let hops = self.token.blocks.iter().rev().filter(|block| block.maker != Maker::Anyone);
        let block = hops.map(|block| block.id).next().unwrap_or(self.token.newest());
        self.sign_end(&self.sealed, block, issuer, now)
    }

    /// The end of a hop that we made.
    pub fn take_back(&self, hop: &Narrowed, issuer: &str, now: u64) -> Report {
        self.sign_end(&hop.sealed, hop.block, issuer, now)
    }

    fn sign_end(&self, sealed: &str, block: BlockId, issuer: &str, now: u64) -> Report {
        let proof = sign_revoke(&RevokeClaims { issuer, block }, now, &fresh(&mut OsRng), self.key.seed());
        Report { token: sealed.to_owned(), proof }
    }

    fn sign_report(&self, sealed: &str, block: BlockId, issuer: &str, now: u64) -> Report {
        let proof = sign_report(&ReportClaims { issuer, block }, now, &fresh(&mut OsRng), self.key.seed());
        Report { token: sealed.to_owned(), proof }
    }

    /// The hop rule ahead of time, so that the reason concerns what was asked and not the block that came of it.
    fn check_narrowing(&self, request: &NarrowRequest, now: u64) -> Result<(), Reason> {
        if self.token.sealed {
            return Err(Reason::TokenSealed);
        }
        if now >= self.token.expires {
            return Err(Reason::Expired);
        }
        for caveat in &request.caveats {
            match caveat {
                Caveat::Expires(at) if *at > self.token.expires => return Err(Reason::HopOutlivesParent),
                Caveat::Expires(at) if *at <= now => return Err(Reason::Expired),
                _ => {}
            }
        }
        let carried = self.token.blocks.iter().flat_map(|block| block.caveats.iter());
        let depths = carried.chain(&request.caveats).filter_map(|caveat| if let Caveat::Depth(max) = caveat { Some(*max) } else { None });
        let used_up = depths.min().is_some_and(|max| usize::try_from(max).is_ok_and(|max| self.token.depth() >= max));
        if used_up { Err(Reason::HopDepth) } else { Ok(()) }
    }
}

impl SessionOpening {
    /// The sealed token that goes with the opening.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The signed opening.
    pub fn text(&self) -> &str {
        self.opening.text()
    }

    /// Checks the tool's answer under the key that is pinned for the tool, and makes the session of it.
    ///
    /// # Errors
    /// `SESSION_ACCEPT_SIGNATURE`, `PROOF_MISMATCH` for the answer to another opening, and the reasons for an answer that is
    /// malformed or grants more than was asked.
    pub fn accepted(self, accept: &str, tool: &PublicKey, now: u64) -> Result<HolderSession, Reason> {
        self.opening.accepted(accept, tool, now)
    }
}

impl Presentation {
    /// The call as the `params` of an MCP `tools/call` request. A DPoP proof signs an HTTP request and has no place there.
    ///
    /// # Errors
    /// `MCP_MALFORMED` for a presentation by DPoP, or a reason of the JSON reader.
    pub fn mcp_params(&self) -> Result<Value, Reason> {
        let proof = match self.kind {
            ProofKind::Possession => McpProof::Possession(self.proof.clone()),
            ProofKind::Session => McpProof::Session(self.proof.clone()),
            ProofKind::Dpop | ProofKind::Bearer => return Err(Reason::McpMalformed),
        };
        let arguments = crate::arguments(&self.arguments)?;
        let (token, receipts, tool) = (self.token.clone(), self.receipts.clone(), self.tool.clone());
        write_call(Value::object([]), &McpCall { token, proof, receipts, tool, arguments })
    }
}

fn presented(recorded: &Recorded) -> PresentedReceipt {
    PresentedReceipt { leaf: recorded.leaf.clone(), receipt: recorded.receipt.clone() }
}

fn fresh<const N: usize>(random: &mut impl CryptoRngCore) -> [u8; N] {
    let mut bytes = [0; N];
    random.fill_bytes(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use narrows_verifier::{Call, biscuit::append_plain};

    use super::*;
    use crate::tests::{AUDIENCE, EXPIRES, ISSUER, NOW, arguments, caveats, held, mint, root};

    fn request(caveats: Vec<Caveat>) -> NarrowRequest {
        NarrowRequest { holder: HolderKey::of(12).public(), agent: "executor".into(), caveats }
    }

    fn refusal(held: &Held, caveats: Vec<Caveat>, now: u64) -> Option<Reason> {
        held.narrow(&request(caveats), now).err().map(|refusal| refusal.reason)
    }

    #[test]
    fn a_narrowed_token_verifies_and_permits_less() {
        let parent = held("[]");
        let narrowed = parent.narrow(&request(caveats(r#"[{"kind":"tools","allow":["crm.read"]}]"#)), NOW).ok().unwrap();
        let child = Held::new(&narrowed.token, HolderKey::of(12), &root().into()).ok().unwrap();
        let permits =
            |token: &VerifiedToken, tool| token.decide(&Call { tool, arguments: &arguments("{}"), audience: AUDIENCE, time: NOW }).is_ok();
        assert!(permits(parent.inspect(), "crm.read") && permits(parent.inspect(), "payments.send"));
        assert!(permits(child.inspect(), "crm.read") && !permits(child.inspect(), "payments.send"));
        assert_eq!(child.inspect().newest(), narrowed.block);
        assert_eq!(child.inspect().principals().last().map(|(_, _, entry)| *entry), Some(narrowed.entry));
        assert_eq!(narrowed.expires, EXPIRES);
    }

    #[test]
    fn equal_hops_get_ids_of_their_own() {
        let parent = held("[]");
        let hop = || parent.narrow(&request(Vec::new()), NOW).ok().unwrap();
        assert_ne!(hop().block, hop().block);
    }

    #[test]
    fn a_hop_that_a_tool_would_refuse_is_not_made() {
        let parent = held("[]");
        assert_eq!(refusal(&parent, vec![Caveat::Expires(EXPIRES + 1)], NOW), Some(Reason::HopOutlivesParent));
        assert_eq!(refusal(&parent, vec![Caveat::Expires(EXPIRES)], NOW), None);
        assert_eq!(refusal(&parent, vec![Caveat::Expires(NOW)], NOW), Some(Reason::Expired));
        assert_eq!(refusal(&parent, Vec::new(), EXPIRES), Some(Reason::Expired));
        assert_eq!(refusal(&parent, vec![Caveat::Depth(0)], NOW), Some(Reason::HopDepth));
        let nameless = NarrowRequest { agent: String::new(), ..request(Vec::new()) };
        assert_eq!(parent.narrow(&nameless, NOW).err().map(|refusal| refusal.reason), Some(Reason::ProfileFacts));
    }

    #[test]
    fn depth_is_used_up_by_the_whole_chain() {
        let mut holder = held("[]");
        for byte in [12, 13] {
            let hop = NarrowRequest { holder: HolderKey::of(byte).public(), agent: format!("agent {byte}"), caveats: Vec::new() };
            let token = holder.narrow(&hop, NOW).ok().unwrap().token;
            holder = Held::new(&token, HolderKey::of(byte), &root().into()).ok().unwrap();
        }
        assert_eq!(refusal(&holder, Vec::new(), NOW), Some(Reason::HopDepth));
    }

    #[test]
    fn a_sealed_token_proves_but_does_not_narrow() {
        let sealed = Held::new(held("[]").sealed(), HolderKey::of(11), &root().into()).ok().unwrap();
        assert_eq!(refusal(&sealed, Vec::new(), NOW), Some(Reason::TokenSealed));
        assert_eq!(sealed.prove("crm.read", &arguments("{}"), AUDIENCE, NOW).token, sealed.sealed());
    }

    #[test]
    fn a_token_without_its_key_is_not_held() {
        let token = token_text(&mint("[]", false));
        let refused = Held::new(&token, HolderKey::of(12), &root().into()).err();
        assert_eq!(refused.map(|refusal| refusal.reason), Some(Reason::HopSigner));
        assert_eq!(Held::new(&token, HolderKey::of(11), &Roots::default()).err().map(|refusal| refusal.reason), Some(Reason::UnknownRoot));
    }

    #[test]
    fn a_plain_block_counts_when_narrowing() {
        let bytes = append_plain(&mint("[]", false), &[Caveat::Expires(NOW + 10)], &[14; 32]).unwrap();
        let held = Held::new(&token_text(&bytes), HolderKey::of(11), &root().into()).ok().unwrap();
        assert_eq!(refusal(&held, vec![Caveat::Expires(NOW + 11)], NOW), Some(Reason::HopOutlivesParent));
    }

    #[test]
    fn both_sides_of_a_hop_can_report_it() {
        use narrows_verifier::proof::check_report;
        let parent = held("[]");
        let narrowed = parent.narrow(&request(Vec::new()), NOW).ok().unwrap();
        let child = Held::new(&narrowed.token, HolderKey::of(12), &root().into()).ok().unwrap();
        let claims = ReportClaims { issuer: ISSUER, block: narrowed.block };
        let signers = [&HolderKey::of(11).public(), &HolderKey::of(12).public()];
        for report in [parent.report_hop(&narrowed, ISSUER, NOW), child.report(ISSUER, NOW)] {
            assert!(check_report(&report.proof, &claims, signers, NOW).is_ok());
            assert_eq!(report.token, narrowed.sealed);
        }
    }
}
