"""A second opinion on `attenuating_agent_token` (draft-niyikiza-oauth-attenuating-agent-tokens-01, section 3.3 and 3.4).

Rule: the constraints of one tool by argument name. Text: the arguments of a call as JSON.
"""

import json
import sys
from decimal import Decimal

MEMBERS = {
    "exact": {"value"},
    "range": {"min", "max", "min_inclusive", "max_inclusive"},
    "one_of": {"values"},
    "not_one_of": {"excluded"},
    "contains": {"required"},
    "subset": {"allowed"},
    "wildcard": set(),
    "all": {"constraints"},
    "any": {"constraints"},
}
REQUIRED = {kind: members for kind, members in MEMBERS.items() if kind != "range"}


def is_number(value):
    return isinstance(value, Decimal)


def is_scalar(value):
    return isinstance(value, (bool, str, Decimal))


def same(one, other):
    """Numbers by value, whatever their spelling; a flag is no number and no text."""
    return type(one) is type(other) and is_scalar(one) and one == other


def among(value, values):
    return any(same(value, other) for other in values)


def sound(constraint, depth=1):
    if depth > 32 or not isinstance(constraint, dict):
        return False
    kind = constraint.get("constraint_type")
    if not isinstance(kind, str) or kind not in MEMBERS:
        return False
    members = set(constraint) - {"constraint_type"}
    if members - MEMBERS[kind] or REQUIRED.get(kind, set()) - members:
        return False
    if kind == "exact":
        return is_scalar(constraint["value"])
    if kind == "range":
        bounds = [constraint[side] for side in ("min", "max") if side in constraint]
        flags = [constraint[side] for side in ("min_inclusive", "max_inclusive") if side in constraint]
        if not all(map(is_number, bounds)) or not all(isinstance(flag, bool) for flag in flags):
            return False
        return len(bounds) < 2 or bounds[0] <= bounds[1]
    if kind in ("all", "any"):
        parts = constraint["constraints"]
        return isinstance(parts, list) and (kind == "all" or parts) and all(sound(part, depth + 1) for part in parts)
    if kind == "wildcard":
        return True
    (values,) = (constraint[name] for name in MEMBERS[kind])
    return isinstance(values, list) and all(map(is_scalar, values))


def passes(constraint, value):
    kind = constraint["constraint_type"]
    if kind == "exact":
        return same(value, constraint["value"])
    if kind == "range":
        if not is_number(value):
            return False
        over = under = True
        if "min" in constraint:
            over = value >= constraint["min"] if constraint.get("min_inclusive", True) else value > constraint["min"]
        if "max" in constraint:
            under = value <= constraint["max"] if constraint.get("max_inclusive", True) else value < constraint["max"]
        return over and under
    if kind == "one_of":
        return among(value, constraint["values"])
    if kind == "not_one_of":
        return not among(value, constraint["excluded"])
    if kind == "contains":
        return isinstance(value, list) and all(among(wanted, value) for wanted in constraint["required"])
    if kind == "subset":
        return isinstance(value, list) and all(among(element, constraint["allowed"]) for element in value)
    if kind == "all":
        return all(passes(part, value) for part in constraint["constraints"])
    if kind == "any":
        return any(passes(part, value) for part in constraint["constraints"])
    return True


def answer(constraints, arguments):
    if not all(map(sound, constraints.values())):
        return "refused"
    if not constraints:
        return "accepts"
    closed = set(arguments) == set(constraints)
    return "accepts" if closed and all(passes(constraints[name], arguments[name]) for name in constraints) else "rejects"


def read(text):
    return json.loads(text, parse_int=Decimal, parse_float=Decimal)


for line in sys.stdin.buffer:
    case = read(line)
    print(answer(case["rule"], read(case["text"])))
