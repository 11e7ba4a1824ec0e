"""Tenant ids for property tests: of the grammar, and of the form that only a list by name admits."""

from hypothesis import strategies as st

legal_ids = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True)
legacy_ids = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", fullmatch=True).filter(lambda text: ".." not in text)
