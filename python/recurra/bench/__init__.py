"""Benchmarks: ``python -m recurra.bench`` compares this machine's speed with the NumPy reference in about a minute.

The cases, the sides and the way of timing are shared with the longer programs in the folder ``benchmarks``.
"""
