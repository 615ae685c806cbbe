//! `ocelli new`: a firmware project for a machine, with a model in it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use askama::Template;
use clap::Args;
use ocelli_machines::{MACHINES, Machine, firmware, machine};

use crate::fit::{self, Room};
use crate::{files, print};

/// Write a firmware project for a machine in QEMU, with a packed model in it.
#[derive(Args)]
#[command(after_help = "Examples:
  ocelli new my-app --board qemu:m4 --model digits.ocelli
  ocelli new my-app --board qemu:rv32 --model digits.ocelli --ocelli https://example.org/ocelli.git

Then: cd my-app && cargo run --release, and in another terminal
  ocelli send picture.png --port tcp:127.0.0.1:4000 --model my-app/model.ocelli")]
pub struct Arguments {
    /// The folder to make; its name is the project's.
    folder: PathBuf,
    /// A machine in QEMU, such as qemu:m4.
    #[arg(long, value_parser = parse_machine)]
    board: &'static Machine,
    /// The packed model, made by `ocelli quantize`.
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// Where the project gets Ocelli from: a folder with the repository, or the address of a Git repository. By default the repository that
    /// this program was built in.
    #[arg(long, value_name = "PATH|URL")]
    ocelli: Option<String>,
}

fn parse_machine(text: &str) -> Result<&'static Machine, String> {
    text.strip_prefix("qemu:").and_then(machine).ok_or_else(|| {
        let names: Vec<&str> = MACHINES.iter().map(|machine| machine.name).collect();
        format!("choose from qemu:{}", names.join(", qemu:"))
    })
}

/// Runs the subcommand.
pub fn run(arguments: &Arguments) -> Result<()> {
    let folder = &arguments.folder;
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let is_word = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
    if !name.starts_with(|first: char| first.is_ascii_alphabetic()) || !name.chars().all(is_word) {
        bail!("`{name}` cannot name a project: use letters, digits, - and _, a letter first");
    }
    if folder.exists() {
        bail!("{} is there already: choose another name", folder.display());
    }
    files::check_folder(folder)?;
    let bytes =
        fs::read(&arguments.model).with_context(|| format!("cannot read {}", arguments.model.display()))?;
    let machine = arguments.board;
    let place = format!("qemu:{}", machine.name);
    let (flash, ram) = (machine.code.length, machine.ram.length);
    fit::check(
        &bytes,
        &arguments.model,
        &Room { place: &place, core: machine.core, kernels: machine.kernels, flash, ram },
    )?;

    let source = Source::new(arguments.ocelli.as_deref())?;
    let mut project = machine_project(arguments.board, name, &source)?;
    project.push(("model.ocelli".into(), bytes));
    project.push((".gitignore".into(), b"/target\n".to_vec()));
    write(folder, &project)?;
    print::line(format_args!(
        "{}: a project for qemu:{}; next: cd {} && cargo run --release",
        folder.display(),
        arguments.board.name,
        folder.display()
    ))?;
    Ok(())
}

/// Where a project gets Ocelli's crates from.
enum Source {
    /// The repository's folder.
    Path(PathBuf),
    /// A Git repository's address.
    Git(String),
}

impl Source {
    fn new(text: Option<&str>) -> Result<Self> {
        match text {
            Some(url) if url.contains("://") || url.starts_with("git@") => Ok(Self::Git(url.to_owned())),
            Some(path) => {
                let root = fs::canonicalize(path).with_context(|| format!("cannot read {path}"))?;
                if !root.join("crates/ocelli/Cargo.toml").is_file() {
                    bail!("{path} is not Ocelli's repository: it has no crates/ocelli");
                }
                Ok(Self::Path(root))
            }
            None => {
                let boards = firmware::boards()?;
                Ok(Self::Path(boards.parent().context("`boards` lies in the repository")?.to_owned()))
            }
        }
    }

    /// How `Cargo.toml` names a crate of the repository, by its folder there.
    fn dependency(&self, folder: &str) -> String {
        match self {
            Self::Path(root) => format!("path = {:?}", root.join(folder).display().to_string()),
            Self::Git(url) => format!("git = {url:?}"),
        }
    }
}

/// A file's path in the project, and its bytes.
type File = (PathBuf, Vec<u8>);

#[derive(Template)]
#[template(path = "machine/Cargo.toml.txt")]
struct Manifest<'a> {
    name: &'a str,
    machine: &'a Machine,
    ocelli: String,
    app: String,
    qemu: String,
}

#[derive(Template)]
#[template(path = "machine/config.toml.txt")]
struct Configuration<'a> {
    machine: &'a Machine,
}

#[derive(Template)]
#[template(path = "machine/build.rs.txt")]
struct BuildScript {
    scripts: &'static [&'static str],
}

#[derive(Template)]
#[template(path = "machine/README.md.txt")]
struct Readme<'a> {
    name: &'a str,
    machine: &'a Machine,
}

fn machine_project(machine: &Machine, name: &str, source: &Source) -> Result<Vec<File>> {
    let scripts: &[&str] =
        if machine.target.starts_with("riscv") { &["memory.x", "link.x"] } else { &["link.x"] };
    let manifest = Manifest {
        name,
        machine,
        ocelli: source.dependency("crates/ocelli"),
        app: source.dependency("boards/app"),
        qemu: source.dependency("boards/qemu"),
    };
    Ok(vec![
        ("Cargo.toml".into(), manifest.render()?.into_bytes()),
        (".cargo/config.toml".into(), Configuration { machine }.render()?.into_bytes()),
        ("build.rs".into(), BuildScript { scripts }.render()?.into_bytes()),
        ("src/main.rs".into(), include_bytes!("../templates/machine/main.rs.txt").to_vec()),
        ("README.md".into(), Readme { name, machine }.render()?.into_bytes()),
    ])
}

/// Writes the project beside its place, then moves it there: it is whole or not at all.
fn write(folder: &Path, project: &[File]) -> Result<()> {
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let place = || format!("cannot write {}", folder.display());
    let partial = tempfile::tempdir_in(parent).with_context(place)?;
    let inner = partial.path().join("project");
    for (file, bytes) in project {
        let path = inner.join(file);
        fs::create_dir_all(path.parent().unwrap_or(&inner)).with_context(place)?;
        fs::write(&path, bytes).with_context(place)?;
    }
    fs::rename(&inner, folder).with_context(place)
}
