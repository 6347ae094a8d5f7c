"""A second opinion on time windows, by Python's `datetime` with fixed offsets. Rule: the window. Text: seconds, in decimal.

Each window is laid out as an interval from a start to an end, on the local day and on the one before.
Can't judge zone names, which the rule doesn't have.
"""

import json
import re
import sys
from datetime import datetime, time, timedelta, timezone

DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
LAST = 253_402_300_799
# 400 years are whole weeks, and `datetime` ends with the year 9999 although an offset may lead beyond
CYCLE = 146_097 * 86_400


def minutes(text):
    hours, minutes = re.fullmatch(r"([0-9]{2}):([0-5][0-9])", text).groups()
    return int(hours) * 60 + int(minutes)


def answer(rule, text):
    start, end = minutes(rule["from"]), minutes(rule["to"])
    offset = minutes(rule["utc_offset"][1:]) * (-1 if rule["utc_offset"][0] == "-" else 1)
    in_order = sorted(set(rule["days"]), key=DAYS.index)
    if (
        rule["days"] != in_order
        or not rule["days"]
        or start == end
        or start >= 1440
        or not 0 < end <= 1440
        or not -720 <= offset <= 840
        or rule["utc_offset"] == "-00:00"
    ):
        return "refused"
    seconds = int(text)
    if seconds > LAST:
        return "unreadable"
    zone = timezone(timedelta(minutes=offset))
    now = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=seconds - CYCLE if seconds > CYCLE else seconds + CYCLE)
    now = now.astimezone(zone)
    length = timedelta(minutes=end - start if end > start else end + 1440 - start)
    for back in [0, 1]:
        opens = datetime.combine(now.date() - timedelta(days=back), time(start // 60, start % 60), zone)
        if DAYS[opens.weekday()] in rule["days"] and opens <= now < opens + length:
            return "accepts"
    return "rejects"


for line in sys.stdin.buffer:
    case = json.loads(line)
    print(answer(case["rule"], case["text"]))
