"""What all tests share."""

from __future__ import annotations

import signal

from hypothesis import settings

# Tests started in the background inherit an ignored SIGINT and would hand it on to the programs
# they interrupt; from a terminal it is not ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)

# No test depends on how fast the machine is.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")
