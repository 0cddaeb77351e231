import shutil
from pathlib import Path

import pytest
from django.conf import settings
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from tests.browser.page import Page


@pytest.fixture(scope="session", autouse=True)
def _static_root():
    """The live server is made before a test can set anything, and whitenoise minds a folder that is not there."""
    Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)


@pytest.fixture
def browser(tmp_path):
    """Chromium without a window, which asks nobody on the internet for anything."""
    chromium, driver_of_it = shutil.which("google-chrome") or shutil.which("chromium"), shutil.which("chromedriver")
    assert chromium, "There is no Chromium: on Debian, apt-get install chromium."
    # Selenium would download one.
    assert driver_of_it, "Nothing drives it: on Debian, apt-get install chromium-driver."
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in (
        "headless",
        "no-sandbox",
        "disable-gpu",
        "disable-dev-shm-usage",
        "disable-quic",
        "no-first-run",
        "disable-background-networking",
        "disable-component-update",
        "disable-sync",
        f"user-data-dir={tmp_path / 'browser'}",
    ):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(driver_of_it))
    yield driver
    driver.quit()


@pytest.fixture
def page(browser, live_server):
    return Page(browser, live_server.url)
