"""What IKEv1's aggressive mode gives away of a pre-shared key, for those who audit their own: a line for each answer.

The fields are those of psk-crack, which hashcat's modes 5300 (MD5) and 5400 (SHA-1) read too: g^xr, g^xi, CKY-R, CKY-I,
SAi_b, IDir_b, Ni_b, Nr_b and HASH_R, in hex. RFC 2409 §5: HASH_R = prf(SKEYID, g^xr | g^xi | CKY-R | CKY-I | SAi_b |
IDir_b), SKEYID = prf(pre-shared key, Ni_b | Nr_b). Written only where somebody asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator

from ipsecanalyze.findings.audit.negotiated import choice_record, offer_record
from ipsecanalyze.findings.audit.walk import clear_payloads
from ipsecanalyze.findings.case import Case
from ipsecanalyze.sa.records import IkeSa, MessageRecord, Mode

__all__ = ["psk_hashes"]

_SA, _KE, _ID, _HASH, _NONCE = 1, 4, 5, 8, 10


def psk_hashes(case: Case) -> Iterator[str]:
    """A line for each IKE SA of aggressive mode with a pre-shared key whose first two messages were captured whole."""
    for sa in case.ike_sas:
        if sa.mode is not Mode.AGGRESSIVE or not _by_psk(sa):
            continue
        request, answer = offer_record(case, sa), choice_record(case, sa)
        line = _line(request, answer) if request is not None and answer is not None else None
        if line is not None:
            yield line


def _by_psk(sa: IkeSa) -> bool:
    return any(one.type == "AUTH" and "PRE_SHARED" in one.name for one in sa.chosen)


def _line(request: MessageRecord, answer: MessageRecord) -> str | None:
    if request.datagram.truncated or answer.datagram.truncated:
        return None
    asked = dict(clear_payloads(request.datagram.payload, (_SA, _KE, _NONCE)))
    told = dict(clear_payloads(answer.datagram.payload, (_KE, _ID, _HASH, _NONCE)))
    if len(asked) < 3 or len(told) < 4:
        return None
    cookies = answer.datagram.payload[8:16], answer.datagram.payload[:8]
    fields = (told[_KE], asked[_KE], *cookies, asked[_SA], told[_ID], asked[_NONCE], told[_NONCE], told[_HASH])
    return ":".join(field.hex() for field in fields)
