"""All that pyproject.toml cannot say: `IPSECANALYZE_PURE=1 python -m build` makes the wheel without the C core."""

import os

from setuptools import Distribution, setup


class PureDistribution(Distribution):
    """One without extension modules, whatever pyproject.toml declares."""

    def has_ext_modules(self) -> bool:
        """Nothing to compile."""
        self.ext_modules = None
        return False


pure = os.environ.get("IPSECANALYZE_PURE", "0") not in ("", "0")
setup(**({"distclass": PureDistribution, "options": {"bdist_wheel": {"py_limited_api": False}}} if pure else {}))
