//! Walls around programs and around the host: each attack on each kind of machine, and the legitimate use beside it.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use starcell_tests::client::Client;
use starcell_tests::machine::{Machine, NOBODY};
use starcell_tests::process::{Ended, Starcell, folder, script, until};

const ATTACKS: &str = include_str!("walls/attacks.py");

/// An executable file.
fn program(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// Whether this test may act as another user; without that some machines cannot be had.
fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|about| std::os::unix::fs::MetadataExt::uid(&about) == 0)
}

/// The machines that can be had here.
fn machines(all: &[Machine]) -> impl Iterator<Item = Machine> {
    all.iter().copied().filter(|machine| is_root() || !machine.is_unprivileged())
}

/// Runs a script on a machine.
fn run_on(machine: Machine, folder: &Path, arguments: &[&str], source: &str) -> Ended {
    let mut command = machine.starcell(folder);
    command.arg("run").args(arguments).arg(script(source));
    Starcell::spawn_command(command).wait()
}

/// A folder that the user of a machine owns.
fn folder_of(machine: Machine) -> PathBuf {
    let folder = folder();
    if machine.is_unprivileged() {
        chown(&folder, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    folder
}

/// A process of the same user that has nothing to do with any script.
struct Victim(Child);

impl Victim {
    fn new(machine: Machine) -> Self {
        use std::os::unix::process::CommandExt as _;
        let mut command = Command::new("/bin/sleep");
        command.arg("1000").env("DB_PASSWORD", "secret").stdin(Stdio::null());
        if machine.is_unprivileged() {
            command.uid(NOBODY).gid(NOBODY);
        }
        let victim = Self(command.spawn().unwrap());
        let stat = format!("/proc/{}/stat", victim.0.id());
        until("the victim sleeps", || fs::read_to_string(&stat).is_ok_and(|stat| stat.contains("(sleep) S ")));
        victim
    }

    /// What others could have changed of it.
    fn state(&mut self) -> (bool, String, String) {
        let id = self.0.id();
        let limits = fs::read_to_string(format!("/proc/{id}/limits")).unwrap_or_default();
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        // State, priority and nice value.
        let kept = [0, 15, 16].map(|field| fields.get(field).copied().unwrap_or_default());
        let allowed = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let allowed = allowed.lines().find(|line| line.starts_with("Cpus_allowed:")).unwrap_or_default().to_owned();
        (self.0.try_wait().unwrap().is_none(), format!("{kept:?} {allowed}"), limits)
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// On every machine that runs programs at all, none of the attacks succeeds and everything legitimate does.
#[test]
fn the_attack_table_on_every_machine() {
    use Machine::{Unprivileged, UnprivilegedWithoutNamespaces, Whole, WithoutLandlock, WithoutNamespaces};
    let all = [Whole, WithoutLandlock, WithoutNamespaces, Unprivileged, UnprivilegedWithoutNamespaces];
    for machine in machines(&all) {
        let (folder, outside) = (folder_of(machine), folder_of(machine));
        fs::write(outside.join("file"), "kept").unwrap();
        fs::set_permissions(outside.join("file"), fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(folder.join("own"), "x").unwrap();
        if machine.is_unprivileged() {
            for file in [outside.join("file"), folder.join("own")] {
                chown(file, Some(NOBODY), Some(NOBODY)).unwrap();
            }
        }
        program(&folder, "attacks", ATTACKS);
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let abstract_name = format!("starcell-walls-{}-{machine:?}", std::process::id());
        let named = |name: &str| SocketAddr::from_abstract_name(name.as_bytes()).unwrap();
        let _abstract = UnixListener::bind_addr(&named(&abstract_name)).unwrap();
        let datagrams = UnixDatagram::bind_addr(&named(&format!("{abstract_name}d"))).unwrap();
        let unix = outside.join("socket");
        let _unix = UnixListener::bind(&unix).unwrap();
        fs::set_permissions(&unix, fs::Permissions::from_mode(0o777)).unwrap();
        let mut victim = Victim::new(machine);
        let before = victim.state();
        let known = serde_json::json!({
            "victim": victim.0.id(), "outside": outside, "port": tcp.local_addr().unwrap().port(),
            "abstract": abstract_name, "unix": unix,
        });
        fs::write(folder.join("victim"), known.to_string()).unwrap();
        let source = "r = os.exec([\"./attacks\"], timeout=\"60s\")\nprint(r)\n";
        let ended = run_on(machine, &folder, &["--allow-local", "--audit", "audit.jsonl"], source);
        assert_eq!(ended.code(), 0, "{machine:?}: {}", ended.output);
        let lines: Vec<&str> = ended.stdout.lines().filter(|line| line.contains(':')).collect();
        assert!(
            lines.iter().filter(|line| line.starts_with("must-not:")).count() > 60,
            "{machine:?}: {}",
            ended.output
        );
        for line in lines {
            let (name, outcome) = line.split_once(' ').unwrap();
            if name.starts_with("may:") {
                assert!(outcome.starts_with("ok"), "{machine:?}: {line}");
            } else if name.starts_with("must-not:") {
                assert!(outcome.starts_with("refused"), "{machine:?}: {line}");
            }
        }
        assert_eq!(victim.state(), before, "{machine:?}");
        assert_eq!(fs::read_to_string(outside.join("file")).unwrap(), "kept", "{machine:?}");
        let mode = fs::metadata(outside.join("file")).unwrap().permissions().mode();
        assert_eq!((mode & 0o7777, fs::read_dir(&outside).unwrap().count()), (0o644, 2), "{machine:?}");
        datagrams.set_nonblocking(true).unwrap();
        assert!(datagrams.recv(&mut [0; 8]).is_err(), "{machine:?}: a datagram came");
        // The log is whole, although it lies where the program may write.
        let sound = Starcell::command(&folder, &["audit", "verify", "audit.jsonl"], "");
        assert_eq!(sound.code(), 0, "{machine:?}: {}", sound.output);
    }
}

/// A machine that cannot stop all of it runs no program, says what it lacks, and the operator may accept that.
#[test]
fn what_cannot_be_stopped_is_refused() {
    let folder = folder();
    program(&folder, "tool", "#!/bin/sh\necho ran\n");
    let source = "r = os.try_exec([\"./tool\"])\nprint(r.ok, r.value.stdout if r.ok else r.error)\n";
    let refused = run_on(Machine::WithoutBoth, &folder, &["--allow-local"], source);
    let error = refused.stdout.as_str();
    assert!(
        error.starts_with("False os.exec(\"./tool\"): this machine cannot stop programs from "),
        "{}",
        refused.output
    );
    for said in
        ["signalling processes", "no landlock", "no user namespaces", "starcell doctor", "--exec-walls best-effort"]
    {
        assert!(error.contains(said), "{said}: {error}");
    }
    let accepted = ["--allow-local", "--exec-walls", "best-effort"];
    let ran = run_on(Machine::WithoutBoth, &folder, &accepted, source);
    assert_eq!(ran.stdout, "True ran\n\n", "{}", ran.output);
    let wrong = run_on(Machine::Whole, &folder, &["--exec-walls", "none"], source);
    assert_eq!(wrong.code(), 2, "{}", wrong.output);
}

#[test]
fn doctor_tells_what_the_machine_can_enforce() {
    use Machine::{Unprivileged, Whole, WithoutBoth, WithoutLandlock, WithoutNamespaces};
    let folder = folder();
    for (machine, runs) in
        [(Whole, true), (WithoutLandlock, true), (WithoutNamespaces, true), (WithoutBoth, false), (Unprivileged, true)]
    {
        if machine.is_unprivileged() && !is_root() {
            continue;
        }
        let doctor = |arguments: &[&str]| {
            let mut command = machine.starcell(&folder);
            command.arg("doctor").args(arguments);
            Starcell::spawn_command(command).wait()
        };
        let (table, told) = (doctor(&[]), doctor(&["--json"]));
        let code = i32::from(!runs);
        assert_eq!((table.code(), told.code()), (code, code), "{machine:?}: {}", table.output);
        assert_eq!(table.stdout.contains("NOT STOPPED"), !runs, "{machine:?}: {}", table.stdout);
        let json: serde_json::Value = serde_json::from_str(&told.stdout).unwrap();
        assert_eq!(json["os_exec"], if runs { "runs" } else { "refused" }, "{machine:?}");
        assert!(json["programs"].as_array().unwrap().len() > 10);
        let missing = json["missing"].to_string();
        assert_eq!(missing.contains("no user namespaces"), machine.lacks_namespaces(), "{machine:?}: {missing}");
        assert_eq!(missing.contains("no landlock"), matches!(machine, WithoutLandlock | WithoutBoth), "{missing}");
    }
}

/// Interpreters, git and shells do their ordinary work, with a view of their own and without.
#[test]
fn ordinary_programs_run() {
    use Machine::{Unprivileged, UnprivilegedWithoutNamespaces, Whole, WithoutNamespaces};
    for machine in machines(&[Whole, WithoutNamespaces, Unprivileged, UnprivilegedWithoutNamespaces]) {
        let folder = folder_of(machine);
        program(
            &folder,
            "work",
            r#"#!/bin/bash
set -e
git init -q repo && cd repo && git config user.name a && git config user.email a@b
echo x > f && git add f && git commit -qm one && git clone -q . ../copy && cd .. && cat copy/f
cp -p copy/f g && chmod 600 g && touch -d 2001-01-01 g && stat -c '%a %Y' g
tar cf t.tar copy/f && mkdir out && tar xf t.tar -C out && cat out/copy/f
perl -e 'my $p = fork; exit 3 unless $p; waitpid $p, 0; print $? >> 8, "\n"'
python3 -c 'import subprocess; print(subprocess.check_output(["echo", "from python"]).decode(), end="")'
diff <(echo a) <(echo a) && seq 5 | xargs -P3 -n1 true && timeout 5 true
sleep 100 & kill $!; wait $! || echo "killed $?"
"#,
        );
        let ended = run_on(machine, &folder, &["--allow-local"], "print(os.exec([\"./work\"]))\n");
        let expected = "x\n600 978307200\nx\n3\nfrom python\nkilled 143\n\n";
        assert_eq!((ended.code(), ended.stdout.as_str()), (0, expected), "{machine:?}: {}", ended.output);
    }
}

/// All programs of a host together have at most so many processes, and none of them outlives its call.
#[test]
fn processes_are_counted_over_all_programs() {
    for machine in machines(&[Machine::Whole, Machine::WithoutNamespaces]) {
        let folder = folder();
        let mark = format!("61.{}{}", std::process::id(), u8::from(machine.lacks_namespaces()));
        let bomb = format!(
            "#!/usr/bin/python3\nimport os, time\nn = 0\ntry:\n  while n < 3000:\n    if os.fork() == 0:\n      \
             os.execv('/bin/sleep', ['sleep', '{mark}'])\n    n += 1\nexcept OSError as error:\n  print(error)\nprint(n)\n\
             time.sleep(0.3)\n"
        );
        program(&folder, "bomb", &bomb);
        let source = "srv = http.server()\nsrv.handle(\"GET /\", lambda req: os.exec([\"./bomb\"], timeout=\"20s\"))\nsrv.serve()\n";
        let mut command = machine.starcell(&folder);
        command.args(["run", "--allow-local", "--port", "0"]).arg(script(source));
        let mut starcell = Starcell::spawn_command(command);
        starcell.wait_for("serving ");
        let port = starcell.port();
        let clients: Vec<_> =
            (0..3).map(|_| std::thread::spawn(move || Client::connect(port).get("/").text().to_owned())).collect();
        let (mut most, begun) = (0, Instant::now());
        while clients.iter().any(|client| !client.is_finished()) && begun.elapsed() < Duration::from_secs(60) {
            most = most.max(alive(&format!("sleep {mark}")));
        }
        for client in clients {
            let text = client.join().unwrap();
            assert!(text.contains("Resource temporarily unavailable"), "{machine:?}: {text}");
        }
        assert!((100..=512).contains(&most), "{machine:?}: {most}");
        assert_eq!(alive(&format!("sleep {mark}")), 0, "{machine:?}: something outlived its call");
        assert_eq!(starcell.stop().code(), 0, "{machine:?}");
    }
}

/// A host that is killed leaves no program behind.
#[test]
fn programs_end_with_their_host() {
    for machine in machines(&[Machine::Whole, Machine::WithoutNamespaces]) {
        let folder = folder();
        let mark = format!("62.{}{}", std::process::id(), u8::from(machine.lacks_namespaces()));
        program(&folder, "slow", &format!("#!/bin/sh\nsetsid sleep {mark} &\nsleep {mark}\n"));
        let mut command = machine.starcell(&folder);
        command.args(["run", "--allow-local"]).arg(script("os.exec([\"./slow\"])\n"));
        let starcell = Starcell::spawn_command(command);
        let deadline = Instant::now() + Duration::from_secs(30);
        while alive(&format!("sleep {mark}")) < 2 {
            assert!(Instant::now() < deadline, "{machine:?}: it did not start; {}", starcell.seen());
            std::thread::yield_now();
        }
        starcell.signal("KILL");
        while alive(&format!("sleep {mark}")) > 0 {
            assert!(Instant::now() < deadline, "{machine:?}: it lives on");
            std::thread::yield_now();
        }
    }
}

/// Processes whose command line holds a text.
fn alive(text: &str) -> usize {
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let line = fs::read(entry.ok()?.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&line).replace('\0', " "))
    });
    processes.filter(|line| line.starts_with(text)).count()
}

/// With `os.network`, which `allow-all` has, programs speak to others; a deny rule takes it back.
#[test]
fn os_network_lets_programs_make_sockets() {
    let folder = folder();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    program(
        &folder,
        "connect",
        &format!(
            "#!/usr/bin/python3\nimport socket\nsocket.create_connection((\"127.0.0.1\", {port}))\nprint(\"met\")\n"
        ),
    );
    let source = "print(os.try_exec([\"./connect\"]).ok)\n";
    for (arguments, met) in [
        (vec!["--allow-local"], "False\n"),
        (vec!["--allow-local", "--allow", "os.network"], "True\n"),
        (vec!["--allow-local", "--allow", "os.network($CWD/connect)"], "True\n"),
        (vec!["--allow-local", "--allow", "os.network($CWD/other)"], "False\n"),
        (vec!["--allow-all"], "True\n"),
        (vec!["--allow-all", "--deny", "os.network"], "False\n"),
    ] {
        let ended = Starcell::run_in(&folder, &arguments, source);
        assert_eq!(ended.stdout, met, "{arguments:?}: {}", ended.output);
    }
}

/// What a script may set is a list; with it no shell, interpreter or tool runs the script's code.
#[test]
fn no_variable_makes_a_program_run_the_scripts_code() {
    let folder = folder();
    program(&folder, "shell", "#!/bin/bash\ntrue\n");
    program(&folder, "python", "#!/usr/bin/python3\npass\n");
    program(&folder, "env", "#!/bin/sh\nenv | sort\n");
    for (name, text) in [("evil.sh", "echo OWN\n"), ("sitecustomize.py", "print('OWN')\n")] {
        fs::write(folder.join(name), text).unwrap();
    }
    let attempts = [
        ("shell", "BASH_ENV", "./evil.sh"),
        ("shell", "ENV", "./evil.sh"),
        ("shell", "SHELLOPTS", "xtrace"),
        ("python", "PYTHONPATH", "."),
        ("python", "PYTHONSTARTUP", "evil.sh"),
        ("env", "GCONV_PATH", "."),
        ("env", "PERL5OPT", "-Mevil"),
        ("env", "TAR_OPTIONS", "--checkpoint-action=exec=./evil.sh"),
        ("env", "HOME", "."),
        ("env", "PATH", "."),
        ("env", "LD_PRELOAD", "./evil.so"),
    ];
    let source: String = attempts
        .iter()
        .map(|(tool, name, value)| {
            format!("r = os.try_exec([\"./{tool}\"], env={{\"{name}\": \"{value}\"}})\nprint(r.ok, r.error)\n")
        })
        .collect();
    let ended = Starcell::run_in(&folder, &["--allow-local"], &source);
    for (line, (tool, name, _)) in ended.stdout.lines().zip(attempts) {
        assert!(line.starts_with(&format!("False os.exec(\"./{tool}\"): {name} cannot be set")), "{line}");
    }
    assert_eq!(ended.stdout.lines().count(), attempts.len(), "{}", ended.output);
    assert!(!ended.stdout.contains("OWN"));
    // Those on the list, and what the operator grants.
    let source =
        "print(os.exec([\"./env\"], env={\"LANG\": \"C\", \"LC_ALL\": \"C\", \"TZ\": \"UTC\", \"MINE\": \"1\"}))\n";
    let ended = Starcell::run_in(&folder, &["--allow-local", "--env", "MINE"], source);
    for line in ["LANG=C", "LC_ALL=C", "TZ=UTC", "MINE=1", "PATH=/usr/local/bin:/usr/bin:/bin"] {
        assert!(ended.stdout.lines().any(|found| found == line), "{line}: {}", ended.output);
    }
    let ended = Starcell::run_in(&folder, &["--allow-local"], "os.exec([\"./env\"], env={\"MINE\": \"1\"})\n");
    assert!(
        ended.stderr.contains("MINE cannot be set") && ended.stderr.contains("--env MINE grants it"),
        "{}",
        ended.stderr
    );
}

/// A running script is not added to: the file that it is read from keeps its bytes.
#[test]
fn a_file_that_may_be_executed_is_never_changed_in_place() {
    let folder = folder();
    let tool = program(&folder, "tool", "#!/bin/sh\nuntil [ -e go ]; do :; done\n");
    let source = r#"
srv = http.server()
srv.handle("GET /run", lambda req: os.exec(["./tool"], timeout="20s"))
def add(req):
    fs.append_text("tool", "echo OWN\n")
    fs.write_text("go", "")
    return fs.read_text("tool")
srv.handle("GET /add", add)
srv.serve()
"#;
    let mut starcell = Starcell::spawn_in(&folder, &["--allow-local", "--port", "0"], source);
    starcell.wait_for("serving ");
    let port = starcell.port();
    let running = std::thread::spawn(move || Client::connect(port).get("/run"));
    let deadline = Instant::now() + Duration::from_secs(30);
    while alive("/bin/sh /proc/self/fd/") == 0 {
        assert!(Instant::now() < deadline, "it did not start");
        std::thread::yield_now();
    }
    let response = Client::connect(port).get("/add");
    let added = response.text();
    assert!(added.ends_with("echo OWN\n"), "{added}");
    let ran = running.join().unwrap();
    assert_eq!((ran.status, ran.text()), (200, ""));
    // What stands in its place cannot be executed.
    assert_eq!(fs::metadata(tool).unwrap().permissions().mode() & 0o111, 0);
    assert_eq!(starcell.stop().code(), 0);
}

/// The host gives up what it does not need before it runs a script.
#[test]
fn the_host_stands_behind_walls_of_its_own() {
    for machine in machines(&[Machine::Whole, Machine::Unprivileged]) {
        let folder = folder_of(machine);
        program(&folder, "tool", "#!/bin/sh\necho ran\n");
        let source = "srv = http.server()\nsrv.handle(\"GET /\", lambda req: os.exec([\"./tool\"]))\nsrv.serve()\n";
        let mut command = machine.starcell(&folder);
        command.args(["run", "--allow-local", "--port", "0"]).arg(script(source));
        let mut starcell = Starcell::spawn_command(command);
        starcell.wait_for("serving ");
        assert_eq!(Client::connect(starcell.port()).get("/").text(), "ran\n");
        let threads = fs::read_dir(format!("/proc/{}/task", starcell.id())).unwrap();
        let mut seen = 0;
        for thread in threads {
            let status = fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
            let fields: BTreeMap<&str, &str> =
                status.lines().filter_map(|line| line.split_once(':')).map(|(k, v)| (k, v.trim())).collect();
            assert_eq!((fields["NoNewPrivs"], fields["Seccomp"]), ("1", "2"), "{machine:?}: {status}");
            let effective = u64::from_str_radix(fields["CapEff"], 16).unwrap();
            // DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER, NET_BIND_SERVICE, SETFCAP.
            let needed = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 10 | 1 << 31;
            assert_eq!(effective & !needed, 0, "{machine:?}: {status}");
            assert_eq!(machine.is_unprivileged() || !is_root(), effective == 0, "{machine:?}: {status}");
            seen += 1;
        }
        assert!(seen > 1);
        let limits = fs::read_to_string(format!("/proc/{}/limits", starcell.id())).unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
        assert_eq!(starcell.stop().code(), 0);
    }
}
