//! What a request asks for, with its scopes resolved.

use narrows_verifier::{Reason, caveat::Tools};

use super::PolicyRefusal;
use crate::{
    MintRequest,
    scope::Scopes,
    tools::{quote, union},
};

/// A request and the tools of its scopes.
pub(super) struct Asked<'a> {
    pub(super) request: &'a MintRequest,
    pub(super) scopes: Vec<(&'a str, &'a Tools)>,
}

impl<'a> Asked<'a> {
    pub(super) fn of(request: &'a MintRequest, scopes: &'a Scopes) -> Result<Self, PolicyRefusal> {
        let resolve = |name: &'a String| {
            let unknown = |reason: Reason| PolicyRefusal::of(reason, format!("there is no scope {}", quote(name)));
            Ok((name.as_str(), scopes.of(name).map_err(unknown)?))
        };
        Ok(Self { request, scopes: request.scopes.iter().map(resolve).collect::<Result<_, _>>()? })
    }

    /// The tools asked for by name and by scope together; `None` when nothing is asked for.
    pub(super) fn tools(&self) -> Option<Tools> {
        let by_scope = self.scopes.iter().map(|(_, tools)| *tools);
        self.request
            .tools
            .iter()
            .chain(by_scope)
            .fold(None, |so_far, more| Some(so_far.map_or_else(|| more.clone(), |so_far| union(&so_far, more))))
    }
}
