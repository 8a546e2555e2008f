"""Task logs: what programs print and log, caught in the worker and in its child processes, and sent to Redis.

``attempt_log`` is what an attempt has; ``kept_lines`` decides what is kept of its lines; ``waiting_lines``
holds what is to be sent, and ``sender`` sends it. ``program_streams``, ``log_records``, ``carried_threads``
and, for child processes, ``child_output`` (here) and ``in_child`` (there) are where lines come from.
"""
