//! How things go wrong on the way to DynamoDB and Stripe, and how far that reaches.

/// How a call goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outage {
    /// The connection breaks before anything has arrived.
    Refuses,
    /// It takes effect, and the connection breaks before the answer.
    Mute,
    /// It takes effect, and the connection is closed in the middle of the answer.
    Torn,
    /// The same, and the connection is reset.
    Resets,
    /// It takes effect, and the answer is late, though within every limit.
    Late,
    /// It takes effect, and the answer comes in one byte at a time, though within every limit.
    Drips,
    /// Both say that they are asked too often, and do nothing.
    Throttles,
    /// The same, and Stripe says for how long to stay away; DynamoDB is over what is provisioned.
    Postpones,
    /// Both say that somebody else is at it, and do nothing.
    Contends,
    /// Both fail with 500, and do nothing.
    Fails,
    /// Both fail with 503, and Stripe says for how long to stay away.
    Overloaded,
    /// Nobody ever answers.
    Hangs,
    /// It takes effect, the head of the answer and half of its body arrive, and never the rest.
    Stalls,
    /// It takes effect, and the answer comes in so slowly that its end is never seen.
    Trickles,
}

/// How far an outage reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// One step, and everything works before and after it.
    Once,
    /// Every step to Stripe from that one on; DynamoDB is there.
    Stripe,
    /// Every step from that one on.
    Everything,
}

impl Reach {
    /// Each.
    pub const ALL: [Self; 3] = [Self::Once, Self::Stripe, Self::Everything];
}

/// What is answered instead of doing anything.
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) body: String,
    /// Seconds.
    pub(crate) retry_after: Option<u32>,
}

impl Outage {
    /// All, those together that are much alike.
    pub const ALIKE: [&'static [Self]; 9] = [
        &[Self::Refuses],
        &[Self::Mute],
        &[Self::Torn, Self::Resets],
        &[Self::Late, Self::Drips],
        &[Self::Throttles, Self::Postpones],
        &[Self::Contends],
        &[Self::Fails, Self::Overloaded],
        &[Self::Hangs],
        &[Self::Stalls, Self::Trickles],
    ];

    /// Whether it takes until the time is over.
    #[must_use]
    pub fn is_endless(self) -> bool {
        matches!(self, Self::Hangs | Self::Stalls | Self::Trickles)
    }

    /// Whether it is another one than those before it, at a step of that description.
    #[must_use]
    pub fn is_of_its_own(self, step: &str) -> bool {
        match (self, step.strip_prefix("DynamoDB ")) {
            (_, None) => true,
            // Reading is never refused because of somebody else's write.
            (Self::Contends, Some(operation)) => !matches!(operation, "GetItem" | "Query" | "BatchGetItem"),
            // One item that is over its share is told as a throttled table; within a transaction it is told in another way.
            (Self::Postpones, Some(operation)) => operation == "TransactWriteItems",
            (Self::Overloaded, Some(_)) => false,
            _ => true,
        }
    }

    /// What is answered instead of doing anything, if that is how it goes wrong.
    pub(crate) fn refusal(self, step: &str) -> Option<Refusal> {
        match step.strip_prefix("DynamoDB ") {
            Some(operation) => self.of_dynamodb(operation == "TransactWriteItems"),
            None => self.of_stripe(),
        }
    }

    fn of_dynamodb(self, transaction: bool) -> Option<Refusal> {
        let cancelled = |code: &str| {
            let more = format!(r#","CancellationReasons":[{{"Code":"{code}"}}]"#);
            ("TransactionCanceledException", more, 400)
        };
        let plain = |kind, status| (kind, String::new(), status);
        let (kind, more, status) = match self {
            Self::Throttles => plain("ThrottlingException", 400),
            Self::Postpones if transaction => cancelled("ThrottlingError"),
            Self::Postpones => plain("ProvisionedThroughputExceededException", 400),
            Self::Contends if transaction => cancelled("TransactionConflict"),
            Self::Contends => plain("TransactionConflictException", 400),
            Self::Fails => plain("InternalServerError", 500),
            Self::Overloaded => plain("ServiceUnavailable", 503),
            _ => return None,
        };
        let body = format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{kind}","message":"no"{more}}}"#);
        Some(Refusal {
            status,
            body,
            retry_after: None,
        })
    }

    fn of_stripe(self) -> Option<Refusal> {
        let (status, code, retry_after) = match self {
            Self::Throttles => (429, "rate_limit", None),
            Self::Postpones => (429, "rate_limit", Some(30)),
            Self::Contends => (409, "lock_timeout", None),
            Self::Fails => (500, "internal", None),
            Self::Overloaded => (503, "overloaded", Some(30)),
            _ => return None,
        };
        let body = format!(r#"{{"error":{{"type":"api_error","code":"{code}","message":"no"}}}}"#);
        Some(Refusal {
            status,
            body,
            retry_after,
        })
    }
}
