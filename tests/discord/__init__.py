"""The real discord.py against a loopback Discord."""
