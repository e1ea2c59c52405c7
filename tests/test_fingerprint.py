"""Fingerprints: what changes them and what does not."""

import pytest

from pipeline import fingerprint as module
from pipeline.fingerprint import fingerprint

FILES = {
    "pipeline/__init__.py": '"""Package."""\n',
    "pipeline/job.py": (
        '"""Job."""\nfrom pipeline.inner import work\n\n\ndef main():\n    """Do it."""\n    return work(2)\n'
    ),
    "pipeline/inner/__init__.py": "",
    "pipeline/inner/work.py": "import numpy\n\nfrom pipeline import leaf\n\nVALUE = leaf.VALUE\n",
    "pipeline/leaf.py": "VALUE = 1\n",
    "pipeline/leaf.c": '/* C. */\n#include <math.h>\n#include "part.h"\nint value = 1;\n',
    "pipeline/part.h": "/* A header. */ int part = 1;\n",
    "pipeline/stranger.h": "int part = 1;\n",
    "pipeline/stranger.py": "VALUE = 1\n",
}


def forget() -> None:
    """What was read of files, which a process takes to stay as they are."""
    fingerprint.cache_clear()
    module._analyse.cache_clear()


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A small package in place of the real one; writing a file invalidates what was read of it."""
    monkeypatch.setattr(module, "ROOT", tmp_path)

    def write(name: str, text: str) -> None:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        forget()

    for name, text in FILES.items():
        write(name, text)
    yield write
    forget()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pipeline/job.py", FILES["pipeline/job.py"].replace("Do it.", "Do something.")),
        ("pipeline/job.py", "# a comment\n" + FILES["pipeline/job.py"].replace("work(2)", "work( 2 )")),
        ("pipeline/job.py", FILES["pipeline/job.py"].replace('    """Do it."""\n', "")),
        ("pipeline/stranger.py", "VALUE = 2\n"),
        ("pipeline/leaf.c", FILES["pipeline/leaf.c"].replace("/* C. */", "/* A comment of\n   two lines. */  ")),
        ("pipeline/part.h", "int part = 1;\n"),
        ("pipeline/stranger.h", "int part = 2;\n"),
    ],
)
def test_what_does_not_change_the_code_does_not_change_the_fingerprint(package, name, text):
    before = fingerprint("pipeline.job")
    package(name, text)
    assert fingerprint("pipeline.job") == before


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pipeline/job.py", FILES["pipeline/job.py"].replace("work(2)", "work(3)")),
        ("pipeline/inner/work.py", FILES["pipeline/inner/work.py"] + "OTHER = 1\n"),
        ("pipeline/leaf.py", "VALUE = 2\n"),
        ("pipeline/leaf.c", FILES["pipeline/leaf.c"].replace("value = 1", "value = 2")),
        ("pipeline/part.h", "int part = 2;\n"),
        ("pipeline/inner/__init__.py", "VALUE = 2\n"),
    ],
)
def test_code_that_is_imported_directly_or_not_changes_it(package, name, text):
    before = fingerprint("pipeline.job")
    package(name, text)
    assert fingerprint("pipeline.job") != before


def test_of_a_registry_only_the_entry_that_is_used_counts(package):
    registry = 'ENTRIES: dict = {"one": 1, "two": 2}\nOTHER = {"x": 1}\n'
    package("pipeline/leaf.py", registry)
    one, two, whole = (
        fingerprint("pipeline.job", "one"),
        fingerprint("pipeline.job", "two"),
        fingerprint("pipeline.job"),
    )
    package("pipeline/leaf.py", registry.replace('"two": 2', '"two": 3, "three": 3'))
    assert fingerprint("pipeline.job", "one") == one
    assert fingerprint("pipeline.job", "two") != two
    assert fingerprint("pipeline.job") != whole
    package("pipeline/leaf.py", registry.replace('"x": 1', '"x": 2'))
    assert fingerprint("pipeline.job", "one") != one


def test_an_unknown_module_is_named():
    with pytest.raises(ModuleNotFoundError, match=r"no module pipeline\.nowhere"):
        fingerprint("pipeline.nowhere")
