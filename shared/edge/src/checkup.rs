//! What an administrator's checks need of a deployment: its secrets, and Stripe outside of a request.

use std::time::Duration;

use billing_stripe::Stripe;
use tokio::time::Instant;

use crate::app::App;
use crate::config::{WrongKey, check_stripe_key};
use crate::secret::{NoSecret, Secret};

impl App {
    /// Stripe's secret key, as the functions read it.
    pub async fn stripe_key(&self) -> Result<Secret, NoSecret> {
        self.stripe_key.get(&self.vault, self.clock.now()).await
    }

    /// What signs Stripe's events, comma-separated; none where the configuration names none.
    pub async fn webhook_secrets(&self) -> Result<Option<Secret>, NoSecret> {
        match &self.webhook_secrets {
            Some(kept) => kept.get(&self.vault, self.clock.now()).await.map(Some),
            None => Ok(None),
        }
    }

    /// Judges a Stripe key as the functions do before they use it.
    pub fn check_stripe_key(&self, key: &Secret) -> Result<(), WrongKey> {
        check_stripe_key(key, self.config.mode)
    }

    /// Stripe with that key, for that long.
    #[must_use]
    pub fn stripe(&self, key: &Secret, time: Duration) -> Stripe {
        #[expect(clippy::disallowed_methods, reason = "the edge measures time")]
        let until = Instant::now() + time;
        self.stripe.session(key.expose(), until, 0)
    }
}
