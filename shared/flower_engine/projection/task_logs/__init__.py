"""Task logs in Postgres (``kr_task_log``): chunks as they are written and read, and how they go."""
