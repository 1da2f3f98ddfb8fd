"""Processes that work for another one."""

import signal


def leave_signals_to_parent() -> None:
    """Take Ctrl-C in the terminal, and a scheduler that tells every process to end, as meant for the parent.

    The parent says what becomes of the work. A second SIGTERM is obeyed, as ``Process.terminate`` may send it.
    """
    for number in (signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: signal.signal(signal.SIGTERM, signal.SIG_DFL))
