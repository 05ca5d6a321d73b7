"""Where an answer runs: what is asked and replied, how values travel, and both ends of the line."""
