"""What services tell Prometheus. Nothing here is imported before a service has somebody to tell it to."""
