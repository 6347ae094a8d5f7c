//! What all blocks of a token permit together, for people.
//!
//! A decision never needs this: it looks at every caveat. A person who is asked to trust a token of eight hops does.

use std::collections::BTreeSet;

use crate::{
    Caveat, VerifiedToken,
    caveat::{Argument, ClosedArguments, Meet, Tools},
};

/// The meet of all caveats of all blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// Caveats that together permit exactly what all of the token's do, and fewer where some say the same.
    pub caveats: Vec<Caveat>,
    /// Whether they are seen to exclude each other, so that no call is permitted. `false` says only that none was seen.
    pub permits_nothing: bool,
}

impl VerifiedToken {
    /// What all blocks permit together.
    pub fn effective(&self) -> Effective {
        Effective::of(self.blocks.iter().flat_map(|block| block.caveats.iter()))
    }
}

impl Effective {
    /// The meet of these caveats.
    pub fn of<'a>(caveats: impl Iterator<Item = &'a Caveat>) -> Self {
        let mut met = merge(caveats);
        // what was merged may now merge with what stands before it
        loop {
            let again = merge(met.iter());
            if again.len() == met.len() {
                break;
            }
            met = again;
        }
        let permits_nothing = excludes_all(&met);
        Self { caveats: met, permits_nothing }
    }
}

/// One pass over the caveats.
fn merge<'a>(caveats: impl Iterator<Item = &'a Caveat>) -> Vec<Caveat> {
    let mut met: Vec<Caveat> = Vec::new();
    let mut uncallable = BTreeSet::new();
    for caveat in caveats {
        let merged = met.iter_mut().find_map(|known| match meet(known, caveat) {
            Met::One(one) => Some((known, one)),
            Met::Never(tool) => {
                uncallable.insert(tool);
                None
            }
            Met::Two => None,
        });
        match merged {
            Some((known, one)) => *known = one,
            None => met.push(caveat.clone()),
        }
    }
    if !uncallable.is_empty() {
        // what can be said of a tool that can't be called any more is that alone
        met.retain(|caveat| caveat.only_for().is_none_or(|tool| !uncallable.contains(tool)));
        met.push(Caveat::NotTools(Tools { names: uncallable, ..Tools::default() }));
    }
    met
}

enum Met {
    One(Caveat),
    /// Together they permit no call of this tool.
    Never(String),
    Two,
}

fn meet(one: &Caveat, other: &Caveat) -> Met {
    if one == other {
        return Met::One(one.clone());
    }
    match (one, other) {
        (Caveat::Tools(one), Caveat::Tools(other)) => one.meet(other).map_or(Met::Two, |tools| Met::One(Caveat::Tools(tools))),
        (Caveat::NotTools(one), Caveat::NotTools(other)) => Met::One(Caveat::NotTools(Tools {
            names: &one.names | &other.names,
            prefixes: &one.prefixes | &other.prefixes,
            suffixes: &one.suffixes | &other.suffixes,
        })),
        (Caveat::Audience(one), Caveat::Audience(other)) => Met::One(Caveat::Audience(one & other)),
        (Caveat::Expires(one), Caveat::Expires(other)) => Met::One(Caveat::Expires(*one.min(other))),
        (Caveat::NotBefore(one), Caveat::NotBefore(other)) => Met::One(Caveat::NotBefore(*one.max(other))),
        (Caveat::Depth(one), Caveat::Depth(other)) => Met::One(Caveat::Depth(*one.min(other))),
        (Caveat::Argument(one), Caveat::Argument(other)) if one.tool == other.tool && one.path == other.path => {
            match one.is.meet(&other.is) {
                Meet::Matcher(is) => Met::One(Caveat::Argument(Argument { is, ..one.clone() })),
                Meet::Nothing => Met::Never(one.tool.clone()),
                Meet::Both => Met::Two,
            }
        }
        (Caveat::ClosedArguments(one), Caveat::ClosedArguments(other)) if one.tool == other.tool && one.at == other.at => {
            Met::One(Caveat::ClosedArguments(ClosedArguments { names: &one.names & &other.names, ..one.clone() }))
        }
        _ => Met::Two,
    }
}

impl Tools {
    /// The tools that both cover. `None` when a prefix meets a suffix, for which there is no form.
    pub fn meet(&self, other: &Tools) -> Option<Tools> {
        let crossed = |one: &Tools, other: &Tools| !one.prefixes.is_empty() && !other.suffixes.is_empty();
        if crossed(self, other) || crossed(other, self) {
            return None;
        }
        let names = self.names.iter().filter(|name| other.cover(name)).chain(other.names.iter().filter(|name| self.cover(name)));
        let longer = |one: &BTreeSet<String>, other: &BTreeSet<String>, within: fn(&str, &str) -> bool| -> BTreeSet<String> {
            let kept = |affix: &&String, others: &BTreeSet<String>| others.iter().any(|wider| within(affix, wider));
            one.iter().filter(|affix| kept(affix, other)).chain(other.iter().filter(|affix| kept(affix, one))).cloned().collect()
        };
        Some(Tools {
            names: names.cloned().collect(),
            prefixes: longer(&self.prefixes, &other.prefixes, |long, short| long.starts_with(short)),
            suffixes: longer(&self.suffixes, &other.suffixes, |long, short| long.ends_with(short)),
        })
    }
}

fn excludes_all(caveats: &[Caveat]) -> bool {
    let denied = |name: &String| caveats.iter().any(|caveat| matches!(caveat, Caveat::NotTools(tools) if tools.cover(name)));
    let before = caveats.iter().filter_map(|caveat| if let Caveat::Expires(at) = caveat { Some(*at) } else { None }).min();
    let from = caveats.iter().filter_map(|caveat| if let Caveat::NotBefore(at) = caveat { Some(*at) } else { None }).max();
    caveats.iter().any(|caveat| match caveat {
        Caveat::Tools(tools) => tools.prefixes.is_empty() && tools.suffixes.is_empty() && tools.names.iter().all(denied),
        Caveat::Audience(audiences) => audiences.is_empty(),
        _ => false,
    }) || matches!((from, before), (Some(from), Some(before)) if from >= before)
}
