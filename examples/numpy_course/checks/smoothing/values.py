"""A recording, as these checks give it to an answer: the kernel of a student is given this source."""


class Recording:
    """Samples of a signal, an array (N,), taken `rate` times a second."""

    def __init__(self, samples, rate):
        self.samples = samples
        self.rate = rate

    def made_from(self):
        """Return what its class is called with to make it again, in another process."""
        return self.samples, self.rate
