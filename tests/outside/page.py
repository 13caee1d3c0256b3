"""Drives the status page in headless Chromium: finds a failed delivery, replays it, and sees it delivered; and does
whatever else the page offers.

    page.py URL TOKEN SHOP GIVEN_UP WAITING DOUBTFUL [--without-script] [--screenshots FOLDER]

The last three are notifications: one that this shop was not given, one that waits, and one that is in quarantine.

With script it also visits every page, light on a desk and dark on a telephone (for screenshots: both on both): no error
in the console, nothing that axe-core calls a violation, nothing wider than the screen.
"""

import argparse
import importlib.util
import shutil
import sys
import tempfile
from pathlib import Path

from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException, TimeoutException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

PATIENCE = 60
WIDE, NARROW = (1280, 900), (360, 740)


def start(profile, with_script):
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={profile}",
    ]:
        options.add_argument(argument)
    if not with_script:
        options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    # Named, or selenium would look for one on the network.
    driver = shutil.which("chromedriver") or sys.exit("chromedriver is missing: tests/run gets it")
    return webdriver.Chrome(options=options, service=Service(driver))


class Page:
    def __init__(self, driver, url):
        self.driver, self.url = driver, url

    def go(self, path=""):
        self.driver.get(self.url + path)

    def wait(self, what, look):
        """What it sees, once it sees something; meanwhile one page goes and the next one comes."""
        passing = [NoSuchElementException, StaleElementReferenceException]
        wait = WebDriverWait(self.driver, PATIENCE, ignored_exceptions=passing)
        try:
            return wait.until(look)
        except TimeoutException:
            raise AssertionError(f"{what} is not on {self.driver.current_url}:\n{self.driver.page_source}") from None

    def one(self, selector):
        return self.wait(selector, lambda driver: driver.find_element(By.CSS_SELECTOR, selector))

    def link(self, text):
        self.wait(text, lambda driver: driver.find_element(By.PARTIAL_LINK_TEXT, text)).click()

    def expect(self, text):
        self.wait(text, lambda driver: text in driver.find_element(By.TAG_NAME, "body").text)

    def log_in(self, token):
        self.one("#token").send_keys(token)
        self.one("main form button").click()
        self.one("nav")

    def logged(self):
        """What the console has said, but for the status of the log-in page, which is 401 on purpose."""
        said = self.driver.get_log("browser")
        return [entry for entry in said if not (entry["source"] == "network" and " 401 " in entry["message"])]


def find_and_replay(page, notification, shop):
    page.link("Notifications")
    Select(page.one("#state")).select_by_value("given-up")
    page.one("#shop").send_keys(shop)
    page.one(".search .go button").click()
    page.one("table")
    page.expect("given up")
    page.one(f'a[href$="notifications/{notification}"]').click()
    page.expect("Given up")
    page.link("Replay…")
    page.expect("1 delivery to make")
    page.one(".ask form button").click()
    page.expect("1 delivery made")
    page.link("See it")
    # It is delivered by now, or in a moment: whoever has no script looks again.
    page.wait("delivered", lambda driver: driver.refresh() or page.one("h1 .badge").text == "delivered")
    page.expect("a replay of number")
    page.link("Operators")
    page.expect(f"replay what has ended of notification {notification}")
    page.expect("the page, from 127.0.0.1")


def look_up_in_runbook(page):
    """From what is wrong to what to do about it."""
    page.go()
    page.link("What to do: A shop fails")
    page.one("section:has(h2#a-shop-fails:target)")
    page.expect("What the e-mail says of the answer tells whose it is")


def confirm(page, expected):
    """Says yes to the question, after a look at what it says."""
    page.expect(expected)
    page.one(".ask form button").click()


def acknowledge(page):
    page.go()
    page.link("Acknowledge")
    Select(page.one("#hours")).select_by_visible_text("for 4 hours")
    confirm(page, "nobody is reminded of it")
    page.expect("reminders again from")
    for path in ["", "incidents"]:
        page.go(path)
        page.expect("acknowledged by the page, from 127.0.0.1")
        page.expect("Acknowledge again…")


def pause_and_resume(page, shop):
    """The first destination of the shop, from the table of the status page."""
    for act, done, state in [("pause", "1 destination paused", "paused"), ("resume", "1 destination resumed", "up")]:
        page.go()
        page.one(f'a[href*="act={act}"][href*="shop={shop}"][href*="rendition=event"]').click()
        confirm(page, f"1 destination to {act}")
        page.expect(done)
        page.go()
        row = '//tr[.//a[contains(@href, "shop=' + shop + '") and contains(@href, "rendition=event")]]'
        page.wait(state, lambda driver: driver.find_element(By.XPATH, row + f'//*[text()="{state}"]'))


def release(page, notification):
    page.go("notifications?state=quarantined")
    page.one(f'a[href$="notifications/{notification}"]').click()
    page.link("Release…")
    confirm(page, "deliveries to make")
    page.expect("deliveries made")
    page.link("See it")
    page.wait("delivered", lambda driver: driver.refresh() or page.one("h1 .badge").text == "delivered")


def cancel(page, notification):
    page.go("notifications?state=waiting")
    page.one(f'a[href$="notifications/{notification}"]').click()
    page.expect("503")
    page.link("Cancel…")
    confirm(page, "1 delivery to cancel")
    page.expect("1 delivery cancelled")
    page.link("See it")
    page.expect("cancelled")
    assert not page.driver.find_elements(By.PARTIAL_LINK_TEXT, "Cancel…")


def look_at_older_ones(page):
    """From page to page, to the end."""
    for path, link, first in [
        ("incidents", "Older incidents", "Over"),
        ("emails", "Older e-mails", "The newest"),
        ("emails", "Older ones that were given up", "Given up"),
    ]:
        page.go(path)
        page.expect(first)
        pages, ids = 0, []
        while True:
            ids.append(page.driver.current_url)
            links = page.driver.find_elements(By.LINK_TEXT, link) if pages < 9 else []
            if not links:
                break
            before = page.driver.current_url
            links[0].click()
            page.wait("another page", lambda driver: driver.current_url != before)
            # The next pages of what was given up have one name for it.
            link = "Older e-mails" if path == "emails" else link
            pages += 1
        assert pages >= 1, f"{path} has no {link}"
        page.one(".crumbs a")


def look_at_personal_data(page, notification):
    page.go(f"notifications/{notification}")
    assert "Zoë" not in page.driver.page_source
    page.one('form[action$="/personal"] button').click()
    page.one(".notice.warn")
    page.expect("Zoë d'Orléans")
    page.go("operations")
    page.expect(f"show the personal data of notification {notification}")


def emulate(driver, scheme, size):
    width, height = size
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width == NARROW[0]}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def axe():
    """The text of axe-core; the rest of the package is for another driver."""
    package = importlib.util.find_spec("axe_playwright_python")
    return (Path(package.origin).parent / "axe.min.js").read_text()


def paths(page):
    """Every page that the first one leads to, and one of each sort that these lead to."""
    found = {}

    def visit(path):
        page.go(path)
        for link in page.driver.find_elements(By.CSS_SELECTOR, "a[href]"):
            target = link.get_property("href")
            if not target.startswith(page.url) or "#" in target:
                continue
            target = target[len(page.url):]
            query = target.split("?")[1] if "?" in target else ""
            # One page stands for all of its sort; each question is a sort of its own.
            name = target.split("?")[0].split("/")[0] + ("/…" if "/" in target else "") + query.split("&")[0]
            found.setdefault(name, target)

    visit("")
    for target in list(found.values()):
        visit(target)
    return found


def judge(page, screenshots):
    rules = axe()
    faults = []
    looks = [("light", WIDE), ("dark", NARROW)]
    if screenshots:
        looks += [("dark", WIDE), ("light", NARROW)]
    for name, path in paths(page).items():
        for scheme, size in looks:
            emulate(page.driver, scheme, size)
            page.go(path)
            where = f"{path or '/'} ({scheme}, {size[0]} wide)"
            page.driver.execute_script(rules)
            result = page.driver.execute_async_script("axe.run().then(arguments[0])")
            for violation in result["violations"]:
                nodes = "\n    ".join(node["html"] for node in violation["nodes"][:5])
                faults.append(f"{where}: {violation['id']}: {violation['help']}\n    {nodes}")
            wide = page.driver.execute_script("return document.documentElement.scrollWidth")
            if wide > size[0]:
                faults.append(f"{where}: {wide} pixels wide")
            faults += [f"{where}: console: {entry['message']}" for entry in page.logged()]
            if screenshots:
                height = page.driver.execute_script("return document.documentElement.scrollHeight")
                emulate(page.driver, scheme, (size[0], min(height, 2400)))
                file = name.replace("/…", "-one").replace("=", "-") or "status"
                page.driver.save_screenshot(f"{screenshots}/{file}-{scheme}-{size[0]}.png")
    assert not faults, "\n".join(faults)


def main():
    arguments = argparse.ArgumentParser()
    for name in ["url", "token", "shop", "given_up", "waiting", "doubtful"]:
        arguments.add_argument(name)
    arguments.add_argument("--without-script", action="store_true")
    arguments.add_argument("--screenshots")
    asked = arguments.parse_args()
    with tempfile.TemporaryDirectory() as profile:
        driver = start(profile, not asked.without_script)
        try:
            page = Page(driver, asked.url)
            page.go()
            page.log_in(asked.token)
            look_up_in_runbook(page)
            find_and_replay(page, asked.given_up, asked.shop)
            acknowledge(page)
            pause_and_resume(page, asked.shop)
            release(page, asked.doubtful)
            cancel(page, asked.waiting)
            look_at_personal_data(page, asked.given_up)
            said = page.logged()
            assert not said, said
            if not asked.without_script:
                look_at_older_ones(page)
                judge(page, asked.screenshots)
        finally:
            driver.quit()


if __name__ == "__main__":
    sys.exit(main())
