"""Messages come back as they were, and what is none is refused."""

import msgspec
import pytest

from nbverdict.remote import protocol
from nbverdict.remote.wire import encode


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "[]",
            "{}",
            "null",
            '{"type": "Nothing"}',
            '{"type": "Returned"}',
            '{"type": "Constructed", "instance": {}}',
        ),
        *('{"type": "Called", "value": 1, "call": "x"}', '{"type": "Failed", "error": {"a": 1}}'),
        *('{"type": "Failed", "error": "\\ud800"}', "[" * 100_000, '{"type": "Returned", "value": NaN}'),
    ],
    ids=lambda text: text[:40],
)
def test_what_is_no_reply_is_refused(text):
    with pytest.raises((msgspec.MsgspecError, RecursionError)):
        protocol.reply_from(text)


def test_messages_come_back():
    request = protocol.Backward("f", 3, {0: encode(1.5)})
    assert protocol.request_from(protocol.to_json(request)) == request
    for reply in (protocol.Missing(), protocol.Called(encode([1]), 2), protocol.Failed("ValueError: λ")):
        assert protocol.reply_from(protocol.to_json(reply)) == reply
