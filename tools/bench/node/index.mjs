// The endpoint `POST /api/v1/billing/subscription/change` as a Node.js Lambda would be written by hand: Stripe's SDK, AWS's SDK v3, and
// Lambda's runtime interface as a loop. It is measured from its start to its first poll, and makes the same calls as ours in the same
// order; it keeps none of the promises (no reservation, no quote, no retries), which makes it lighter than it would have to be.
import { createHash } from "node:crypto";
import http from "node:http";
import { DynamoDBClient, GetItemCommand, QueryCommand, UpdateItemCommand } from "@aws-sdk/client-dynamodb";
import Stripe from "stripe";

const dynamodb = new DynamoDBClient({ region: process.env.AWS_REGION, endpoint: process.env.AWS_ENDPOINT_URL_DYNAMODB });
const base = new URL(process.env.STRIPE_API_BASE ?? "https://api.stripe.com");
const stripe = new Stripe(process.env.STRIPE_SECRET_KEY, {
  host: base.hostname,
  port: base.port || 443,
  protocol: base.protocol.slice(0, -1),
});
const { ACCOUNTS_TABLE, PRICE_MONTHLY, PRICE_ANNUAL, AWS_LAMBDA_RUNTIME_API } = process.env;

async function handle(event) {
  const secret = event.headers.authorization?.split(" ")[1] ?? "";
  const hash = createHash("sha256").update(secret).digest("hex");
  const key = await dynamodb.send(new GetItemCommand({ TableName: ACCOUNTS_TABLE, ConsistentRead: true, Key: { pk: { S: `KEY#${hash}` }, sk: { S: "KEY" } } }));
  if (!key.Item) return { statusCode: 401, body: JSON.stringify({ error: "missing or invalid API key" }) };
  const account = key.Item.account.S;
  const items = await dynamodb.send(
    new QueryCommand({ TableName: ACCOUNTS_TABLE, ConsistentRead: true, KeyConditionExpression: "pk = :pk", ExpressionAttributeValues: { ":pk": { S: `ACCOUNT#${account}` } } }),
  );
  const stored = items.Items.find((item) => item.sk.S === "SUBSCRIPTION");
  const subscription = await stripe.subscriptions.retrieve(stored.id.S);
  const { interval } = JSON.parse(event.body);
  const price = interval === "annual" ? PRICE_ANNUAL : PRICE_MONTHLY;
  const [item] = subscription.items.data;
  if (item.price.id === price) return { statusCode: 200, body: JSON.stringify({ changed: false, interval }) };
  await dynamodb.send(
    new UpdateItemCommand({ TableName: ACCOUNTS_TABLE, Key: { pk: { S: `ACCOUNT#${account}` }, sk: { S: "PROFILE" } }, UpdateExpression: "ADD changes :one", ExpressionAttributeValues: { ":one": { N: "1" } } }),
  );
  await stripe.subscriptions.update(
    subscription.id,
    { items: [{ id: item.id, price }], proration_behavior: "always_invoice", payment_behavior: "pending_if_incomplete" },
    { idempotencyKey: `node/${subscription.id}/${price}` },
  );
  return { statusCode: 200, body: JSON.stringify({ changed: true, interval }) };
}

const agent = new http.Agent({ keepAlive: true });
function ask(method, path, body) {
  const [hostname, port] = AWS_LAMBDA_RUNTIME_API.split(":");
  return new Promise((resolve, reject) => {
    const request = http.request({ agent, hostname, port, method, path: `/2018-06-01/runtime/invocation/${path}` }, (answer) => {
      const parts = [];
      answer.on("data", (part) => parts.push(part));
      answer.on("end", () => resolve({ headers: answer.headers, body: Buffer.concat(parts).toString() }));
    });
    request.on("error", reject);
    request.end(body);
  });
}

for (;;) {
  const next = await ask("GET", "next");
  const id = next.headers["lambda-runtime-aws-request-id"];
  try {
    await ask("POST", `${id}/response`, JSON.stringify(await handle(JSON.parse(next.body))));
  } catch (error) {
    await ask("POST", `${id}/error`, JSON.stringify({ errorType: error.name, errorMessage: error.message }));
  }
}
