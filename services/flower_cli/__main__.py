"""``python -m flower_cli`` is the ``flower`` command."""

from flower_cli.main import main

main()
