"""What is known of a run's representation, section by section, as text for any width."""
