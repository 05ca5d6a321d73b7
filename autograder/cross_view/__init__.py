"""The checks of the assignment `cross_view`: one pytest file for each exercise, and references."""
