"""``codeclab dashboard ENTITY/PROJECT``: a W&B workspace arranged for codecs."""

from codeclab.experiments.cli.failure import failed
from codeclab.experiments.cli.options.dashboard import make_parser
from codeclab.experiments.tracking.wandb_workspace import make_workspace, obstacle


def run(command: str, argv: list[str]) -> int:
    """``codeclab dashboard``; returns the exit status."""
    options = make_parser().parse_args(argv)
    entity, slash, project = options.project.partition("/")
    if not (entity and slash and project) or "/" in project:
        return failed("dashboard", f"{options.project!r} should be ENTITY/PROJECT, as in my-team/codeclab")
    if why := obstacle():
        return failed("dashboard", why, 1)
    try:
        saved = make_workspace(entity, project, options.name, options.group).save()
    except Exception as error:  # the client raises what its transport does
        return failed("dashboard", f"W&B refused it: {type(error).__name__}: {error}", 1)
    print(saved.url)
    return 0
