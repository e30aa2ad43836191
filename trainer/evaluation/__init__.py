"""What a checkpoint is worth: one module for each way to look at it, all on a `Subject`."""
