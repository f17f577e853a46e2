//! `uuid`: identifiers as text. The random ones are made of the host's bytes, at every call.

use sha1::{Digest, Sha1};
use starcell_macros::builtins;
use starlark::environment::GlobalsBuilder;
use starlark::eval::Evaluator;
use uuid::{Builder, Uuid};

use super::random;
use crate::given::Given;
use crate::session::Session;

const NANOSECONDS_PER_MILLISECOND: u64 = 1_000_000;

#[builtins("uuid")]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    /// A random UUID.
    ///
    /// ```text
    /// >>> len(uuid.v4())
    /// 36
    /// ```
    fn v4(eval: &mut Evaluator<'_, '_, '_>) -> starlark::Result<String> {
        Ok(Builder::from_random_bytes(random::array(eval)?).into_uuid().to_string())
    }

    /// A UUID that begins with the time in milliseconds, so that later ones sort after earlier ones; the rest is random.
    ///
    /// ```text
    /// >>> uuid.v7()[14]
    /// "7"
    /// ```
    fn v7(eval: &mut Evaluator<'_, '_, '_>) -> starlark::Result<String> {
        let milliseconds = Session::of(eval)?.host.now() / NANOSECONDS_PER_MILLISECOND;
        let random = random::array(eval)?;
        Ok(Builder::from_unix_timestamp_millis(milliseconds, &random).into_uuid().to_string())
    }

    /// The UUID of a name: the same name in the same namespace always has the same.
    ///
    /// `namespace` is `dns`, `url`, `oid`, `x500`, or a UUID. Errors: any other namespace.
    ///
    /// ```text
    /// >>> uuid.v5("dns", "example.com")
    /// "cfbff0d1-9375-5685-968c-48ce8b15ae17"
    /// ```
    fn v5<'v>(namespace: Given<'v, &'v str>, name: &'v str) -> starlark::Result<String> {
        let text = namespace.take("namespace")?;
        let known = match text {
            "dns" => Some(Uuid::NAMESPACE_DNS),
            "url" => Some(Uuid::NAMESPACE_URL),
            "oid" => Some(Uuid::NAMESPACE_OID),
            "x500" => Some(Uuid::NAMESPACE_X500),
            _ => Uuid::try_parse(text).ok(),
        };
        let known = known.ok_or_else(|| namespace.wrong("namespace", "dns, url, oid, x500 or a UUID"))?;
        let digest = Sha1::new().chain_update(known.as_bytes()).chain_update(name).finalize();
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        Ok(Builder::from_sha1_bytes(bytes).into_uuid().to_string())
    }

    /// A UUID as it is usually written: lower-case, with hyphens. Errors: what is no UUID.
    ///
    /// ```text
    /// >>> uuid.parse("{CFBFF0D1-9375-5685-968C-48CE8B15AE17}")
    /// "cfbff0d1-9375-5685-968c-48ce8b15ae17"
    /// ```
    fn parse<'v>(s: Given<'v, &'v str>) -> starlark::Result<String> {
        let text = s.take("s")?;
        let uuid = Uuid::try_parse(text).map_err(|_| s.wrong("s", "a UUID"))?;
        Ok(uuid.to_string())
    }
}
