//! What `kv` costs a script on each store, beside what a server costs the client library of the host alone.
//!
//! A request makes many calls, so that the request itself does not show. The script and the library take turns, in rounds
//! of some tenths of a second, and the middle round counts: what else the machine does comes and goes. Times of single calls are
//! read in turns of their own, as reading a clock costs a script more than it does the library.

use std::thread;
use std::time::{Duration, Instant};

use starcell_tests::client::Client;
use starcell_tests::good::percentile;
use starcell_tests::process::{Starcell, folder, script};
use starcell_tests::servers::Server;

use crate::http::middle;
use crate::kv_bare::Bare;
use crate::kv_call::{Call, VALUE};
use crate::micro::us;

/// Those that call at the same time.
const CALLERS: [usize; 2] = [1, 8];

/// Calls of one turn of a caller, and how many rounds of turns there are.
const CALLS: usize = 300;
const ROUNDS: usize = 15;

/// Throughput of a script, of that of the library.
const WANTED: f64 = 0.8;

const SCRIPT: &str = r#"
CALLS = {
    "get": lambda key: kv.get(key),
    "set": lambda key: kv.set(key, VALUE),
    "incr": lambda key: kv.incr(key),
}
def plain(req):
    call, key = CALLS[req.params["call"]], req.params["key"]
    for _ in range(int(req.params["count"])):
        call(key)
    return "done"
def timed(req):
    call, key, times = CALLS[req.params["call"]], req.params["key"], []
    for _ in range(int(req.params["count"])):
        began = time.unix_nano()
        call(key)
        times.append(time.unix_nano() - began)
    return times
srv = http.server()
srv.handle("GET /plain/{call}/{key}/{count}", plain)
srv.handle("GET /timed/{call}/{key}/{count}", timed)
srv.serve(port=8080)
"#;

/// A store, with the server that keeps it if one does.
enum Place {
    Memory,
    File,
    Redis(Server),
    Postgres(Server),
}

impl Place {
    fn name(&self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::File => "file",
            Self::Redis(_) => "Redis",
            Self::Postgres(_) => "PostgreSQL",
        }
    }

    fn serve(&self) -> Starcell {
        let mut flags = vec!["--no-access-log".to_owned()];
        match self {
            Self::Memory => {}
            Self::File => flags.extend(["--kv".to_owned(), format!("file:{}", folder().display())]),
            Self::Redis(server) | Self::Postgres(server) => {
                let password = server.password_file().display().to_string();
                flags.extend(["--kv".to_owned(), server.url(), "--kv-password-file".to_owned(), password]);
                flags.extend(["--kv-app", "bench"].map(str::to_owned));
            }
        }
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        Starcell::serve(&flags, &script(&format!("VALUE = {VALUE:?}\n{SCRIPT}")))
    }

    fn bare(&self, callers: usize) -> Option<Bare> {
        match self {
            Self::Memory | Self::File => None,
            Self::Redis(server) => Some(Bare::redis(server, callers)),
            Self::Postgres(server) => Some(Bare::postgres(server, callers)),
        }
    }
}

/// Measures all stores.
pub(crate) fn run() {
    println!(
        "| store | call | callers | starcell: calls/s, 99 % below | client library: calls/s, 99 % below | ratio |"
    );
    println!("|---|---|---|---|---|---|");
    let mut least = f64::INFINITY;
    for place in [Place::Memory, Place::File, Place::Redis(Server::redis()), Place::Postgres(Server::postgres())] {
        let server = place.serve();
        let mut clients = Clients::connect(server.port(), CALLERS[CALLERS.len() - 1]);
        // The first call makes the tables of PostgreSQL.
        clients.turn(1, "plain", Call::Set, 1);
        for callers in CALLERS {
            let bare = place.bare(callers);
            for call in Call::ALL {
                let row = Row::measure(&mut clients, bare.as_ref(), call, callers);
                row.print(place.name(), call, callers);
                least = row.ratio.map_or(least, |ratio| ratio.min(least));
            }
        }
        assert_eq!(server.stop().code(), 0);
    }
    println!("\nThe least ratio is {least:.2}; wanted is {WANTED}.");
}

/// The middle of all rounds.
struct Row {
    rate: f64,
    tail: f64,
    /// Those of the client library.
    bare: Option<(f64, f64)>,
    ratio: Option<f64>,
}

impl Row {
    fn measure(clients: &mut Clients, bare: Option<&Bare>, call: Call, callers: usize) -> Self {
        let (mut rates, mut tails) = (Vec::new(), Vec::new());
        let (mut bare_rates, mut bare_tails, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        // The first round warms up.
        for round in 0..=ROUNDS {
            let (plain, _) = clients.turn(callers, "plain", call, CALLS);
            let (_, times) = clients.turn(callers, "timed", call, CALLS);
            let library = bare.map(|bare| {
                let (began, times) = (Instant::now(), bare.run(call, CALLS));
                ((callers * CALLS) as f64 / began.elapsed().as_secs_f64(), us(percentile(&times, 99)))
            });
            if round == 0 {
                continue;
            }
            rates.push(plain);
            tails.push(us(percentile(&times, 99)));
            if let Some((rate, tail)) = library {
                bare_rates.push(rate);
                bare_tails.push(tail);
                ratios.push(plain / rate);
            }
        }
        let bare = bare.map(|_| (middle(bare_rates), middle(bare_tails)));
        Self { rate: middle(rates), tail: middle(tails), ratio: bare.map(|_| middle(ratios)), bare }
    }

    fn print(&self, place: &str, call: Call, callers: usize) {
        let Self { rate, tail, bare, ratio } = self;
        let bare = bare.map_or_else(|| "-".to_owned(), |(rate, tail)| format!("{rate:.0}, {tail:.0} us"));
        let ratio = ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
        println!("| {place} | `kv.{}` | {callers} | {rate:.0}, {tail:.0} us | {bare} | {ratio} |", call.name());
    }
}

/// Clients that each have the script call.
struct Clients(Vec<Client>);

impl Clients {
    fn connect(port: u16, callers: usize) -> Self {
        Self((0..callers).map(|_| Client::connect(port)).collect())
    }

    /// Has the script call for so many of them at once; calls a second, and the time of each where they are timed.
    fn turn(&mut self, callers: usize, kind: &str, call: Call, count: usize) -> (f64, Vec<Duration>) {
        let began = Instant::now();
        let ask = |(place, client): (usize, &mut Client)| {
            let target = format!("/{kind}/{}/{}/{count}", call.name(), call.key(place));
            let answer = client.get(&target);
            assert_eq!(answer.status, 200, "{target}: {}", answer.text());
            answer.body
        };
        let bodies: Vec<Vec<u8>> = thread::scope(|scope| {
            let asked = self.0.iter_mut().take(callers).enumerate().map(|client| scope.spawn(move || ask(client)));
            asked.collect::<Vec<_>>().into_iter().map(|asked| asked.join().unwrap()).collect()
        });
        let rate = (callers * count) as f64 / began.elapsed().as_secs_f64();
        let times = bodies.iter().filter(|_| kind == "timed").flat_map(|body| {
            let nanoseconds: Vec<u64> = serde_json::from_slice(body).unwrap();
            nanoseconds.into_iter().map(Duration::from_nanos)
        });
        (rate, times.collect())
    }
}
