//! From a permit to the path of a request. Kind, group and namespace come from what was judged and from nowhere else; a
//! name is one segment, whatever is in it.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use starcell_policy::{KubernetesObject, Permit};

/// What a segment keeps as it is: nothing that ends it or starts a query.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');

/// What a query keeps as it is.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Longest name of an object.
const MAX_NAME: usize = 253;

/// The name of an object, which is one segment of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name(String);

impl Name {
    /// Checks what a cluster would not take for a name either.
    pub(crate) fn new(name: &str) -> Result<Self, String> {
        let bad = name.is_empty()
            || name.len() > MAX_NAME
            || matches!(name, "." | "..")
            || name.contains(['/', '%'])
            || name.chars().any(|c| c.is_control() || c.is_whitespace());
        match bad {
            true => Err("a name is up to 253 characters without spaces, `/` and `%`".to_owned()),
            false => Ok(Self(name.to_owned())),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A version of an API group, such as `v1` or `v1beta2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version(String);

impl Version {
    pub(crate) fn new(version: &str) -> Result<Self, String> {
        let fine = version.starts_with('v')
            && version.len() <= 63
            && version.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        match fine {
            true => Ok(Self(version.to_owned())),
            false => Err(format!("{:?} is not a version of an API, such as v1", super::words::bounded(version))),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where a group of the API is.
pub(crate) fn group(group: &str) -> String {
    let group = utf8_percent_encode(group, SEGMENT);
    format!("/apis/{group}")
}

/// Where a version of a group is.
pub(crate) fn version(group: &str, version: &Version) -> String {
    match group {
        "" => format!("/api/{}", version.as_str()),
        _ => format!("{}/{}", self::group(group), version.as_str()),
    }
}

/// Where the permitted objects are.
pub(crate) fn collection(permit: &Permit<KubernetesObject>, version: &Version) -> Result<String, String> {
    let object = permit.resource();
    let (plural, group) = object.plural_and_group().ok_or("the cluster as such has no objects")?;
    let root = self::version(group, version);
    let plural = utf8_percent_encode(plural, SEGMENT);
    Ok(match object.namespace() {
        Some(namespace) => format!("{root}/namespaces/{namespace}/{plural}"),
        None => format!("{root}/{plural}"),
    })
}

/// Where one of them is.
pub(crate) fn object(permit: &Permit<KubernetesObject>, version: &Version, name: &Name) -> Result<String, String> {
    if permit.resource().is_all_namespaces() {
        return Err("an object is in one namespace".to_owned());
    }
    let collection = collection(permit, version)?;
    Ok(format!("{collection}/{}", utf8_percent_encode(name.as_str(), SEGMENT)))
}

/// A path with a query of these pairs.
pub(crate) fn with_query(path: &str, pairs: &[(&str, &str)]) -> String {
    let pair = |(name, value): &(&str, &str)| format!("{name}={}", utf8_percent_encode(value, QUERY));
    let pairs: Vec<String> = pairs.iter().map(pair).collect();
    if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use starcell_policy::{CanonicalPath, Grants, K8sFunction, Profile, Roots};

    use super::*;

    fn permit(object: KubernetesObject) -> Permit<KubernetesObject> {
        let roots = Roots::new(CanonicalPath::absolute("/srv").unwrap());
        let grants = Grants::new(&Profile::named("allow-all").unwrap(), &[], &[], &roots).unwrap();
        grants.decide(K8sFunction::Get, object).unwrap()
    }

    #[test]
    fn paths_are_those_of_the_api() {
        let v1 = Version::new("v1").unwrap();
        let in_prod = |kind: &str| permit(KubernetesObject::in_namespace("prod", kind).unwrap());
        assert_eq!(collection(&in_prod("po"), &v1).unwrap(), "/api/v1/namespaces/prod/pods");
        let name = Name::new("web").unwrap();
        assert_eq!(
            object(&in_prod("Deployment"), &v1, &name).unwrap(),
            "/apis/apps/v1/namespaces/prod/deployments/web"
        );
        let own = in_prod("Widgets.Example.com");
        assert_eq!(collection(&own, &v1).unwrap(), "/apis/example.com/v1/namespaces/prod/widgets");
        let node = permit(KubernetesObject::in_cluster("node").unwrap());
        assert_eq!(object(&node, &v1, &name).unwrap(), "/api/v1/nodes/web");
        let all = permit(KubernetesObject::in_all_namespaces("pods").unwrap());
        assert_eq!(collection(&all, &v1).unwrap(), "/api/v1/pods");
        assert!(object(&all, &v1, &name).is_err());
        assert!(collection(&permit(KubernetesObject::cluster()), &v1).is_err());
    }

    #[test]
    fn a_name_is_one_segment() {
        for name in ["", ".", "..", "a/b", "../secrets/x", "a%2fb", "a b", "a\nb", &"a".repeat(254)] {
            assert!(Name::new(name).is_err(), "{name}");
        }
        let pods = permit(KubernetesObject::in_namespace("prod", "pods").unwrap());
        let v1 = Version::new("v1").unwrap();
        for (name, segment) in [("system:node", "system:node"), ("a?b", "a%3Fb"), ("a#b", "a%23b"), ("é", "%C3%A9")] {
            let path = object(&pods, &v1, &Name::new(name).unwrap()).unwrap();
            assert_eq!(path, format!("/api/v1/namespaces/prod/pods/{segment}"));
        }
    }

    #[test]
    fn versions_are_plain() {
        assert!(Version::new("v1").is_ok() && Version::new("v2beta3").is_ok());
        for version in ["", "1", "v1/../..", "v1?x", "V1"] {
            assert!(Version::new(version).is_err(), "{version}");
        }
    }

    #[test]
    fn queries_are_encoded() {
        let selector = [("labelSelector", "a=b,c in (d)"), ("limit", "5")];
        assert_eq!(with_query("/x", &selector), "/x?labelSelector=a%3Db%2Cc%20in%20%28d%29&limit=5");
        assert_eq!(with_query("/x", &[]), "/x");
    }
}
