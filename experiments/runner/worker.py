"""One job in a process of its own: ``python -m codeclab.experiments.runner.worker JOB [wait]``."""

import os
import sys

from codeclab.experiments.runner.job import Job, die_with_parent
from codeclab.experiments.runs.process import keep_freed_memory, planned, quiet


def main(argv: list[str]) -> None:
    """Make the job given as JSON, and write its outcome as JSON to standard output, which nothing else reaches."""
    die_with_parent()
    report = os.dup(1)
    os.dup2(2, 1)
    quiet()
    planned()
    keep_freed_memory()
    from codeclab.experiments.config.flags import read_request
    from codeclab.experiments.runner.perform import perform

    job = Job.load(argv[0])
    if job.flags:
        read_request(list(job.flags))  # imports the user's own parts, which the codec of a trained row needs, too
    outcome = perform(job, wait="wait" in argv[1:])
    os.write(report, outcome.dump().encode())


if __name__ == "__main__":
    main(sys.argv[1:])
