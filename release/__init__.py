"""What makes a release: ``python -m release VERSION``. Nothing here is part of what is installed."""
