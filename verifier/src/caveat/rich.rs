//! The rules that have no plain Datalog form. Each is rendered as a normative external function of a value and the rule's
//! canonical JSON.

use super::rule::{Cidr, Decimal, Glob, Length, Shell, Subpath, Url};
use crate::{
    Reason,
    json::{Limits, Value, parse},
};

/// A rule on a text, or on a number by its canonical text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rich {
    Cidr(Cidr),
    Decimal(Decimal),
    /// The same on numbers instead of texts.
    Number(Decimal),
    Glob(Glob),
    Length(Length),
    Shell(Shell),
    Subpath(Subpath),
    Url(Url),
}

impl Rich {
    /// Reads the rule of this name.
    pub(crate) fn from_json(name: &str, value: &Value) -> Result<Self, Reason> {
        Ok(match name {
            "cidr" => Rich::Cidr(Cidr::from_json(value)?),
            "decimal" => Rich::Decimal(Decimal::from_json(value)?),
            "number" => Rich::Number(Decimal::from_json(value)?),
            "glob" => Rich::Glob(Glob::from_json(value)?),
            "length" => Rich::Length(Length::from_json(value)?),
            "shell" => Rich::Shell(Shell::from_json(value)?),
            "subpath" => Rich::Subpath(Subpath::from_json(value)?),
            "url" => Rich::Url(Url::from_json(value)?),
            _ => return Err(Reason::CaveatMalformed),
        })
    }

    /// Reads the rule from the parameter of its function.
    pub(crate) fn parse(name: &str, parameter: &str) -> Option<Self> {
        Self::from_json(name, &parse(parameter.as_bytes(), Limits::CAVEATS).ok()?).ok()
    }

    pub(crate) fn to_json(&self) -> Value {
        match self {
            Rich::Cidr(rule) => rule.to_json(),
            Rich::Decimal(rule) | Rich::Number(rule) => rule.to_json(),
            Rich::Glob(rule) => rule.to_json(),
            Rich::Length(rule) => rule.to_json(),
            Rich::Shell(rule) => rule.to_json(),
            Rich::Subpath(rule) => rule.to_json(),
            Rich::Url(rule) => rule.to_json(),
        }
    }

    /// The name of its function.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Rich::Cidr(_) => "cidr",
            Rich::Decimal(_) => "decimal",
            Rich::Number(_) => "number",
            Rich::Glob(_) => "glob",
            Rich::Length(_) => "length",
            Rich::Shell(_) => "shell",
            Rich::Subpath(_) => "subpath",
            Rich::Url(_) => "url",
        }
    }

    /// Whether the text is accepted; `None` when the rule can't read it.
    pub(crate) fn test(&self, text: &str) -> Option<bool> {
        match self {
            Rich::Cidr(rule) => rule.test(text),
            Rich::Decimal(rule) => rule.test(text),
            Rich::Number(rule) => rule.test_number(text),
            Rich::Glob(rule) => rule.test(text),
            Rich::Length(rule) => rule.test(text),
            Rich::Shell(rule) => rule.test(text),
            Rich::Subpath(rule) => rule.test(text),
            Rich::Url(rule) => rule.test(text),
        }
    }

    /// The same for a whole number.
    pub(crate) fn test_integer(&self, number: i64) -> Option<bool> {
        if let Rich::Number(rule) = self { Some(rule.holds(number.into())) } else { None }
    }

    pub(crate) fn sentence(&self) -> String {
        match self {
            Rich::Cidr(rule) => rule.sentence(),
            Rich::Decimal(rule) | Rich::Number(rule) => rule.sentence(),
            Rich::Glob(rule) => rule.sentence(),
            Rich::Length(rule) => rule.sentence(),
            Rich::Shell(rule) => rule.sentence(),
            Rich::Subpath(rule) => rule.sentence(),
            Rich::Url(rule) => rule.sentence(),
        }
    }
}
