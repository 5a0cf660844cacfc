"""Strategies for what a memory keeps."""

from __future__ import annotations

from hypothesis import strategies as st

keys = st.lists(st.text(max_size=4) | st.integers(-5, 300), max_size=3).map(tuple)
atoms = st.none() | st.binary(max_size=8) | st.integers() | st.text(max_size=8)
values = st.recursive(atoms, lambda inner: st.lists(inner, max_size=4).map(tuple), max_leaves=8)
