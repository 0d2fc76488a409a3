#!/usr/bin/env python3
"""The same tenant through feishu-mirror, feishu-docx (PyPI) and feishu-pages (npm).

    cargo build --release && python3 benches/compare.py

Prints, for each tool, a first run and a second one without any change in between: calls as the
tenant counted them (those for a token apart), calls it refused for coming too often, wall time,
and documents of which no file exists afterwards. First with quotas 100 times the official ones,
then with the official ones.

The tenant is `feishu-mirror demo --serve`: one wiki space of pages, each with a word of its own
in its text. A page is lost when no Markdown file below the tool's output holds its word. It has
what real wikis have: equal titles side by side, a title with a slash, pages below a spreadsheet,
pages five levels deep, pictures.

Settings: all three call as the app, write Markdown and fetch pictures.
- feishu-mirror: `[export] docx = ["md"]`, `quota_share` as the tenant's quotas are.
- feishu-docx: `export-wiki-space SPACE --max-depth 100` (by default it stops at three levels).
- feishu-pages: its defaults; `FEISHU_ENDPOINT` is the tenant. It exports documents only.
What a tool keeps for its next run (manifest, `.cache`, token) stays between its two runs.

The two tools are installed, pinned, into a temporary folder (`--tools DIR` keeps it). They know no
other address than open.feishu.cn for some calls, so a few lines put in front of each send these
to the tenant, and refuse every connection that is not to loopback. A tool that cannot be
installed or run is named, and the others go on.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

FEISHU_DOCX = "feishu-docx==0.2.8"
FEISHU_PAGES = "feishu-pages@0.7.6"

# What `feishu-mirror demo --serve` says; no real credentials.
APP_ID, APP_SECRET = "cli_demo", "demo-h0shP0wer-secret"
SPACE = "7000000000000000001"

# Longest time for one run of one tool.
PATIENCE = 900

TOKEN_CALLS = ("/auth/v3/tenant_access_token/internal", "/authen/v2/oauth/token")

# In front of feishu-docx: requests and httpx, both used by it.
PYTHON_SHIM = '''
import os, socket
from urllib.parse import urlsplit
BASE = os.environ["COMPARE_TENANT"]
def to_tenant(url):
    parts = urlsplit(url)
    if parts.hostname in ("127.0.0.1", "localhost"):
        return url
    if not parts.hostname.endswith((".feishu.cn", ".larksuite.com")):
        raise OSError("no connection to " + parts.hostname)
    return BASE + parts.path + ("?" + parts.query if parts.query else "")
import requests
sent = requests.Session.send
def send(self, request, **more):
    request.url = to_tenant(request.url)
    return sent(self, request, **more)
requests.Session.send = send
import httpx
def moved(before):
    def send(self, request, **more):
        request.url = httpx.URL(to_tenant(str(request.url)))
        request.headers["host"] = request.url.netloc.decode()
        return before(self, request, **more)
    return send
httpx.Client.send = moved(httpx.Client.send)
looked_up = socket.getaddrinfo
def getaddrinfo(host, *rest, **more):
    if host not in ("127.0.0.1", "localhost", "::1"):
        raise OSError("no connection to " + str(host))
    return looked_up(host, *rest, **more)
socket.getaddrinfo = getaddrinfo
'''

# In front of feishu-pages: node's own https, whoever calls it.
NODE_SHIM = '''
const http = require('http'), https = require('https');
const base = new URL(process.env.COMPARE_TENANT);
const plain = http.request;
const send = (...args) => {
  let options = {}, done;
  for (const arg of args) {
    if (typeof arg === 'function') done = arg;
    else if (typeof arg === 'string' || arg instanceof URL) {
      const url = new URL(arg);
      Object.assign(options, {hostname: url.hostname, port: url.port, path: url.pathname + url.search});
    } else options = Object.assign(options, arg);
  }
  const host = options.hostname || options.host || '';
  const known = /(^127\\.0\\.0\\.1$|^localhost$|\\.feishu\\.cn$|\\.larksuite\\.com$)/.test(host);
  if (!known) throw new Error('no connection to ' + host);
  for (const gone of ['host', 'agent', 'agents', 'href', 'origin', 'servername', 'defaultPort'])
    delete options[gone];
  Object.assign(options, {protocol: 'http:', hostname: base.hostname, port: base.port});
  return plain(options, done);
};
http.request = https.request = send;
'''


def page(number, title, **more):
    """A page whose text holds a word that no other page has."""
    return {"type": "docx", "title": title, "text": f"word{number:05}w\nsecond line", **more}


def make_tenant(pages):
    """The fixture and the number of pages in it."""
    numbers = iter(range(1, 10**6))
    top = []
    sections = max(1, pages // 10)
    for section in range(sections):
        below = []
        for n in range(9):
            # One title in nine is also its neighbour's.
            title = "周报" if n in (3, 4) else f"页面 {section}-{n}"
            pictures = {"images": [f"figure-{section}-{n}.png"]} if n == 1 else {}
            below.append(page(next(numbers), title, **pictures))
        top.append(page(next(numbers), f"第 {section} 章", children=below))
    sheet = {"type": "sheet", "title": "预算 Budget", "tabs": ["2026"]}
    sheet["children"] = [page(next(numbers), f"Notes {n}") for n in range(3)]
    deep = page(next(numbers), "Level 6")
    for level in range(5, 0, -1):
        deep = page(next(numbers), f"Level {level}", children=[deep])
    top += [sheet, deep, page(next(numbers), "Q1/Q2 计划")]
    tenant = {"spaces": [{"name": "Handbook", "id": SPACE, "nodes": top}]}
    return tenant, next(numbers) - 1


class Tenant:
    """The simulated tenant in a process of its own."""

    def __init__(self, binary, fixture, quotas):
        self.process = subprocess.Popen(
            [binary, "demo", "--serve", "127.0.0.1:0", "--fixture", fixture, "--quotas", str(quotas)],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.url = re.search(r"http://[0-9.:]+", self.process.stdout.readline()).group(0)

    def call(self, method, path):
        request = urllib.request.Request(self.url + "/open-apis" + path, method=method)
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(request) as reply:
            return json.load(reply)["data"]

    def stop(self):
        self.process.kill()
        self.process.wait()


def environment(folder, **more):
    """Nothing of the user's own accounts or proxies."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    return {**kept, "HOME": str(folder), "NO_PROXY": "*", **more}


class Mirror:
    name = "feishu-mirror"

    def __init__(self, binary):
        self.binary = binary

    def run(self, folder, tenant, quotas):
        address = f'{{ open = "{tenant.url}", accounts = "{tenant.url}" }}'
        (folder / "mirror.toml").write_text(
            f'[mirror]\npath = "out"\n[account]\ndomain = {address}\n'
            f"[limits]\nquota_share = {quotas:.1f}\n"
            f'[[source]]\nname = "wiki"\nkind = "wiki"\nspace = "{SPACE}"\n'
            '[export]\ndocx = ["md"]\n'
        )
        variables = {"FEISHU_APP_ID": APP_ID, "FEISHU_APP_SECRET": APP_SECRET}
        return [self.binary, "sync", "-q"], environment(
            folder, FEISHU_MIRROR_HOME=str(folder / "home"), **variables
        )


class FeishuDocx:
    name = FEISHU_DOCX.replace("==", " ")

    def __init__(self, tools):
        self.venv, self.shim = tools / "venv", tools / "python-shim"
        if not (self.venv / "bin/feishu-docx").exists():
            checked([sys.executable, "-m", "venv", str(self.venv)])
            checked([str(self.venv / "bin/pip"), "install", "-q", FEISHU_DOCX])
        self.shim.mkdir(exist_ok=True)
        (self.shim / "sitecustomize.py").write_text(PYTHON_SHIM)

    def run(self, folder, tenant, quotas):
        arguments = ["export-wiki-space", SPACE, "-o", "out", "--max-depth", "100"]
        return [str(self.venv / "bin/feishu-docx"), *arguments], environment(
            folder,
            FEISHU_APP_ID=APP_ID,
            FEISHU_APP_SECRET=APP_SECRET,
            PYTHONPATH=str(self.shim),
            COMPARE_TENANT=tenant.url,
        )


class FeishuPages:
    name = FEISHU_PAGES.replace("@", " ")

    def __init__(self, tools):
        self.folder = tools / "npm"
        self.main = self.folder / "node_modules/feishu-pages/dist/index.js"
        if not self.main.exists():
            self.folder.mkdir(exist_ok=True)
            quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
            checked(["npm", "install", *quiet, "--prefix", str(self.folder), FEISHU_PAGES])
        self.shim = self.folder / "shim.js"
        self.shim.write_text(NODE_SHIM)

    def run(self, folder, tenant, quotas):
        return ["node", str(self.main)], environment(
            folder,
            FEISHU_APP_ID=APP_ID,
            FEISHU_APP_SECRET=APP_SECRET,
            FEISHU_SPACE_ID=SPACE,
            FEISHU_ENDPOINT=tenant.url,
            OUTPUT_DIR=str(folder / "out"),
            NODE_OPTIONS=f"--require {self.shim}",
            COMPARE_TENANT=tenant.url,
        )


def checked(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]}: {(done.stderr or done.stdout).strip()[-400:]}")


def lost(folder, pages):
    """How many pages no Markdown file holds."""
    found = set()
    for file in (folder / "out").rglob("*.md"):
        if not {".cache", ".tmp", ".feishu-mirror"} & set(file.parts):
            found.update(re.findall(r"word\d{5}w", file.read_text(errors="replace")))
    return pages - len(found)


def measure(tool, binary, fixture, pages, quotas, logs):
    """Rows of two runs of one tool against a tenant of its own."""
    folder = Path(tempfile.mkdtemp(prefix="compare-"))
    tenant = Tenant(binary, fixture, quotas)
    try:
        for which in ("first", "second"):
            tenant.call("POST", "/sim/calls/forget")
            command, variables = tool.run(folder, tenant, quotas)
            begun = time.monotonic()
            log = logs / f"{tool.name.split()[0]}-{quotas}-{which}.log"
            with open(log, "w") as out:
                try:
                    code = subprocess.run(
                        command, cwd=folder, env=variables, stdout=out, stderr=out, timeout=PATIENCE
                    ).returncode
                except subprocess.TimeoutExpired:
                    code = f"none in {PATIENCE} s"
            seconds = time.monotonic() - begun
            counted = tenant.call("GET", "/sim/calls")
            tokens = sum(
                count
                for name, count in counted["endpoints"].items()
                if name.split(" ")[1] in TOKEN_CALLS
            )
            yield {
                "tool": tool.name,
                "quotas": f"x {quotas}" if quotas > 1 else "official",
                "run": which,
                "calls": counted["total"] - tokens,
                "token calls": tokens,
                "refused": counted["rate_limited"],
                "seconds": f"{seconds:.1f}",
                "lost": f"{lost(folder, pages)} of {pages}",
                "exit": code,
            }
    finally:
        tenant.stop()
        shutil.rmtree(folder, ignore_errors=True)


def show(row, first):
    """Prints a row as soon as it is there: a run under the official quotas takes minutes."""
    if first:
        print("| " + " | ".join(row) + " |")
        print("|" + " --- |" * len(row))
    print("| " + " | ".join(str(value) for value in row.values()) + " |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    root = Path(__file__).resolve().parent.parent
    parser.add_argument("--binary", default=str(root / "target/release/feishu-mirror"))
    parser.add_argument("--pages", type=int, default=100, help="of the tenant, about [100]")
    parser.add_argument("--tools", type=Path, help="where the tools are installed, and kept")
    parser.add_argument(
        "--quotas", type=int, nargs="+", default=[100, 1], help="multiples of the official ones"
    )
    arguments = parser.parse_args()
    if not Path(arguments.binary).exists():
        sys.exit(f"{arguments.binary} is not there: cargo build --release")

    work = Path(tempfile.mkdtemp(prefix="compare-"))
    tools = (arguments.tools or work / "tools").resolve()
    tools.mkdir(parents=True, exist_ok=True)
    fixture, pages = make_tenant(arguments.pages)
    file = work / "tenant.json"
    file.write_text(json.dumps(fixture))

    contestants = [Mirror(str(Path(arguments.binary).resolve()))]
    for kind, place in ((FeishuDocx, tools), (FeishuPages, tools)):
        try:
            contestants.append(kind(place))
        except (RuntimeError, OSError) as error:
            print(f"{kind.name} cannot be installed and is left out: {error}", file=sys.stderr)
    rows = []
    for quotas in arguments.quotas:
        for tool in contestants:
            try:
                for row in measure(tool, arguments.binary, str(file), pages, quotas, work):
                    show(row, first=not rows)
                    rows.append(row)
            except OSError as error:
                print(f"{tool.name} cannot be run and is left out: {error}", file=sys.stderr)
    for row in rows:
        if row["exit"] not in (0, 2):
            print(f"{row['tool']} ended with exit code {row['exit']}: see {work}", file=sys.stderr)
            break
    else:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
