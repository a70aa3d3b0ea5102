//! Lists, which Stripe tells page by page.

use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use stripe_client_core::RequestBuilder;

use crate::client::Stripe;
use crate::error::StripeError;
use crate::wire::segment;

/// One page of a list.
#[derive(Debug, Deserialize)]
pub(crate) struct Page<T> {
    pub(crate) data: Vec<T>,
    #[serde(default)]
    pub(crate) has_more: bool,
}

impl<T> Default for Page<T> {
    fn default() -> Self {
        Self {
            data: Vec::new(),
            has_more: false,
        }
    }
}

/// An element of a list that is read page by page.
pub(crate) trait Listed: DeserializeOwned {
    /// Its id, after which the next page begins.
    fn id(&self) -> &str;
}

/// The pages of a list, in Stripe's order, which is newest first where nothing else is said. Each is asked for when it is wanted.
pub(crate) struct Pages<'a, T> {
    stripe: &'a Stripe,
    list: RequestBuilder,
    /// Where the next page begins.
    next: Next,
    elements: PhantomData<fn() -> T>,
}

enum Next {
    First,
    After(String),
    None,
}

impl Next {
    fn after<T: Listed>(page: &Page<T>) -> Self {
        match page.data.last() {
            Some(last) if page.has_more => Self::After(last.id().to_owned()),
            _ => Self::None,
        }
    }
}

impl Stripe {
    /// The pages of a list, each as long as Stripe allows. `list` is the request without `limit` and `starting_after`.
    pub(crate) fn pages<T: Listed>(&self, list: RequestBuilder) -> Pages<'_, T> {
        Pages {
            stripe: self,
            list,
            next: Next::First,
            elements: PhantomData,
        }
    }

    /// Those after a page that another answer has shown.
    pub(crate) fn pages_after<T: Listed>(&self, shown: &Page<T>, list: RequestBuilder) -> Pages<'_, T> {
        Pages {
            next: Next::after(shown),
            ..self.pages(list)
        }
    }
}

impl<T: Listed> Pages<'_, T> {
    /// The elements of the next page; none after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<T>>, StripeError> {
        let place = match &self.next {
            Next::First => String::from("limit=100"),
            Next::After(id) => format!("limit=100&starting_after={}", segment(id)),
            Next::None => return Ok(None),
        };
        let filters = self.list.query.iter().filter(|filters| !filters.is_empty());
        let query: Vec<&str> = filters.map(String::as_str).chain([place.as_str()]).collect();
        let request = RequestBuilder {
            query: Some(query.join("&")),
            body: None,
            path: self.list.path.clone(),
            method: self.list.method,
        };
        let page: Page<T> = self.stripe.get(request).await?;
        self.next = Next::after(&page);
        Ok(Some(page.data))
    }

    /// The whole list.
    pub(crate) async fn all(mut self) -> Result<Vec<T>, StripeError> {
        let mut all = Vec::new();
        while let Some(page) = self.next().await? {
            all.extend(page);
        }
        Ok(all)
    }
}
