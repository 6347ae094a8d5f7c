//! Requests that run no tool, such as one for the list of tools: who may make them.

use narrows_verifier::{BlockId, Role, TaskId, json::Value, proof::Evidence, revocation::ToolClass};

use super::{
    Guard, Principal, Proof, Refused,
    manifest::Weak,
    possession::Asked,
    presented::{Presented, principals},
};

/// A request that runs no tool and that its caller may make.
#[derive(Clone, Debug)]
pub struct PermittedMessage {
    /// The MCP method.
    pub method: String,
    /// The tools of the manifest that the caller's token grants, each with whatever conditions.
    pub tools: Vec<String>,
    /// The task that the token is for.
    pub task: TaskId,
    /// The person or workload at the root, by pseudonym unless the issuer's policy says otherwise.
    pub subject: String,
    /// Those through whom the subject's authority came to the first agent. For information.
    pub actors: Vec<Principal>,
    /// The agents from the first to the caller.
    pub principals: Vec<Principal>,
    /// The token's block ids, the authority block's first.
    pub blocks: Vec<BlockId>,
    /// Whose word it is that the caller asked for this.
    pub evidence: Evidence,
}

impl Presented {
    /// Decides on a request that runs no tool: the token stands, is for this audience and this time, and its holder proves it for
    /// this method. Whatever the request says beside that is not signed, so nothing may come of it.
    pub(super) fn visit(&self, guard: &Guard, proof: Proof<'_>, method: &str, now: u64) -> Result<PermittedMessage, Refused> {
        let (token, manifest) = (&self.token, guard.manifest());
        guard.stands(self, ToolClass::Read, now)?;
        // a method's proof is none for a tool: no tool's name has a colon
        let tool = format!("mcp:{method}");
        let weak = Weak { url_only: true, bearer: manifest.takes_bearer() };
        let (audience, url) = (manifest.audience(), manifest.endpoint());
        let nothing = Value::object([]);
        let asked = Asked { token, text: &self.text, tool: &tool, args_digest: nothing.digest(), url, weak, audience, now };
        let proven = guard.prove(proof, &asked)?;
        token.admit_at(audience, now).map_err(Refused::Call)?;
        let evidence = guard.settle(proven, now)?;
        Ok(PermittedMessage {
            method: method.to_owned(),
            tools: manifest.tools().filter(|tool| token.grants(tool)).map(str::to_owned).collect(),
            task: token.authority.task,
            subject: token.authority.subject.clone(),
            actors: principals(token, Role::Actor),
            principals: principals(token, Role::Agent),
            blocks: token.block_ids(),
            evidence,
        })
    }
}
