"""Runs suites that others wrote against a real Sampan, and compares with what is expected of them."""
