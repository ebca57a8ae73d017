//! How commands reach a TPM: the kernel's device, or an emulator's port.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

/// How long an emulator may take for one command. The kernel has limits of its own for each command of a chip.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Bytes of a response at most (TCG PC Client Platform TPM Profile: `TPM_PT_MAX_RESPONSE_SIZE` of 4096).
const RESPONSE_BYTES_MAX: usize = 4096;
/// Tag, size and code.
pub(super) const HEADER_BYTES: usize = 10;
const DEVICE: &str = "/dev/tpmrm0";

/// Where a TPM is: `device:/dev/tpmrm0`, or `swtpm:host=127.0.0.1,port=2321`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Tcti {
    /// A device of the kernel, with its resource manager.
    Device(PathBuf),
    /// The emulator `swtpm` on this machine: what is sent there is neither encrypted nor authenticated.
    Swtpm(SocketAddr),
}

/// The text names no TPM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a TPM is device:/dev/tpmrm0 or swtpm:host=127.0.0.1,port=2321, on this machine")]
pub struct InvalidTcti;

impl Default for Tcti {
    fn default() -> Self {
        Self::Device(DEVICE.into())
    }
}

impl FromStr for Tcti {
    type Err = InvalidTcti;

    fn from_str(text: &str) -> Result<Self, InvalidTcti> {
        if let Some(path) = text.strip_prefix("device:") {
            return if path.starts_with('/') { Ok(Self::Device(path.into())) } else { Err(InvalidTcti) };
        }
        let place = text.strip_prefix("swtpm:host=").and_then(|rest| rest.split_once(",port="));
        let (host, port) = place.ok_or(InvalidTcti)?;
        let host: IpAddr = host.parse().map_err(|_| InvalidTcti)?;
        let port = port.parse().map_err(|_| InvalidTcti)?;
        if host.is_loopback() { Ok(Self::Swtpm(SocketAddr::new(host, port))) } else { Err(InvalidTcti) }
    }
}

impl TryFrom<String> for Tcti {
    type Error = InvalidTcti;

    fn try_from(text: String) -> Result<Self, InvalidTcti> {
        text.parse()
    }
}

/// An open way to a TPM.
pub(super) enum Transport {
    Device(File),
    Swtpm(TcpStream),
}

impl Transport {
    pub(super) fn open(tcti: &Tcti) -> io::Result<Self> {
        match tcti {
            Tcti::Device(path) => OpenOptions::new().read(true).write(true).open(path).map(Self::Device),
            Tcti::Swtpm(address) => {
                let stream = TcpStream::connect_timeout(address, TIMEOUT)?;
                stream.set_read_timeout(Some(TIMEOUT))?;
                stream.set_write_timeout(Some(TIMEOUT))?;
                stream.set_nodelay(true)?;
                Ok(Self::Swtpm(stream))
            }
        }
    }

    /// Sends a command; its response, whose header says how long it is.
    pub(super) fn transmit(&mut self, command: &[u8]) -> io::Result<Vec<u8>> {
        let mut response = vec![0; RESPONSE_BYTES_MAX];
        let count = match self {
            // The driver takes a command in one write and gives its response in one read.
            Self::Device(file) => {
                file.write_all(command)?;
                file.read(&mut response)?
            }
            Self::Swtpm(stream) => {
                stream.write_all(command)?;
                stream.read_exact(&mut response[..HEADER_BYTES])?;
                let size = announced(&response).ok_or(io::ErrorKind::InvalidData)?;
                stream.read_exact(&mut response[HEADER_BYTES..size])?;
                size
            }
        };
        response.truncate(count);
        if announced(&response) == Some(count) { Ok(response) } else { Err(io::ErrorKind::InvalidData.into()) }
    }
}

/// The size that a response's header announces, if it may be so long.
fn announced(response: &[u8]) -> Option<usize> {
    let size = response.get(2..6)?.try_into().ok().map(u32::from_be_bytes)?;
    usize::try_from(size).ok().filter(|size| (HEADER_BYTES..=RESPONSE_BYTES_MAX).contains(size))
}
