"""``python -m distrodb``: the same as the command ``distrodb``."""

import sys

from distrodb.cli import main

sys.exit(main())
