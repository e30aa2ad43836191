"""The laboratory without torch: which trials there are, what their figures say, and the verdict in words."""
