"""The runner of tables: what is to be made, where, and how it goes on after an interruption."""
