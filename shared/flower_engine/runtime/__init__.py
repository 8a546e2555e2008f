"""What every service needs to run: settings, life cycle, logging, and the installation it belongs to."""
