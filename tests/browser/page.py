from selenium.common.exceptions import WebDriverException
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support import expected_conditions as that
from selenium.webdriver.support.wait import WebDriverWait

PASSWORD = "demo-shop-1234"
WIDE, PHONE = (1400, 900), (390, 844)


class Page:
    """What a person does with a browser: reads, clicks, types."""

    def __init__(self, browser, address):
        self.browser, self.address = browser, address

    def open(self, path, *, size=WIDE):
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == PHONE}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.browser.get(self.address + path)

    def find(self, how, what):
        return self._wait(that.element_to_be_clickable((how, what)))

    def double_click(self, button):
        ActionChains(self.browser).double_click(self.button(button)).perform()

    def button(self, text):
        return self.find(By.XPATH, f"//button[normalize-space()='{text}']")

    def follow(self, part):
        self.find(By.CSS_SELECTOR, f"#main a[href*='{part}']").click()

    def type(self, field, text):
        self.find(By.NAME, field).send_keys(text)

    def reads(self, text):
        self._wait(that.text_to_be_present_in_element((By.ID, "main"), text))

    def _wait(self, condition):
        """A page that gives way to the next while it is looked at is looked at again."""
        return WebDriverWait(self.browser, 20, ignored_exceptions=[WebDriverException]).until(condition)

    def fits(self):
        return self.browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")

    def complaints(self):
        return [entry["message"] for entry in self.browser.get_log("browser") if entry["level"] == "SEVERE"]
