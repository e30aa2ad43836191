"""What the dashboard does for a person: settings, keys, notices, what it remembers."""
