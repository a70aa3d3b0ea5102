//! Where a payer returns to after a checkout.
//!
//! The text is judged by the URL standard and then kept as it was given: Stripe's placeholder `{CHECKOUT_SESSION_ID}` must
//! survive untouched, and a re-serialised URL would escape its braces.

use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// The longest URL that Stripe and every browser take, in characters.
const MAX_LENGTH: usize = 2083;

/// Which URLs a deployment sends payers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The hosts that are allowed, as [`Policy::host`] writes them; empty for any.
    pub hosts: Vec<String>,
    /// Whether plain `http` will do on a loopback host: for local use.
    pub loopback_http: bool,
}

impl Policy {
    /// A host as it is compared: in lower case, in ASCII, an address in its usual form. None for what is no host and would allow
    /// nothing: a URL, a port, a wildcard.
    #[must_use]
    pub fn host(text: &str) -> Option<String> {
        let host = Host::parse(text).ok()?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        match &host {
            Host::Domain(name) if !name.bytes().all(plain) => None,
            host => Some(host.to_string()),
        }
    }
}

/// A URL that the deployment's policy allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReturnUrl(String);

/// Why a URL is not allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Longer than 2083 characters.
    #[error("must be at most 2083 characters")]
    TooLong,
    /// Not an absolute URL, or with characters that a URL does not have.
    #[error("must be an absolute URL")]
    NotAUrl,
    /// Neither `https` nor an allowed `http`.
    #[error("must be an https URL")]
    NotHttps,
    /// `https://user:password@…` reads like another host than it is.
    #[error("must not carry a user name or password")]
    Credentials,
    /// Not on the allow-list.
    #[error("must be on an allowed host")]
    HostNotAllowed,
}

impl ReturnUrl {
    /// Judges a text by the policy.
    pub fn parse(text: &str, policy: &Policy) -> Result<Self, Refused> {
        if text.chars().count() > MAX_LENGTH {
            return Err(Refused::TooLong);
        }
        // The URL standard would silently drop tabs and line breaks, trim blanks, and take a backslash for a slash, where others
        // read a user name and another host; what is judged must be what is sent.
        if !text.bytes().all(is_of_a_url) || !escapes_are_whole(text) || text.matches('#').count() > 1 {
            return Err(Refused::NotAUrl);
        }
        let url = Url::parse(text).map_err(|_| Refused::NotAUrl)?;
        let host = url.host().ok_or(Refused::NotAUrl)?;
        // The standard also reads `https:example.com` and `https:\\example.com` as absolute, and `https:///example.com` as one
        // with a host; nobody else does.
        let authority = text[url.scheme().len()..].strip_prefix("://");
        if authority.is_none_or(|authority| authority.starts_with('/')) {
            return Err(Refused::NotAUrl);
        }
        match url.scheme() {
            "https" => {}
            "http" if policy.loopback_http && is_loopback(&host) => {}
            _ => return Err(Refused::NotHttps),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refused::Credentials);
        }
        if !policy.hosts.is_empty() && !policy.hosts.iter().any(|allowed| *allowed == host.to_string()) {
            return Err(Refused::HostNotAllowed);
        }
        Ok(Self(text.to_owned()))
    }

    /// The URL, as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a URL may hold this byte as it is. The URL standard lets some of those pass that RFC 3986 has no place for, and Stripe refuses them.
/// Braces are for Stripe's placeholder.
fn is_of_a_url(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'"' | b'<' | b'>' | b'^' | b'`' | b'|')
}

/// Whether every `%` begins an escape.
fn escapes_are_whole(text: &str) -> bool {
    text.split('%').skip(1).all(|after| {
        let mut digits = after.bytes();
        let mut is_hex = || digits.next().is_some_and(|byte| byte.is_ascii_hexdigit());
        is_hex() && is_hex()
    })
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ReturnUrl, Refused> {
        ReturnUrl::parse(
            text,
            &Policy {
                hosts: vec![],
                loopback_http: false,
            },
        )
    }

    #[test]
    fn stripes_placeholder_survives_untouched() {
        let text = "https://app.example.com/b{CHECKOUT_SESSION_ID}?session={CHECKOUT_SESSION_ID}#{CHECKOUT_SESSION_ID}";
        assert_eq!(parse(text).unwrap().as_str(), text);
    }

    #[test]
    fn only_an_absolute_https_url_will_do() {
        for (text, why) in [
            ("", Refused::NotAUrl),
            ("/billing", Refused::NotAUrl),
            ("app.example.com", Refused::NotAUrl),
            ("https:app.example.com", Refused::NotAUrl),
            ("https:\\\\app.example.com", Refused::NotAUrl),
            ("https://app.example.com\\@evil.example/", Refused::NotAUrl),
            ("https://", Refused::NotAUrl),
            ("https:///app.example.com/x", Refused::NotAUrl),
            ("https:////app.example.com/x", Refused::NotAUrl),
            ("https://?app.example.com", Refused::NotAUrl),
            ("https://#app.example.com", Refused::NotAUrl),
            (" https://app.example.com", Refused::NotAUrl),
            ("https://app.exa\tmple.com", Refused::NotAUrl),
            ("https://app.example.com/é", Refused::NotAUrl),
            ("https://app.example.com/x#y#z", Refused::NotAUrl),
            ("https://app.example.com/%zz", Refused::NotAUrl),
            ("https://app.example.com/100%", Refused::NotAUrl),
            ("https://app.example.com/%2", Refused::NotAUrl),
            ("https://app.example.com/<x>", Refused::NotAUrl),
            ("https://app.example.com/?q=\"x\"", Refused::NotAUrl),
            ("https://app.example.com/a|b", Refused::NotAUrl),
            ("https://app.example.com/a^b", Refused::NotAUrl),
            ("https://app.example.com/`", Refused::NotAUrl),
            ("http://app.example.com", Refused::NotHttps),
            ("http://localhost:3000", Refused::NotHttps),
            ("javascript://example.com/%0aalert(1)", Refused::NotHttps),
            ("https://app.example.com@evil.example", Refused::Credentials),
            ("https://a:b@app.example.com", Refused::Credentials),
            ("https://:b@app.example.com", Refused::Credentials),
        ] {
            assert_eq!(parse(text), Err(why), "{text}");
        }
    }

    #[test]
    fn the_longest_url_has_2083_characters() {
        let url = |length: usize| format!("https://a.example/{}", "x".repeat(length - 18));
        assert!(parse(&url(2083)).is_ok());
        assert_eq!(parse(&url(2084)), Err(Refused::TooLong));
    }

    #[test]
    fn plain_http_is_for_loopback_and_only_when_configured() {
        let local = Policy {
            hosts: vec![],
            loopback_http: true,
        };
        for text in [
            "http://localhost:3000/x",
            "http://127.0.0.1",
            "http://[::1]:80/",
            "http://app.localhost/",
        ] {
            assert!(ReturnUrl::parse(text, &local).is_ok(), "{text}");
        }
        for text in [
            "http://localhost.evil.example",
            "http://evillocalhost",
            "http://10.0.0.1",
        ] {
            assert_eq!(ReturnUrl::parse(text, &local), Err(Refused::NotHttps), "{text}");
        }
    }

    #[test]
    fn a_host_is_written_as_it_is_compared_and_nothing_else_is_one() {
        for (text, host) in [
            ("APP.example.com", Some("app.example.com")),
            ("bücher.example", Some("xn--bcher-kva.example")),
            ("127.0.0.1", Some("127.0.0.1")),
            ("[0:0::1]", Some("[::1]")),
            ("", None),
            ("https://app.example.com", None),
            ("app.example.com:8443", None),
            ("app.example.com/billing", None),
            ("*.example.com", None),
        ] {
            assert_eq!(Policy::host(text).as_deref(), host, "{text}");
        }
    }

    #[test]
    fn an_allow_list_knows_hosts_not_beginnings() {
        let policy = Policy {
            hosts: vec!["app.example.com".into()],
            loopback_http: false,
        };
        assert!(ReturnUrl::parse("https://APP.example.com:8443/x", &policy).is_ok());
        assert_eq!(
            ReturnUrl::parse("https:///app.example.com/x", &policy),
            Err(Refused::NotAUrl)
        );
        for text in [
            "https://app.example.com.evil.example/",
            "https://example.com/",
            "https://xapp.example.com/",
        ] {
            assert_eq!(
                ReturnUrl::parse(text, &policy),
                Err(Refused::HostNotAllowed),
                "{text}"
            );
        }
    }
}
