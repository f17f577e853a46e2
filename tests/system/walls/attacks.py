#!/usr/bin/python3
# Tries what a program of os.exec must not do, and beside it what it may. One line for each: "name ok" or "name refused
# why". The numbers are those of x86_64. What the test knows of its machine is in the file "victim".
import ctypes, errno, fcntl, json, os, resource, signal, socket, subprocess, sys, threading, time

libc = ctypes.CDLL(None, use_errno=True)
known = json.load(open("victim"))
victim, outside = known["victim"], known["outside"]

def call(*arguments):
    result = libc.syscall(*arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result

def attempt(name, what):
    try:
        print(name, "ok", what() or "")
    except BaseException as error:
        print(name, "refused", type(error).__name__, error)

def tcp(family, host):
    s = socket.socket(family, socket.SOCK_STREAM)
    s.connect((host, known["port"]))

def udp():
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", known["port"]))

def listen():
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    s.listen()

def unix(address, kind=socket.SOCK_STREAM):
    socket.socket(socket.AF_UNIX, kind).connect(address)

def pair_to(address):
    one, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    one.sendto(b"x", address)

def set_owner():
    r, _ = os.pipe()
    fcntl.fcntl(r, fcntl.F_SETOWN, victim)

def by_pidfd():
    signal.pidfd_send_signal(os.pidfd_open(victim), signal.SIGHUP)

def set_id(name, mode):
    os.close(os.open(name, os.O_CREAT | os.O_WRONLY, mode))
    assert os.stat(name).st_mode & 0o6000, "no such bit"

def spaces(flags):
    child = call(56, flags | signal.SIGCHLD, 0, 0, 0, 0)
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)

def read(path):
    with open(path, "rb") as file:
        return str(len(file.read(64)))

attacks = {
    "tcp4": lambda: tcp(socket.AF_INET, "127.0.0.1"),
    "tcp6": lambda: tcp(socket.AF_INET6, "::1"),
    "udp": udp,
    "listen": listen,
    "unix": lambda: unix(known["unix"]),
    "abstract": lambda: unix("\0" + known["abstract"]),
    "abstract-datagram": lambda: pair_to("\0" + known["abstract"] + "d"),
    "netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
    "packet": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
    "vsock": lambda: socket.socket(40, socket.SOCK_STREAM),
    "io_uring": lambda: call(425, 1, ctypes.byref(ctypes.create_string_buffer(120))),
    "kill": lambda: os.kill(victim, signal.SIGTERM),
    "stop": lambda: os.kill(victim, signal.SIGSTOP),
    "kill-host": lambda: os.kill(known["host"], signal.SIGTERM) if "host" in known else os.kill(victim, 0),
    "tgkill": lambda: call(234, victim, victim, 15),
    "pidfd": by_pidfd,
    "set-owner": set_owner,
    "prlimit": lambda: resource.prlimit(victim, resource.RLIMIT_NOFILE, (4, 4)),
    "priority": lambda: os.setpriority(os.PRIO_PROCESS, victim, 15),
    "priority-user": lambda: os.setpriority(os.PRIO_USER, os.getuid(), 15),
    "affinity": lambda: os.sched_setaffinity(victim, {0}),
    "scheduler": lambda: os.sched_setscheduler(victim, os.SCHED_BATCH, os.sched_param(0)),
    "ioprio": lambda: call(251, 1, victim, 0x6000),
    "ptrace": lambda: call(101, 16, victim, 0, 0),
    "memory": lambda: call(310, victim, 0, 0, 0, 0, 0),
    "environ": lambda: read(f"/proc/{victim}/environ"),
    "cmdline": lambda: read(f"/proc/{victim}/cmdline"),
    "maps": lambda: read(f"/proc/{victim}/maps"),
    "status": lambda: read(f"/proc/{victim}/status"),
    "keeper": lambda: read(f"/proc/{os.getppid()}/mem") if os.getppid() else 1 / 0,
    "keeper-environ": lambda: read(f"/proc/{os.getppid()}/environ") if os.getppid() else 1 / 0,
    "sysrq": lambda: open("/proc/sysrq-trigger", "w"),
    "sys": lambda: os.listdir("/sys/kernel"),
    "kmsg": lambda: open("/dev/kmsg"),
    "tty": lambda: open("/dev/tty"),
    "mem": lambda: open("/dev/mem"),
    "clone-user": lambda: spaces(0x10000000),
    "clone-all": lambda: spaces(0x10000000 | 0x20000000 | 0x40000000 | 0x00020000 | 0x04000000),
    "clone-parent": lambda: spaces(0x8000),
    "clone3": lambda: call(435, 0, 0),
    "unshare": lambda: call(272, 0x10000000),
    "setns": lambda: call(308, 0, 0),
    "mount": lambda: call(165, b"none", b"/", b"tmpfs", 0, 0),
    "chroot": lambda: os.chroot("."),
    "bpf": lambda: call(321, 0, 0, 0),
    "keyctl": lambda: call(250, 0, -3, 1),
    "shmget": lambda: call(29, 4711, 4096, 0o1600),
    "memfd": lambda: os.memfd_create("x"),
    "x32": lambda: call(0x40000000 + 39),
    "passwd": lambda: read("/etc/passwd"),
    "read-outside": lambda: read(outside + "/file"),
    "write-outside": lambda: open(outside + "/file", "w"),
    "new-outside": lambda: open(outside + "/new", "w"),
    "remove-outside": lambda: os.remove(outside + "/file"),
    "truncate-outside": lambda: os.truncate(outside + "/file", 0),
    "chmod-outside": lambda: os.chmod(outside + "/file", 0o777),
    "times-outside": lambda: os.utime(outside + "/file", (1, 1)),
    "link-outside": lambda: os.link(outside + "/file", "linked"),
    "chmod-system": lambda: os.chmod("/usr/bin/env", 0o755),
    "set-id-open": lambda: set_id("suid", 0o4755),
    "set-id-chmod": lambda: os.chmod("own", 0o4755),
    "host-file-read": lambda: read("audit.jsonl"),
    "host-file-write": lambda: open("audit.jsonl", "a"),
    "host-file-empty": lambda: open("audit.jsonl", "w"),
    "host-file-remove": lambda: os.remove("audit.jsonl"),
    "host-file-rename": lambda: os.rename("audit.jsonl", "elsewhere"),
    "host-file-over": lambda: os.rename("own", "audit.jsonl"),
    "host-file-link": lambda: os.link("audit.jsonl", "linked"),
    "host-file-chmod": lambda: os.chmod("audit.jsonl", 0o777),
}

def child_signal():
    child = subprocess.Popen(["/bin/sleep", "100"])
    child.kill()
    assert child.wait() == -9

def own_threads():
    done = []
    threads = [threading.Thread(target=lambda: done.append(1)) for _ in range(20)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(done) == 20

def pair():
    one, other = socket.socketpair()
    one.send(b"x")
    assert other.recv(1) == b"x"

def capabilities():
    lines = open("/proc/self/status").read()
    for name in ("CapEff", "CapPrm", "CapInh"):
        assert f"{name}:\t0000000000000000\n" in lines, lines
    assert "NoNewPrivs:\t1\n" in lines and "Seccomp:\t2\n" in lines

def own_files():
    open("own", "w").write("x")
    os.chmod("own", 0o600)
    os.utime("own", (1, 1))
    assert os.stat("own").st_mode & 0o777 == 0o600 and os.stat("own").st_mtime == 1

legitimate = {
    "own-files": own_files,
    "child": lambda: subprocess.run(["/bin/sh", "-c", "exit 4"]).returncode == 4 or 1 / 0,
    "child-signal": child_signal,
    "threads": own_threads,
    "pair": pair,
    "capabilities": capabilities,
    "session": lambda: subprocess.run(["/usr/bin/setsid", "true"], check=True) and "",
    "null": lambda: open("/dev/null", "w").write("x"),
    "random": lambda: read("/dev/urandom"),
    "priority-own": lambda: os.nice(1),
    "affinity-own": lambda: os.sched_setaffinity(0, os.sched_getaffinity(0)),
    "limit-own": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)),
}

for name, what in legitimate.items():
    attempt("may:" + name, what)
for name, what in attacks.items():
    attempt("must-not:" + name, what)
