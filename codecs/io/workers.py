"""Processes that work for another one."""

import multiprocessing
import signal
import threading

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
"""Environment variables for the number of threads that libraries compute in, OpenMP's first."""


def leave_signals_to_parent() -> None:
    """Take Ctrl-C in the terminal, and a scheduler that tells every process to end, as meant for the parent.

    The parent says what becomes of the work. A second SIGTERM is obeyed, as ``Process.terminate`` may send it.
    """
    for number in (signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: signal.signal(signal.SIGTERM, signal.SIG_DFL))


def end_workers() -> None:
    """End the processes that still work for this one, where a fault left them: Python would wait for them at its end.

    They take one SIGTERM for their parent's, so nothing less than SIGKILL will do; what they hold is lost anyway.
    """
    left = [process for process in multiprocessing.active_children() if process.daemon]
    if not left:
        return
    # The handler of torch's loaders would raise for each of them.
    in_main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGCHLD, signal.SIG_DFL) if in_main else None
    for process in left:
        process.kill()
        process.join()
    if before is not None:
        signal.signal(signal.SIGCHLD, before)
