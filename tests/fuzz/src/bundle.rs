//! A bundle that a stranger made: whatever is read from it has names that lead nowhere, and is packed and read again as it
//! was.

use starcell_bundle::{Bundle, MAX_UNPACKED, is_part};

use crate::target::Target;

pub(crate) fn target() -> Target {
    let files = [("a/app.toml", "tenant = \"acme\"\n"), ("a/main.star", "print(1)\n"), ("a/lib/x.star", "x = 1\n")];
    let bundle = Bundle::new(files.map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec())).into());
    let packed = bundle.expect("a sound bundle").pack();
    Target {
        name: "bundle",
        run,
        seeds: vec![plain(&files), packed],
        words: &[
            "a/app.toml",
            "a/main.star",
            "../",
            "/etc/",
            ".git/",
            "ustar\0",
            "00",
            "0000644\0",
            "20 path=",
            "size=",
        ],
    }
}

fn run(data: &[u8]) {
    let Ok(bundle) = Bundle::read(data) else { return };
    let mut bytes = 0;
    for app in bundle.apps() {
        for (name, content) in bundle.files_of(app) {
            assert!(is_part(app) && name.split('/').all(is_part), "{app:?} {name:?}");
            bytes += content.len();
        }
    }
    assert!(bytes <= MAX_UNPACKED && bundle.apps().count() > 0);
    assert_eq!(Bundle::read(&bundle.pack()).as_ref(), Ok(&bundle), "read twice");
}

/// The files as an archive that is not compressed, so that a changed byte is one of a header.
fn plain(files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (name, text) in files {
        let mut block = vec![0; 512];
        block[..name.len()].copy_from_slice(name.as_bytes());
        block[124..136].copy_from_slice(format!("{:011o}\0", text.len()).as_bytes());
        block[156] = b'0';
        block[257..265].copy_from_slice(b"ustar\x0000");
        block[148..156].copy_from_slice(b"        ");
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        block.extend_from_slice(text.as_bytes());
        block.resize(block.len().next_multiple_of(512), 0);
        archive.extend_from_slice(&block);
    }
    archive.resize(archive.len() + 1024, 0);
    archive
}
