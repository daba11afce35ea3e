"""What the pages show, as pure functions from facts to frozen values; nothing here knows Dash."""
