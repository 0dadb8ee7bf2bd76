"""What scripts know of a deployment: the outputs of its Terraform, and how its tools are run."""

import json
import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class Problem(Exception):
    """What an operator is told."""


def run(command: list[str], *, given: str | None = None, shown: bool = False) -> str:
    """Runs a tool. What it is given goes to its standard input, where no list of processes shows it."""
    if shutil.which(command[0]) is None:
        raise Problem(f"there is no {command[0]}; install it, or put it on PATH")
    done = subprocess.run(
        command, input=given, text=True, stdout=None if shown else subprocess.PIPE, check=False, cwd=ROOT
    )
    if done.returncode != 0:
        raise Problem(f"{' '.join(command[:3])} failed (exit status {done.returncode}); what it says is above")
    return done.stdout or ""


def outputs(folder: Path) -> dict:
    """The outputs of the Terraform that was applied in a folder, by name."""
    told = json.loads(run(["terraform", f"-chdir={folder.resolve()}", "output", "-json"]))
    # Where another module calls ours, its outputs are there if it hands them on, one by one or as a whole.
    values = {name: one["value"] for name, one in told.items()}
    whole = [value for value in values.values() if isinstance(value, dict) and "edge_vars" in value]
    return values if "edge_vars" in values or not whole else whole[0]


def needed(values: dict, name: str, folder: Path):
    """An output that has to be there."""
    if values.get(name) is None:
        raise Problem(
            f"the Terraform in {folder} has no output {name}: was it applied? A module that calls Stoker's hands all "
            'of them on with output "stoker" { value = module.stoker }'
        )
    return values[name]


def wrangler() -> list[str]:
    """What STOKER_WRANGLER names, or the project's own wrangler, else whatever npx finds."""
    if named := os.environ.get("STOKER_WRANGLER"):
        return [named]
    own = ROOT / "node_modules/.bin/wrangler"
    return [str(own)] if own.exists() else ["npx", "wrangler"]
