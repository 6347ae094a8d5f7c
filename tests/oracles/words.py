"""A second opinion on the rule `shell`, by Python's `shlex` and by the `sh` of this machine.

Rule: {"programs": [...], "words": [...]?}. Text: a command line. Every line that the rule's text lets stand is also split by
`sh` itself, as the arguments of a `printf`; where `sh` finds other words than `shlex`, the answer is "shells differ".

Can't judge which programs run others, nor shells that are not POSIX.
"""

import json
import re
import shlex
import subprocess
import sys

SINGLE = r"'[^'\x00-\x1f\x7f-\x9f]*'"
DOUBLE = r'"[^"$`\\!\x00-\x1f\x7f-\x9f]*"'
BARE = r"[A-Za-z0-9%+,\-./:@_=]"
WORD = re.compile(f"(?:{SINGLE}|{DOUBLE}|{BARE})+")
LINE = re.compile(f" *(?:{WORD.pattern}(?: +{WORD.pattern})*)? *")
QUOTED = re.compile(f"{SINGLE}|{DOUBLE}")


def split(text):
    """The words of a readable line, or nothing."""
    if len(text.encode()) > 4096 or not LINE.fullmatch(text):
        return None
    written = WORD.findall(text)
    # only what stands outside quotes can be an assignment
    if not written or "=" in QUOTED.sub("", written[0]) or any(word.startswith("=") for word in written):
        return None
    words = shlex.split(text, comments=False, posix=True)
    return words if len(words) == len(written) else None


def split_by_shell(lines):
    script = "".join(f"printf '%s\\000' {line}\nprintf '\\n'\n" for line in lines)
    run = subprocess.run(["sh"], input=script.encode(), stdout=subprocess.PIPE, check=True)
    return [[word.decode() for word in found.split(b"\0")[:-1]] for found in run.stdout.split(b"\n")[:-1]]


cases = [json.loads(line) for line in sys.stdin.buffer]
split_cases = [split(case["text"]) for case in cases]
by_shell = iter(split_by_shell([case["text"] for case, words in zip(cases, split_cases) if words is not None]))
for case, words in zip(cases, split_cases):
    if words is None:
        print("unreadable")
    elif next(by_shell, None) != words:
        print("shells differ")
    else:
        rule = case["rule"]
        listed = words[0] in rule["programs"] and all("words" not in rule or word in rule["words"] for word in words[1:])
        print("accepts" if listed else "rejects")
