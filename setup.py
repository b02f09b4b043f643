"""Which folders a wheel holds; everything else is in pyproject.toml, which has no word for the first of them.

``conf`` is installed as ``kawhi/conf``: beside other people's packages its name would be anybody's.  ``analysis`` keeps
its own: its modules import each other by it, and ``python -m analysis.make_tables`` is typed with a checkout, too.
"""

from setuptools import find_namespace_packages, setup

setup(
    packages=["kawhi.conf", *find_namespace_packages(include=["kawhi*", "analysis*", "hydra_plugins*"])],
    package_dir={"kawhi.conf": "conf"},
)
