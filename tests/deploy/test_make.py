"""What somebody who types `make run` on a strange machine is told."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


def make(*arguments, folder=ROOT):
    return subprocess.run(["make", "--directory", folder, *arguments], capture_output=True, text=True, check=False)


def test_a_port_that_is_taken_gets_a_clear_sentence():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = make("run", f"PORT={port}")
    assert result.returncode != 0
    assert f"Port {port} is taken" in result.stderr


def test_a_machine_without_a_usable_python_gets_a_clear_sentence(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    result = make("run", "PYTHON=", folder=tmp_path)
    assert result.returncode != 0
    assert "needs Python 3.11" in result.stderr


@pytest.mark.parametrize(
    ("unsafe", "sentence"),
    [
        ({"SECRET_KEY": ""}, "Set SECRET_KEY"),
        ({"SECRET_KEY": "short"}, "Set SECRET_KEY"),
        ({"JWT_KEY": ""}, "Set JWT_KEY"),
        ({"JWT_KEY": "short"}, "Set JWT_KEY"),
        ({"JWT_KEY": "x" * 50}, "differs from SECRET_KEY"),
        ({"STOREFRONT_URL": ""}, "Set STOREFRONT_URL"),
        ({"PAYMENT_PROVIDERS": "TEST, BARTER"}, "PAYMENT_PROVIDERS has unknown names: BARTER"),
        ({"SHOP_CURRENCY": "euro"}, "SHOP_CURRENCY must be an ISO 4217 code"),
    ],
)
def test_production_refuses_to_start_on_an_unsafe_value(unsafe, sentence):
    safe = {
        "DEBUG": "false",
        "SECRET_KEY": "x" * 50,
        "JWT_KEY": "y" * 50,
        "ALLOWED_HOSTS": "shop.example",
        "STOREFRONT_URL": "https://shop.example",
    }
    result = subprocess.run(
        [sys.executable, ROOT / "manage.py", "check"],
        env={"PATH": os.environ["PATH"], **safe, **unsafe},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode != 0
    assert sentence in result.stderr


def test_lists_tolerate_spaces_and_commas():
    command = [sys.executable, "-c", "from commercia import settings; print(settings.ALLOWED_HOSTS)"]
    env = {"PATH": os.environ["PATH"], "DEBUG": "true", "ALLOWED_HOSTS": "a.example, b.example c.example"}
    result = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "['a.example', 'b.example', 'c.example']"
