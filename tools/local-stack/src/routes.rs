//! Which function a request is for: the routes of the template, matched as an API Gateway HTTP API matches them.
//!
//! A path is decoded before it is matched, literal segments win over parameters, and a trailing slash is a path of its own.
//! There is no such thing as "method not allowed": what matches no route is not found.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

use crate::template::{Route, Template};

/// Every route of the HTTP API.
#[derive(Debug, Clone)]
pub struct Routes(Vec<(Route, String)>);

/// A request's route, and what its path says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// The function that answers.
    pub function: String,
    /// The route as it is declared: `GET /checkouts/{checkoutId}`.
    pub route_key: String,
    /// The path as the function gets it.
    pub path: String,
    /// The values of the parameters in braces.
    pub parameters: BTreeMap<String, String>,
}

impl Routes {
    /// The routes of all functions of a template.
    #[must_use]
    pub fn new(template: &Template) -> Self {
        let routes = template.functions.iter().flat_map(|function| {
            function
                .routes
                .iter()
                .map(|route| (route.clone(), function.name.clone()))
        });
        Self(routes.collect())
    }

    /// The route of a request, given its path as it stood in the request line.
    #[must_use]
    pub fn find(&self, method: &str, encoded_path: &str) -> Option<Match> {
        let path = percent_decode_str(encoded_path).decode_utf8_lossy().into_owned();
        let candidates = self.0.iter().filter(|(route, _)| route.method == method);
        let (parameters, route, function) = candidates
            .filter_map(|(route, function)| Some((parameters(&route.path, &path)?, route, function)))
            .min_by_key(|(parameters, ..)| parameters.len())?;
        Some(Match {
            function: function.clone(),
            route_key: format!("{} {}", route.method, route.path),
            path,
            parameters,
        })
    }
}

/// The parameters that make `pattern` the given path; none when nothing does.
fn parameters(pattern: &str, path: &str) -> Option<BTreeMap<String, String>> {
    if pattern.split('/').count() != path.split('/').count() {
        return None;
    }
    let mut parameters = BTreeMap::new();
    for (expected, actual) in pattern.split('/').zip(path.split('/')) {
        match expected.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some(name) if !actual.is_empty() => {
                parameters.insert(name.to_owned(), actual.to_owned());
            }
            Some(_) => return None,
            None if expected == actual => {}
            None => return None,
        }
    }
    Some(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes() -> Routes {
        let route = |method: &str, path: &str, function: &str| {
            (
                Route {
                    method: method.into(),
                    path: path.into(),
                },
                function.to_owned(),
            )
        };
        Routes(vec![
            route("GET", "/checkouts/{checkoutId}", "get-checkout-session"),
            route("POST", "/checkouts", "create-checkout-session"),
            route("POST", "/checkouts/preview", "preview-checkout-session"),
            route("POST", "/checkouts/{checkoutId}", "never-when-literal"),
        ])
    }

    #[test]
    fn a_parameter_is_decoded_and_one_segment_long() {
        let found = routes().find("GET", "/checkouts/cs%20%C3%A9").unwrap();
        assert_eq!(found.function, "get-checkout-session");
        assert_eq!(found.route_key, "GET /checkouts/{checkoutId}");
        assert_eq!(found.path, "/checkouts/cs é");
        assert_eq!(found.parameters["checkoutId"], "cs é");
        // The path is decoded first, so an encoded slash separates like any other.
        for other in [
            "/checkouts/a/b",
            "/checkouts/a%2Fb",
            "/checkouts/",
            "/checkouts/a/",
        ] {
            assert_eq!(routes().find("GET", other), None, "{other}");
        }
    }

    #[test]
    fn a_literal_segment_wins_over_a_parameter() {
        assert_eq!(
            routes().find("POST", "/checkouts/preview").unwrap().function,
            "preview-checkout-session"
        );
    }

    #[test]
    fn another_method_and_a_trailing_slash_are_not_found() {
        assert_eq!(routes().find("DELETE", "/checkouts"), None);
        assert_eq!(routes().find("POST", "/checkouts/preview/"), None);
        assert_eq!(routes().find("post", "/checkouts"), None);
    }
}
