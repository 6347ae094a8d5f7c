//! Sessions: one exchange of signatures, then a MAC per call, for tools whose effects can be undone.
//!
//! The holder signs an [`Opening`] over its newest block, the audience, the tools it wants, an end, and an X25519
//! ephemeral. The tool checks it into a [`SessionRequest`], answers with a statement signed by its own key over the digest
//! of the opening, its own ephemeral and what it grants, and keeps a [`Session`]. The holder checks that under the tool's
//! pinned key and has a [`HolderSession`]. Both derive one key from both texts, so neither text can be exchanged unseen.
//!
//! Both ends hold that key. A session proof convinces the tool and nobody else ([`Evidence::ToolWord`](super::Evidence)).

mod call;
mod holder;
mod key;
mod opening;
mod table;
mod tool;

use std::collections::BTreeSet;

use super::Unverified;
use crate::{
    Reason,
    json::{Key, Limits, Value},
};

pub use call::SessionProof;
pub use holder::{HolderSession, Opening, sign_session_open};
pub use opening::{OpenClaims, OpenRandomness, SessionRequest, check_session_open};
pub use table::Sessions;
pub use tool::{Session, SessionGrant};

/// The longest session, in seconds from the moment at which it was asked for.
pub const MAX_SESSION_SECONDS: u64 = 3600;

/// The most tools of one session.
pub const MAX_SESSION_TOOLS: usize = 64;

/// The longest text of either statement of the exchange, in bytes.
pub const MAX_STATEMENT: usize = 22 * 1024;

/// The tools as the statements write them: in ascending order of their UTF-8 bytes, each once.
fn write_tools(tools: &BTreeSet<String>) -> Value {
    Value::Array(tools.iter().cloned().map(Value::Text).collect())
}

fn check_tools(tools: &BTreeSet<String>) -> Result<(), Reason> {
    let counted = (1..=MAX_SESSION_TOOLS).contains(&tools.len());
    let named = tools.iter().all(|tool| (1..=MAX_TOOL_NAME).contains(&tool.len()));
    if counted && named { Ok(()) } else { Err(Reason::SessionMalformed) }
}

/// Reads what [`write_tools`] wrote; another order would be a second spelling of the same statement.
fn read_tools(statement: &Unverified) -> Result<BTreeSet<String>, Reason> {
    let listed = statement.value.as_object().and_then(|members| members.get(&Key("tools".to_owned())));
    let Some(Value::Array(items)) = listed else { return Err(Reason::SessionMalformed) };
    let names = items.iter().map(|item| item.as_text().map(str::to_owned)).collect::<Option<Vec<_>>>().ok_or(Reason::SessionMalformed)?;
    if !names.is_sorted_by(|before, after| before < after) {
        return Err(Reason::SessionMalformed);
    }
    let tools = names.into_iter().collect();
    check_tools(&tools)?;
    Ok(tools)
}

const OPEN: &str = "narrows/session-open/1";
const ACCEPT: &str = "narrows/session-accept/1";
/// Room for 64 names of 128 bytes.
const LIMITS: Limits = Limits { bytes: 16 * 1024, depth: 2, values: 80 };
const MAX_TOOL_NAME: usize = 128;

#[cfg(test)]
mod tests;
