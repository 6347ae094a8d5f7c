"""A second opinion on the rule `glob`: a plain recursive matcher. Rule: the pattern. Text: a text.

There is no outside standard for these patterns, so this says only that two readings of the rule's text agree.
"""

import json
import sys

STAR, ANY = "star", "any"


def read(pattern):
    """The parts of a well-formed pattern, or nothing."""
    if not 1 <= len(pattern.encode()) <= 256:
        return None
    parts = []
    while pattern:
        if pattern[0] == "\\":
            if pattern[1:2] not in ["*", "?", "\\"]:
                return None
            parts.append(("is", pattern[1]))
            pattern = pattern[2:]
            continue
        parts.append({"*": STAR, "?": ANY}.get(pattern[0], ("is", pattern[0])))
        pattern = pattern[1:]
    stars = [index for index, part in enumerate(parts) if part == STAR]
    if len(stars) > 8 or any(index + 1 in stars for index in stars):
        return None
    return parts


def matches(parts, text, seen):
    if (len(parts), len(text)) in seen:
        return False
    seen.add((len(parts), len(text)))
    if not parts:
        return not text
    if parts[0] == STAR:
        return matches(parts[1:], text, seen) or (bool(text) and matches(parts, text[1:], seen))
    return bool(text) and parts[0] in [ANY, ("is", text[0])] and matches(parts[1:], text[1:], seen)


def answer(rule, text):
    parts = read(rule)
    if parts is None:
        return "refused"
    if len(text.encode()) > 4096:
        return "unreadable"
    return "accepts" if matches(parts, text, set()) else "rejects"


sys.setrecursionlimit(10_000)
for line in sys.stdin.buffer:
    case = json.loads(line)
    print(answer(case["rule"], case["text"]))
