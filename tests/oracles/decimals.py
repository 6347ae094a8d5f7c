"""A second opinion on the rule `decimal`, by Python's `decimal`. Rule: {"min": text?, "max": text?}. Text: a decimal."""

import json
import re
import sys
from decimal import Decimal

PLAIN = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?", re.ASCII)


def read(text):
    if not PLAIN.fullmatch(text) or sum(character.isdigit() for character in text) > 28:
        return None
    number = Decimal(text)
    return None if number.is_zero() and number.is_signed() else number


def answer(rule, text):
    bounds = {name: read(bound) for name, bound in rule.items()}
    if not bounds or None in bounds.values() or ("min" in bounds and "max" in bounds and bounds["min"] > bounds["max"]):
        return "refused"
    number = read(text)
    if number is None:
        return "unreadable"
    # comparison of two `Decimal`s is exact whatever the context's precision
    within = bounds.get("min", number) <= number <= bounds.get("max", number)
    return "accepts" if within else "rejects"


for line in sys.stdin.buffer:
    case = json.loads(line)
    print(answer(case["rule"], case["text"]))
