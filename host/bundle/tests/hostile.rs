//! Archives of strangers: each has one thing in it that no bundle has, beside ones that other programs write and that hold.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use starcell_bundle::{Bundle, BundleError, MAX_ENTRIES, MAX_FILE, MAX_PACKED};

/// An entry as a test writes it.
struct Entry<'a> {
    name: &'a [u8],
    kind: u8,
    size: u64,
    content: &'a [u8],
}

fn file<'a>(name: &'a str, content: &'a str) -> Entry<'a> {
    Entry { name: name.as_bytes(), kind: b'0', size: content.len() as u64, content: content.as_bytes() }
}

fn kind(kind: u8, name: &str) -> Entry<'_> {
    Entry { name: name.as_bytes(), kind, size: 0, content: b"" }
}

/// The entries that make an app `a`.
fn app() -> [Entry<'static>; 2] {
    [file("a/app.toml", "tenant = \"acme\"\n"), file("a/main.star", "print(1)\n")]
}

/// The bytes of an entry, in the format of GNU or of POSIX.
fn entry(entry: &Entry<'_>, magic: &[u8; 8]) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[..entry.name.len()].copy_from_slice(entry.name);
    block[100..108].copy_from_slice(b"0000644\0");
    block[124..136].copy_from_slice(format!("{:011o}\0", entry.size).as_bytes());
    block[156] = entry.kind;
    block[157..163].copy_from_slice(b"target");
    block[257..265].copy_from_slice(magic);
    sealed(&mut block);
    block.extend_from_slice(entry.content);
    block.resize(block.len().next_multiple_of(512), 0);
    block
}

fn sealed(block: &mut [u8]) {
    block[148..156].copy_from_slice(b"        ");
    let sum: u32 = block[..512].iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

fn tar(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut bytes: Vec<u8> = entries.iter().flat_map(|one| entry(one, b"ustar\x0000")).collect();
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

/// The app `a` with more entries.
fn with(more: impl IntoIterator<Item = Entry<'static>>) -> Vec<u8> {
    tar(&app().into_iter().chain(more).collect::<Vec<_>>())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn told(bytes: &[u8]) -> String {
    Bundle::read(bytes).unwrap_err().to_string()
}

#[test]
fn each_hostile_entry_is_named_with_the_fix() {
    for (entry, part) in [
        (file("/etc/passwd", "x"), "\"/etc/passwd\" is no name of a file"),
        (file("a/../../etc/passwd", "x"), "is no name of a file"),
        (file("../b/main.star", "x"), "is no name of a file"),
        (file("a/./x", "x"), "is no name of a file"),
        (file("a//x", "x"), "is no name of a file"),
        (file("a/.git/config", "x"), "none of which begins with a `.`"),
        (file(".git/config", "x"), "is no name of a file"),
        (file("a\\x", "x"), "is no name of a file"),
        (file("a/x\n", "x"), "is no name of a file"),
        (file("a/x y", "x"), "rename the file, or leave it out"),
        (file("Shop/main.star", "x"), "\"Shop\" is not the name of an app"),
        (file("readme.md", "x"), "lies outside of the folder of an app"),
        (file("a/main.star", "other"), "has \"a/main.star\" twice"),
        (file("a/Main.star", "other"), "differ in their case alone"),
        (file("a/main.star/x", "other"), "is a file and a folder at once"),
        (file("b/x", "1"), "the app b has no app.toml"),
        (kind(b'1', "a/x"), "\"a/x\" is a second name of another file"),
        (kind(b'2', "a/x"), "\"a/x\" is a symbolic link"),
        (kind(b'3', "a/x"), "\"a/x\" is a device"),
        (kind(b'4', "a/x"), "\"a/x\" is a device"),
        (kind(b'6', "a/x"), "\"a/x\" is a named pipe"),
        (kind(b'7', "a/x"), "an entry of an unknown kind"),
        (kind(b'S', "a/x"), "a file with holes"),
        (kind(b'L', "././@LongLink"), "a name of more than 255 bytes"),
        (kind(b'5', "../up"), "is no name of a file"),
        (kind(b'5', "Docs/"), "\"Docs\" is not the name of an app"),
        (Entry { name: b"a/\xff", kind: b'0', size: 0, content: b"" }, "is no name of a file"),
        (Entry { name: b"a/x", kind: b'x', size: 18, content: b"18 path=/etc/cron\n" }, "changes a name or a size"),
        (Entry { name: b"a/x", kind: b'g', size: 11, content: b"11 size=99\n" }, "changes a name or a size"),
        (Entry { name: b"a/x", kind: b'x', size: 8, content: b"99 a=bc\n" }, "has no sound header"),
        (Entry { name: b"a/x", kind: b'x', size: 1 << 20, content: b"" }, "a header of more than 64 KiB"),
    ] {
        let name = String::from_utf8_lossy(entry.name).into_owned();
        let bytes = with([entry]);
        let (plain, packed) = (told(&bytes), told(&gzip(&bytes)));
        assert!(plain.contains(part), "{name}: {plain}");
        assert_eq!(plain, packed, "{name}: compressed or not");
    }
}

#[test]
fn a_size_is_judged_before_it_is_believed() {
    let claims = |size| Entry { name: b"a/x", kind: b'0', size, content: b"" };
    assert!(told(&with([claims(MAX_FILE as u64 + 1)])).contains("more than 8 MiB"));
    assert!(told(&with([claims(0o77_777_777_777)])).contains("more than 8 MiB"));
    assert!(told(&with([claims(MAX_FILE as u64)])).contains("cut short"), "what is claimed does not come");
    // Eight files of the largest size, and one more: refused at its header, with nothing of it read.
    let names: Vec<String> = (0..9).map(|n| format!("a/{n}")).collect();
    let zeros = vec![0; MAX_FILE];
    let mut bytes: Vec<u8> = names[..8]
        .iter()
        .flat_map(|name| {
            let one = Entry { name: name.as_bytes(), kind: b'0', size: MAX_FILE as u64, content: &zeros };
            entry(&one, b"ustar\x0000")
        })
        .collect();
    bytes.extend(entry(&Entry { name: b"a/8", kind: b'0', size: 1, content: b"" }, b"ustar\x0000"));
    let bomb = gzip(&bytes);
    assert!(bomb.len() < 1 << 20, "64 MiB of zeros in {} bytes", bomb.len());
    assert!(told(&bomb).contains("more than 64 MiB together"));
    assert_eq!(Bundle::read(&vec![0; MAX_PACKED + 1]), Err(BundleError::LargePacked));
}

#[test]
fn entries_are_counted_folders_included() {
    let folders = (0..=MAX_ENTRIES).flat_map(|_| entry(&kind(b'5', "a/"), b"ustar\x0000"));
    assert_eq!(Bundle::read(&gzip(&folders.collect::<Vec<_>>())), Err(BundleError::TooMany));
}

#[test]
fn what_is_cut_or_goes_on_is_refused() {
    let (plain, packed) = (with([]), gzip(&with([])));
    Bundle::read(&plain).unwrap();
    Bundle::read(&packed).unwrap();
    for end in [0, 1, 511, 512, 513, 1500, 2048, plain.len() - 1024] {
        assert_eq!(Bundle::read(&plain[..end]), Err(BundleError::CutShort), "{end}");
    }
    for end in 2..packed.len() {
        assert_eq!(Bundle::read(&packed[..end]), Err(BundleError::Compression), "{end}");
    }
    let mut changed = packed.clone();
    let checksum = changed.len() - 5;
    changed[checksum] ^= 1;
    assert_eq!(Bundle::read(&changed), Err(BundleError::Compression));
    assert_eq!(Bundle::read(&[&plain[..], &with([])[..]].concat()), Err(BundleError::Behind));
    assert_eq!(Bundle::read(&[&packed[..], &packed[..]].concat()), Err(BundleError::Behind));
    assert_eq!(Bundle::read(&[&packed[..], b"\0"].concat()), Err(BundleError::Behind));
    let endless = gzip(&[&plain[..], &vec![0; 4 << 20]].concat());
    assert_eq!(Bundle::read(&endless), Err(BundleError::Behind));
    let mut unsealed = plain.clone();
    unsealed[100] ^= 1;
    assert_eq!(Bundle::read(&unsealed), Err(BundleError::BadHeader(1)));
    let mut large = plain;
    large[124] = 0x80;
    sealed(&mut large[..512]);
    assert_eq!(Bundle::read(&large), Err(BundleError::BadHeader(1)), "a size in base 256");
    assert_eq!(Bundle::read(b"not an archive"), Err(BundleError::CutShort));
    assert_eq!(Bundle::read(&[0; 1024]), Err(BundleError::NoApp));
}

#[test]
fn archives_of_other_programs_hold() {
    let entries = [
        Entry { name: b"pax_global_header", kind: b'g', size: 15, content: b"15 comment=123\n" },
        kind(b'5', "./"),
        kind(b'5', "./a/"),
        Entry { name: b"PaxHeaders/a", kind: b'x', size: 20, content: b"20 mtime=1753000000\n" },
        file("./a/app.toml", "tenant = \"acme\"\n"),
        Entry { name: b"./a/main.star", kind: 0, size: 9, content: b"print(1)\n" },
    ];
    let gnu: Vec<u8> = entries.iter().flat_map(|one| entry(one, b"ustar  \0")).chain(vec![0; 10240]).collect();
    let bundle = Bundle::read(&gnu).unwrap();
    assert_eq!(bundle, Bundle::read(&gzip(&tar(&entries))).unwrap());
    let files: Vec<_> = bundle.files_of("a").collect();
    assert_eq!(files, [("app.toml", &b"tenant = \"acme\"\n"[..]), ("main.star", b"print(1)\n")]);
}

#[test]
fn equal_apps_have_one_file() {
    let bundle = Bundle::read(&with([file("a/lib/x.star", "x = 1\n")])).unwrap();
    let reversed = [file("a/lib/x.star", "x = 1\n")].into_iter().chain(app().into_iter().rev()).collect::<Vec<_>>();
    let packed = bundle.pack();
    assert_eq!(packed, Bundle::read(&tar(&reversed)).unwrap().pack());
    assert_eq!(Bundle::read(&packed).unwrap(), bundle);
    // The fields that tell machines apart: the time and the system of gzip.
    assert_eq!((&packed[4..8], packed[9]), (&[0; 4][..], 255));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_read_is_packed_and_read_again(
        files in prop::collection::btree_map("[a-z]{1,3}/[a-zA-Z0-9._-]{1,8}", prop::collection::vec(any::<u8>(), 0..600), 0..6),
    ) {
        let more = ["app.toml", "main.star"];
        let apps: Vec<String> = files.keys().filter_map(|name| name.split('/').next()).map(str::to_owned).collect();
        let named = apps.iter().flat_map(|app| more.map(|part| (format!("{app}/{part}"), Vec::new())));
        if let Ok(bundle) = Bundle::new(files.clone().into_iter().chain(named).collect()) {
            prop_assert_eq!(Bundle::read(&bundle.pack()), Ok(bundle));
        }
    }

    #[test]
    fn a_flipped_bit_is_never_a_panic(at in 0_usize..3000, bit in 0..8) {
        let mut bytes = with([file("a/lib/x.star", "x = 1\n")]);
        let at = at % bytes.len();
        bytes[at] ^= 1_u8 << bit;
        let _ = Bundle::read(&bytes);
    }
}
