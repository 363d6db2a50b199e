"""``python -m segaug``."""

import sys

from segaug.cli import main

if __name__ == "__main__":
    sys.exit(main())
