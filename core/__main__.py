"""`python -m core` is the `heliograph` command, for where the script is not on the path."""

from core.cli import main

main()
