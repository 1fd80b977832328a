"""Who runs Postgres: the current user, or a powerless one when the current user is root."""

import os
import pwd
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict


class Identity(TypedDict, total=False):
    """Arguments of subprocess.run that change the user."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True, kw_only=True)
class ServerUser:
    """A user by number; None stands for the current one."""

    uid: int | None = None
    gid: int | None = None

    def own(self, path: Path) -> None:
        """Give the path to this user."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)

    def identity(self) -> Identity:
        if self.uid is None or self.gid is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def server_user() -> ServerUser:
    """`postgres` where it exists, else `nobody`, when root; else the current user."""
    if os.geteuid() != 0:
        return ServerUser()
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = known.get("postgres") or known["nobody"]
    return ServerUser(uid=entry.pw_uid, gid=entry.pw_gid)
