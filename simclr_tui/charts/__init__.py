"""What charts show of runs: clocks, axes, marks, and a module for each kind of series. No widget, no store."""
