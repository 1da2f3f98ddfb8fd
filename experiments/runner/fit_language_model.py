"""The language model of a row's codes, between its training and its measurement."""

import sys

from codeclab.codecs.codec import Codec
from codeclab.codecs.entropy.choice import language_model_folder
from codeclab.codecs.wording import counted
from codeclab.experiments.config.files import RecipeError
from codeclab.experiments.data.named import SYNTHETIC
from codeclab.experiments.language_model.build import LanguageModelCLI, sizes_of
from codeclab.experiments.language_model.recipe import LanguageModelRecipe
from codeclab.experiments.runner.job import Job
from codeclab.experiments.runner.spec import TableSpec
from codeclab.experiments.runs.folder import RunFolder
from codeclab.experiments.runs.refusals import refuse_no_batches


def read_language_model(recipe: str | None, spec: TableSpec, data: str | None) -> LanguageModelRecipe | None:
    """The recipe of the language model that is trained on each row's codes, read for all of them; None without one.

    Raises:
        RecipeError: the table does not show it, there is no such recipe, or it states no number of batches.
    """
    if recipe is None:
        return None
    if "entropy_coded" not in spec.columns:
        raise RecipeError(
            f"the table {spec.name} cannot show a language model ({recipe}): it has no column `entropy_coded`; "
            "encodec_table1 and encodec_table4 have it"
        )
    read = LanguageModelRecipe.read(recipe, [("data.folder", data or SYNTHETIC)])
    refuse_no_batches(read.steps, f"{recipe}: trainer.max_steps")
    return read


def refusal(codec: Codec) -> str | None:
    """Why a codec's codes can have no language model; None if they can. DiffQ's sizes part only in training."""
    try:
        sizes_of(codec)
    except RecipeError as error:
        return str(error)
    return None


def has_language_model(job: Job) -> bool:
    """Whether the language model of a trained job is finished; also True if it has none."""
    if job.language_model is None:
        return True
    finished = RunFolder(language_model_folder(job.folder.path)).is_finished(job.language_model.steps)
    return finished or refusal(Codec.from_pretrained(job.folder.codec)) is not None


def fit_language_model(job: Job) -> None:
    """Train the language model of a trained job's codec to its end, or continue it, as ``codeclab fit-lm`` does.

    Raises:
        RunFolderError: another one is in its folder.
        NonFiniteLossError: its loss is not finite.
        Stopped: a signal requested it; all that was trained is kept.
    """
    if job.language_model is None:
        return
    codec = Codec.from_pretrained(job.folder.codec)
    reason = refusal(codec)
    if reason is not None:
        print(f"{job.title}: no language model: {reason}", file=sys.stderr)
    elif not has_language_model(job):
        steps = counted(job.language_model.steps, "batch", "batches")
        print(f"{job.title}: its language model, {steps}", file=sys.stderr)
        LanguageModelCLI(codec, language_model_folder(job.folder.path), job.language_model).execute()
