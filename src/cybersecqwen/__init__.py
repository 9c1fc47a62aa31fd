"""CyberSecQwen: public vulnerability data to a compact, measured CTI language model."""

__version__ = "0.1.0"
