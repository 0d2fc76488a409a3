//! A real headless Chromium, driven by Debian's `chromedriver` (W3C `WebDriver`) on
//! loopback. Where either is missing the story goes on without, and says so.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Debian's packages put them here.
const CHROMIUM: &str = "/usr/bin/chromium";
const DRIVER: &str = "/usr/bin/chromedriver";

/// A browser with one empty tab.
pub struct Chromium {
    driver: Child,
    port: u16,
    session: String,
    /// Its profile; the history knows the address with the code, so not a story's own.
    _profile: tempfile::TempDir,
}

/// A port that is free now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Says on stderr, past the test harness, that no browser took part.
pub fn say_skipped(why: &str) {
    let text = format!("SKIPPED: no browser took part in the login story: {why}\n");
    std::io::stderr().write_all(text.as_bytes()).unwrap();
}

impl Chromium {
    /// Starts one, or says why that cannot be done.
    pub fn start() -> Result<Self, String> {
        for (path, package) in [(CHROMIUM, "chromium"), (DRIVER, "chromium-driver")] {
            if !Path::new(path).exists() {
                return Err(format!("{path} is missing (Debian's package {package})"));
            }
        }
        let mut driver = Command::new(DRIVER)
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| format!("{DRIVER}: {e}"))?;
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                let rest = line.split("started successfully on port ").nth(1)?;
                rest.trim_end_matches('.').parse().ok()
            })
            .ok_or("chromedriver says no port")?;
        std::thread::spawn(move || lines.count());
        let profile = tempfile::tempdir().map_err(|e| e.to_string())?;
        let args = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            &format!("--user-data-dir={}", profile.path().display()),
        ];
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"binary": CHROMIUM, "args": args},
        }}});
        let mut browser = Self { driver, port, session: String::new(), _profile: profile };
        let session = browser.ask("POST", "/session", &wanted)?;
        session["sessionId"].as_str().ok_or("no session")?.clone_into(&mut browser.session);
        Ok(browser)
    }

    pub fn open(&mut self, url: &str) {
        self.command("POST", "/url", &json!({ "url": url }));
    }

    /// Clicks what a CSS selector finds.
    pub fn click(&mut self, selector: &str) {
        let using = json!({"using": "css selector", "value": selector});
        let element = self.command("POST", "/element", &using);
        let id = element.as_object().unwrap().values().next().unwrap().as_str().unwrap();
        self.command("POST", &format!("/element/{id}/click"), &json!({}));
    }

    /// Waits until the address no longer holds `part`; the text of the page then.
    pub fn text_after_leaving(&mut self, part: &str) -> String {
        let began = Instant::now();
        while self.command("GET", "/url", &Value::Null).as_str().unwrap().contains(part) {
            assert!(began.elapsed() < Duration::from_secs(30), "the page stays");
            std::thread::park_timeout(Duration::from_millis(50));
        }
        let script = json!({"script": "return document.body.innerText", "args": []});
        self.command("POST", "/execute/sync", &script).as_str().unwrap().to_owned()
    }

    #[track_caller]
    fn command(&mut self, method: &str, path: &str, body: &Value) -> Value {
        let path = format!("/session/{}{path}", self.session);
        self.ask(method, &path, body).unwrap()
    }

    /// One call of the driver: plain HTTP on loopback, a connection each.
    fn ask(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let talk = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
            stream.set_read_timeout(Some(Duration::from_secs(60)))?;
            let body = if body.is_null() { String::new() } else { body.to_string() };
            write!(
                stream,
                "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                 Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )?;
            // It keeps the connection open whatever it is asked.
            let mut lines = BufReader::new(stream);
            let mut length = 0;
            loop {
                let mut line = String::new();
                lines.read_line(&mut line)?;
                let line = line.trim_end().to_ascii_lowercase();
                if line.is_empty() {
                    break;
                }
                if let Some(value) = line.strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap_or(0);
                }
            }
            let mut body = vec![0; length];
            lines.read_exact(&mut body)?;
            Ok(String::from_utf8_lossy(&body).into_owned())
        };
        let json = talk().map_err(|e| format!("chromedriver: {e}"))?;
        let reply: Value = serde_json::from_str(&json).map_err(|e| format!("{e}: {json}"))?;
        match reply["value"]["error"].as_str() {
            Some(error) => Err(format!("{error}: {}", reply["value"]["message"])),
            None => Ok(reply["value"].clone()),
        }
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            let _ = self.ask("DELETE", &format!("/session/{}", self.session), &Value::Null);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
