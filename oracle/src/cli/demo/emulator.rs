//! swtpm for the demo: a TPM 2.0 in software, with a maker's certificates that were made on the spot.

use std::ffi::OsStr;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::attester::tpm::Tcti;

/// How often, and in what steps, a tool or a listener is looked after: half a minute at most.
const LOOKS: u32 = 1500;
const LOOK: Duration = Duration::from_millis(20);
/// Ports that are tried: another process may take one first.
const PORTS: u32 = 8;

/// Why there is no emulator.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoEmulator {
    /// It is not on PATH.
    #[error("{0} is not installed")]
    Missing(&'static str),
    /// A process or a file.
    #[error("{0} cannot be used: {1}")]
    Io(&'static str, #[source] io::Error),
    /// It ended with an error, or did not end or listen in time.
    #[error("{0} failed")]
    Failed(&'static str),
}

/// A TPM that runs. It ends with the value, and its folder is removed.
pub(super) struct Emulator {
    child: Child,
    port: u16,
    folder: TempDir,
}

impl Emulator {
    /// Makes one with an endorsement key and its certificate, and starts it. It blocks for a second or two.
    pub(super) fn start() -> Result<Self, NoEmulator> {
        for tool in ["swtpm", "swtpm_setup"] {
            match command(tool).arg("--version").status() {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(NoEmulator::Missing(tool)),
                Err(error) => return Err(NoEmulator::Io(tool, error)),
            }
        }
        let unusable = |error| NoEmulator::Io("a temporary folder", error);
        let folder = tempfile::tempdir().map_err(unusable)?;
        let config = write_config(folder.path()).map_err(unusable)?;
        let mut setup = command("swtpm_setup");
        setup.args(["--tpm2", "--create-ek-cert", "--pcr-banks", "sha256", "--tpmstate"]);
        setup.arg(folder.path()).arg("--config").arg(config);
        finish("swtpm_setup", &mut setup)?;
        for _ in 0..PORTS {
            if let Some((child, port)) = serve(folder.path())? {
                return Ok(Self { child, port, folder });
            }
        }
        Err(NoEmulator::Failed("swtpm"))
    }

    /// How it is reached.
    pub(super) fn tcti(&self) -> Tcti {
        Tcti::Swtpm(([127, 0, 0, 1], self.port).into())
    }

    /// The certificate that its endorsement key's was issued by, PEM.
    pub(super) fn issuer(&self) -> io::Result<Vec<u8>> {
        std::fs::read(self.folder.path().join("issuer.pem"))
    }

    /// A file of its folder.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn command(tool: &str) -> Command {
    let mut command = Command::new(tool);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// It may have ended by itself.
fn end(child: &mut Child) {
    if let Err(error) = child.kill().and_then(|()| child.wait()) {
        tracing::debug!(%error, "the emulator is not ended");
    }
}

/// Writes how swtpm-localca certifies, with keys in `folder` that it makes: the file that says so.
fn write_config(folder: &Path) -> io::Result<PathBuf> {
    let file = |name: &str| folder.join(name);
    let (authority, options, setup) = (file("authority.conf"), file("authority.options"), file("setup.conf"));
    let shown = folder.display();
    std::fs::write(
        &authority,
        format!(
            "statedir = {shown}\nsigningkey = {shown}/issuer.key\nissuercert = {shown}/issuer.pem\n\
             certserial = {shown}/serial\n"
        ),
    )?;
    std::fs::write(&options, "")?;
    let (authority, options) = (authority.display(), options.display());
    std::fs::write(
        &setup,
        format!(
            "create_certs_tool = swtpm_localca\ncreate_certs_tool_config = {authority}\n\
             create_certs_tool_options = {options}\n"
        ),
    )?;
    Ok(setup)
}

/// Waits until a tool has ended well.
fn finish(tool: &'static str, command: &mut Command) -> Result<(), NoEmulator> {
    let mut child = command.spawn().map_err(|error| NoEmulator::Io(tool, error))?;
    for _ in 0..LOOKS {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(None) => std::thread::sleep(LOOK),
            Ok(Some(_)) | Err(_) => break,
        }
    }
    end(&mut child);
    Err(NoEmulator::Failed(tool))
}

/// swtpm on a port that was free; nothing where another process took it meanwhile.
fn serve(folder: &Path) -> Result<Option<(Child, u16)>, NoEmulator> {
    let unusable = |error| NoEmulator::Io("swtpm", error);
    let port = TcpListener::bind(("127.0.0.1", 0)).and_then(|free| free.local_addr()).map_err(unusable)?.port();
    let named = |key: &str, path: &Path| {
        let mut argument = OsStr::new(key).to_owned();
        argument.push(path);
        argument
    };
    let mut command = command("swtpm");
    command.args(["socket", "--tpm2", "--tpmstate"]).arg(named("dir=", folder));
    command.arg("--server").arg(format!("type=tcp,port={port},bindaddr=127.0.0.1"));
    command.arg("--ctrl").arg(named("type=unixio,path=", &folder.join("control")));
    command.args(["--flags", "not-need-init,startup-clear"]);
    let mut child = command.spawn().map_err(unusable)?;
    for _ in 0..LOOKS {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Ok(Some((child, port)));
        }
        match child.try_wait() {
            Ok(None) => std::thread::sleep(LOOK),
            Ok(Some(_)) | Err(_) => break,
        }
    }
    end(&mut child);
    Ok(None)
}
