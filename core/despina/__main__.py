"""``python -m despina`` is the command ``despina``."""

from despina.cli import main

main()
