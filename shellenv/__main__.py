"""`python -m shellenv`."""

import sys

from shellenv.cli import main

sys.exit(main())
