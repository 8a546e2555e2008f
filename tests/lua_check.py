"""luacheck over every transition as Redis gets it; where luacheck is not installed, that is said."""

import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from flower_engine.transitions.lua_source import compose

ROOT = Path(__file__).parents[1]
LUA = ROOT / "shared" / "flower_engine" / "transitions" / "lua"


def main() -> int:
    luacheck = shutil.which("luacheck")
    if luacheck is None:
        sys.stderr.write("luacheck is not installed (Debian: lua-check); the Lua files were not linted\n")
        return 0
    with TemporaryDirectory(prefix="flower-lua-") as folder:
        for file in LUA.glob("*/*.lua"):
            if file.parent.name != "lib":
                name = f"{file.parent.name}/{file.stem}"
                (Path(folder) / name.replace("/", ".")).with_suffix(".lua").write_text(compose(name))
        command = [luacheck, "--quiet", "--config", str(ROOT / ".luacheckrc"), folder]
        found = subprocess.run(command, check=False, capture_output=True, text=True)
    if found.returncode:
        sys.stderr.write(found.stdout + found.stderr)
    return found.returncode


if __name__ == "__main__":
    sys.exit(main())
