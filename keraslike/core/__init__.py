"""The package that all others are built on: state, tracing, symbolic tensors, the registry."""
