"""The archive (``kr_event``): the events as they were written, and what a flow's history says."""
