"""The engine on this machine: its services, run together or one by one, and what is shown with them."""
