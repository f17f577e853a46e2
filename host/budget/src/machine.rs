//! How much memory this machine, or the control group of this process, has.

#![expect(clippy::disallowed_methods, reason = "asks the kernel how much memory there is, once")]

use std::fs;
use std::path::Path;

/// Of the memory there is, what the budget may be: the rest is for code, stacks, and what is not counted.
const SHARE: (u64, u64) = (3, 4);

/// A budget where the kernel says nothing.
const FALLBACK: u64 = 1 << 30;

/// The budget of a process whose operator names none: three quarters of its control group's limit, or of the machine's
/// memory where that is less.
#[must_use]
pub fn default_bytes() -> u64 {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let read = |path: &Path| fs::read_to_string(path).ok();
    least(&groups, &meminfo, read) / SHARE.1 * SHARE.0
}

/// The least of all that bounds the memory of a process.
fn least(groups: &str, meminfo: &str, read: impl Fn(&Path) -> Option<String>) -> u64 {
    let machine = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB"));
    let machine = machine.and_then(|kib| kib.trim().parse::<u64>().ok()).map(|kib| kib << 10);
    let groups = groups.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':');
        match (fields.next()?, fields.next()?, fields.next()?) {
            ("0", "", path) => Some(("/sys/fs/cgroup", "memory.max", path)),
            (_, controllers, path) if controllers.split(',').any(|name| name == "memory") => {
                Some(("/sys/fs/cgroup/memory", "memory.limit_in_bytes", path))
            }
            _ => None,
        }
    });
    // A limit of a group above holds as well. In a container the path may not be there, and the root is its own.
    let limits = groups.flat_map(|(root, file, path)| {
        let folders = Path::new(path)
            .ancestors()
            .map(move |folder| Path::new(root).join(folder.strip_prefix("/").unwrap_or(folder)).join(file));
        folders.collect::<Vec<_>>()
    });
    let limits = limits.filter_map(|file| read(&file)?.trim().parse::<u64>().ok());
    limits.chain(machine).min().unwrap_or(FALLBACK)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMINFO: &str = "MemTotal:        8000000 kB\nMemFree: 1 kB\n";

    #[test]
    fn the_least_limit_counts() {
        let none = |_: &Path| None;
        assert_eq!(least("", "", none), FALLBACK);
        assert_eq!(least("0::/\n", MEMINFO, none), 8_000_000 << 10);
        let v2 = |path: &Path| match path.to_str() {
            Some("/sys/fs/cgroup/a.slice/b.service/memory.max") => Some("max\n".to_owned()),
            Some("/sys/fs/cgroup/a.slice/memory.max") => Some("268435456\n".to_owned()),
            _ => None,
        };
        assert_eq!(least("0::/a.slice/b.service\n", MEMINFO, v2), 256 << 20);
        let v1 = |path: &Path| {
            (path == Path::new("/sys/fs/cgroup/memory/memory.limit_in_bytes")).then(|| "1000000\n".to_owned())
        };
        assert_eq!(least("4:cpu,memory:/docker/x\n0::/\n", MEMINFO, v1), 1_000_000);
        let unlimited = |_: &Path| Some("9223372036854771712".to_owned());
        assert_eq!(least("4:memory:/\n", MEMINFO, unlimited), 8_000_000 << 10);
    }

    #[test]
    fn this_machine_has_some() {
        assert!(default_bytes() > 64 << 20);
    }
}
