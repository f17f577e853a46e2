//! The names of the fields that the host writes.
//!
//! A field of the host is named by a [`Field`] and by nothing else, so the list below is whole. It is what keeps a
//! script's attribute from passing for the host's.

/// A field that the host writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field(&'static str);

impl Field {
    /// The app of a node that a request was for.
    pub const APP: Self = Self("app");
    /// The file and the line in the script.
    pub const AT: Self = Self("at");
    /// Script attributes that found no room in the line.
    pub(crate) const ATTRIBUTES_LEFT_OUT: Self = Self("attributes_left_out");
    /// The object that holds a script's attributes, in JSON.
    pub(crate) const ATTRS: Self = Self("attrs");
    /// Bytes of a response's body.
    pub const BYTES: Self = Self("bytes");
    /// Time that a guest ran, in microseconds.
    pub const CPU_US: Self = Self("cpu_us");
    /// Time from the head of a request to its response, in microseconds.
    pub const DURATION_US: Self = Self("duration_us");
    /// Severity of the line.
    pub(crate) const LEVEL: Self = Self("level");
    /// The method of a request.
    pub const METHOD: Self = Self("method");
    /// The message.
    pub(crate) const MSG: Self = Self("msg");
    /// The path of a request, without its query.
    pub const PATH: Self = Self("path");
    /// The protocol of a request.
    pub const PROTO: Self = Self("proto");
    /// Address and port of a client.
    pub const REMOTE: Self = Self("remote");
    /// The id of a request.
    pub const REQUEST: Self = Self("request");
    /// The pattern of a route.
    pub const ROUTE: Self = Self("route");
    /// Name of the script.
    pub const SCRIPT: Self = Self("script");
    /// The status of a response.
    pub const STATUS: Self = Self("status");
    /// When the line was written.
    pub(crate) const TIME: Self = Self("time");

    /// Every field above.
    const ALL: [Self; 18] = [
        Self::APP,
        Self::AT,
        Self::ATTRIBUTES_LEFT_OUT,
        Self::ATTRS,
        Self::BYTES,
        Self::CPU_US,
        Self::DURATION_US,
        Self::LEVEL,
        Self::METHOD,
        Self::MSG,
        Self::PATH,
        Self::PROTO,
        Self::REMOTE,
        Self::REQUEST,
        Self::ROUTE,
        Self::SCRIPT,
        Self::STATUS,
        Self::TIME,
    ];

    /// The name as it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0
    }

    /// True for a name that a field of the host has.
    pub(crate) fn is_taken(name: &str) -> bool {
        Self::ALL.iter().any(|field| field.0 == name)
    }

    /// A field that a crate of the host names in a warning. Such a line has no attributes of a script.
    pub(crate) fn of_warning(name: &'static str) -> Self {
        Self(name)
    }
}
