"""A whole class: its course, who executes, what is recorded, and what is published."""
