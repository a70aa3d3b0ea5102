//! The stack: everything started in the right order, and ended together.
//!
//! # How it works
//! All ports are bound before anything runs, so that a taken one is told at once. Then DynamoDB gets its tables, Stripe its
//! prices and its webhook endpoint, the functions their environment, and the demo world its accounts; only then is the API
//! served. Every part is handed what the earlier ones turned out to be (an address, a price), so there is no fixed port and
//! no fixed secret anywhere.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use billing_edge::{App, Config, ConfigError};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use stripe_stand_in::{Clock, StandIn, StandInError};
use tokio::net::TcpListener;

use crate::apps::Apps;
use crate::background::Background;
use crate::catalog::{self, CatalogError};
use crate::control::{Control, Directory};
use crate::data_dir::{DataDir, DataDirError};
use crate::dynamodb::{DynamoDbError, Embedded, Now};
use crate::environment::Environment;
use crate::event::message;
use crate::functions::Drift;
use crate::gate::{self, Gate};
use crate::gateway::Gateway;
use crate::keeper::{Keeper, Keepsake};
use crate::permissions::{self, Refusals};
use crate::ports::{Place, PortError, Ports, address};
use crate::server;
use crate::settings::Settings;
use crate::stripe::{Stripe, Surroundings};
use crate::tables::{self, TableError};
use crate::template::{Template, TemplateError};
use crate::time::Time;
use crate::triggers::Triggers;
use crate::world::{Accounts, Names, Shelf, World};

/// How often a clock that runs by itself is followed.
const TICK: Duration = Duration::from_secs(1);
/// After how many ticks everything is written to `--data`.
const TICKS_BETWEEN_SAVES: u64 = 15;

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Why a stack did not start, or could not keep its data.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each variant is what its source says")]
pub enum StackError {
    #[error(transparent)]
    Port(#[from] PortError),
    #[error("no address: {0}")]
    Address(#[from] std::io::Error),
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error(transparent)]
    Drift(#[from] Drift),
    #[error(transparent)]
    DynamoDb(#[from] DynamoDbError),
    #[error(transparent)]
    Table(#[from] TableError),
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error(transparent)]
    NoRandomness(#[from] billing_edge::key::NoRandomness),
    #[error("the Stripe stand-in: {0}")]
    StandIn(#[from] StandInError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("the demo world could not be made: {0}")]
    World(#[from] billing_admin::Failure),
    #[error(transparent)]
    DataDir(#[from] DataDirError),
}

/// A running stack.
pub struct Stack {
    /// What answers the API, without a socket.
    pub gateway: Gateway,
    /// An app with every permission; what all functions share, unless each is held to its own.
    pub app: Arc<App>,
    /// The environment of the functions, for another app beside this one.
    pub variables: BTreeMap<String, String>,
    /// The clock.
    pub time: Arc<Time>,
    /// The Stripe stand-in; none when Stripe is outside.
    pub stand_in: Option<StandIn>,
    /// Addresses, secrets, the demo world.
    pub directory: Directory,
    /// What the template does not allow a function, and it tried.
    pub refusals: Refusals,
    pub(crate) keeper: Option<Arc<Keeper>>,
    front: Background,
    back: Background,
}

impl Stack {
    /// Starts everything, and answers once everything answers.
    pub async fn start(settings: Settings) -> Result<Self, StackError> {
        let template = Template::project()?;
        let ports = Ports::bind(&settings).await?;
        let api = address(&ports.api)?;
        let data = settings.data.as_deref().map(DataDir::open).transpose()?;
        let kept = data.as_ref().map(DataDir::load).transpose()?.flatten();
        let clock = settings.clock;
        if let Some(kept) = &kept {
            kept.set(&clock);
        }

        let mut back = Background::new();
        let restore = data.as_ref().filter(|_| kept.is_some()).map(DataDir::database);
        let (dynamodb, database) = start_dynamodb(ports.dynamodb, restore, &clock, &mut back)?;
        tables::create_missing(&dynamodb, &template.tables).await?;
        tables::write_down(&dynamodb, &api).await?;
        let own_database = database.is_some() && kept.is_none();
        let (names, past) = kept.map_or((None, None), |kept| (Some(kept.names), kept.stand_in));
        let surroundings = Surroundings {
            clock: &clock,
            witness: settings.witness,
            api: &api,
            kept: past.clone(),
            outlived: !own_database,
        };
        let stripe = Stripe::start(ports.stripe, surroundings, &mut back).await?;
        let is_new = stripe.stand_in.is_some() && past.is_none();

        let refusals = Refusals::default();
        let guarded = if settings.apart {
            start_guard(&template, &dynamodb, &refusals, &mut back).await?
        } else {
            dynamodb.clone()
        };
        let variables = Environment {
            api: &api,
            dynamodb: &guarded,
            stripe: &stripe.address,
            stripe_key: &stripe.key,
            webhook_secrets: &stripe.webhook_secrets,
            prices: &stripe.prices,
            choices: &settings.choices,
        }
        .variables(&template);
        let config = Config::read(&|name| variables.get(name).cloned())?;
        let app = Arc::new(App::new(config, billing_edge::Clock::from_fn(reading(&clock))));
        let apps = if settings.apart {
            let now = reading(&clock);
            Apps::apart(&template, &variables, settings.listener, move |config| {
                App::new(config, billing_edge::Clock::from_fn(Arc::clone(&now)))
            })
        } else {
            Apps::shared(Arc::clone(&app))
        };
        let gateway = Gateway::new(&template, apps, reading(&clock))?;

        let accounts = Accounts::new(app.store().clone());
        // What a demo world has at another Stripe, a stand-in that is new does not know.
        let names = names.filter(|_| !is_new);
        let names = names.map_or_else(|| Names::new(own_database), Ok)?;
        let stand_in = stripe.stand_in.as_ref();
        let shelf = stand_in.filter(|_| settings.sellers).map(|_| Shelf {
            url: &stripe.address,
            key: &stripe.key,
        });
        let world = accounts.demo(&names, shelf, clock.now()).await?;
        if let Some(stand_in) = stand_in.filter(|_| is_new) {
            // The demo world's products and prices are there after a reset, too.
            stand_in.server.set_baseline();
        }
        let directory = Directory {
            api,
            stripe: stripe.address,
            dynamodb,
            // Each kind of endpoint has its own; scripts sign as the one of our own account.
            webhook_secret: stripe
                .webhook_secrets
                .split(',')
                .next()
                .unwrap_or_default()
                .to_owned(),
            stripe_key: stripe.key,
            demo: World {
                promotion_code: stand_in.map(|_| catalog::PROMOTION_CODE),
                agency: match stand_in {
                    Some(it) if settings.sellers => {
                        let showcase = &it.connected.showcase;
                        Some(accounts.agency(&names.agency, showcase, clock.now()).await?)
                    }
                    _ => None,
                },
                ..world
            },
        };

        let stand_in = stripe.stand_in.as_ref().map(|it| it.server.clone());
        let now = clock.now();
        let triggers = Triggers::new(
            &template,
            gateway.clone(),
            database.clone(),
            settings.schedules,
            now,
        );
        let time = Time::new(clock.clone(), stand_in.clone(), database.clone(), template.tables);
        let time = Arc::new(time.with(triggers));
        let ticks = clock.is_running();
        let gate = Gate::default();
        let keepsake = match stripe.stand_in {
            Some(it) => Keepsake::Present(Box::new(it)),
            None => Keepsake::Past(past.map(Box::new)),
        };
        let keeper = data.map(|data| Keeper {
            data,
            clock,
            names,
            database,
            stand_in: keepsake,
            gate: gate.clone(),
        });
        let keeper = keeper.map(Arc::new);

        let mut front = Background::new();
        let control = Control {
            directory: directory.clone(),
            variables: variables.clone(),
            time: Arc::clone(&time),
            accounts,
        };
        front.spawn(server::serve(
            ports.api,
            front_door(gateway.clone(), control, gate),
            front.end(),
        ));
        if ticks {
            front.spawn(tick(Arc::clone(&time), keeper.clone(), front.end()));
        }
        Ok(Self {
            gateway,
            app,
            variables,
            time,
            stand_in,
            directory,
            refusals,
            keeper,
            front,
            back,
        })
    }

    /// Ends everything: first what takes requests, then what they rest on. What is to be kept is written then.
    pub async fn stop(self) -> Result<(), StackError> {
        self.front.finish().await;
        let Some(keeper) = self.keeper else {
            self.back.finish().await;
            return Ok(());
        };
        // What is still under way may end, while there is something to end it with.
        let _still = tokio::time::timeout(gate::PATIENCE, self.time.still()).await;
        let save = async {
            self.back.finish().await;
            keeper.save()
        };
        Ok(keeper.gate.close_for(save).await?)
    }
}

/// Routes a request to the stack's own routes or to the API. Whoever moves the clock waits for what the API makes of it, so it is
/// not the gate that the stack's own go through.
fn front_door(
    gateway: Gateway,
    control: Control,
    gate: Gate,
) -> impl Fn(Request<Bytes>) -> BoxFuture<Response<Bytes>> + Clone + Send + 'static {
    let control = Arc::new(control);
    move |request| {
        let (gateway, control, gate) = (gateway.clone(), Arc::clone(&control), gate.clone());
        Box::pin(async move {
            if Control::is_for(request.uri().path()) {
                control.call(request).await
            } else {
                let answer = gate.pass(async move { gateway.call(request).await }).await;
                let crashed = |_| message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error");
                answer.unwrap_or_else(crashed)
            }
        })
    }
}

/// Follows a clock that runs by itself: what has expired is deleted soon after, and what is to be kept is written.
async fn tick(time: Arc<Time>, keeper: Option<Arc<Keeper>>, end: impl Future<Output = ()>) {
    let mut end = std::pin::pin!(end);
    for count in 1_u64.. {
        tokio::select! {
            () = &mut end => return,
            () = tokio::time::sleep(TICK) => {}
        }
        // What fails now is tried again at the next tick; the last write, at the end, tells its failure.
        time.catch_up().await.unwrap_or_default();
        if let Some(keeper) = keeper.as_ref().filter(|_| count % TICKS_BETWEEN_SAVES == 0) {
            keeper.save_in_quiet(&time).await.unwrap_or_default();
        }
    }
}

/// Where DynamoDB is, and the embedded one if it is that.
fn start_dynamodb(
    place: Place<String>,
    restore: Option<PathBuf>,
    clock: &Clock,
    background: &mut Background,
) -> Result<(String, Option<Embedded>), StackError> {
    let port = match place {
        Place::Here(port) => port,
        Place::Outside(url) => return Ok((url, None)),
    };
    let database = Embedded::empty(reading(clock))?;
    // There is none where DynamoDB was outside at the earlier start.
    if let Some(file) = restore.filter(|file| file.exists()) {
        database.restore(&file)?;
    }
    let address = address(&port)?;
    background.spawn(database.clone().serve(port, background.end()));
    Ok((address, Some(database)))
}

/// Where DynamoDB is for those who are held to their permissions.
async fn start_guard(
    template: &Template,
    dynamodb: &str,
    refusals: &Refusals,
    background: &mut Background,
) -> Result<String, StackError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let guarded = address(&listener)?;
    let (template, upstream) = (template.clone(), dynamodb.to_owned());
    let (refusals, end) = (refusals.clone(), background.end());
    background.spawn(async move { permissions::guard(listener, &template, upstream, refusals, end).await });
    Ok(guarded)
}

fn reading(clock: &Clock) -> Now {
    let clock = clock.clone();
    Arc::new(move || clock.now())
}
