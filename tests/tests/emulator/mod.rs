//! swtpm, a TPM that we did not write, and tpm2-tools, which talk to it (`tests/peers/install_tpm.sh`).

use std::fs;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// How often, and in what steps, it is looked whether the emulator listens.
const LOOKS: u32 = 500;
const LOOK: Duration = Duration::from_millis(10);
const TOOLS: [&str; 6] = ["timeout", "swtpm", "swtpm_setup", "swtpm_localca", "swtpm_cert", "tpm2_quote"];
/// What swtpm writes into its certificates, as `swtpm_setup` would.
const MODEL: &str = "--tpm2 --tpm-manufacturer id:00001014 --tpm-model swtpm --tpm-version id:20191023 \
                     --tpm-spec-family 2.0 --tpm-spec-level 0 --tpm-spec-revision 164";

/// A TPM that runs, with an RSA endorsement key that `swtpm-localca` certified.
pub(crate) struct Emulator {
    folder: TempDir,
    child: Child,
    port: u16,
}

impl Emulator {
    /// Starts one for a test. Nothing, and a visible word about it, where it was never installed.
    pub(crate) fn start(test: &str) -> Option<Self> {
        let is_there = |tool: &&str| {
            let path = std::env::var_os("PATH").unwrap_or_default();
            std::env::split_paths(&path).any(|folder| folder.join(tool).is_file())
        };
        if let Some(missing) = TOOLS.iter().find(|tool| !is_there(tool)) {
            let line = format!("\nSKIPPED: {test}: {missing} is missing: run tests/peers/install_tpm.sh\n");
            std::io::stderr().write_all(line.as_bytes()).expect("stderr is there");
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().display();
        fs::create_dir(folder.path().join("ca")).expect("a folder");
        let authority = format!(
            "statedir = {path}/ca\nsigningkey = {path}/ca/key.pem\nissuercert = {path}/ca/issuer.pem\n\
             certserial = {path}/ca/serial\n"
        );
        fs::write(folder.path().join("authority.conf"), authority).expect("a file");
        fs::write(folder.path().join("authority.options"), "").expect("a file");
        let setup = format!(
            "create_certs_tool = swtpm_localca\ncreate_certs_tool_config = {path}/authority.conf\n\
             create_certs_tool_options = {path}/authority.options\n"
        );
        fs::write(folder.path().join("setup.conf"), setup).expect("a file");
        let arguments =
            format!("--tpm2 --tpmstate {path} --create-ek-cert --pcr-banks sha256 --config {path}/setup.conf");
        run(Command::new("swtpm_setup").args(arguments.split(' ')));
        let (child, port) = serve(&folder);
        Some(Self { folder, child, port })
    }

    /// How it is reached.
    pub(crate) fn tcti(&self) -> String {
        format!("swtpm:host=127.0.0.1,port={}", self.port)
    }

    /// A file of its folder, in which tools run.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.file(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// What a file of a `TPM2B` holds, without its length.
    pub(crate) fn read_sized(&self, name: &str) -> Vec<u8> {
        self.read(name).split_off(2)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.file(name), bytes).expect("a file");
    }

    /// Runs one of tpm2-tools, then makes room again: there is no resource manager. What it printed.
    pub(crate) fn tool(&self, line: &str) -> String {
        let printed = self.tool_that_stays(line);
        self.flush();
        printed
    }

    /// The same; what it loaded stays.
    pub(crate) fn tool_that_stays(&self, line: &str) -> String {
        let mut words = line.split(' ');
        let mut command = Command::new(words.next().expect("a tool"));
        run(command.args(words).current_dir(self.folder.path()).env("TPM2TOOLS_TCTI", self.tcti()))
    }

    pub(crate) fn flush(&self) {
        for kind in ["-t", "-l", "-s"] {
            self.tool_that_stays(&format!("tpm2_flushcontext {kind}"));
        }
    }

    /// Certifies an endorsement key at this point of P-256, and stores the certificate where makers do.
    pub(crate) fn certify_ecc(&self, x: &[u8], y: &[u8]) {
        let (x, y) = (hexadecimal(x), hexadecimal(y));
        let line = format!(
            "--type ek --signkey ca/key.pem --issuercert ca/issuer.pem --out-cert ecc.der --ecc-x {x} --ecc-y {y} \
             --ecc-curveid secp256r1 --serial 77 --days 3650 --subject CN=unknown {MODEL}"
        );
        run(Command::new("swtpm_cert").args(line.split_whitespace()).current_dir(self.folder.path()));
        let size = self.read("ecc.der").len();
        self.tool(&format!("tpm2_nvdefine 0x01c0000a -C o -s {size} -a ownerread|authread|ownerwrite|authwrite"));
        self.tool("tpm2_nvwrite 0x01c0000a -C o -i ecc.der");
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// `timeout` hands SIGTERM on to the emulator; killed, it would leave it behind. Either may have ended by itself.
fn end(child: &mut Child) {
    if let Ok(None) = child.try_wait() {
        let _ = Command::new("kill").args(["-TERM", &child.id().to_string()]).stderr(Stdio::null()).status();
        let _ = child.wait();
    }
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().expect("the tool starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs swtpm on a port whose next one, for control, is free too.
fn serve(folder: &TempDir) -> (Child, u16) {
    for _ in 0..LOOKS {
        let Some(port) = free_ports() else { continue };
        let path = folder.path().display();
        let arguments = format!(
            "180 swtpm socket --tpm2 --tpmstate dir={path} --server type=tcp,port={port},bindaddr=127.0.0.1 \
             --ctrl type=tcp,port={},bindaddr=127.0.0.1 --flags not-need-init,startup-clear",
            port + 1
        );
        let mut command = Command::new("timeout");
        command.args(arguments.split_whitespace()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().expect("swtpm starts");
        for _ in 0..LOOKS {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return (child, port);
            }
            // Another process has taken a port meanwhile.
            if child.try_wait().expect("the child is ours").is_some() {
                break;
            }
            std::thread::sleep(LOOK);
        }
        end(&mut child);
    }
    panic!("swtpm did not start");
}

fn free_ports() -> Option<u16> {
    let first = TcpListener::bind("127.0.0.1:0").ok()?;
    let port = first.local_addr().ok()?.port();
    let next = port.checked_add(1)?;
    TcpListener::bind(("127.0.0.1", next)).ok()?;
    Some(port)
}
