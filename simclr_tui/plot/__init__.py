"""Drawing curves as text: reduction, axes, cursor, figures; knows nothing of runs."""
