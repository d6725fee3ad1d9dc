"""A seeded simulation of whole fleets: people, faults and daemons in virtual time, watched from outside of the product.

Nothing here may ask `reconciler.core` whether something is right: what a daemon may do is told from what
clusters were written, what Git holds, and what the generator knows of each release.
"""
