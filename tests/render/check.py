"""Are rendered files what their names say? Asks the parsers of those who will read them.

    check.py RENDERED [--forms FOLDER] [--node-modules FOLDER]

RENDERED holds the target repositories as they are after the change, one folder each: Terraform is only whole together
with the modules that it names. Needs the packages of requirements.txt beside this Python and those of package.json in
the folder that --node-modules names (as a rule `node_modules` here). Terraform itself is optional; where it is missing,
a line that begins with `NOT CHECKED:` says so.

Prints each file with the parser that judged it, and last `N files judged, M not checked`. The exit code is 1 when a
parser refused something, or when nothing was judged.
"""

import argparse
import ast
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
SKIPPED = {".git", ".terraform", "__pycache__", "node_modules"}
ENVIRONMENT = os.environ | {
    "NO_COLOR": "1",
    "RUST_BACKTRACE": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
    "TF_IN_AUTOMATION": "1",
    "CHECKPOINT_DISABLE": "1",  # else Terraform asks its makers for news
}
# A parser that takes longer hangs.
SECONDS = 120


def main():
    options = read_options()
    rendered = options.rendered.resolve()
    files = [path for path in sorted(rendered.rglob("*")) if path.is_file() and is_ours(path.relative_to(rendered))]
    report = Report(rendered)

    hcl = [path for path in files if path.suffix == ".tf"]
    modules = str(options.node_modules.resolve())
    report.judge("hcl2json", hcl, each([need("node"), str(HERE / "hcl.cjs")], NODE_PATH=modules))
    if hcl:
        terraform(rendered, hcl, report)

    workflows = [path for path in files if path.parent.parts[-2:] == (".github", "workflows")]
    shell = f"-shellcheck={need('shellcheck')}"
    report.judge("actionlint", workflows, each([need("actionlint"), "-no-color", shell, "-pyflakes="]))
    audit = [need("zizmor"), "--offline", "--no-config", "--no-progress", "--strict-collection", "--quiet"]
    actions = [path for path in files if path.name == "action.yml"]
    report.judge("zizmor", workflows + actions, each(audit))

    documents = [path for path in files if path.suffix in {".yaml", ".yml"} and path not in workflows + actions]
    manifests = [path for path in documents if is_manifest(path)]
    report.judge("kubernetes-validate", manifests, each([need("kubernetes-validate"), "--strict", "--quiet"]))
    others = [path for path in documents if path not in manifests]
    report.judge("PyYAML", others, reading(lambda text: list(yaml.safe_load_all(text))))
    report.judge("toml", [path for path in files if path.suffix == ".toml"], reading(tomllib.loads))
    report.judge("json", [path for path in files if path.suffix == ".json"], reading(json.loads))

    report.judge("hadolint", [path for path in files if path.name == "Dockerfile"], each([need("hadolint"), "--no-color"]))
    report.judge("shellcheck", [path for path in files if path.suffix == ".sh"], each([need("shellcheck")]))

    sources = [path for path in files if path.suffix == ".py"]
    report.judge("Python", sources, reading(ast.parse))
    tested = sorted({path.parent for path in sources if path.name.startswith("test_")})
    report.judge("its own tests", tested, run_tests)

    for path in files:
        if path not in report.judged:
            report.say("no parser", path)

    if options.forms:
        forms = sorted(path for path in options.forms.resolve().iterdir() if path.suffix in {".yaml", ".yml"})
        choosers = [path for path in forms if path.stem == "config"]
        check = [need("check-jsonschema"), "--builtin-schema"]
        forms = [path for path in forms if path not in choosers]
        report.judge("github-issue-forms", forms, each([*check, "vendor.github-issue-forms"]))
        report.judge("github-issue-config", choosers, each([*check, "vendor.github-issue-config"]))

    return report.end()


class Report:
    """What was judged, by whom, and how it went."""

    def __init__(self, root):
        self.root = root
        self.judged = set()
        self.refused = 0
        self.not_checked = 0

    def judge(self, parser, paths, judge):
        """Hands `paths` to `judge`, which gives what is wrong with each that is not right."""
        problems = judge(paths) if paths else {}
        for path in paths:
            self.say(f"{'REFUSED by' if path in problems else 'ok'} {parser}", path)
            if path in problems:
                self.refused += 1
                print("    " + problems[path].strip().replace("\n", "\n    "))
            if path.is_file():
                self.judged.add(path)

    def skip(self, why):
        """Says aloud what this machine cannot check."""
        self.not_checked += 1
        print(f"NOT CHECKED: {why}")

    def say(self, verdict, path):
        shown = path.relative_to(self.root) if path.is_relative_to(self.root) else Path(path.parent.name, path.name)
        print(f"{verdict:28} {shown}{'/' if path.is_dir() else ''}")

    def end(self):
        print(f"{len(self.judged)} files judged, {self.not_checked} not checked")
        return 1 if self.refused or not self.judged else 0


def terraform(rendered, files, report):
    """Asks Terraform whether it would write the files so, and whether each folder makes sense to it."""
    program = shutil.which("terraform")
    if not program:
        report.skip("terraform is not installed")
        return
    report.judge("terraform fmt", files, each([program, "fmt", "-check", "-diff", "-no-color"]))

    def validate(folders):
        problems, far = {}, []
        # In a copy, because `init` leaves things behind.
        with tempfile.TemporaryDirectory() as scratch:
            copy = shutil.copytree(rendered, Path(scratch, "rendered"), ignore=shutil.ignore_patterns(*SKIPPED))
            for folder in folders:
                place = f"-chdir={copy / folder.relative_to(rendered)}"
                for command in (["init", "-backend=false", "-input=false"], ["validate"]):
                    problem = refusal([program, place, *command, "-no-color"])
                    if problem and "could not connect to registry" in problem:
                        far.append(str(folder.relative_to(rendered)))
                        break
                    if problem:
                        problems[folder] = problem
                        break
        if far:
            report.skip(f"terraform validate where providers are out of reach: {', '.join(far)}")
        return problems

    report.judge("terraform validate", sorted({path.parent for path in files}), validate)


def each(command, **environment):
    """A judge that adds the paths to `command`: all at once, and one by one only to find out which is wrong."""

    def judge(paths):
        if not refusal(command + [str(path) for path in paths], **environment):
            return {}
        alone = {path: refusal([*command, str(path)], **environment) for path in paths}
        problems = {path: problem for path, problem in alone.items() if problem}
        return problems or {path: "is refused only together with the others" for path in paths}

    return judge


def reading(parse):
    """A judge that reads each file with `parse`."""

    def judge(paths):
        problems = {}
        for path in paths:
            try:
                parse(path.read_text(encoding="utf-8"))
            except (ValueError, SyntaxError, yaml.YAMLError) as problem:
                problems[path] = str(problem)
        return problems

    return judge


def run_tests(folders):
    """A judge of folders: do the tests in them pass?"""
    runs = {folder: refusal([sys.executable, "-m", "unittest", "discover", "-s", str(folder)]) for folder in folders}
    return {folder: problem for folder, problem in runs.items() if problem}


def is_ours(path):
    """Whether a file was rendered, rather than left behind by a tool."""
    return not SKIPPED & set(path.parts)


def is_manifest(path):
    """Whether a YAML file speaks to Kubernetes. One that cannot be read does not; PyYAML says why."""
    try:
        documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    except (ValueError, yaml.YAMLError):
        return False
    return any(isinstance(document, dict) and {"apiVersion", "kind"} & document.keys() for document in documents)


def refusal(command, **environment):
    """What `command` says against it; nothing when it ends well."""
    ran = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, env=ENVIRONMENT | environment, check=False)
    return (ran.stdout + ran.stderr).strip() or f"exit code {ran.returncode}" if ran.returncode else None


def need(program):
    """The place of `program`: beside this Python, or on the path."""
    found = shutil.which(program, path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if not found:
        sys.exit(f"`{program}` is not installed: install requirements.txt for this Python, and node for `hcl.cjs`")
    return found


def read_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rendered", type=Path, help="folder of the target repositories after the change")
    parser.add_argument("--forms", type=Path, help="folder of GitHub issue forms")
    parser.add_argument("--node-modules", type=Path, default=HERE / "node_modules", help="where package.json is installed")
    options = parser.parse_args()
    for folder in (options.rendered, options.forms):
        if folder and not folder.is_dir():
            parser.error(f"`{folder}` is not a folder: name one that holds files to judge")
    return options


if __name__ == "__main__":
    sys.exit(main())
