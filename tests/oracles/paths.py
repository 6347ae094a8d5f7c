"""A second opinion on the rule `subpath`, by Python's `posixpath` and `urllib`. Rule: the root. Text: a path.

Can't judge what a file system makes of a path: links, mounts, case, normalisation.
"""

import json
import posixpath
import sys
import unicodedata
from urllib.parse import unquote_to_bytes


def readable(path):
    return (
        posixpath.isabs(path)
        and posixpath.normpath(path) == path
        # POSIX lets two leading slashes mean something else, so `normpath` keeps them
        and not path.startswith("//")
        and "\\" not in path
        and not any(unicodedata.category(character) == "Cc" for character in path)
        and unquote_to_bytes(path) == path.encode()
    )


def answer(root, text):
    if len(root.encode()) > 1024 or not readable(root):
        return "refused"
    if len(text.encode()) > 4096 or not readable(text):
        return "unreadable"
    return "accepts" if posixpath.commonpath([root, text]) == root else "rejects"


for line in sys.stdin.buffer:
    case = json.loads(line)
    print(answer(case["rule"], case["text"]))
