"""`python -m kubestrace_agent`."""

import sys

from kubestrace_agent.main import main

sys.exit(main())
