//! The script that every part measures.

/// Four handlers: a small one, two that compute, and one that writes JSON.
pub(crate) const HELLO: &str = r#"
def hello(req):
    name = req.query.get("name", "World")
    return {"status": 200, "body": "Hello, " + name}
def spin(req):
    total = 0
    for i in range(10000):
        total += i * i
    return str(total)
def loop(req):
    s = 0
    for i in range(10000):
        s += i % 7
    return str(s)
def listing(req):
    return json.encode([{"id": i, "name": "item %d" % i, "tags": ["a", "b"], "price": i * 1.5} for i in range(100)])
srv = http.server()
srv.handle("GET /hello", hello)
srv.handle("GET /spin", spin)
srv.handle("GET /loop", loop)
srv.handle("GET /list", listing)
srv.serve(port=8080)
"#;
