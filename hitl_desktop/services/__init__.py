"""The async service layer: Redis gates, streams and decisions, Chroma knowledge, evidence content. One tenant each."""
