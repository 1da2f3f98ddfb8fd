"""``codeclab mushra``: listening tests, from runs to a column of the tables."""
