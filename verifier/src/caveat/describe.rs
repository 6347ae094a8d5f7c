//! Caveats as plain English, for people who decide whether to trust a token.

use std::collections::BTreeSet;

use super::{Caveat, Cost, LabelRule, Labels, Plane, Tools, json::write_time};

impl Caveat {
    /// One sentence without a period. Values are quoted and control characters escaped, since others chose them.
    pub fn sentence(&self) -> String {
        let what = match self {
            Caveat::Tools(tools) => format!("only {}", tools.sentence()),
            Caveat::NotTools(tools) => format!("not {}", tools.sentence()),
            Caveat::Argument(argument) => {
                return format!(
                    "`{}` of {} must be {}",
                    argument.path.as_str().escape_debug(),
                    quote(&argument.tool),
                    argument.is.sentence()
                );
            }
            Caveat::ClosedArguments(closed) => {
                let at = closed.at.as_str();
                let place = if at.is_empty() { String::new() } else { format!(" at `{}`", at.escape_debug()) };
                return format!("{}{place} may have no arguments but {}", quote(&closed.tool), list(&closed.names));
            }
            Caveat::Audience(audiences) => format!("only at {}", list(audiences)),
            Caveat::Expires(at) => format!("only before {}", write_time(*at)),
            Caveat::NotBefore(at) => format!("only from {} on", write_time(*at)),
            Caveat::TimeWindow(window) => format!("only {}", window.sentence()),
            Caveat::Depth(max) => format!("at most {}", times(*max, "hop")),
            Caveat::Calls(calls) => {
                let period = calls.per_seconds.map(|seconds| format!(" in {}", times(seconds, "second"))).unwrap_or_default();
                format!("at most {}{period}, counted as {}", times(calls.max, "call"), quote(&calls.name))
            }
            Caveat::SingleUse(single) => format!("only once, noted as {}", quote(&single.name)),
            Caveat::Budget(budget) => {
                let cost = match &budget.cost {
                    Cost::At(path) => format!("what is at `{}`", path.as_str().escape_debug()),
                    Cost::Each(each) => format!("{} a call", each.escape_debug()),
                };
                let max = budget.max_text();
                let max = max.as_text().unwrap_or_default();
                format!("at most {max} {} in all, counting {cost} as {}", budget.unit.escape_debug(), quote(&budget.name))
            }
            Caveat::RequiresPrior(prior) => format!("only after {} in the same task", list(&prior.actions)),
            Caveat::ForbidsPrior(prior) => format!("never after {} in the same task", either(&prior.actions)),
            Caveat::Labels(Labels { rule: LabelRule::NoneOf(labels), .. }) => {
                format!("never when the session has touched {}", either(labels))
            }
            Caveat::Labels(Labels { rule: LabelRule::Within(labels), .. }) => {
                format!("only while the session has touched nothing labelled but {}", list(labels))
            }
            Caveat::Approval(approval) => {
                format!(
                    "only when {} of {} have approved this very call, noted as {}",
                    approval.count,
                    list(&approval.of),
                    quote(&approval.name)
                )
            }
            Caveat::Directive(directive) => match directive.plane {
                Plane::Network => format!("only with the network held to {}", list(&directive.values)),
                Plane::Sandbox => format!("only in the sandbox {}", list(&directive.values)),
                Plane::Redact => format!("only with {} redacted from the result", list(&directive.values)),
            },
            Caveat::Datalog(check) => format!("only where this holds: `{}`", check.to_string().escape_debug()),
        };
        match self.only_for() {
            Some(tool) => format!("{}: {what}", quote(tool)),
            None => what,
        }
    }
}

impl Tools {
    fn sentence(&self) -> String {
        let names = self.names.iter().map(|name| quote(name));
        let prefixes = self.prefixes.iter().map(|prefix| format!("tools that begin with {}", quote(prefix)));
        let suffixes = self.suffixes.iter().map(|suffix| format!("tools that end with {}", quote(suffix)));
        names.chain(prefixes).chain(suffixes).collect::<Vec<_>>().join(" or ")
    }
}

fn times(count: u32, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn list(values: &BTreeSet<String>) -> String {
    if values.is_empty() { "none".to_owned() } else { values.iter().map(|value| quote(value)).collect::<Vec<_>>().join(", ") }
}

fn either(values: &BTreeSet<String>) -> String {
    values.iter().map(|value| quote(value)).collect::<Vec<_>>().join(" or ")
}

pub(super) fn quote(text: &str) -> String {
    format!("`{}`", text.escape_debug())
}
