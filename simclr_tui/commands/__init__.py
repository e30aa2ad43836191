"""What the dashboard does, as commands: one function a verb, each given its options and the runs folder."""
