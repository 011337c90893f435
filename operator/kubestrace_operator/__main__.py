"""`python -m kubestrace_operator`."""

from kubestrace_operator.main import main

main()
