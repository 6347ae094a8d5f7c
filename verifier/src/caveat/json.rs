//! The JSON form of caveats, and the bounds of their values.

use std::collections::BTreeSet;

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    Actions, Approval, Argument, Budget, Calls, Caveat, ClosedArguments, Cost, DecimalRange, Directive, LabelRule, Labels, MAX_NAME,
    MAX_SET, MAX_TEXT, Matcher, Plane, SingleUse, TimeWindow, Tools, members::only, rule,
};
use crate::{
    Reason,
    biscuit::parse_check,
    json::{Key, Pointer, Value},
};

pub(super) use super::members::{Members, text, text_array, text_set};

/// Reads a JSON array of caveats.
///
/// # Errors
/// `CAVEAT_MALFORMED`, `CAVEAT_TOO_COMPLEX`, or `CAVEAT_NAMES_NO_TOOL` where a caveat that needs one names none.
pub fn parse_list(value: &Value) -> Result<Vec<Caveat>, Reason> {
    match value {
        Value::Array(items) if items.len() <= MAX_CAVEATS => items.iter().map(Caveat::from_json).collect(),
        _ => Err(Reason::CaveatMalformed),
    }
}

/// Writes caveats as a JSON array.
pub fn to_list(caveats: &[Caveat]) -> Value {
    Value::Array(caveats.iter().map(Caveat::to_json).collect())
}

impl Caveat {
    /// Reads one caveat. Unknown kinds and members are refused: a caveat that is not understood must not be dropped.
    ///
    /// # Errors
    /// `CAVEAT_MALFORMED`, `CAVEAT_TOO_COMPLEX` or `CAVEAT_NAMES_NO_TOOL`.
    pub fn from_json(value: &Value) -> Result<Self, Reason> {
        let mut members = Members::of(value)?;
        let kind = members.text("kind")?;
        let caveat = match kind.as_str() {
            "tools" => Caveat::Tools(Tools::from_json(members.value("allow")?)?),
            "not_tools" => Caveat::NotTools(Tools::from_json(members.value("deny")?)?),
            "arg" => Caveat::Argument(Argument {
                tool: members.tool()?,
                path: pointer(&members.text("path")?)?,
                is: Matcher::from_json(members.value("is")?)?,
            }),
            "closed_args" => Caveat::ClosedArguments(ClosedArguments {
                tool: members.tool()?,
                at: pointer(&members.optional("at", Members::text)?.unwrap_or_default())?,
                names: members.texts("names")?,
            }),
            "audience" => Caveat::Audience(members.texts("one_of")?),
            "expires" => Caveat::Expires(read_time(&members.text("at")?)?),
            "not_before" => Caveat::NotBefore(read_time(&members.text("at")?)?),
            "time_window" => Caveat::TimeWindow(TimeWindow::from_json(members.value("window")?)?),
            "depth" => Caveat::Depth(small(members.integer("max")?)?),
            "calls" => Caveat::Calls(Calls {
                name: members.text("name")?,
                tool: members.optional("tool", Members::text)?,
                max: small(members.integer("max")?)?,
                per_seconds: members.optional("per_seconds", |members, name| small(members.integer(name)?))?,
            }),
            "single_use" => Caveat::SingleUse(SingleUse { name: members.text("name")?, tool: members.optional("tool", Members::text)? }),
            "budget" => Caveat::Budget(Budget {
                name: members.text("name")?,
                tool: members.optional("tool", Members::text)?,
                unit: members.text("unit")?,
                max: DecimalRange::from_json(&Value::object([("max", members.value("max")?.clone())]))?,
                cost: Cost::from_json(members.value("cost")?)?,
            }),
            "requires_prior" => Caveat::RequiresPrior(Actions::from_members(&mut members)?),
            "forbids_prior" => Caveat::ForbidsPrior(Actions::from_members(&mut members)?),
            "labels" => Caveat::Labels(Labels {
                tool: members.optional("tool", Members::text)?,
                rule: if members.has("none_of") {
                    LabelRule::NoneOf(members.texts("none_of")?)
                } else {
                    LabelRule::Within(members.texts("within")?)
                },
            }),
            "approval" => Caveat::Approval(Approval {
                name: members.text("name")?,
                tool: members.optional("tool", Members::text)?,
                count: small(members.integer("count")?)?,
                of: members.texts("of")?,
            }),
            "network" => Caveat::Directive(Directive::from_members(Plane::Network, &mut members, "hosts")?),
            "sandbox" => Caveat::Directive(Directive {
                plane: Plane::Sandbox,
                tool: members.optional("tool", Members::text)?,
                values: BTreeSet::from([members.text("level")?]),
            }),
            "redact" => Caveat::Directive(Directive::from_members(Plane::Redact, &mut members, "paths")?),
            "datalog" => Caveat::Datalog(read_datalog(&members.text("check")?)?),
            _ => return Err(Reason::CaveatMalformed),
        };
        members.end()?;
        caveat.within_bounds()?;
        Ok(caveat)
    }

    /// The JSON form, which [`Caveat::from_json`] reads back.
    pub fn to_json(&self) -> Value {
        let number = |number: u32| Value::Integer(number.into());
        let mut members = vec![("kind", text(self.kind()))];
        if let Some(tool) = self.only_for() {
            members.push(("tool", text(tool)));
        }
        if let Some(name) = self.state_name() {
            members.push(("name", text(name)));
        }
        match self {
            Caveat::Tools(tools) => members.push(("allow", tools.to_json())),
            Caveat::NotTools(tools) => members.push(("deny", tools.to_json())),
            Caveat::Argument(argument) => members.extend([("path", text(argument.path.as_str())), ("is", argument.is.to_json())]),
            Caveat::ClosedArguments(closed) => members.extend([("at", text(closed.at.as_str())), ("names", text_array(&closed.names))]),
            Caveat::Audience(audiences) => members.push(("one_of", text_array(audiences))),
            Caveat::Expires(at) | Caveat::NotBefore(at) => members.push(("at", text(&write_time(*at)))),
            Caveat::TimeWindow(window) => members.push(("window", window.to_json())),
            Caveat::Depth(max) => members.push(("max", number(*max))),
            Caveat::Calls(calls) => {
                members.push(("max", number(calls.max)));
                members.extend(calls.per_seconds.map(|seconds| ("per_seconds", number(seconds))));
            }
            Caveat::SingleUse(_) => {}
            Caveat::Budget(budget) => {
                members.extend([("unit", text(&budget.unit)), ("max", budget.max_text()), ("cost", budget.cost.to_json())]);
            }
            Caveat::RequiresPrior(prior) | Caveat::ForbidsPrior(prior) => members.push(("actions", text_array(&prior.actions))),
            Caveat::Labels(Labels { rule: LabelRule::NoneOf(labels), .. }) => members.push(("none_of", text_array(labels))),
            Caveat::Labels(Labels { rule: LabelRule::Within(labels), .. }) => members.push(("within", text_array(labels))),
            Caveat::Approval(approval) => members.extend([("count", number(approval.count)), ("of", text_array(&approval.of))]),
            Caveat::Directive(directive) => members.push(match directive.plane {
                Plane::Network => ("hosts", text_array(&directive.values)),
                Plane::Sandbox => ("level", directive.values.first().map_or(Value::Null, |level| text(level))),
                Plane::Redact => ("paths", text_array(&directive.values)),
            }),
            Caveat::Datalog(check) => members.push(("check", text(&check.to_string()))),
        }
        Value::Object(members.into_iter().map(|(name, value)| (Key(name.to_owned()), value)).collect())
    }

    /// Checks sizes, so that what was read from JSON always fits a block, and the reverse.
    pub(super) fn within_bounds(&self) -> Result<(), Reason> {
        if let Some(tool) = self.only_for() {
            tool_name(tool)?;
        }
        if let Some(name) = self.state_name() {
            bounded_text(name, MAX_NAME)?;
        }
        let sound = |sound: bool| if sound { Ok(()) } else { Err(Reason::CaveatMalformed) };
        match self {
            Caveat::Tools(tools) | Caveat::NotTools(tools) => tools.within_bounds(),
            Caveat::Argument(argument) => {
                sound(!argument.path.is_root())?;
                argument.is.within_bounds()
            }
            Caveat::ClosedArguments(closed) => {
                sound(closed.names.len() <= MAX_SET && closed.names.iter().all(|name| name.len() <= MAX_TEXT))
            }
            Caveat::Audience(audiences) => filled_set(audiences, MAX_SET, MAX_TEXT),
            Caveat::Expires(at) | Caveat::NotBefore(at) => sound(*at <= MAX_TIME),
            Caveat::Depth(max) => sound(*max <= MAX_DEPTH),
            Caveat::Calls(calls) => {
                sound(calls.max > 0 && calls.per_seconds.is_none_or(|seconds| (1..=MAX_RATE_SECONDS).contains(&seconds)))
            }
            Caveat::Budget(budget) => {
                bounded_text(&budget.unit, MAX_UNIT)?;
                sound(budget.max.only_max().is_some())?;
                sound(!matches!(&budget.cost, Cost::Each(each) if rule::plain(each).is_none_or(|each| each.is_sign_negative())))
            }
            Caveat::RequiresPrior(prior) => filled_set(&prior.actions, MAX_SET, MAX_NAME),
            // each is an expression of its own, of which a query has at most eight
            Caveat::ForbidsPrior(prior) => filled_set(&prior.actions, MAX_DENIALS, MAX_NAME),
            Caveat::Labels(Labels { rule: LabelRule::NoneOf(labels), .. }) => filled_set(labels, MAX_DENIALS, MAX_NAME),
            Caveat::Labels(Labels { rule: LabelRule::Within(labels), .. }) => bounded_set(labels, MAX_SET, MAX_NAME),
            Caveat::Approval(approval) => {
                filled_set(&approval.of, MAX_SET, MAX_NAME)?;
                sound(approval.count > 0 && approval.count as usize <= approval.of.len())
            }
            Caveat::Directive(directive) => {
                filled_set(&directive.values, MAX_SET, MAX_NAME)?;
                let pointers = || directive.values.iter().all(|value| Pointer::parse(value).is_some());
                sound(directive.plane != Plane::Redact || pointers())
            }
            Caveat::Datalog(check) => sound(Caveat::read(check).as_ref() == Some(self)),
            // their own readers have bounded them
            Caveat::SingleUse(_) | Caveat::TimeWindow(_) => Ok(()),
        }
    }
}

impl Actions {
    fn from_members(members: &mut Members<'_>) -> Result<Self, Reason> {
        Ok(Self { tool: members.optional("tool", Members::text)?, actions: members.texts("actions")? })
    }
}

impl Directive {
    fn from_members(plane: Plane, members: &mut Members<'_>, values: &str) -> Result<Self, Reason> {
        Ok(Self { plane, tool: members.optional("tool", Members::text)?, values: members.texts(values)? })
    }
}

impl Budget {
    /// The limit as its text.
    pub(super) fn max_text(&self) -> Value {
        self.max.only_max().map_or(Value::Null, Value::Text)
    }
}

impl Cost {
    fn from_json(value: &Value) -> Result<Self, Reason> {
        match only(value)? {
            ("path", Value::Text(path)) if !path.is_empty() => Ok(Cost::At(pointer(path)?)),
            ("each", Value::Text(each)) => Ok(Cost::Each(each.clone())),
            _ => Err(Reason::CaveatMalformed),
        }
    }

    fn to_json(&self) -> Value {
        match self {
            Cost::At(path) => Value::object([("path", text(path.as_str()))]),
            Cost::Each(each) => Value::object([("each", text(each))]),
        }
    }

    /// A pointer begins with `/` and a decimal never does.
    pub(crate) fn as_text(&self) -> &str {
        match self {
            Cost::At(path) => path.as_str(),
            Cost::Each(each) => each,
        }
    }

    pub(super) fn from_text(text: &str) -> Option<Self> {
        if text.starts_with('/') { Pointer::parse(text).map(Cost::At) } else { Some(Cost::Each(text.to_owned())) }
    }
}

/// Seconds since the epoch as RFC 3339 in UTC.
pub(crate) fn write_time(seconds: u64) -> String {
    i64::try_from(seconds)
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| seconds.to_string())
}

/// RFC 3339 with whole seconds; a fraction would be rounded by somebody, so it is refused.
fn read_time(text: &str) -> Result<u64, Reason> {
    let time = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| Reason::CaveatMalformed)?;
    if time.nanosecond() == 0 {
        u64::try_from(time.unix_timestamp()).map_err(|_| Reason::CaveatMalformed)
    } else {
        Err(Reason::CaveatMalformed)
    }
}

fn read_datalog(check: &str) -> Result<crate::datalog::Check, Reason> {
    let body = check.strip_prefix("check if ").ok_or(Reason::CaveatMalformed)?;
    parse_check(body).map_err(|_| Reason::CaveatMalformed)
}

fn small(number: i64) -> Result<u32, Reason> {
    number.try_into().map_err(|_| Reason::CaveatMalformed)
}

fn pointer(text: &str) -> Result<Pointer, Reason> {
    Pointer::parse(text).ok_or(Reason::CaveatMalformed)
}

fn tool_name(name: &str) -> Result<(), Reason> {
    if name.is_empty() { Err(Reason::CaveatNamesNoTool) } else { bounded_text(name, MAX_NAME) }
}

fn bounded_text(text: &str, length: usize) -> Result<(), Reason> {
    let sound = !text.is_empty() && text.len() <= length && !text.chars().any(char::is_control);
    if sound { Ok(()) } else { Err(Reason::CaveatMalformed) }
}

fn filled_set(set: &BTreeSet<String>, count: usize, length: usize) -> Result<(), Reason> {
    if set.is_empty() { Err(Reason::CaveatMalformed) } else { bounded_set(set, count, length) }
}

pub(super) fn bounded_set(set: &BTreeSet<String>, count: usize, length: usize) -> Result<(), Reason> {
    if set.len() > count { Err(Reason::CaveatMalformed) } else { set.iter().try_for_each(|text| bounded_text(text, length)) }
}

const MAX_CAVEATS: usize = 128;
const MAX_DENIALS: usize = 8;
const MAX_UNIT: usize = 32;
/// A year.
const MAX_RATE_SECONDS: u32 = 366 * 24 * 3600;
/// 9999-12-31T23:59:59Z, the last second that RFC 3339 can write.
const MAX_TIME: u64 = 253_402_300_799;
/// A token has at most 16 blocks, one of which is the authority.
const MAX_DEPTH: u32 = 15;
