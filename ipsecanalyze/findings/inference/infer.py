"""The suite of one flow, by Bayes: how common each format is, times how well it explains what was seen.

What is hard counts fully (IVs that count, contents that can be read, lengths that a format cannot have); what inner
packets' lengths suggest counts less, and never makes certain.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from math import exp, log
from typing import Final, NamedTuple

from ipsecanalyze.esp.flow import Flow
from ipsecanalyze.esp.guess import Candidate, IvLooks, SuiteGuess
from ipsecanalyze.findings.inference.clear import is_structured, read_clear
from ipsecanalyze.findings.inference.formats import FORMATS, Format, favoured
from ipsecanalyze.findings.inference.iv import distinct, iv_looks
from ipsecanalyze.findings.inference.samples import Sample
from ipsecanalyze.findings.inference.sizes import INSIDES, log_likelihood
from ipsecanalyze.findings.inference.words import reasons
from ipsecanalyze.sa.records import Algorithm

__all__ = ["infer_suite", "looks_unencrypted"]

#: Lengths are no independent witnesses: one transfer makes many of them. So their logarithm counts for less.
_WEIGHT, _WEIGHT_OFTEN = 0.6, 0.15
#: Different lengths that are judged.
_LENGTHS: Final = 48
#: The share of doubt about the model itself: where two formats are possible, lengths make none likelier than 0.95.
_DOUBT: Final = 0.10
#: The logarithm for a packet whose length a format cannot have, and for each further hundredth of such.
_MISFIT, _MISFIT_EACH = -12.0, -0.5
#: That IVs look so: of modes for which unique is enough, and of those that want them unpredictable.
_COUNTING: Final = {"sequential": (0.88, 0.002), "random": (0.12, 0.998)}
#: Logarithms: of contents in the clear that nobody can read; of ciphertext that repeats at the same places, or counts.
_UNREADABLE, _REPEATS, _IMPOSSIBLE = -7.0, -10.0, -14.0
#: What is less likely than this before lengths are weighed does not share in the doubt.
_POSSIBLE: Final = 1e-4
#: And less than this is out of the question.
_HOPELESS: Final = 1e-8
#: Candidates with less are left out.
_LEAST: Final = 0.001
_FRAMES: Final = 32


def infer_suite(flow: Flow, samples: Sequence[Sample] = (), chosen: Sequence[Algorithm] = ()) -> SuiteGuess:
    """The suites that a flow of ESP may be protected with, the likeliest first.

    `samples` are some of its packets; without them lengths are all there is. `chosen` are the algorithms of its IKE SA,
    which make the same ones a little likelier for ESP. Raises ValueError for AH, which names what it is.
    """
    if flow.protocol != "ESP":
        raise ValueError("AH encrypts nothing, and shows the length of its ICV")
    samples = distinct(samples)
    readings = read_clear(samples)
    lengths = _lengths(flow, samples)
    factors, own = favoured(chosen)
    if readings:
        iv: IvLooks | None = "sequential" if readings[0].form.iv else "none"
        judged = _Judged(
            [reading.form for reading in readings],
            _shares([reading.bits * log(2) for reading in readings]),
            0.99 if readings[0].is_tunnel else 0.01,
        )
    else:
        iv = iv_looks(samples)
        judged = _by_looks(lengths, _hard(flow, samples, iv, factors))
    formats, probabilities, tunnel = judged
    order = sorted(range(len(formats)), key=lambda index: -probabilities[index])
    best = formats[order[0]]
    return SuiteGuess(
        candidates=tuple(
            _candidate(formats[index], probabilities[index], own) for index in order if probabilities[index] >= _LEAST
        ),
        block_octets=_likely([form.block for form in formats], probabilities),
        icv_octets=_likely([form.icv for form in formats], probabilities),
        iv=iv,
        mode="tunnel" if tunnel >= 0.5 else "transport",
        mode_probability=round(max(tunnel, 1 - tunnel), 3),
        packets=len(samples),
        readable_frames=readings[0].frames[:_FRAMES] if readings else (),
        reasons=tuple(reasons(flow, samples, lengths, iv, best, readings, own)),
    )


def looks_unencrypted(guess: SuiteGuess) -> bool:
    """Whether the contents were read in the clear, beyond doubt: `guess.readable_frames` are the evidence."""
    return bool(guess.readable_frames)


class _Judged(NamedTuple):
    """Formats, how likely each is, and how likely tunnel mode is."""

    formats: list[Format]
    probabilities: list[float]
    tunnel: float


def _hard(
    flow: Flow, samples: Sequence[Sample], iv: IvLooks | None, factors: Mapping[Format, float]
) -> dict[Format, float]:
    """How likely each format is before lengths are weighed: prior, residues of all lengths, octets."""
    repeats, residues = is_structured(samples), flow.length_residues
    logs = [
        log(form.prior * factors.get(form, 1.0))
        + _fit(residues, form)
        + _octets(form, iv, was_looked_at=bool(samples), repeats=repeats)
        for form in FORMATS
    ]
    return dict(zip(FORMATS, _shares(logs), strict=True))


def _by_looks(lengths: Mapping[int, float], before: Mapping[Format, float]) -> _Judged:
    """What lengths say to that: `before` is how likely each format was."""
    formats = [form for form, share in before.items() if share > _HOPELESS]
    insides = [[log(inside.prior) + log_likelihood(lengths, form, inside) for inside in INSIDES] for form in formats]
    scores = [log(before[form]) + _log_sum(logs) for form, logs in zip(formats, insides, strict=True)]
    probabilities = _doubted(_shares(scores), [before[form] > _POSSIBLE for form in formats])
    tunnel = sum(
        share * weight
        for share, logs in zip(probabilities, insides, strict=True)
        for inside, weight in zip(INSIDES, _shares(logs), strict=True)
        if inside.mode == "tunnel"
    )
    return _Judged(formats, probabilities, tunnel)


def _lengths(flow: Flow, samples: Sequence[Sample]) -> dict[int, float]:
    """Different lengths of its packets, with their weights: those of the samples, and what the flow keeps of all.

    A length that comes often says more, but not in proportion.
    """
    sizes = flow.sizes
    edges = [size for size in (sizes.minimum, sizes.maximum) if size is not None]
    counts = Counter(sample.length for sample in samples) or Counter(sizes.first)
    for length in edges:
        counts.setdefault(length, 1)
    return {length: _WEIGHT + _WEIGHT_OFTEN * log(count) for length, count in counts.most_common(_LENGTHS)}


def _fit(residues: Mapping[int, int], form: Format) -> float:
    """What packets say whose length the format cannot have, by the lengths of all, modulo 16."""
    misfits = sum(count for residue, count in residues.items() if (residue - 8 - form.iv - form.icv) % form.block)
    if not misfits:
        return 0.0
    return _MISFIT + _MISFIT_EACH * 100 * misfits / sum(residues.values())


def _octets(form: Format, iv: IvLooks | None, *, was_looked_at: bool, repeats: bool) -> float:
    """What the octets of some packets say."""
    if form.is_clear:
        return _UNREADABLE if was_looked_at and not repeats else 0.0
    score = _REPEATS if repeats else 0.0
    if iv not in _COUNTING:
        return score
    unique, unpredictable = _COUNTING[iv]
    if not form.iv:  # ciphertext stands there, which does not count
        return score + (0.0 if iv == "random" else _IMPOSSIBLE)
    return score + log(unique if form.counts else unpredictable)


def _log_sum(logs: Sequence[float]) -> float:
    most = max(logs)
    return most + log(sum(exp(value - most) for value in logs))


def _shares(logs: Sequence[float]) -> list[float]:
    total = _log_sum(logs)
    return [exp(value - total) for value in logs]


def _doubted(shares: Sequence[float], possible: Sequence[bool]) -> list[float]:
    """Shares with the doubt about the model spread over all that is possible, whatever lengths say."""
    even = _DOUBT / sum(possible)
    return [(1 - _DOUBT) * share + even * may for share, may in zip(shares, possible, strict=True)]


def _candidate(form: Format, probability: float, own: tuple[str, str] | None) -> Candidate:
    """The suites of a format; first the IKE SA's own one, if it is among them."""
    suites = sorted(form.suites, key=lambda suite: suite != own)
    names = ["/".join(filter(None, suite)) for suite in suites]
    return Candidate(*suites[0], round(probability, 4), tuple(names[1:]))


def _likely(values: Sequence[int], probabilities: Sequence[float]) -> int | None:
    """The value that is likelier than not."""
    sums: dict[int, float] = {}
    for value, probability in zip(values, probabilities, strict=True):
        sums[value] = sums.get(value, 0.0) + probability
    best = max(sums, key=lambda value: sums[value])
    return best if sums[best] > 0.5 else None
