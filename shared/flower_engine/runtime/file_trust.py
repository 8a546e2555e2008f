"""Who else than this user may write a file or folder, and so decide what Flower does."""

import grp
import os
import pwd
import stat

_WRITES_GROUP, _WRITES_OTHERS = stat.S_IWGRP, stat.S_IWOTH


def who_else_may_write(found: os.stat_result) -> str | None:
    """Who may, in words; None: nobody but this user and root.

    Root itself may use what others own: it is asked to, in containers and by sudo.
    A group counts only if it has somebody else: many systems give each user a group of his own, and a umask
    that lets it write.
    """
    user = os.geteuid()
    if user not in (0, found.st_uid) and found.st_uid != 0:
        return f"its owner, {_user_name(found.st_uid)}"
    if found.st_mode & _WRITES_OTHERS:
        return "everybody"
    if found.st_mode & _WRITES_GROUP and _has_others(found.st_gid, {0, user, found.st_uid}):
        return f"group {_group_name(found.st_gid)}"
    return None


def _has_others(group: int, known: set[int]) -> bool:
    try:
        members = set(grp.getgrgid(group).gr_mem)
    except KeyError:
        members = set[str]()
    others = [one for one in pwd.getpwall() if one.pw_uid not in known]
    names = {one.pw_name for one in others}
    known_names = {one.pw_name for one in pwd.getpwall() if one.pw_uid in known}
    return any(one.pw_gid == group for one in others) or bool(members & names) or bool(members - known_names)


def _user_name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"


def _group_name(group: int) -> str:
    try:
        return grp.getgrgid(group).gr_name
    except KeyError:
        return str(group)
