"""Everything that measures: metrics, statistics, evaluation, table rendering."""
