//! The ports behind which boards are: serial ones, sockets, and those of machines in QEMU.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ocelli_machines::qemu::{READ_TIMEOUT, Served};
use ocelli_machines::{MACHINES, Machine, machine};

/// Where a board is, as on the command line.
#[derive(Clone, Debug)]
pub enum Port {
    /// A serial port of this computer.
    Serial(String),
    /// A TCP socket, such as QEMU's `-serial tcp:...`.
    Tcp(String),
    /// A Unix socket.
    Unix(String),
    /// A machine in QEMU, started for this.
    Qemu(&'static Machine),
    /// A machine in QEMU whose model lies in the flash behind a file.
    QemuFlash(&'static Machine, PathBuf),
}

impl FromStr for Port {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(address) = text.strip_prefix("tcp:") {
            Ok(Self::Tcp(address.to_owned()))
        } else if let Some(path) = text.strip_prefix("unix:") {
            Ok(Self::Unix(path.to_owned()))
        } else if let Some(name) = text.strip_prefix("qemu:") {
            let names: Vec<&str> = MACHINES.iter().map(|machine| machine.name).collect();
            let unknown = || format!("the machines are qemu:{}", names.join(", qemu:"));
            match name.split_once(':') {
                Some((name, file)) => {
                    let machine = machine(name).ok_or_else(unknown)?;
                    Ok(Self::QemuFlash(machine, file.into()))
                }
                None => machine(name).map(Self::Qemu).ok_or_else(unknown),
            }
        } else {
            Ok(Self::Serial(text.to_owned()))
        }
    }
}

impl fmt::Display for Port {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Serial(path) => formatter.write_str(path),
            Self::Tcp(address) => write!(formatter, "tcp:{address}"),
            Self::Unix(path) => write!(formatter, "unix:{path}"),
            Self::Qemu(machine) => write!(formatter, "qemu:{} ({})", machine.name, machine.core),
            Self::QemuFlash(machine, file) => {
                write!(formatter, "qemu:{}:{} ({})", machine.name, file.display(), machine.core)
            }
        }
    }
}

/// An open port, whose reads end after [`READ_TIMEOUT`].
pub struct Open {
    stream: Box<dyn Stream>,
    served: Option<Served>,
}

trait Stream: Read + Write {}
impl<T: Read + Write + ?Sized> Stream for T {}

impl Port {
    /// Opens it; a machine in QEMU gets the packed model in `model`.
    pub fn open(&self, baud: u32, model: Option<&[u8]>) -> Result<Open> {
        match self {
            Self::Serial(path) => {
                let port = serialport::new(path, baud).timeout(READ_TIMEOUT).open();
                Ok(Open::new(port.with_context(|| no_port(path))?))
            }
            Self::Tcp(address) => {
                let stream =
                    TcpStream::connect(address).with_context(|| format!("cannot connect to {self}"))?;
                stream.set_read_timeout(Some(READ_TIMEOUT))?;
                stream.set_nodelay(true)?;
                Ok(Open::new(stream))
            }
            Self::Unix(path) => open_unix(path),
            Self::Qemu(machine) => {
                let Some(model) = model else {
                    bail!("{self} has no model yet: say which with `--model`");
                };
                let (served, stream) = Served::start(machine, model)?;
                Ok(Open { stream: Box::new(stream), served: Some(served) })
            }
            Self::QemuFlash(machine, file) => {
                let (served, stream) = Served::start_slots(machine, file, None, None)?;
                Ok(Open { stream: Box::new(stream), served: Some(served) })
            }
        }
    }
}

#[cfg(unix)]
fn open_unix(path: &str) -> Result<Open> {
    let stream = std::os::unix::net::UnixStream::connect(path)
        .with_context(|| format!("cannot connect to unix:{path}"))?;
    stream.set_read_timeout(Some(READ_TIMEOUT))?;
    Ok(Open::new(stream))
}

#[cfg(not(unix))]
fn open_unix(path: &str) -> Result<Open> {
    bail!("there are no Unix sockets here: cannot connect to unix:{path}")
}

/// What to say of a serial port that cannot be opened: which ones there are.
fn no_port(path: &str) -> String {
    let ports = serialport::available_ports().unwrap_or_default();
    let names: Vec<String> = ports.into_iter().map(|port| port.port_name).collect();
    let found = if names.is_empty() {
        "none is found here".to_owned()
    } else {
        format!("found here: {}", names.join(", "))
    };
    format!("cannot open the serial port {path} ({found}; sockets are written tcp:HOST:PORT or unix:PATH)")
}

impl Open {
    fn new(stream: impl Stream + 'static) -> Self {
        Self { stream: Box::new(stream), served: None }
    }

    /// Why the machine behind the port ended, if one was started and did.
    pub fn ended(&mut self) -> Option<ocelli_machines::Error> {
        self.served.as_mut()?.ended()
    }
}

impl Read for Open {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.stream.read(bytes)
    }
}

impl Write for Open {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// How long a board may be silent, in seconds on the command line.
pub fn parse_limit(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds) if seconds > 0 => Ok(Duration::from_secs(seconds)),
        _ => Err("give whole seconds, at least 1".to_owned()),
    }
}
