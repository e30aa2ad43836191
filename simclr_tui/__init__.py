"""The dashboard and its commands; never imports torch."""
