"""A kernel's side of the conversation, without a kernel."""

from types import SimpleNamespace
from unittest.mock import patch

from nbverdict.remote import kernel, protocol


def asking(namespace, values=""):
    """Return an `ask` for a `KernelAnswer`: what a kernel with these names would reply, as text each way."""
    session = kernel.Session()
    session.define(values)

    def ask(request, seconds):
        with patch.object(kernel, "get_ipython", lambda: SimpleNamespace(user_ns=namespace)):
            return protocol.reply_from(session.reply_to(protocol.to_json(request)))

    ask.session = session
    return ask
