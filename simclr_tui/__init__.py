"""The dashboard and its commands; never imports torch."""

import trainer  # noqa: F401 - says so where the platform is not one that this runs on
