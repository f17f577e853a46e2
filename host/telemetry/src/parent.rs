//! The trace context of a request: the field `traceparent` of the W3C's recommendation, version 00.
//!
//! `00-TRACE-SPAN-FLAGS`, in lower-case hexadecimal digits. What does not follow that is as if it were not there. A later
//! version may say more behind another dash.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::ids::{SpanId, TraceId, parse};

/// The field that carries the context.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The span that a request belongs to, as whoever sent it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TraceParent {
    pub(crate) trace: TraceId,
    pub(crate) span: SpanId,
    pub(crate) is_sampled: bool,
}

impl TraceParent {
    /// The context of a request, if it has exactly one that can be read.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(TRACEPARENT).iter();
        let value = values.next().filter(|_| values.next().is_none())?;
        Self::read(value.to_str().ok()?)
    }

    fn read(text: &str) -> Option<Self> {
        let mut parts = text.splitn(5, '-');
        let [version, trace, span, flags] = [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
        let [version] = parse::<1>(version)?;
        let goes_on = parts.next().is_some();
        if version == 0xff || (version == 0 && goes_on) {
            return None;
        }
        let (trace, span, [flags]) = (parse(trace)?, parse(span)?, parse::<1>(flags)?);
        let is_real = trace != [0; 16] && span != [0; 8];
        is_real.then_some(Self { trace: TraceId(trace), span: SpanId(span), is_sampled: flags & 1 == 1 })
    }

    /// The value of the field.
    pub(crate) fn value(&self) -> Option<HeaderValue> {
        let flags = u8::from(self.is_sampled);
        HeaderValue::from_str(&format!("00-{}-{}-{flags:02x}", self.trace.text(), self.span.text())).ok()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    #[test]
    fn what_is_written_is_read() {
        for flags in ["00", "01"] {
            let text = format!("00-{TRACE}-{SPAN}-{flags}");
            let parent = TraceParent::read(&text).unwrap();
            assert_eq!(parent.value().unwrap(), text.as_str());
        }
        // Other flags are not ours to pass on, and a later version may say more.
        for text in [format!("00-{TRACE}-{SPAN}-ff"), format!("cc-{TRACE}-{SPAN}-01-what-follows")] {
            assert!(TraceParent::read(&text).unwrap().is_sampled, "{text}");
        }
    }

    #[test]
    fn what_is_no_context_is_none() {
        let (zeros, short) = ("0".repeat(32), "0".repeat(16));
        for text in [
            String::new(),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-01-"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("0-{TRACE}-{SPAN}-01"),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{zeros}-{SPAN}-01"),
            format!("00-{TRACE}-{short}-01"),
            format!("00-{TRACE}-{SPAN}-0x"),
            format!(" 00-{TRACE}-{SPAN}-01"),
        ] {
            assert_eq!(TraceParent::read(&text), None, "{text:?}");
        }
        let value: HeaderValue = format!("00-{TRACE}-{SPAN}-01").parse().unwrap();
        let mut headers = HeaderMap::new();
        headers.append(TRACEPARENT, value.clone());
        assert!(TraceParent::of(&headers).is_some());
        headers.append(TRACEPARENT, value);
        assert_eq!(TraceParent::of(&headers), None, "nobody can tell which of two is meant");
    }
}
