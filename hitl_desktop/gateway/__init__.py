"""The gateway before a Chroma server, which has no authentication and serves any collection's UUID to anyone.

It needs the extra `gateway`; what imports uvicorn or httpx stands in `server.py` and `upstream.py` alone.
"""
