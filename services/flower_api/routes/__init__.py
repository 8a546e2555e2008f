"""The routes of the API, one subject a file: each checks what it is asked, has it done, and answers."""
