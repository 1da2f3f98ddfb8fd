"""Measuring runs, codecs and baselines: which audio and bitrates, and what is stored of it in a run's folder.

``measure`` measures one subject, ``compare`` several on the same clips; ``evaluate`` is the measurement of both.
``keep_evaluation`` adds a new one to a stored one of the same basis; ``stamp`` says whether a table's row is measured.

May import: experiments.runs and all below it.
"""
