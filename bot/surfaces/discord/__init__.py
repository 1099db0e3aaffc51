"""The Discord surface: slash commands, direct messages, mentions, replies, buttons."""

import warnings

# discord.py imports audioop for voice, which the bot has none of; Python 3.12 announces that it is leaving.
warnings.filterwarnings("ignore", "'audioop' is deprecated", DeprecationWarning)
