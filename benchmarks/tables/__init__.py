"""Rows beside each other: on a terminal, in Markdown and LaTeX, as a picture.

``table`` holds rows and figures, ``grid`` lays them out, ``render`` and ``plot`` draw them, ``paired`` compares rows
clip by clip, ``agreement`` compares their order with a paper's.

May import: benchmarks.evaluate, benchmarks.metrics, codecs.
"""
