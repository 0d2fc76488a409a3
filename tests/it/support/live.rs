//! A command line that is talked to while it runs, in this process.

use std::ffi::OsString;
use std::io::{self, BufReader, Read, Write};
use std::sync::mpsc;

use tokio::sync::watch;

use super::{Mirror, Run, secrets};

/// The person at the terminal.
pub struct Person {
    keys: mpsc::Sender<Vec<u8>>,
    out: watch::Receiver<Vec<u8>>,
    err: watch::Receiver<Vec<u8>>,
}

impl Person {
    /// Waits for a whole line of stdout that has `word` in it.
    pub async fn reads(&self, word: &str) -> String {
        line(self.out.clone(), word).await
    }

    /// The same on stderr.
    pub async fn hears(&self, word: &str) -> String {
        line(self.err.clone(), word).await
    }

    /// Types a line.
    pub fn types(&self, text: &str) {
        self.keys.send(format!("{text}\n").into_bytes()).unwrap();
    }
}

async fn line(mut stream: watch::Receiver<Vec<u8>>, word: &str) -> String {
    let found = |bytes: &Vec<u8>| {
        let text = String::from_utf8_lossy(bytes);
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().find(|line| line.contains(word)).map(str::to_owned)
    };
    let bytes = stream.wait_for(|bytes| found(bytes).is_some()).await;
    found(&bytes.expect("the command goes on")).unwrap()
}

impl Mirror {
    /// Runs a command line while `person` does something; stdin ends when the person is
    /// done. Printed may be what was asked for, secrets included.
    pub async fn live(&self, args: &[&str], person: impl AsyncFnOnce(&Person)) -> Run {
        let (keys, typed) = mpsc::channel();
        let (out_end, out) = watch::channel(Vec::new());
        let (err_end, err) = watch::channel(Vec::new());
        let input = Box::new(BufReader::new(Keys { typed, rest: Vec::new() }));
        let host = self.host(input, Box::new(Stream(out_end)), Box::new(Stream(err_end)));
        let args: Vec<OsString> =
            std::iter::once("feishu-mirror").chain(args.iter().copied()).map(Into::into).collect();
        let at = Person { keys, out: out.clone(), err: err.clone() };
        let acting = async move {
            person(&at).await;
            drop(at);
        };
        let (code, ()) = tokio::join!(feishu_mirror::run(args, host), acting);
        let text =
            |stream: watch::Receiver<Vec<u8>>| String::from_utf8(stream.borrow().clone()).unwrap();
        let (out, err) = (text(out), text(err));
        secrets::none_in("stderr", &err);
        Run { code, out, err }
    }
}

struct Keys {
    typed: mpsc::Receiver<Vec<u8>>,
    rest: Vec<u8>,
}

impl Read for Keys {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.rest.is_empty() {
            self.rest = self.typed.recv().unwrap_or_default();
        }
        let count = self.rest.len().min(into.len());
        into[..count].copy_from_slice(&self.rest[..count]);
        self.rest.drain(..count);
        Ok(count)
    }
}

struct Stream(watch::Sender<Vec<u8>>);

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send_modify(|all| all.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
