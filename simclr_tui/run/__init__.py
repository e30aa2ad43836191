"""What is known of one run beside its curves, in words and rows."""
