//! What a request may not exceed, whatever the pack says.

use std::collections::BTreeSet;

use narrows_verifier::{Caveat, Reason, caveat::Tools};

use crate::{
    PolicyRefusal,
    scope::Scopes,
    tools::{listed, missing, quote},
};

/// A bound on a request that comes with the client or with a token that the new one is made from.
///
/// What is asked for must lie within it, else the request is refused; what it bounds unasked goes into the token.
#[derive(Clone, Debug)]
pub struct Ceiling {
    /// Where it comes from.
    pub whose: Whose,
    /// The tools of these scopes and no others; `None` where it is no list of scopes. Names that the pack does not have
    /// stand for no tool, so a token whose scopes are all somebody else's words grants nothing here.
    pub scopes: Option<BTreeSet<String>>,
    /// Caveats of any kind. Several `tools` or `audience` caveats hold together.
    pub caveats: Vec<Caveat>,
}

/// Whose ceiling it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The client's registration.
    Client,
    /// The subject token, or an identity assertion.
    Subject,
    /// A token of this service that is narrowed into a new one.
    Parent,
}

impl Whose {
    /// As refusals and cases name it.
    pub const fn name(self) -> &'static str {
        match self {
            Whose::Client => "client",
            Whose::Subject => "subject",
            Whose::Parent => "parent",
        }
    }

    /// Each of them.
    pub const ALL: [Whose; 3] = [Whose::Client, Whose::Subject, Whose::Parent];
}

impl Ceiling {
    /// The ceiling of a token that is narrowed into a new one: all caveats of all its blocks. Hops that it has made count
    /// against its depth, since the new token counts from none again.
    pub fn of_parent<'a>(caveats: impl IntoIterator<Item = &'a Caveat>, hops: usize) -> Self {
        let made = u32::try_from(hops).unwrap_or(u32::MAX);
        let left = |caveat: &Caveat| match caveat {
            Caveat::Depth(max) => Caveat::Depth(max.saturating_sub(made)),
            other => other.clone(),
        };
        Self { whose: Whose::Parent, scopes: None, caveats: caveats.into_iter().map(left).collect() }
    }

    /// The sets of tools within all of which what is asked for must lie.
    pub(crate) fn tools(&self, scopes: &Scopes) -> Vec<Tools> {
        let of_scopes = self.scopes.as_ref().map(|names| scopes.known(names));
        let caveats = self.caveats.iter().filter_map(|caveat| if let Caveat::Tools(tools) = caveat { Some(tools.clone()) } else { None });
        of_scopes.into_iter().chain(caveats).collect()
    }

    /// Refuses tools beyond this ceiling, by the name under which they were asked for.
    pub(crate) fn admits_tools(&self, asked: &Tools, scopes: &Scopes) -> Result<(), PolicyRefusal> {
        let limits = self.tools(scopes);
        let beyond = missing(asked, |tools| limits.iter().all(|limit| tools.within(limit)) && !self.denies(tools));
        if beyond.is_empty() { Ok(()) } else { Err(self.refusal(Reason::ToolAboveCeiling, "tools", &beyond)) }
    }

    /// Refuses a scope with a tool beyond this ceiling.
    pub(crate) fn admits_scope(&self, name: &str, tools: &Tools, scopes: &Scopes) -> Result<(), PolicyRefusal> {
        match self.admits_tools(tools, scopes) {
            Ok(()) => Ok(()),
            Err(_) => Err(self.refusal(Reason::ScopeAboveCeiling, "scopes", &[quote(name)])),
        }
    }

    /// Refuses audiences beyond this ceiling.
    pub(crate) fn admits_audiences(&self, asked: &BTreeSet<String>) -> Result<(), PolicyRefusal> {
        let granted =
            |name: &&String| self.caveats.iter().all(|caveat| !matches!(caveat, Caveat::Audience(these) if !these.contains(*name)));
        let beyond: Vec<_> = asked.iter().filter(|name| !granted(name)).map(|name| quote(name)).collect();
        if beyond.is_empty() { Ok(()) } else { Err(self.refusal(Reason::AudienceAboveCeiling, "audiences", &beyond)) }
    }

    /// Refuses a depth above this ceiling.
    pub(crate) fn admits_depth(&self, asked: u32) -> Result<(), PolicyRefusal> {
        let least = self.caveats.iter().filter_map(|caveat| if let Caveat::Depth(max) = caveat { Some(*max) } else { None }).min();
        match least.filter(|max| asked > *max) {
            None => Ok(()),
            Some(max) => {
                let detail = format!("depth {asked} is above {max}, which the {} has", self.words());
                Err(PolicyRefusal::of(Reason::DepthAboveCeiling, detail))
            }
        }
    }

    /// Refuses a caveat that asks for more than one of this ceiling on the same place.
    pub(crate) fn admits_caveat(&self, asked: &Caveat) -> Result<(), PolicyRefusal> {
        match exceeded(asked, &self.caveats) {
            None => Ok(()),
            Some(ceiling) => {
                Err(PolicyRefusal::of(Reason::ArgumentAboveCeiling, format!("by the {}, {}", self.words(), ceiling.sentence())))
            }
        }
    }

    /// Refuses to make a token that is bound to a key into one that is bound to none.
    pub(crate) fn admits_bearer(&self, asked: bool) -> Result<(), PolicyRefusal> {
        match (asked, self.whose) {
            (true, Whose::Parent) => Err(PolicyRefusal::of(Reason::BearerAboveCeiling, Reason::BearerAboveCeiling.meaning().to_owned())),
            _ => Ok(()),
        }
    }

    /// Whether a name among these tools is denied outright. A denied tool under an asked prefix is left to the caveat, which
    /// the new token carries.
    fn denies(&self, tools: &Tools) -> bool {
        let denied = |name: &String| self.caveats.iter().any(|caveat| matches!(caveat, Caveat::NotTools(denied) if denied.cover(name)));
        tools.names.iter().any(denied)
    }

    fn refusal(&self, reason: Reason, kind: &str, beyond: &[String]) -> PolicyRefusal {
        PolicyRefusal::of(reason, listed(&format!("{kind} of the {}", self.words()), beyond))
    }

    fn words(&self) -> &'static str {
        match self.whose {
            Whose::Client => "client",
            Whose::Subject => "subject token",
            Whose::Parent => "parent token",
        }
    }
}

/// The ceiling on the same place as `asked` which that is not provably within. In the token the ceiling would win, but a
/// client that asked for 900 and holds 500 without being told finds out in the middle of its task. Who demands of an
/// argument only that it is there asks for no value of it.
pub(crate) fn exceeded<'a>(asked: &Caveat, ceilings: &'a [Caveat]) -> Option<&'a Caveat> {
    ceilings.iter().find(|ceiling| match (asked, ceiling) {
        (Caveat::Argument(asked), Caveat::Argument(ceiling)) => {
            let same = asked.tool == ceiling.tool && asked.path == ceiling.path;
            same && !asked.is.accepts_any_value() && !asked.is.within(&ceiling.is)
        }
        (Caveat::ClosedArguments(asked), Caveat::ClosedArguments(ceiling)) => {
            asked.tool == ceiling.tool && asked.at == ceiling.at && !asked.names.is_subset(&ceiling.names)
        }
        _ => false,
    })
}
