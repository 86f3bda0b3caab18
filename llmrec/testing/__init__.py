"""Conformance kits: pytest classes that a third party subclasses to prove a plugin; see `recommenders`.

They need pytest, which llmrec itself does not depend on: `pip install pytest`.
"""
