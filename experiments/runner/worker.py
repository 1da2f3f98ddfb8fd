"""Jobs in a process of its own, one after another: ``python -m codeclab.experiments.runner.worker``.

Each line of standard input is a request, ``{"job": ..., "wait": ...}``; each is answered by a line with its outcome.
"""

import json
import os

from codeclab.experiments.runner.job import Job, die_with_parent
from codeclab.experiments.runs.process import keep_freed_memory, quiet, silence_corpora
from codeclab.experiments.runs.stopping import listening


def main() -> None:
    """Make the requested jobs until there are no more; nothing else is written to the pipes to the parent."""
    die_with_parent()
    requests, report = os.fdopen(os.dup(0)), os.dup(1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    quiet()
    silence_corpora()
    keep_freed_memory()
    from codeclab.experiments.runner.perform import perform

    with listening():
        for line in requests:
            message = json.loads(line)
            outcome = perform(Job.load(message["job"]), wait=message["wait"])
            os.write(report, f"{outcome.dump()}\n".encode())


if __name__ == "__main__":
    main()
