"""How an exchange is called for people: "IKE_AUTH [1]", "quick mode [25a4fd4a]"."""

from __future__ import annotations

from ipsecanalyze.report.text import terminal

__all__ = ["exchange_text"]

#: IKEv1's exchanges by the names that people use (RFC 2409 §5).
_V1_TITLES = {
    "IDENTITY_PROTECTION": "main mode",
    "AGGRESSIVE": "aggressive mode",
    "QUICK_MODE": "quick mode",
    "NEW_GROUP_MODE": "new group mode",
    "TRANSACTION": "transaction",
}


def exchange_text(name: str, message_id: int, last_message_id: int | None = None) -> str:
    """The exchange with its message ID, or for a run of alike exchanges with the first and the last one's."""
    title = _V1_TITLES.get(name)
    if title is not None and not message_id:
        return title
    ids = _number(message_id) if last_message_id is None else f"{_number(message_id)}…{_number(last_message_id)}"
    return f"{terminal(title or name)} [{ids}]"


def _number(message_id: int) -> str:
    # IKEv1's message IDs are random: decimal digits would say nothing.
    return str(message_id) if message_id < 100_000 else f"{message_id:08x}"
