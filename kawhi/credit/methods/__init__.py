"""Credit methods by name.  One file per method; importing this package registers the ones that ship."""

from kawhi.credit.methods import ft_rl, kawhi, tor, uniform, vppo  # noqa: F401  (registers the methods)
from kawhi.credit.methods.base import METHODS, CreditMethod, ResponseBatch, build, register
from kawhi.credit.methods.product import Product, configured

__all__ = ["METHODS", "CreditMethod", "Product", "ResponseBatch", "build", "configured", "register"]
