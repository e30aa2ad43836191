"""The list of runs: what it is filtered, sorted and grouped by, and what its cells say."""
