"""A second opinion on the rule `cidr`, by Python's `ipaddress`. Rule: a list of networks. Text: an IP address.

Can't judge whether the list of ways to embed an IPv4 address is complete.
"""

import ipaddress
import json
import sys

# `::` and `::1` lie in the first one and are no compatible addresses
EMBEDDING = [
    ipaddress.ip_network(network)
    for network in ["::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32"]
]
ISATAP = [0x00005EFE, 0x02005EFE]


def embeds(address):
    if address.version == 4 or int(address) <= 1:
        return False
    return any(address in network for network in EMBEDDING) or (int(address) >> 32) & 0xFFFFFFFF in ISATAP


def answer(rule, text):
    try:
        networks = [ipaddress.ip_network(network, strict=True) for network in rule]
    except ValueError:
        return "refused"
    if any(str(network) != written for network, written in zip(networks, rule)):
        return "refused"
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return "unreadable"
    if "%" in text or embeds(address):
        return "unreadable"
    return "accepts" if any(address in network for network in networks if network.version == address.version) else "rejects"


for line in sys.stdin.buffer:
    case = json.loads(line)
    print(answer(case["rule"], case["text"]))
