"""Compile, data, the compiled loop and callbacks."""
