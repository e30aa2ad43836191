"""Names, tags, notes, pins, the archive and the trash, as a person changes them."""
