"""One way each to train the same networks: ours, and what others offer.

A module has ``prepare(work)``, which gives the function that is timed: it trains on data that is in
memory, and gives the accuracy of each fold that it trained without, after the last epoch. What it
imports is imported before.
"""
