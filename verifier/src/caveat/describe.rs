//! Caveats as plain English, for people who decide whether to trust a token.

use std::collections::BTreeSet;

use super::{Caveat, Matcher, Scalar, Tools, json::write_time};

impl Caveat {
    /// One sentence without a period. Values are quoted and control characters escaped, since others chose them.
    pub fn sentence(&self) -> String {
        match self {
            Caveat::Tools(tools) => format!("only {tools}", tools = tools.sentence()),
            Caveat::Argument(argument) => {
                format!("`{}` of {} must be {}", argument.path.escape_debug(), quote(&argument.tool), argument.is.sentence())
            }
            Caveat::ClosedArguments(closed) => {
                let place = if closed.at.is_empty() { String::new() } else { format!(" at `{}`", closed.at.escape_debug()) };
                format!("{}{place} may have no arguments but {}", quote(&closed.tool), list(&closed.names))
            }
            Caveat::Audience(audiences) => format!("only at {}", list(audiences)),
            Caveat::Expires(at) => format!("only before {}", write_time(*at)),
            Caveat::Depth(max) => format!("at most {max} hop{}", if *max == 1 { "" } else { "s" }),
        }
    }
}

impl Tools {
    fn sentence(&self) -> String {
        let names = self.names.iter().map(|name| quote(name));
        let prefixes = self.prefixes.iter().map(|prefix| format!("tools that begin with {}", quote(prefix)));
        names.chain(prefixes).collect::<Vec<_>>().join(" or ")
    }
}

impl Matcher {
    fn sentence(&self) -> String {
        match self {
            Matcher::Exact(value) => value.sentence(),
            Matcher::OneOf(values) => format!("one of {}", values.iter().map(Scalar::sentence).collect::<Vec<_>>().join(", ")),
            Matcher::Range { min: None, max: None } => "an integer".to_owned(),
            Matcher::Range { min: Some(min), max: None } => format!("an integer of at least {min}"),
            Matcher::Range { min: None, max: Some(max) } => format!("an integer of at most {max}"),
            Matcher::Range { min: Some(min), max: Some(max) } => format!("an integer from {min} to {max}"),
            Matcher::Prefix(prefix) => format!("a text that begins with {}", quote(prefix)),
        }
    }
}

impl Scalar {
    fn sentence(&self) -> String {
        match self {
            Scalar::Flag(flag) => flag.to_string(),
            Scalar::Integer(number) => number.to_string(),
            Scalar::Text(text) => quote(text),
        }
    }
}

fn list(values: &BTreeSet<String>) -> String {
    if values.is_empty() { "none".to_owned() } else { values.iter().map(|value| quote(value)).collect::<Vec<_>>().join(", ") }
}

fn quote(text: &str) -> String {
    format!("`{}`", text.escape_debug())
}
