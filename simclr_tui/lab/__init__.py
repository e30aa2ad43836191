"""What the dashboard and the command line say about a benchmark: its figures, its table and its verdict. Pure."""
