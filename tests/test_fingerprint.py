"""Fingerprints: what changes them and what does not."""

import pytest

from pipeline.workflow import fingerprint as module
from pipeline.workflow.fingerprint import fingerprint

FILES = {
    "pipeline/__init__.py": '"""Package."""\n',
    "pipeline/job.py": (
        '"""Job."""\nfrom pipeline.inner.work import work\n\n\ndef main():\n    """Do it."""\n    return work(2)\n'
    ),
    "pipeline/inner/__init__.py": "",
    "pipeline/inner/work.py": (
        "import numpy\n\nfrom pipeline import leaf\nfrom pipeline.models import Large, Small, build\n\n\n"
        "def work(size):\n    return build('small')(size), numpy.zeros(leaf.VALUE)\n"
    ),
    "pipeline/models.py": (
        "from pipeline.large import Large\nfrom pipeline.small import Small\n\n\n"
        "def _large(size):\n    return Large(size)\n\n\ndef _small(size):\n    return Small(size)\n\n\n"
        'SIZES = {"large": _large, "small": _small}\n\n\ndef build(name):\n    return SIZES[name]\n'
    ),
    "pipeline/large.py": "class Large:\n    pass\n",
    "pipeline/small.py": "class Small:\n    pass\n",
    "pipeline/leaf.py": "import math\n\nVALUE = 1\n\n\ndef unused():\n    return math.pi\n",
    "pipeline/leaf.c": '/* C. */\n#include <math.h>\n#include "part.h"\nint value = 1;\n',
    "pipeline/part.h": "/* A header. */ int part = 1;\n",
    "pipeline/stranger.h": "int part = 1;\n",
    "pipeline/stranger.py": "VALUE = 1\n",
}


def forget() -> None:
    """What was read of files, which a process takes to stay as they are."""
    fingerprint.cache_clear()
    module._code.cache_clear()
    module._read.cache_clear()
    module._path.cache_clear()


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
        ("pipeline/leaf.py", FILES["pipeline/leaf.py"].replace("pi", "e")),
        ("pipeline/leaf.py", "def new():\n    pass\n\n\n" + FILES["pipeline/leaf.py"]),
        (
            "pipeline/inner/work.py",
            "import os\n" + FILES["pipeline/inner/work.py"].replace("Large, Small", "Small, Large"),
        ),
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
        ("pipeline/inner/work.py", FILES["pipeline/inner/work.py"].replace("import numpy", "import other as numpy")),
        ("pipeline/inner/work.py", FILES["pipeline/inner/work.py"].replace("leaf.VALUE", "leaf.unused()")),
        ("pipeline/leaf.py", "VALUE = 2\n"),
        ("pipeline/large.py", "class Large:\n    size = 3\n"),
        ("pipeline/large.py", "print()\n" + FILES["pipeline/large.py"]),
        ("pipeline/leaf.c", FILES["pipeline/leaf.c"].replace("value = 1", "value = 2")),
        ("pipeline/part.h", "int part = 2;\n"),
        ("pipeline/inner/__init__.py", "print()\n"),
    ],
)
def test_code_that_is_imported_directly_or_not_changes_it(package, name, text):
    before = fingerprint("pipeline.job")
    package(name, text)
    assert fingerprint("pipeline.job") != before


def test_of_a_registry_only_the_entry_that_is_used_counts_with_what_it_comes_to(package):
    before = {size: fingerprint("pipeline.job", SIZES=size) for size in ("large", "small", "tiny")}
    assert len(set(before.values())) == 3, "an entry that is not there leaves the registry whole"
    assert before["tiny"] == fingerprint("pipeline.job")
    package("pipeline/large.py", "class Large:\n    size = 3\n\n\nNEW = 1\n")
    assert fingerprint("pipeline.job", SIZES="large") != before["large"]
    assert fingerprint("pipeline.job", SIZES="small") == before["small"]
    models = FILES["pipeline/models.py"]
    package("pipeline/large.py", FILES["pipeline/large.py"])
    package("pipeline/models.py", models.replace('"large": _large', '"huge": _huge') + "def _huge(size):\n    pass\n")
    assert fingerprint("pipeline.job", SIZES="small") == before["small"]
    package("pipeline/models.py", models.replace("Small(size)", "Small(2 * size)"))
    assert fingerprint("pipeline.job", SIZES="large") == before["large"]
    assert fingerprint("pipeline.job", SIZES="small") != before["small"]
    package("pipeline/large.py", "print()\n" + FILES["pipeline/large.py"])
    assert fingerprint("pipeline.job", SIZES="small") != before["small"], "this runs whoever is used"


def test_a_new_entry_of_a_registry_concerns_no_job_of_the_others_though_its_module_is_imported(package):
    before = {size: fingerprint("pipeline.job", SIZES=size) for size in ("large", "small")}
    entry = FILES["pipeline/models.py"].replace('"small": _small', '"small": _small, "other": _other')
    package(
        "pipeline/models.py", f"from pipeline.stranger import VALUE\n{entry}\n\ndef _other(size):\n    return VALUE\n"
    )
    assert {size: fingerprint("pipeline.job", SIZES=size) for size in before} == before
    package("pipeline/stranger.py", "print()\nVALUE = 1\n")
    assert fingerprint("pipeline.job", SIZES="small") != before["small"], "this runs on import"


def test_modules_that_a_job_does_not_come_to_can_be_left_out(package):
    without, whole = fingerprint("pipeline.job", "pipeline.leaf"), fingerprint("pipeline.job")
    package("pipeline/leaf.py", "VALUE = 2\n")
    assert fingerprint("pipeline.job", "pipeline.leaf") == without
    assert fingerprint("pipeline.job") != whole


def test_a_module_that_is_handed_on_counts_whole(package):
    package("pipeline/inner/work.py", "from pipeline import leaf\n\n\ndef work(size):\n    return vars(leaf)\n")
    before = fingerprint("pipeline.job")
    package("pipeline/leaf.py", FILES["pipeline/leaf.py"].replace("pi", "e"))
    assert fingerprint("pipeline.job") != before


def test_what_a_decorator_may_have_registered_counts(package):
    package("pipeline/stranger.py", "KNOWN = {}\n\n\ndef known(f):\n    KNOWN[f.__name__] = f\n    return f\n")
    registered = "from pipeline.stranger import known\n\nSIZE = 1\n\n\n@known\ndef rule():\n    return SIZE\n"
    package("pipeline/rules.py", registered)
    package("pipeline/job.py", "import pipeline.rules\nfrom pipeline.stranger import KNOWN\n\nprint(KNOWN)\n")
    before = fingerprint("pipeline.job")
    for text in (registered.replace("return SIZE", "return -SIZE"), registered.replace("SIZE = 1", "SIZE = 2")):
        package("pipeline/rules.py", text)
        assert fingerprint("pipeline.job") != before
    package("pipeline/rules.py", registered + "\n\ndef other():\n    pass\n")
    assert fingerprint("pipeline.job") == before


def test_a_name_is_followed_through_a_package_that_passes_it_on(package):
    package("pipeline/inner/__init__.py", "from pipeline.inner.work import work\n")
    package("pipeline/job.py", "from pipeline.inner import work\n\n\ndef main():\n    return work(2)\n")
    before = fingerprint("pipeline.job")
    package("pipeline/leaf.py", FILES["pipeline/leaf.py"].replace("VALUE = 1", "VALUE = 2"))
    assert fingerprint("pipeline.job") != before


def test_an_unknown_module_is_named():
    with pytest.raises(ModuleNotFoundError, match=r"no module pipeline\.nowhere"):
        fingerprint("pipeline.nowhere")
