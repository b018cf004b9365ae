"""`python -m distill` is the command `distill`."""

from distill.cli.start import main

main()
