"""The seed of all that tests do at random, beside what hypothesis does; a failure names it."""

import os

SEED = int(os.environ.get("HITL_TEST_SEED") or int.from_bytes(os.urandom(4)))
"""Read before the environment is cleaned, which takes the variable out: `conftest.py` imports this first."""
BRINGS_BACK = f"HITL_TEST_SEED={SEED}"
"""What to set to have the same again."""
