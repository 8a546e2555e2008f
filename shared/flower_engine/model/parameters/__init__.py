"""Parameters of tasks and workflows: references to what is known later, and JSON Schemas."""
