r"""Names of DNS messages as text. Pure. Used by dns_collector.

A name comes from a program's memory, which may hold anything. Whatever is no letter, digit, hyphen or underscore is
escaped as RFC 1035 has it in zone files (\DDD, and \. for a dot inside a label).
"""

_MOST_LABEL = 63
_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_*/")
# RFC 1035, 3596, 2782, 3403, 6891, 4034, 9460, 8659 and 8482.
_TYPES = {
    1: "A",
    2: "NS",
    5: "CNAME",
    6: "SOA",
    12: "PTR",
    13: "HINFO",
    15: "MX",
    16: "TXT",
    28: "AAAA",
    33: "SRV",
    35: "NAPTR",
    43: "DS",
    48: "DNSKEY",
    64: "SVCB",
    65: "HTTPS",
    252: "AXFR",
    255: "ANY",
    257: "CAA",
}


def text_of(name: bytes) -> str:
    """Return a name without the dot at its end; the root is ".". What follows a label that is none is left out."""
    labels, at = [], 0
    while at < len(name) and 0 < name[at] <= _MOST_LABEL:
        labels.append("".join(map(_character, name[at + 1 : at + 1 + name[at]])))
        at += 1 + name[at]
    return ".".join(labels) or "."


def type_of(number: int) -> str:
    """Return the name of a question's type; an unknown one as RFC 3597 has it."""
    return _TYPES.get(number, f"TYPE{number}")


def _character(byte: int) -> str:
    if byte in _PLAIN:
        return chr(byte)
    return f"\\{chr(byte)}" if byte in b".\\" else f"\\{byte:03d}"
