"""What can be said of the algorithms of ESP without any key: from lengths, and from the first octets of some packets.

`infer_suite` judges one flow; `infer_flows` takes a second, bounded look at the captures and judges all. The result is
a best explanation with its likelihood, never a fact; docs/inference.md has the method and how often it is right.
"""

from ipsecanalyze.findings.inference.flows import infer_flows, unencrypted_flows
from ipsecanalyze.findings.inference.infer import infer_suite, looks_unencrypted
from ipsecanalyze.findings.inference.samples import Sample

__all__ = ["Sample", "infer_flows", "infer_suite", "looks_unencrypted", "unencrypted_flows"]
