"""From a message to a reply. Pure: no Discord, no clock, no global, no files but the models' own."""
