"""ONNX graphs, which several engines read: exported, taken over, changed."""
