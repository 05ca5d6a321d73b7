"""Files that are written whole or not at all."""

import errno
import os
import secrets
from pathlib import Path

NO_ROOM = (errno.ENOSPC, errno.EROFS, errno.EDQUOT)  # errors of a disk rather than of a file


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a file so that, whenever the process or the machine stops, the old or the new content is there, whole.

    Text is written as UTF-8. The folder is made if it is missing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{secrets.token_hex(8)}")  # not from `tempfile`: others may read the file
    try:
        with beside.open("xb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
