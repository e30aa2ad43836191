"""A run as it goes on in other people's loggers: TensorBoard, Weights & Biases, MLflow, Trackio.

Each is a process of its own, which reads what the store has committed and hands it on (docs/loggers.md).
"""
