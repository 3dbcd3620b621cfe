"""Training: compile, data, the compiled loop and callbacks."""
