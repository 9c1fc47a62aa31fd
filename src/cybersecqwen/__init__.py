"""CyberSecQwen: public vulnerability data to a compact, measured CTI language model."""

from importlib.metadata import version

__version__ = version("cybersecqwen")
