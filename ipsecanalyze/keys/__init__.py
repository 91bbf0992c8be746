"""Keys as systems print them: one ring for all of them, a file for each format read or written.

`load_keys` reads files and folders of any format; `write.py` writes. Formats are recognised by their content; the
table is in `formats.py`. What keys are is in `crypto/material.py`, what is done with them in `crypto/`.
"""

from __future__ import annotations

from ipsecanalyze.keys.load import load_keys, load_secrets
from ipsecanalyze.keys.ring import KeyProblem, KeyRing

__all__ = ["KeyProblem", "KeyRing", "load_keys", "load_secrets"]
