"""Where replies are shown: console, JSON lines, Discord. They receive, call and render; they decide nothing."""
