"""Codes in fewer bits: a language model that predicts them, a coder that spends by its predictions, and files."""
