"""The foundations every other room stands on: state, tracing, symbols, the registry."""
