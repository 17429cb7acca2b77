"""Memory bank (QDMN Algorithm 1) and its scores (Eqs. 3 and 4)."""

from memvos.memory.bank import Decision, MemoryBank

__all__ = ["Decision", "MemoryBank"]
