"""``python -m kawhi`` is the ``kawhi`` command."""

import sys

from kawhi.commands.cli import main

if __name__ == "__main__":
    sys.exit(main())
