//! The external functions that checks may call: pure, total and normative.

use super::{Term, Type};
use crate::{
    caveat::{Rich, TimeWindow},
    json::{Limits, parse},
};

/// A function of a value and a constant text that holds the rule as canonical JSON. In Datalog text it is
/// `$v.extern::name("…")`; the denial of a rule is a function of its own, `not_name`, that is false like the rule itself
/// where the rule can't read the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    /// The rule's name.
    pub rule: &'static str,
    /// Whether it denies the rule.
    pub negated: bool,
}

impl Function {
    /// The function of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|function| function.name() == name)
    }

    /// Every function.
    pub fn all() -> impl Iterator<Item = Self> {
        RULES.into_iter().flat_map(|(rule, ..)| [false, true].map(|negated| Self { rule, negated }))
    }

    /// The name after `extern::`.
    pub fn name(self) -> &'static str {
        let names = RULES.into_iter().find(|(rule, ..)| *rule == self.rule);
        names.map_or("", |(rule, denial, _)| if self.negated { denial } else { rule })
    }

    /// The type of the value on the left.
    pub(super) fn left(self) -> Type {
        RULES.into_iter().find(|(rule, ..)| *rule == self.rule).map_or(Type::Text, |(.., left)| left)
    }

    /// What the function says of a value. A parameter that is no rule makes it false.
    pub fn call(self, value: &Term, parameter: &Term) -> bool {
        let Term::Text(parameter) = parameter else { return false };
        let answer = match value {
            Term::Text(text) => Rich::parse(self.rule, parameter).and_then(|rule| rule.test(text)),
            Term::Date(seconds) if self.rule == TIME_WINDOW => {
                let rule = parse(parameter.as_bytes(), Limits::CAVEATS).ok().and_then(|rule| TimeWindow::from_json(&rule).ok());
                rule.and_then(|rule| rule.test(*seconds))
            }
            _ => None,
        };
        answer.is_some_and(|answer| answer != self.negated)
    }

    /// Whether the parameter is a rule of this function, in its one spelling.
    pub(super) fn takes(self, parameter: &str) -> bool {
        let rule = parse(parameter.as_bytes(), Limits::CAVEATS).ok();
        let written = rule.and_then(|rule| match self.rule {
            TIME_WINDOW => TimeWindow::from_json(&rule).ok().map(|rule| rule.to_json()),
            name => Rich::from_json(name, &rule).ok().map(|rule| rule.to_json()),
        });
        written.is_some_and(|rule| rule.canonical() == parameter)
    }
}

/// The one function of a time.
pub(crate) const TIME_WINDOW: &str = "time_window";

const RULES: [(&str, &str, Type); 9] = [
    ("cidr", "not_cidr", Type::Text),
    ("decimal", "not_decimal", Type::Text),
    ("glob", "not_glob", Type::Text),
    ("length", "not_length", Type::Text),
    ("number", "not_number", Type::Text),
    ("shell", "not_shell", Type::Text),
    ("subpath", "not_subpath", Type::Text),
    (TIME_WINDOW, "not_time_window", Type::Date),
    ("url", "not_url", Type::Text),
];
