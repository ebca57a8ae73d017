//! A peer: a client that we did not write, run by a script of `tests/peers` with what `install.sh` put in place.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use serde_json::Value;

use super::node::{Ended, Installation};

/// How long a script may work for one line, stretching a password several times included.
const LINE_DEADLINE: Duration = Duration::from_secs(120);
/// How long it may take to close its output after its last line.
const END_DEADLINE: Duration = Duration::from_secs(20);
/// How often, and in what steps, its end is looked for after that.
const END_LOOKS: u32 = 200;
const END_LOOK: Duration = Duration::from_millis(20);

/// A script that runs.
pub(crate) struct Script {
    name: &'static str,
    child: Ended,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    errors: PathBuf,
}

impl Script {
    /// Runs a script with these settings. Nothing, and a visible word about it, where its program or packages were never
    /// installed; whatever goes wrong with them is a failure.
    pub(crate) fn start(name: &'static str, installation: &Installation, settings: &Value) -> Option<Self> {
        let installed = installed();
        let program = match program(name, &installed) {
            Ok(program) => program,
            Err(why) => {
                // At once, and past the capture of tests' output, so that it is seen though the test passes.
                let line = format!("\nSKIPPED: {name}: {why}: run tests/peers/install.sh\n");
                std::io::stderr().write_all(line.as_bytes()).expect("stderr is there");
                return None;
            }
        };
        let folder = installation.file("peer");
        fs::create_dir(&folder).expect("a folder");
        for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("peers")).expect("the scripts") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|extension| extension == "mjs" || extension == "py") {
                fs::copy(&path, folder.join(path.file_name().expect("a name"))).expect("a copy");
            }
        }
        // Node.js looks for packages beside the script.
        std::os::unix::fs::symlink(installed.join("node_modules"), folder.join("node_modules")).expect("a link");
        fs::write(folder.join("settings.json"), settings.to_string()).expect("the settings are written");
        let errors = folder.join("stderr");
        let mut command = Command::new(program);
        command.args([name, "settings.json"]).current_dir(&folder);
        command.env("NODE_EXTRA_CA_CERTS", installation.file("ca.pem"));
        command.env("SSL_CERT_FILE", installation.file("ca.pem"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command.stderr(fs::File::create(&errors).expect("a file"));
        let mut child = command.spawn().expect("the script starts");
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let (sender, lines) = sync_channel(16);
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Some(Self { name, child: Ended(child), input, lines, errors })
    }

    /// The next line that it prints.
    pub(crate) fn line(&mut self) -> Value {
        match self.lines.recv_timeout(LINE_DEADLINE) {
            Ok(line) => serde_json::from_str(&line).unwrap_or_else(|_| panic!("{} printed {line}", self.name)),
            Err(RecvTimeoutError::Timeout) => panic!("{} took too long: {}", self.name, self.errors()),
            Err(RecvTimeoutError::Disconnected) => panic!("{} ended early: {}", self.name, self.errors()),
        }
    }

    /// Tells it more settings.
    pub(crate) fn tell(&mut self, settings: &Value) {
        let mut input = self.input.as_ref().expect("stdin is piped");
        writeln!(input, "{settings}").expect("the script reads");
    }

    /// Its last line, after which it ends without an error.
    pub(crate) fn result(mut self) -> Value {
        let line = self.line();
        drop(self.input.take());
        let after = self.lines.recv_timeout(END_DEADLINE);
        assert_eq!(after, Err(RecvTimeoutError::Disconnected), "{}: {}", self.name, self.errors());
        let status = self.end();
        assert!(status.success(), "{}: {status}: {}", self.name, self.errors());
        line
    }

    fn end(&mut self) -> ExitStatus {
        for _ in 0..END_LOOKS {
            if let Some(status) = self.child.0.try_wait().expect("it is our child") {
                return status;
            }
            std::thread::sleep(END_LOOK);
        }
        panic!("{} does not end: {}", self.name, self.errors());
    }

    fn errors(&self) -> String {
        fs::read_to_string(&self.errors).unwrap_or_default()
    }
}

/// Where `install.sh` puts what it installs.
fn installed() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("a folder of the target directory");
    std::env::var_os("SIWA_PEERS_DIR").map_or_else(|| target.join("peers"), PathBuf::from)
}

fn program(script: &str, installed: &Path) -> Result<PathBuf, String> {
    if !installed.join("stamp").is_file() {
        return Err(format!("nothing is installed in {}", installed.display()));
    }
    if script.ends_with(".py") {
        return Ok(installed.join("venv/bin/python"));
    }
    let node = Command::new("node").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    match node {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err("there is no node".to_owned()),
        _ => Ok("node".into()),
    }
}
