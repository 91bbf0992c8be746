"""`python -m ipsecanalyze`: the command."""

import sys

from ipsecanalyze.cli import main

if __name__ == "__main__":
    sys.exit(main())
