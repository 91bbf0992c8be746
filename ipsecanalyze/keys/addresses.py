"""Addresses of key files: one spelling for each, and the wildcards that Wireshark's tables allow."""

from __future__ import annotations

import ipaddress

__all__ = ["is_address", "is_pattern", "matches", "normal_address"]


def normal_address(text: str | None) -> str | None:
    """The usual spelling of an address; None for what means any; patterns stay as they are."""
    if text is None:
        return None
    text = text.strip()
    if text in ("", "*", "any", "0.0.0.0", "::", "0.0.0.0/0", "::/0"):  # noqa: S104 - nothing is bound
        return None
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text


def is_address(text: str) -> bool:
    """Whether it is one address, not a pattern."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_pattern(text: str | None) -> bool:
    """Whether it is a CIDR block, or has wildcards ("10.0.0.*")."""
    return text is not None and ("*" in text or "/" in text)


def matches(pattern: str | None, address: str | None) -> bool:
    """Whether an address is one that the pattern means. What is unknown on either side matches."""
    if pattern is None or address is None or pattern == address:
        return True
    try:
        if "/" in pattern:
            return ipaddress.ip_address(address) in ipaddress.ip_network(pattern, strict=False)
        wanted, parts = pattern.lower(), ipaddress.ip_address(address).exploded
    except ValueError:
        return False
    mark = ":" if ":" in parts else "."
    pairs = (wanted.split(mark), parts.split(mark))
    if "*" not in pattern or len(pairs[0]) != len(pairs[1]):
        return False
    return all(w == "*" or w.lstrip("0") == p.lstrip("0") for w, p in zip(*pairs, strict=True))
