"""Makes a site of the pages of this repository, and of a reference read from the code (``make site``)."""
