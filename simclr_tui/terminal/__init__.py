"""The terminal itself: what is sent to it, how much, and what it says of itself."""
