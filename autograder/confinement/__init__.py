"""How students' processes are kept in: layers, the scratch copy, the watchdog, and Jupyter's way to start them so."""
