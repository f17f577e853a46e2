"""A systemctl for tests: it reads the units below ROOT, opens the sockets that they name, and starts the service with them.

Only what a service sees of systemd: sockets with their names, the folders, the place for notices, signals and the time that
it has. Sockets are held by a process of this program that stays, as systemd does."""

import fcntl, os, shlex, signal, socket, subprocess, sys, time

root = os.environ["ROOT"]
run = os.path.join(root, "run")


def unit(name):
    found = {}
    for line in open(os.path.join(root, "etc/systemd/system", name)):
        key, equals, value = line.strip().partition("=")
        if equals and not line.startswith(("#", "[")):
            found.setdefault(key, []).append(value)
    return found


def state(name, text=None):
    path = os.path.join(run, name)
    if text is not None:
        open(path, "w").write(text)
    return open(path).read()


def translated(path):
    return os.path.join(root, path.lstrip("/"))


def start(sockets):
    service, name = unit("starcell.service"), os.path.join(run, "notify")
    if os.path.exists(name):
        os.unlink(name)
    notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notices.bind(name)
    notices.settimeout(60)
    command = [translated(word) if word.startswith("/") else word for word in shlex.split(service["ExecStart"][0])]
    child = os.fork()
    if child == 0:
        for number, (held, _) in enumerate(sockets):
            os.dup2(held, 3 + number)
        os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(sockets)), NOTIFY_SOCKET=name,
                          LISTEN_FDNAMES=":".join(name for _, name in sockets))
        os.execv(command[0], command)
    state("pid", str(child))
    # Type=notify: it has started when it says so.
    while b"READY=1" not in notices.recv(4096):
        pass
    return child


def stop(child):
    os.kill(child, signal.SIGTERM)
    status = os.waitpid(child, 0)[1]
    assert os.waitstatus_to_exitcode(status) == 0, status


def manage():
    """What stays: it holds the sockets, and does what is written into the pipe."""
    listening = unit("starcell.socket")
    sockets = []
    for place in listening["ListenStream"]:
        host, port = place.rsplit(":", 1)
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind((host, int(port)))
        one.listen(int(listening["Backlog"][0]))
        sockets.append((fcntl.fcntl(one.detach(), fcntl.F_DUPFD, 100), listening["FileDescriptorName"][0]))
    child = start(sockets)
    state("done", "0")
    for count in range(1, 100):
        with open(os.path.join(run, "pipe")) as pipe:
            order = pipe.read().strip()
        if order == "restart":
            stop(child)
            child = start(sockets)
        elif order == "reload":
            words = shlex.split(unit("starcell.service")["ExecReload"][0].replace("$MAINPID", str(child)))
            subprocess.run(words, check=True)
        elif order == "stop":
            stop(child)
        state("done", str(count))
        if order == "stop":
            return


def wait(done):
    for _ in range(600):
        try:
            if int(state("done")) >= done:
                return
        except (FileNotFoundError, ValueError):
            pass
        time.sleep(0.1)
    sys.exit("systemctl: not done in time")


verb = sys.argv[1]
if verb == "enable":
    os.makedirs(run, exist_ok=True)
    for folder in ("var/lib/starcell", "var/log/starcell"):
        os.makedirs(os.path.join(root, folder), mode=0o700, exist_ok=True)
    os.mkfifo(os.path.join(run, "pipe"))
    if os.fork() == 0:
        os.setsid()
        log = os.open(os.path.join(run, "log"), os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        os.dup2(log, 1), os.dup2(log, 2)
        manage()
        os._exit(0)
    wait(0)
else:
    before = int(state("done"))
    with open(os.path.join(run, "pipe"), "w") as pipe:
        pipe.write(verb)
    wait(before + 1)
