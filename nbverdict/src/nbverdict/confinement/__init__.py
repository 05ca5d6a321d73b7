"""How students' processes are kept in: layers, the scratch copy, the watchdog, and how Jupyter starts them."""

CONFINED = "NBVERDICT_CONFINED"  # environment variable by which code sees that it runs in a confined kernel
