"""Why packets of a flow were not opened, and what would help: a slug, and words for people. Never a key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ipsecanalyze.opening.keychain import KeyChain

if TYPE_CHECKING:
    from ipsecanalyze.opening.lane import Lane

__all__ = ["explain"]

_SHOWN: Final = 4
_SYSTEM: Final = "`ip -s xfrm state`, a charon or pluto log, Wireshark's esp_sa"
_BY_REKEY: Final = (
    "the SA was made before or after the keys were read, by a rekey perhaps: give `ip xfrm monitor` of the whole time, "
    "or the keys of the IKE SA"
)
_KEY_FAULTS: Final = {
    "salt-length": "give key and salt in one: 4 octets (CCM: 3) behind the key",
    "key-length": "see whether the key was cut when it was copied",
    "icv-length": "give the length of the ICV that was negotiated",
    "missing-key": "the source shows no keys (`ip xfrm state nokeys`?): read it as root, without hiding them",
    "unsupported": "no help: nothing here computes this algorithm",
}


def explain(lane: Lane, chain: KeyChain) -> None:
    """Fill in reason, explanation and remedy of a flow's result."""
    result = lane.result
    reason = ("", "", "")
    left = result.packets - result.opened
    if result.truncated and result.truncated == left:
        reason = (
            "truncated",
            _share(left, result.packets, "cut by the capture's snap length, so without ICV"),
            "capture whole packets: tcpdump -s 0",
        )
    elif not result.opened and left:
        reason = _unopened(lane, chain)
        left_out = chain.left_out(lane.key[0], lane.key[3])
        if left_out and reason[0] in ("no-key", "wrong-key", "esn"):
            reason = reason[0], f"{reason[1]}; {left_out}", f"give only the keys of this SA; or else: {reason[2]}"
    elif result.icv_wrong:
        reason = (
            "icv",
            _share(result.icv_wrong, result.packets, "with a wrong ICV, though the key opens others"),
            "they were changed on the way or forged; or they are of another SA with the same SPI: give its key too",
        )
    elif result.skipped:
        reason = ("wrong-key", f"{result.skipped} packets were not tried any more after many in vain", "")
    elif result.padding_wrong and left:
        reason = ("padding", _share(result.padding_wrong, result.packets, "with wrong padding"), "")
    elif result.malformed:
        what = "; ".join(("whose contents cannot be read", *result.notes))
        reason = ("malformed", _share(result.malformed, result.packets, what), "")
    result.reason, result.explanation, result.remedy = reason


def _share(count: int, packets: int, what: str) -> str:
    return f"{'all' if count == packets else count} of {packets} packets {what}" if packets > 1 else f"1 packet {what}"


def _unopened(lane: Lane, chain: KeyChain) -> tuple[str, str, str]:
    if lane.candidates:
        return _wrong(lane)
    if lane.refused is not None:
        slug = lane.refused.slug
        return slug, lane.refused.reason, _KEY_FAULTS.get(slug, "")
    protocol, source, destination, spi, _ = lane.key
    if lane.tried_unknown:
        tries = f"{lane.tried_unknown} tries with keys whose SPI is not known"
        return "wrong-key", f"no key for SPI {spi:08x}; the ICV was not right in {tries}", f"give its keys: {_SYSTEM}"
    others = sorted({keys.spi for keys in chain.others(protocol, source, destination, spi) if keys.spi is not None})
    if not others:
        return "no-key", f"no key for SPI {spi:08x}, nor for these addresses", f"give its keys: {_SYSTEM}"
    shown = ", ".join(f"{other:08x}" for other in others[:_SHOWN]) + (", …" if len(others) > _SHOWN else "")
    explanation = f"no key for SPI {spi:08x}; there are keys for {shown} between these addresses"
    return "no-key", explanation, _BY_REKEY


def _wrong(lane: Lane) -> tuple[str, str, str]:
    result, candidates = lane.result, lane.candidates
    spi = lane.key[3]
    keys = "the key" if len(candidates) == 1 else f"{len(candidates)} keys"
    if result.malformed and result.malformed >= result.icv_wrong + result.padding_wrong:
        return "malformed", _share(result.malformed, result.packets, "too short for the key's algorithms"), ""
    if result.padding_wrong > result.icv_wrong:
        return "wrong-key", f"with {keys} for SPI {spi:08x} the contents make no sense", "give the right key"
    what = f"the ICV is never right with {keys} for SPI {spi:08x}"
    if lane.tried_unknown:
        what += f", nor with others in {lane.tried_unknown} tries"
    if all(key.esn and key.sequence_high is None for key in candidates):
        return (
            "esn",
            f"{what}: a wrong key, or the high half of the sequence numbers (ESN) is too large to be guessed",
            "give `ip -s xfrm state`, which has the high half (seq-hi, oseq-hi)",
        )
    return (
        "wrong-key",
        what,
        "it is of another SA with the same SPI, or of the other direction, or copied wrongly: compare with the system",
    )
