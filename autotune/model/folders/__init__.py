"""Folders of transformers and sentence-transformers as models."""
