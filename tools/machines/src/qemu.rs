//! Running images on QEMU.
//!
//! `-icount shift=0` makes every instruction a nanosecond of virtual time, so instruction counts are exactly repeatable.

use std::fs;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::firmware::{self, Image};
use crate::process::{status_within, wait};
use crate::{Error, Machine, cycles};

/// What the firmware measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Inputs that were run.
    pub inferences: u64,
    /// Instructions of the first inference.
    pub instructions: u64,
    /// Fewest instructions of an inference.
    pub instructions_min: u64,
    /// Most instructions of an inference.
    pub instructions_max: u64,
    /// Stack that an inference used, in bytes.
    pub stack_bytes: u64,
    /// Size of the arena, in bytes.
    pub arena_bytes: u64,
}

/// Outputs of a batch, and what it took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The outputs of all inputs, concatenated.
    pub outputs: Vec<u8>,
    /// What the firmware measured.
    pub report: Report,
}

/// A machine with the image that runs any model.
#[derive(Clone, Debug)]
pub struct Runner {
    machine: &'static Machine,
    image: PathBuf,
}

impl Runner {
    /// Builds the image if it is not up to date.
    ///
    /// # Errors
    /// As [`firmware::build`].
    pub fn new(machine: &'static Machine) -> Result<Self, Error> {
        Ok(Self { machine, image: firmware::build(machine, Image::Any)? })
    }

    /// Runs a packed model: `inputs` are int8 tensors, concatenated, and so are the outputs.
    ///
    /// # Errors
    /// If QEMU is missing, the firmware refuses the model or the inputs, or it does not finish within `limit`.
    pub fn run(&self, model: &[u8], inputs: &[u8], limit: Duration) -> Result<Batch, Error> {
        let folder = folder_with(&[("model", model), ("inputs", inputs)])?;
        let printed = run_image(self.machine, &self.image, folder.path(), limit)?;
        let report = serde_json::from_str(printed.trim()).map_err(|error| Error::Firmware {
            machine: self.machine.name,
            message: format!("no report ({error}) in {printed:?}"),
        })?;
        let path = folder.path().join("outputs");
        let outputs = fs::read(&path).map_err(Error::file(path))?;
        Ok(Batch { outputs, report })
    }

    /// Runs a packed model of so many steps on one input, and gives what each step takes.
    ///
    /// # Errors
    /// As [`Runner::run`].
    pub fn profile(
        &self,
        model: &[u8],
        steps: usize,
        input: &[u8],
        limit: Duration,
    ) -> Result<Vec<Cost>, Error> {
        let folder = folder_with(&[("model", model), ("inputs", input), ("profile", &[])])?;
        let run =
            |plugin: Option<&Path>| run_image_with(plugin, self.machine, &self.image, folder.path(), limit);
        // Releases of QEMU differ in the plugins that they take: where it does not run with this one, it may without.
        let plugin = cycles::plugin(self.machine);
        let (printed, plugged) = match plugin.as_deref().map(|plugin| run(Some(plugin))) {
            Some(Ok(printed)) => (printed, true),
            Some(Err(_)) | None => (run(None)?, false),
        };
        let marks = if plugged { cycles::marks(self.machine, folder.path())? } else { Vec::new() };
        let mut costs = vec![Cost { instructions: 0, cycles: None }; steps];
        for line in printed.lines() {
            let numbers: Vec<usize> = line.split(' ').filter_map(|number| number.parse().ok()).collect();
            let mut add = || {
                let &[step, counted, end] = numbers.as_slice() else { return None };
                let cost = costs.get_mut(step)?;
                if plugged {
                    // What the plugin counts has no ticks.
                    let span = marks.get(end)?.since(marks.get(end.checked_sub(1)?)?);
                    cost.instructions += span.instructions;
                    cost.cycles = span.cycles.map(|cycles| cost.cycles.unwrap_or(0) + cycles);
                } else {
                    cost.instructions += counted as u64;
                }
                Some(())
            };
            add().ok_or_else(|| Error::Firmware {
                machine: self.machine.name,
                message: format!("no step and what it takes in {line:?}"),
            })?;
        }
        Ok(costs)
    }
}

/// What a step takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Instructions; to a tick of the machine's counter, where the [plugin](cycles) is not built.
    pub instructions: u64,
    /// Estimated cycles of the machine's core, where the plugin is built and knows it.
    pub cycles: Option<u64>,
}

/// A folder with these files.
fn folder_with(files: &[(&str, &[u8])]) -> Result<tempfile::TempDir, Error> {
    let folder = tempfile::tempdir().map_err(Error::file(std::env::temp_dir()))?;
    for (name, bytes) in files {
        let path = folder.path().join(name);
        fs::write(&path, bytes).map_err(Error::file(path))?;
    }
    Ok(folder)
}

/// Runs a packed model on a machine, as [`Runner`] does, building the image first if need be.
///
/// # Errors
/// As [`Runner::new`] and [`Runner::run`].
pub fn run_model(
    machine: &'static Machine,
    model: &[u8],
    inputs: &[u8],
    limit: Duration,
) -> Result<Batch, Error> {
    Runner::new(machine)?.run(model, inputs, limit)
}

/// Runs an image in a folder, whose files it can open by name, and gives what it printed.
///
/// # Errors
/// If QEMU is missing, the image ends with an error, or does not end within `limit`.
pub fn run_image(
    machine: &'static Machine,
    image: &Path,
    folder: &Path,
    limit: Duration,
) -> Result<String, Error> {
    run_image_with(None, machine, image, folder, limit)
}

/// As [`run_image`], with the plugin that estimates cycles.
fn run_image_with(
    plugin: Option<&Path>,
    machine: &'static Machine,
    image: &Path,
    folder: &Path,
    limit: Duration,
) -> Result<String, Error> {
    let mut qemu = command(machine, image, folder, "none")?;
    if let Some(plugin) = plugin {
        qemu.arg("-plugin").arg(format!("{},out={}", plugin.display(), cycles::OUTPUT));
    }
    let status = status_within(&mut qemu, limit).map_err(|error| match error.kind() {
        ErrorKind::TimedOut => Error::Timeout { machine: machine.name, limit },
        _ => not_started(machine, &error),
    })?;
    let printed = printed(folder)?;
    if status.success() { Ok(printed) } else { Err(ended(machine, &printed, status)) }
}

/// What QEMU and the image print goes there.
const CONSOLE: &str = "console";

/// QEMU with an image, whose serial port is connected to `serial`.
fn command(machine: &Machine, image: &Path, folder: &Path, serial: &str) -> Result<Command, Error> {
    let output_path = folder.join(CONSOLE);
    let output = fs::File::create(&output_path).map_err(Error::file(&output_path))?;
    let errors = output.try_clone().map_err(Error::file(&output_path))?;
    let mut qemu = Command::new(machine.qemu);
    qemu.args(["-M", machine.board]).args(machine.arguments);
    qemu.args(["-icount", "shift=0", "-display", "none", "-monitor", "none", "-serial", serial]);
    qemu.args(["-semihosting-config", "enable=on,target=native"]);
    match machine.flash_bytes {
        // With a drive for its second flash, QEMU's RISC-V machine keeps a kernel for firmware in that flash to load.
        Some(_) => qemu.arg("-device").arg(format!("loader,file={}", value(image))),
        None => qemu.arg("-kernel").arg(image),
    };
    qemu.current_dir(folder).stdin(Stdio::null()).stdout(output).stderr(errors);
    Ok(qemu)
}

/// A path as a value in one of QEMU's lists: commas end a value unless there are two.
fn value(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}

fn printed(folder: &Path) -> Result<String, Error> {
    let path = folder.join(CONSOLE);
    let printed = fs::read(&path).map_err(Error::file(&path))?;
    Ok(String::from_utf8_lossy(&printed).into_owned())
}

fn not_started(machine: &Machine, error: &std::io::Error) -> Error {
    match error.kind() {
        ErrorKind::NotFound => Error::NoQemu(machine.qemu),
        _ => Error::Firmware { machine: machine.name, message: error.to_string() },
    }
}

/// Why QEMU ended, by what it printed.
fn ended(machine: &Machine, printed: &str, status: ExitStatus) -> Error {
    let message = match printed.trim() {
        "" => format!("QEMU ended with {status}"),
        text => text.trim_start_matches("error: ").to_owned(),
    };
    Error::Firmware { machine: machine.name, message }
}

/// A machine that takes rows over its serial port. It ends with this.
#[derive(Debug)]
pub struct Served {
    machine: &'static Machine,
    qemu: Child,
    folder: tempfile::TempDir,
}

impl Served {
    /// Starts the image that takes rows for a packed model, building it first if need be, and gives the other end of its serial port.
    ///
    /// # Errors
    /// If the image cannot be built, or QEMU does not start.
    pub fn start(machine: &'static Machine, model: &[u8]) -> Result<(Self, TcpStream), Error> {
        let image = firmware::build(machine, Image::Serial)?;
        Self::start_image(machine, &image, folder_with(&[("model", model)])?, &[])
    }

    /// Starts the image whose model lies in slots of the flash behind `file`, which becomes as long as the flash is; gives the other end of its
    /// serial port. The power ends in the middle of operation `power` of the flash, counted from 0, if it is given. With the hexadecimal digits of a
    /// public key, the image takes only models that its holder signed.
    ///
    /// # Errors
    /// If the machine has no such flash, the image cannot be built, the file cannot be written, or QEMU does not start.
    pub fn start_slots(
        machine: &'static Machine,
        file: &Path,
        power: Option<usize>,
        key: Option<&str>,
    ) -> Result<(Self, TcpStream), Error> {
        let flash_bytes = machine.flash_bytes.ok_or(Error::NoFlash(machine.name))?;
        let grown = fs::File::options().create(true).append(true).open(file);
        let found = grown.and_then(|grown| grown.set_len(flash_bytes).and_then(|()| file.canonicalize()));
        let file = found.map_err(Error::file(file))?;
        let power = power.map(|power| power.to_string());
        let files: Vec<(&str, &[u8])> = power.iter().map(|power| ("power", power.as_bytes())).collect();
        let image = firmware::build(machine, key.map_or(Image::Slots, Image::SignedSlots))?;
        // Commas end a value unless there are two.
        let drive =
            format!("if=pflash,unit=1,format=raw,file={}", file.display().to_string().replace(',', ",,"));
        Self::start_image(machine, &image, folder_with(&files)?, &["-drive", &drive])
    }

    /// Starts an image with its model in it, and gives the other end of its serial port.
    ///
    /// # Errors
    /// If QEMU does not start.
    pub fn start_with(machine: &'static Machine, image: &Path) -> Result<(Self, TcpStream), Error> {
        Self::start_image(machine, image, folder_with(&[])?, &[])
    }

    fn start_image(
        machine: &'static Machine,
        image: &Path,
        folder: tempfile::TempDir,
        arguments: &[&str],
    ) -> Result<(Self, TcpStream), Error> {
        let failed = |error: std::io::Error| not_started(machine, &error);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let mut qemu = command(machine, image, folder.path(), &format!("tcp:{address}"))?;
        let qemu = qemu.args(arguments).spawn().map_err(failed)?;
        let mut served = Self { machine, qemu, folder };
        let start = Instant::now();
        loop {
            match listener.accept() {
                Ok((stream, _)) => {
                    let ready = stream.set_nonblocking(false).and_then(|()| stream.set_nodelay(true));
                    ready.and_then(|()| stream.set_read_timeout(Some(READ_TIMEOUT))).map_err(failed)?;
                    return Ok((served, stream));
                }
                Err(error) if start.elapsed() > START_LIMIT => return Err(failed(error)),
                Err(_) => {}
            }
            if wait(&mut served.qemu, Duration::from_millis(10)).is_ok_and(|status| status.is_some())
                && let Some(error) = served.ended()
            {
                return Err(error);
            }
        }
    }

    /// Why QEMU ended, for example because the firmware refused the model; `None` where it still runs a moment later.
    pub fn ended(&mut self) -> Option<Error> {
        let status = wait(&mut self.qemu, Duration::from_secs(1)).ok().flatten()?;
        Some(
            printed(self.folder.path()).map_or_else(|error| error, |text| ended(self.machine, &text, status)),
        )
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

/// How long QEMU takes to connect its serial port, at most.
const START_LIMIT: Duration = Duration::from_secs(20);

/// After this a port says that nothing came.
pub const READ_TIMEOUT: Duration = Duration::from_millis(50);
