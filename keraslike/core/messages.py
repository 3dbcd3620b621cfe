"""Messages during training, which go to standard output or to absl's log."""

from __future__ import annotations

import sys

from keraslike.core import session

_to_output = True


@session.at_clear_session
def enable_interactive_logging() -> None:
    """Prints progress and messages of callbacks to standard output, which is the default.

    >>> enable_interactive_logging()
    >>> is_interactive_logging_enabled()
    True
    """
    global _to_output
    _to_output = True


def disable_interactive_logging() -> None:
    """Sends progress and messages of callbacks to `absl.logging` at the level INFO instead.

    >>> disable_interactive_logging()
    >>> is_interactive_logging_enabled()
    False
    >>> enable_interactive_logging()
    """
    global _to_output
    _to_output = False


def is_interactive_logging_enabled() -> bool:
    """Whether progress and messages of callbacks go to standard output.

    >>> is_interactive_logging_enabled()
    True
    """
    return _to_output


def say(message: str, end: str = "\n") -> None:
    """Prints a message, or logs it.

    >>> say("Epoch 1/2")
    Epoch 1/2
    """
    if not _to_output:
        from absl import logging

        logging.info(message)
        return
    try:
        sys.stdout.write(f"{message}{end}")
    except UnicodeEncodeError:  # The output's encoding lacks the characters of the progress bar.
        encoding = sys.stdout.encoding or "ascii"
        plain = message.replace("━", "=").encode(encoding, "replace").decode(encoding)
        sys.stdout.write(f"{plain}{end}")
    sys.stdout.flush()


def ask_to_overwrite(path: str) -> bool:
    """Asks on standard input whether a file should be replaced, until the answer is yes or no."""
    answer = input(f"'{path}' exists. Replace it? [y/n] ")
    while answer.strip().lower() not in ("y", "yes", "n", "no"):
        answer = input("Please answer y or n: ")
    return answer.strip().lower() in ("y", "yes")
