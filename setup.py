"""All that pyproject.toml cannot say.

The packages: those that are found below ipsecanalyze/, and `ipsecanalyze.lab`, whose folder is lab/ (the link at
ipsecanalyze/lab is for tools that know no package-dir, and may be missing). `IPSECANALYZE_PURE=1 python -m build` makes
the wheel without the C core.
"""

import os

from setuptools import Distribution, find_packages, setup


class PureDistribution(Distribution):
    """One without extension modules, whatever pyproject.toml declares."""

    def has_ext_modules(self) -> bool:
        """Nothing to compile."""
        self.ext_modules = None
        return False


pure = os.environ.get("IPSECANALYZE_PURE", "0") not in ("", "0")
setup(
    packages=[*find_packages(include=["ipsecanalyze*"], exclude=["ipsecanalyze.lab*"]), "ipsecanalyze.lab"],
    **({"distclass": PureDistribution, "options": {"bdist_wheel": {"py_limited_api": False}}} if pure else {}),
)
