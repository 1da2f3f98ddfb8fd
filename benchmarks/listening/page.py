"""The listening test as a page that works from disk, with its sound in files beside it."""

import json
from html import escape
from typing import Any

from codeclab import __version__
from codeclab.benchmarks.listening.design import ListeningTest, Page
from codeclab.benchmarks.listening.ratings import LONGEST_NAME
from codeclab.benchmarks.report.template import fill, resource

SCRIPTS = ("order.js", "store.js", "sounds.js", "deck.js", "trial.js", "steps.js")


def render(test: ListeningTest) -> str:
    """The page of a test; it does not reveal which stimulus is which."""
    clips = {page.clip: number for number, page in enumerate(test.pages)}
    kinds = {page.domain: number for number, page in enumerate(test.pages)}
    content = {
        "id": test.id,
        "clips": test.clips_per_listener,
        "listen": test.listen,
        "lowest": test.lowest,
        "practice": _public(test.practice),
        "pages": [_public(page) | {"clip": clips[page.clip], "kind": kinds[page.domain]} for page in test.pages],
    }
    here = "codeclab.benchmarks.listening"
    shared = "codeclab.benchmarks.report"
    parts = {
        "title": escape(test.title),
        "style": resource(shared, "page.css") + resource(here, "page.css"),
        "script": "\n".join([resource(shared, "switch.js"), *(resource(here, name) for name in SCRIPTS)]),
        "test": json.dumps(content).replace("</", "<\\/"),
        "version": escape(__version__),
        "longest": str(LONGEST_NAME),
        "lowest": str(test.lowest),
    }
    return fill(resource(here, "page.html"), parts)


def _public(page: Page) -> dict[str, Any]:
    return {"id": page.id, "seconds": page.seconds, "reference": page.reference, "stimuli": sorted(page.stimuli)}
