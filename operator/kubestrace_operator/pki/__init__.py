"""Certificates of operator and agents."""
