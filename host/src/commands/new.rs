//! `starcell new`: a folder with a script that works, a test that passes, and the least permissions that serve it.

use std::fs;
use std::io;
use std::path::Path;

use crate::cli::New;
use crate::exit::Exit;
use crate::say::{fail, tell};

/// The files of a new project; `{{name}}` in them is its name.
const FILES: [(&str, &str); 4] = [
    ("README.md", include_str!("new/README.md")),
    ("main.star", include_str!("new/main.star")),
    ("main_test.star", include_str!("new/main_test.star")),
    ("starcell.toml", include_str!("new/starcell.toml")),
];

/// Makes the project and says how to go on.
pub fn new(arguments: &New) -> Exit {
    let name = arguments.name.as_str();
    match make(Path::new(name), name) {
        Ok(()) => {
            tell(&format!("made {name}; next: cd {name} && starcell test\n"));
            Exit::Ok
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fail(Exit::Usage, &format!("{name} is there already; choose another name"))
        }
        Err(error) => fail(Exit::Usage, &format!("cannot make {name}: {error}")),
    }
}

#[expect(clippy::disallowed_methods, reason = "makes the folder that the command line names")]
fn make(folder: &Path, name: &str) -> io::Result<()> {
    // Fails if there is anything of that name, so nothing that exists is ever written to.
    fs::create_dir(folder)?;
    for (file, text) in FILES {
        fs::write(folder.join(file), text.replace("{{name}}", name))?;
    }
    Ok(())
}
