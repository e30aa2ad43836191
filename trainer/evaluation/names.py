"""What layers, protocols and augmentations are called in the store and in words; imports no torch."""

LAYERS = {
    "pixels": "raw pixels",
    "untrained": "untrained encoder",
    "logits": "logits, the classifier",
    "z": "z, after the head",
    "g2": "g2, in the head",
    "g1": "g1, in the head",
    "h": "h, the encoder",
}
"""Layers in the order of a table: what knows nothing first, then from the loss back to the encoder."""

PROTOCOLS = {
    "knn": "kNN",
    "linear": "linear",
    "linear-adamw": "linear, AdamW",
    "linear-folds": "linear, STL10's folds",
    "finetune": "fine-tuned",
    "classifier": "supervised",
}
"""How accuracy was taken. `linear-adamw` is the UvA tutorial's probe, `linear-folds` has the fold as its seed,
`classifier` is a supervised run's own output."""

AUGMENTATIONS = {
    "crop": "crop",
    "flip": "flip",
    "brightness": "brightness",
    "contrast": "contrast",
    "saturation": "saturation",
    "hue": "hue",
    "grayscale": "grayscale",
    "blur": "blur",
    "rotation": "rotation",
}
"""What invariance is measured against; rotation is no part of SimCLR's augmentation and serves as a comparison."""

TELLS = "tells-"
"""Prefix of a protocol whose `value` says how well a layer's features predict an augmentation's parameters: 1
wholly, 0 no better than chance."""

CLEAR_DIFFERENCE = 0.05
"""Two layers that differ by less in what they tell count as equal. At 2,000 images the standard error of a figure is
up to 0.035: the accuracy over 400 held-out images with two views each, which is stretched twofold where a guess is
right half the time."""

VARIES = "varies-"
"""Prefix of a protocol whose `value` is the part of the variance of a layer's features that lies within an image's
own views under one augmentation: 0 is invariant."""

DEFAULT_LABEL_COUNTS = (10, 20, 50, 100, 200, 500)
"""Labels per class of the UvA tutorial's curve."""

SAME_DATA = ("dataset", "image_size", "limit_per_class", "limit_test_per_class")
"""Settings that must agree for two runs to have been scored on the same images."""

NEIGHBOURS = "neighbours"
"""Protocol whose `value` is the share of an image's nearest neighbours that are of its class."""
