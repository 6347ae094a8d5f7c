//! A verified token on its way to a call: what of the decision needs the call itself.

use std::{collections::BTreeSet, sync::Arc};

use narrows_verifier::{
    Call, Reason, Role, VerifiedToken, Word,
    json::{Limits, parse},
};

use super::{
    Guard, PermittedCall, Principal, Proof, Refused,
    possession::{Asked, OpenSessions},
};

/// A verified token, and the text that it came in.
pub(super) struct Presented {
    pub(super) token: Arc<VerifiedToken>,
    pub(super) text: String,
    /// Whether its key is tainted, and receipts show that it was made before.
    pub(super) spared: bool,
}

/// A verified token at a tool that accepts tokens.
pub(super) struct Admitted {
    pub(super) token: Presented,
    pub(super) tool: String,
}

/// What comes with a call beside its credentials.
#[derive(Clone, Copy)]
pub(super) struct Sent<'a> {
    /// The arguments as JSON.
    pub(super) body: &'a [u8],
    /// The address at which the tool is called, where the manifest names one.
    pub(super) url: Option<&'a str>,
    pub(super) now: u64,
}

impl Presented {
    pub(super) fn open_session(&self, guard: &Guard, opening: &str, now: u64) -> Result<String, Refused> {
        let sessions = guard.sessions().ok_or(Refused::Tool(Reason::SessionTool))?;
        if now >= self.token.expires {
            return Err(Refused::Token(Reason::Expired.into()));
        }
        let requested = OpenSessions::requested(&self.token, opening, guard.manifest(), now);
        let (request, once, grant) = requested.map_err(|reason| match reason {
            Reason::SessionTool => Refused::Tool(reason),
            reason => Refused::Proof(reason),
        })?;
        grant.tools.iter().try_for_each(|tool| guard.stands(self, guard.class(tool), now))?;
        guard.spend(once, now)?;
        sessions.accept(&request, grant, now).map_err(|reason| match reason {
            Reason::SessionsFull | Reason::Internal => Refused::Guard(reason),
            reason => Refused::Proof(reason),
        })
    }
}

impl Admitted {
    pub(super) fn check(&self, guard: &Guard, proof: Proof<'_>, sent: Sent<'_>) -> Result<PermittedCall, Refused> {
        let Self { token: presented @ Presented { token, text, .. }, tool } = self;
        let (now, audience) = (sent.now, guard.manifest().audience());
        guard.stands(presented, guard.class(tool), now)?;
        let arguments = parse(sent.body, Limits::ARGUMENTS).map_err(Refused::Arguments)?;
        let weak = guard.manifest().weak(tool);
        let asked = Asked { token, text, tool, args_digest: arguments.digest(), url: sent.url, weak, audience, now };
        let proven = guard.prove(proof, &asked)?;
        token.decide(&Call { tool, arguments: &arguments, audience, time: now }).map_err(Refused::Call)?;
        let evidence = guard.settle(proven, now)?;
        Ok(PermittedCall {
            task: token.authority.task,
            principals: principals(token, Role::Agent),
            blocks: token.block_ids(),
            subject: token.authority.subject.clone(),
            actors: principals(token, Role::Actor),
            tool: tool.clone(),
            evidence,
            arguments,
        })
    }

    /// Every scope that a token for what this one can do here and for this tool is asked for by, separated by spaces: a client
    /// that asks for the tool's alone loses the others.
    pub(super) fn scope(&self, guard: &Guard) -> String {
        let had = guard.manifest().tools().filter(|tool| self.token.token.grants(tool));
        let scopes: BTreeSet<_> = had.chain([self.tool.as_str()]).filter_map(|tool| guard.manifest().scope(tool)).collect();
        scopes.into_iter().collect::<Vec<_>>().join(" ")
    }
}

/// Those of a token's chain who are this in it, in its order.
pub(super) fn principals(token: &VerifiedToken, role: Role) -> Vec<Principal> {
    let agents = token.chain().into_iter().filter(|principal| principal.role == role);
    agents.map(|agent| Principal { agent: agent.name.to_owned(), attested: agent.word == Word::Issuer }).collect()
}
