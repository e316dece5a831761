"""What a project needs, by its files; which image it starts from; which engine is this machine's."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest
from places import context, file

from shellenv import baseimage, config, dockerfile, engine
from shellenv.baseimage import Base, Build
from shellenv.dependencies import commands, find, refuse_outside
from shellenv.errors import ShellenvError

# --- dependencies ---------------------------------------------------------------------------------


def paths(root: Path) -> list[str]:
    return [path for path, _ in find(str(root)).contents]


def install(root: Path) -> list[str]:
    """The commands, without what makes the directory importable and fetches a tool."""
    return [
        line
        for line in commands(find(str(root)), uv=False, tools="/t")
        if line.startswith(("python -m pip", "uv ", "UV_", "poetry ", "PIPENV"))
    ]


PIP = "python -m pip install --disable-pip-version-check"


def test_a_project_without_any_file_needs_nothing(tmp_path: Path) -> None:
    file(tmp_path / "main.py")
    assert find(str(tmp_path)).empty
    assert install(tmp_path) == []


def test_requirements_include_what_they_include(tmp_path: Path) -> None:
    file(tmp_path / "requirements.txt", "-r sub/a.txt\n--constraint=c.txt\nsix\n-r absent.txt\n")
    file(tmp_path / "sub" / "a.txt", "-rb.txt\n# -r no.txt\n-r ../requirements.txt\n")
    file(tmp_path / "sub" / "b.txt")
    file(tmp_path / "c.txt")
    file(tmp_path / "no.txt")
    assert paths(tmp_path) == ["c.txt", "requirements.txt", "sub/a.txt", "sub/b.txt"]
    assert install(tmp_path) == [f"{PIP} -r requirements.txt"]


def test_what_the_user_adds_is_installed_with_the_rest(tmp_path: Path) -> None:
    file(tmp_path / "setup.py")
    file(tmp_path / "dev.txt", "-r more.txt\n")
    file(tmp_path / "more.txt")
    found = find(str(tmp_path), "-r dev.txt -e '.[test]'\n pytest")
    assert [path for path, _ in found.contents] == ["dev.txt", "more.txt", "setup.py"]
    assert commands(found, uv=False, tools="")[-1] == f"{PIP} -e . -r dev.txt -e '.[test]' pytest"
    assert found.task() == "installing more.txt, setup.py, -r dev.txt -e .[test] pytest"
    assert not find(str(tmp_path / "empty"), "pytest").empty


def test_a_quote_that_is_open_is_said(tmp_path: Path) -> None:
    with pytest.raises(ShellenvError, match="install = 'a: No closing quotation"):
        find(str(tmp_path), "'a")


def test_a_project_that_can_be_installed_is_so_in_an_editable_way(tmp_path: Path) -> None:
    file(tmp_path / "setup.py")
    file(tmp_path / "setup.cfg")
    file(tmp_path / "requirements.txt")
    assert paths(tmp_path) == ["requirements.txt", "setup.cfg", "setup.py"]
    assert install(tmp_path) == [f"{PIP} -r requirements.txt -e ."]
    assert commands(find(str(tmp_path)), uv=True, tools="") == [
        "uv pip install -r requirements.txt -e ."
    ]


def test_requirements_with_hashes_are_installed_before_what_has_none(tmp_path: Path) -> None:
    file(tmp_path / "setup.py")
    file(tmp_path / "dev.txt", "pytest==9.0.0\n")
    file(tmp_path / "requirements.txt", "six==1.17.0 \\\n    --hash=sha256:00\n")
    assert install(tmp_path) == [f"{PIP} -r requirements.txt", f"{PIP} -e ."]
    added = commands(find(str(tmp_path), "-r dev.txt -e .[test]"), uv=False, tools="")
    assert added == [f"{PIP} -r requirements.txt -r dev.txt", f"{PIP} -e . -e '.[test]'"]


def test_directories_that_are_installed_count_with_what_they_ask_for(tmp_path: Path) -> None:
    text = "-e ./libs/a[x]\nvendor/b ; python_version > '3'\n./vendor/c.whl\nd/e @ https://f/g\n"
    file(tmp_path / "requirements.txt", text)
    for name in ("libs/a/setup.py", "vendor/b/pyproject.toml", "vendor/b/b.py", "vendor/c.whl"):
        file(tmp_path / name)
    file(tmp_path / "libs" / "d" / "setup.cfg")
    found = ["libs/a/setup.py", "requirements.txt", "vendor/b/pyproject.toml", "vendor/c.whl"]
    assert paths(tmp_path) == found
    added = find(str(tmp_path), "-e libs/d").contents
    assert "libs/d/setup.cfg" in dict(added)


def test_a_group_of_dependencies_counts_as_it_is_written(tmp_path: Path) -> None:
    file(tmp_path / "pyproject.toml", "[dependency-groups]\ntest = ['pytest']\n")
    assert paths(tmp_path) == []
    assert [path for path, _ in find(str(tmp_path), "--group test").contents] == ["pyproject.toml"]


def test_a_workspace_whose_root_is_no_package_is_installed_whole(tmp_path: Path) -> None:
    file(tmp_path / "uv.lock")
    file(tmp_path / "pyproject.toml", "[tool.uv.workspace]\nmembers = ['packages/*']\n")
    assert install(tmp_path)[0].endswith(" --all-packages")
    file(tmp_path / "pyproject.toml", "[project]\nname = 'a'\n[tool.uv.workspace]\n")
    assert not install(tmp_path)[0].endswith(" --all-packages")


@pytest.mark.parametrize(
    ("name", "text", "what", "top"),
    [
        ("requirements.txt", "six\n-e ../../libs/b\n", "../../libs/b", "."),
        ("requirements.txt", "../b[x]\n", "../b", "apps"),
        (
            "pyproject.toml",
            "[build-system]\n[tool.poetry.dependencies]\nb = {path = '../b'}\n",
            "../b",
            "apps",
        ),
        (
            "pyproject.toml",
            "[project]\n[tool.uv.sources]\nb = { workspace = true }\n",
            "workspace = true",
            ".",
        ),
    ],
)
def test_a_project_that_needs_what_is_beside_it_is_refused_where_that_is_not(
    tmp_path: Path, name: str, text: str, what: str, top: str
) -> None:
    root = tmp_path / "apps" / "a"
    file(root / name, text)
    file(tmp_path / "uv.lock")
    with pytest.raises(ShellenvError) as caught:
        refuse_outside(str(root), find(str(root)), "a container")
    assert caught.value.message.startswith(f"{name} has {what}, but a container has nothing")
    assert caught.value.hint.startswith(f"make {tmp_path / top} the project: by setup-venv there")


def test_a_project_that_has_all_it_needs_is_not_refused(tmp_path: Path) -> None:
    file(tmp_path / "requirements.txt", "-e ./b\n-r sub/c.txt\n--find-links ../wheels\n")
    file(tmp_path / "sub" / "c.txt", "-r ../d.txt\n")
    file(tmp_path / "pyproject.toml", "[tool.uv.sources]\nb = { workspace = true }\n")
    file(tmp_path / "uv.lock")
    refuse_outside(str(tmp_path), find(str(tmp_path)), "a container")


@pytest.mark.parametrize(
    ("pyproject", "installed"),
    [
        ("[project]\nname = 'x'\n", [f"{PIP} -e ."]),
        (" [ build-system ]\n", [f"{PIP} -e ."]),
        ("[tool.ruff]\nline-length = 100\n# [project]\n", []),
    ],
)
def test_a_pyproject_that_holds_settings_of_tools_is_no_package(
    tmp_path: Path, pyproject: str, installed: list[str]
) -> None:
    file(tmp_path / "pyproject.toml", pyproject)
    assert install(tmp_path) == installed


@pytest.mark.parametrize(
    ("lock", "command"),
    [
        (
            "uv.lock",
            'UV_PROJECT_ENVIRONMENT="$VIRTUAL_ENV" uv sync --frozen --inexact --python "$VIRTUAL_ENV"',
        ),
        ("poetry.lock", "poetry install --no-interaction"),
        ("Pipfile.lock", "PIPENV_VERBOSITY=-1 pipenv sync --dev"),
    ],
)
def test_a_lock_file_is_for_the_tool_that_owns_it(tmp_path: Path, lock: str, command: str) -> None:
    file(tmp_path / lock)
    assert install(tmp_path) == [command]
    assert lock in paths(tmp_path)


def test_the_lock_of_a_whole_project_stands_for_everything_else(tmp_path: Path) -> None:
    for name in ("uv.lock", "poetry.lock", "requirements.txt", "pyproject.toml", "setup.py"):
        file(tmp_path / name, "[project]\n")
    assert [line.split()[1] for line in install(tmp_path)] == ["uv"]
    (tmp_path / "uv.lock").unlink()
    (tmp_path / "poetry.lock").rename(tmp_path / "Pipfile.lock")
    assert [line.split()[1] for line in install(tmp_path)] == ["pipenv", "-m"]


# --- base images ----------------------------------------------------------------------------------


def choose(root: Path, text: str = "", option: str = "", **env: str) -> Base:
    settings = config.merge([config.read_layer("f", "/p", text.encode())])
    return baseimage.choose(settings, str(root), "My Api", "me", option, env)


def test_where_nothing_names_an_image_it_is_the_default(tmp_path: Path) -> None:
    assert choose(tmp_path) == Base("python:3-slim", "default_image = python:3-slim (default)")
    text = "[shellenv.run]\ndefault_image = debian\n"
    assert choose(tmp_path, text) == Base("debian", "default_image = debian (f:2)")


def test_an_option_comes_before_the_setting_and_that_before_files(tmp_path: Path) -> None:
    file(tmp_path / ".devcontainer.json", '{"image": "c"}')
    assert choose(tmp_path) == Base("c", ".devcontainer.json names it")
    file(tmp_path / ".devcontainer" / "devcontainer.json", '{"image": "d"}')
    assert choose(tmp_path).reference == "d"
    file(tmp_path / "docker" / "e" / "Dockerfile")
    assert choose(tmp_path).reference == "my-api-e:me"
    text = "[shellenv.run]\nimage = f\n"
    assert choose(tmp_path, text) == Base("f", "[shellenv.run] image = f (f:2)")
    assert choose(tmp_path, text, "g") == Base("g", "--image g")


def test_a_directory_in_docker_is_named_as_dockerutils_does(tmp_path: Path) -> None:
    dockerfile = file(tmp_path / "docker" / "dev" / "Dockerfile")
    found = choose(tmp_path, option="dev")
    assert found.reference == "my-api-dev:me"
    assert found.build == Build(str(dockerfile), str(tmp_path))


def test_of_several_images_one_must_be_named(tmp_path: Path) -> None:
    for name in ("b", "a"):
        file(tmp_path / "docker" / name / "Dockerfile")
    with pytest.raises(ShellenvError, match=r"docker/ has several images: a, b"):
        choose(tmp_path)
    file(tmp_path / "docker" / "base" / "Dockerfile")  # as dockerutils' users call it
    assert choose(tmp_path).reference == "my-api-base:me"


def test_a_devcontainer_may_be_built(tmp_path: Path) -> None:
    text = """{
      // comments, "also" with quotes
      "build": {"dockerfile": "../Dockerfile", "context": "..", "target": "dev",
                "args": {"A": "// no comment", "B": 1,},},
    }"""
    file(tmp_path / ".devcontainer" / "devcontainer.json", text)
    args = (("A", "// no comment"), ("B", "1"))
    build = Build(f"{tmp_path}/Dockerfile", str(tmp_path), args, "dev")
    assert choose(tmp_path).build == build


def test_a_devcontainer_may_refer_to_the_users_environment(tmp_path: Path) -> None:
    text = """{"build": {"dockerfile": "Dockerfile", "args": {
      "A": "${localEnv:A}", "B": "${localEnv:B:3-b}", "C": "${localEnv:C}",
      "D": "${localWorkspaceFolderBasename}, ${localWorkspaceFolder}"}}}"""
    file(tmp_path / ".devcontainer.json", text)
    build = choose(tmp_path, A="a").build
    assert build is not None
    args = {"A": "a", "B": "3-b", "C": "", "D": f"{tmp_path.name}, {tmp_path}"}
    assert dict(build.args) == args


def test_a_devcontainer_may_be_in_a_directory_of_its_own(tmp_path: Path) -> None:
    file(tmp_path / ".devcontainer" / "b" / "devcontainer.json", '{"image": "b"}')
    assert choose(tmp_path) == Base("b", ".devcontainer/b/devcontainer.json names it")
    file(tmp_path / ".devcontainer" / "a" / "devcontainer.json", '{"image": "a"}')
    with pytest.raises(ShellenvError, match=r"\.devcontainer has several: a, b"):
        choose(tmp_path)
    file(tmp_path / ".devcontainer.json", '{"image": "c"}')
    assert choose(tmp_path).reference == "c"


def test_what_of_a_devcontainer_does_not_count_is_said(tmp_path: Path) -> None:
    text = """{"image": "d", "features": {"a": {}}, "mounts": [], "remoteUser": "dev",
               "postCreateCommand": "make", "customizations": {"vscode": {}}}"""
    file(tmp_path / ".devcontainer.json", text)
    notice = "of .devcontainer.json these do not count here: features, postCreateCommand"
    assert choose(tmp_path).notice == notice


def dockerfile_parts(root: Path, text: str) -> set[str]:
    path = file(root / "docker" / "base" / "Dockerfile", text)
    found = [*dockerfile.parts(Build(str(path), str(root)), str(root))]
    return {str(name).removeprefix(f"{root}/") for name in found[::2]} - {"docker/base/Dockerfile"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("FROM a\nADD requirements.txt /tmp\n", {"requirements.txt"}),
        ('copy --chown=1 ["setup.py", "requirements.txt", "/"]', {"requirements.txt", "setup.py"}),
        ("COPY a \\\n *.txt \\\n /", {"requirements.txt"}),
        ("COPY --from=build setup.py /", set()),
        ("COPY . /app", set()),
        ("COPY src /app\n# COPY setup.py /\nRUN ADD setup.py /", set()),
    ],
)
def test_an_image_depends_on_the_files_that_its_dockerfile_copies(
    tmp_path: Path, text: str, found: set[str]
) -> None:
    for name in ("requirements.txt", "setup.py", "src/a.py"):
        file(tmp_path / name)
    assert dockerfile_parts(tmp_path, text) == found


def test_an_image_depends_on_what_is_beside_its_dockerfile(tmp_path: Path) -> None:
    file(tmp_path / "docker" / "base" / "etc" / "conf")
    assert dockerfile_parts(tmp_path, "FROM a") == {"docker/base/etc/conf"}


def test_an_image_does_not_depend_on_the_whole_project(tmp_path: Path) -> None:
    path = file(tmp_path / "Dockerfile", "FROM a\nCOPY a.py /\n")
    for name in ("a.py", "b.py"):
        file(tmp_path / name)
    found = [*dockerfile.parts(Build(str(path), str(tmp_path)), str(tmp_path))]
    assert found[::2] == [str(path), f"{tmp_path}/a.py"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"image": ', "does not parse"),
        ("[]", "is no JSON object"),
        ('{"dockerComposeFile": "c.yml"}', "is for docker compose"),
        ("{}", "names neither an image nor a build"),
    ],
)
def test_a_devcontainer_that_is_of_no_use_is_said(tmp_path: Path, text: str, problem: str) -> None:
    file(tmp_path / ".devcontainer.json", text)
    with pytest.raises(ShellenvError, match=problem):
        choose(tmp_path)


@pytest.mark.parametrize(
    ("name", "component"),
    [("api", "api"), ("My Api_2", "my-api-2"), ("été", "t"), ("日本", "project")],
)
def test_every_name_becomes_one_that_docker_takes(name: str, component: str) -> None:
    assert baseimage.component(name) == component


# --- engines --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("env", "host"),
    [
        ({}, engine.DEFAULT_HOST),
        ({"DOCKER_HOST": "unix:///x.sock"}, "unix:///x.sock"),
        ({"DOCKER_HOST": "127.0.0.1:2375"}, "tcp://127.0.0.1:2375"),
        ({"DOCKER_HOST": "ssh://gpu"}, engine.DEFAULT_HOST),
        ({"DOCKER_HOST": "unix:///gpu.sock", "SHELLENV_DOCK": "gpu"}, engine.DEFAULT_HOST),
        ({"DOCKER_CONTEXT": "here"}, "unix:///here.sock"),
        ({"DOCKER_CONTEXT": "here", "DOCKER_HOST": "unix:///x.sock"}, "unix:///x.sock"),
        ({"DOCKER_CONTEXT": "far"}, engine.DEFAULT_HOST),
        ({"DOCKER_CONTEXT": "default"}, engine.DEFAULT_HOST),
    ],
)
def test_the_engine_of_this_machine_is_found_as_docker_finds_it(
    tmp_path: Path, env: dict[str, str], host: str
) -> None:
    for name, address in (("here", "unix:///here.sock"), ("far", "ssh://gpu")):
        meta = {"Name": name, "Endpoints": {"docker": {"Host": address}}}
        key = sha256(name.encode()).hexdigest()
        path = tmp_path / ".docker" / "contexts" / "meta" / key / "meta.json"
        file(path, json.dumps(meta))
    assert engine.local_host(context(tmp_path, None, **env)) == host


def test_the_current_context_counts_where_no_variable_says_more(tmp_path: Path) -> None:
    meta = {"Endpoints": {"docker": {"Host": "unix:///c.sock"}}}
    key = sha256(b"colima").hexdigest()
    file(tmp_path / ".docker" / "contexts" / "meta" / key / "meta.json", json.dumps(meta))
    file(tmp_path / ".docker" / "config.json", '{"currentContext": "colima"}')
    assert engine.local_host(context(tmp_path)) == "unix:///c.sock"
