//! Images that are damaged, cut, or half.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use starcell_tests::node::{NodeFolder, Running, ask, says};

use super::{TENANT, images, manifest, node, node_with};

/// Changes the bytes of an image.
type Damage = fn(&mut Vec<u8>);

/// Ways to spoil a file.
const WAYS: [(&str, Damage); 8] = [
    ("magic", |bytes| bytes[0] ^= 1),
    ("version", |bytes| bytes[7] += 1),
    ("length", |bytes| bytes[9] ^= 1),
    ("code", |bytes| bytes[20] ^= 1),
    ("head", |bytes| bytes[100] ^= 1),
    ("cut", |bytes| bytes.truncate(bytes.len() - 1)),
    ("longer", |bytes| bytes.push(0)),
    ("empty", Vec::clear),
];

fn spoil(file: &Path, way: fn(&mut Vec<u8>)) {
    let mut bytes = fs::read(file).unwrap();
    way(&mut bytes);
    fs::write(file, bytes).unwrap();
}

fn apps(node: &NodeFolder, count: u64) {
    for number in 0..count {
        node.app(&format!("app{number}"), &manifest(&format!("a{number}")), &says(&format!("app {number}")));
    }
}

fn all_answer(running: &Running, count: u64) {
    for number in 0..count {
        assert_eq!(running.text(&format!("a{number}"), "/"), format!("app {number}"));
    }
}

#[test]
fn a_damaged_image_is_made_anew() {
    let node = node(TENANT);
    let count = WAYS.len() as u64 + 1;
    apps(&node, count);
    let running = Running::start(&node, &[]);
    running.until("apps_dropped", count);
    let _ = running.starcell.stop();
    let files = images(&node);
    assert_eq!(files.len() as u64, count);
    files.iter().zip(WAYS).for_each(|(file, (_, way))| spoil(file, way));
    // The pages of the last one: that is found out by its first request.
    spoil(&files[WAYS.len()], |bytes| *bytes.last_mut().unwrap() ^= 1);
    let running = Running::start(&node, &[]);
    running.until("apps_running", count);
    assert_eq!((running.number("images_found"), running.number("images_refused")), (1, count - 1));
    all_answer(&running, count);
    assert_eq!(running.number("images_refused"), count);
    running.until("apps_dropped", count);
    let ended = running.starcell.stop();
    assert_eq!(ended.output.matches("and is made anew: ").count() as u64, count, "{}", ended.output);
    for why in
        ["it is no image of this version", "damaged, or of another node", "it is cut off", "its pages are damaged"]
    {
        assert!(ended.output.contains(why), "{why}\n{}", ended.output);
    }
    // What was made anew is whole.
    let running = Running::start(&node, &[]);
    running.until("apps_running", count);
    assert_eq!(running.number("images_found"), count);
    all_answer(&running, count);
    assert_eq!(running.number("images_refused"), 0);
}

#[test]
fn an_image_that_is_spoiled_or_gone_while_its_app_is_dropped_is_made_anew() {
    let node = node(TENANT);
    apps(&node, 2);
    let running = Running::start(&node, &[]);
    running.until("apps_dropped", 2);
    let files = images(&node);
    spoil(&files[0], |bytes| bytes[100] ^= 1);
    fs::remove_file(&files[1]).unwrap();
    let port = running.port;
    let asking: Vec<_> = (0..8)
        .map(|number| {
            let number = number % 2;
            thread::spawn(move || ask(port, &format!("a{number}.example"), "/").text() == format!("app {number}"))
        })
        .collect();
    assert!(asking.into_iter().all(|asking| asking.join().unwrap()));
    assert_eq!((running.number("images_refused"), running.number("images_recalled")), (2, 0));
    running.until("apps_dropped", 2);
    all_answer(&running, 2);
    assert_eq!((running.number("images_refused"), running.number("images_recalled")), (2, 2));
}

#[test]
fn images_of_a_node_that_was_copied_without_its_key_are_of_no_use() {
    let node = node(TENANT);
    apps(&node, 1);
    let running = Running::start(&node, &[]);
    running.until("apps_dropped", 1);
    let _ = running.starcell.stop();
    fs::remove_file(node.path.join("state/images/key")).unwrap();
    let running = Running::start(&node, &[]);
    assert_eq!(running.number("images_found"), 0);
    all_answer(&running, 1);
}

/// A node is killed at any moment: what it leaves is whole, or not there.
#[test]
fn a_node_that_is_killed_while_it_writes_leaves_nothing_half() {
    const APPS: u64 = 30;
    let node = node_with("idle = \"50ms\"\n", TENANT);
    apps(&node, APPS);
    for moment in [20, 60, 120, 200, 300, 450] {
        let mut starcell = node.spawn(&[]);
        starcell.wait_for("metrics at ");
        thread::sleep(Duration::from_millis(moment));
        starcell.signal("KILL");
        let _ = starcell.wait();
    }
    let running = Running::start(&node, &[]);
    running.until("apps_running", APPS);
    all_answer(&running, APPS);
    assert_eq!(running.number("images_refused"), 0);
    assert!(images(&node).iter().all(|file| file.extension().is_some_and(|end| end == "image")), "{:?}", images(&node));
}

#[test]
fn the_store_has_a_bound() {
    let node = node_with("idle = \"100ms\"\nimages = \"1MiB\"\n", TENANT);
    apps(&node, 12);
    let mut running = Running::start(&node, &[]);
    running.starcell.wait_for("is full: see `images` in [node]");
    all_answer(&running, 12);
    assert!(running.number("images_bytes") <= 1 << 20);
    let size: u64 = images(&node).iter().map(|file| fs::metadata(file).unwrap().len()).sum();
    assert!(size <= 1 << 20, "{size}");
}
