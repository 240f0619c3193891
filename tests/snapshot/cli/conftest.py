from tests.helpers.cli import api, shoal

__all__ = ["api", "shoal"]
