"""Each format in its own runtime, for `make test-export`.

These tests need the packages of all formats, so that `make test` leaves them out.
"""
