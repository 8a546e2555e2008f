"""What people set: workflow definitions, flow control and strikes."""
