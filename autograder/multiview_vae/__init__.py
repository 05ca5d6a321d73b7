"""The checks of the assignment `multiview_vae`: one pytest file for each exercise, values of its own, references."""
