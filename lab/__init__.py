"""The lab: scenarios of hosts and IPsec gateways in Docker, which end in captures, their keys, and a proof.

    >>> from ipsecanalyze.lab import run_scenario
    >>> run = run_scenario("ikev2-psk")
    >>> run.proved
    True

The library never imports this package; `ipsecanalyze lab …` does. What is not in `__all__` is not public.
"""

from __future__ import annotations

from .errors import LabError
from .lab import Lab
from .run import Run, run_scenario
from .scenario import Scenario, Step, load_scenario, scenario_names
from .topology import Topology, load_topology, topology_names

__all__ = [
    "Lab",
    "LabError",
    "Run",
    "Scenario",
    "Step",
    "Topology",
    "load_scenario",
    "load_topology",
    "run_scenario",
    "scenario_names",
    "topology_names",
]
